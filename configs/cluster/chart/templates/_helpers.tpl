{{- define "brink.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-brink" .Release.Name) (contains "brink" .Release.Name) -}}
{{- trunc 40 $name | trimSuffix "-" -}}
{{- end -}}

{{- define "brink.ray" -}}{{ include "brink.fullname" . }}-ray{{- end -}}

{{- define "brink.image" -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}

{{/* Labels by which pods are selected: {{ include "brink.selector" (list . "web") }} */}}
{{- define "brink.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "brink.labels" -}}
{{ include "brink.selector" . }}
app.kubernetes.io/part-of: brink
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end -}}

{{/* What every pod has. Kubernetes would add variables such as BRINK_WEB_PORT for each Service, which are not settings. */}}
{{- define "brink.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
securityContext: {{ toJson .Values.podSecurityContext }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "brink.place" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "brink.container" -}}
image: {{ include "brink.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{ toJson .Values.containerSecurityContext }}
{{- end -}}

{{/* Certificate authorities beside those of the image: for S3 and a provider by SSL_CERT_FILE, for PostgreSQL by libpq's. */}}
{{- define "brink.trustEnv" -}}
{{- if .Values.trustedCertificates.configMapName }}
{{- range list "SSL_CERT_FILE" "PGSSLROOTCERT" }}
- name: {{ . }}
  value: /etc/brink/certificates/{{ $.Values.trustedCertificates.key }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "brink.trustMount" -}}
{{- if .Values.trustedCertificates.configMapName }}
- {name: certificates, mountPath: /etc/brink/certificates, readOnly: true}
{{- end }}
{{- end -}}

{{- define "brink.trustVolume" -}}
{{- with .Values.trustedCertificates }}
{{- if .configMapName }}
- name: certificates
  configMap:
    name: {{ .configMapName }}
    items: [{key: {{ .key }}, path: {{ .key }}}]
{{- end }}
{{- end }}
{{- end -}}

{{- define "brink.databaseEnv" -}}
- name: HOME
  value: /tmp
{{- include "brink.trustEnv" . }}
- name: BRINK_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ required "database.secretName is required: a Secret with the database's URL" .Values.database.secretName }}
      key: {{ .Values.database.secretKey }}
{{- end -}}

{{/* How the object store is reached. */}}
{{- define "brink.s3Env" -}}
{{- if or .Values.results.storeUrl .Values.backup.folder }}
{{- with .Values.s3.region }}
- name: AWS_REGION
  value: {{ . }}
{{- end }}
{{- with .Values.s3.endpointUrl }}
- name: AWS_ENDPOINT_URL
  value: {{ . }}
{{- if hasPrefix "http://" . }}
- name: AWS_ALLOW_HTTP
  value: "true"
{{- end }}
{{- end }}
{{- if .Values.s3.credentialsSecret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.Values.s3.credentialsSecret }}, key: {{ . }}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The environment of web processes and runners. */}}
{{- define "brink.serviceEnv" -}}
{{- if eq (empty .Values.results.storeUrl) (empty .Values.results.existingClaim) }}
{{- fail "give one of results.storeUrl (s3://bucket/prefix) and results.existingClaim" }}
{{- end }}
{{- include "brink.databaseEnv" . }}
- name: BRINK_AUTH
  value: keys
{{- if .Values.results.storeUrl }}
- name: BRINK_STORE_URL
  value: {{ .Values.results.storeUrl }}
- name: BRINK_DATA_DIR
  value: /tmp/brink-data
{{- else }}
- name: BRINK_DATA_DIR
  value: /data
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- include "brink.s3Env" . }}
{{- end -}}

{{- define "brink.rayEnv" -}}
- name: RAY_AUTH_MODE
  value: token
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ required "ray.auth.secretName is required: a Secret with the key auth_token" .Values.ray.auth.secretName }}
      key: auth_token
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
# A node whose network is cut off does not close its connections: by Ray's defaults its tasks are missed after 7 minutes.
- name: RAY_grpc_client_keepalive_time_ms
  value: "30000"
- name: RAY_grpc_client_keepalive_timeout_ms
  value: "20000"
{{- end -}}

{{- define "brink.policyTypes" -}}
policyTypes: [Ingress{{ if .Values.networkPolicy.egress.enabled }}, Egress{{ end }}]
{{- end -}}

{{/* Where a pod may connect to: {{ include "brink.egress" (list . (list "database" "store")) }}, with "ray" for Ray's pods. */}}
{{- define "brink.egress" -}}
{{- $root := index . 0 }}
{{- $allowed := $root.Values.networkPolicy.egress }}
{{- if $allowed.enabled }}
egress:
  # Names are looked up at any server; those of OpenShift listen on 5353.
  - ports:
      - {port: 53, protocol: UDP}
      - {port: 53, protocol: TCP}
      - {port: 5353, protocol: UDP}
      - {port: 5353, protocol: TCP}
  {{- range index . 1 }}
  {{- if eq . "ray" }}
  - to:
      - podSelector:
          matchLabels:
            ray.io/cluster: {{ include "brink.ray" $root }}
      - podSelector:
          matchLabels: {{- include "brink.selector" (list $root "runner") | nindent 12 }}
      {{- if include "brink.webOnRay" $root }}
      - podSelector:
          matchLabels: {{- include "brink.selector" (list $root "web") | nindent 12 }}
      {{- end }}
  {{- else }}
  {{- with get $allowed . }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Of a container that is a node of Ray beside what it runs. */}}
{{- define "brink.nodeEnv" -}}
{{ include "brink.rayEnv" . }}
- name: RAY_OBJECT_STORE_BYTES
  value: {{ .Values.ray.objectStoreBytes | int64 | quote }}
- name: BRINK_RAY_ADDRESS
  value: {{ include "brink.ray" . }}-head-svc:6379
{{- end -}}

{{/* Whether web processes compute answers about large runs on Ray. */}}
{{- define "brink.webOnRay" -}}{{ if and .Values.ray.enabled .Values.web.answersOnRay }}true{{ end }}{{- end -}}

{{/* A rule that admits Ray's pods, and those that are nodes of Ray beside what they run. */}}
{{- define "brink.rayPeers" -}}
- from:
    - podSelector:
        matchLabels:
          ray.io/cluster: {{ include "brink.ray" . }}
    - podSelector:
        matchLabels: {{- include "brink.selector" (list . "runner") | nindent 10 }}
    {{- if include "brink.webOnRay" . }}
    - podSelector:
        matchLabels: {{- include "brink.selector" (list . "web") | nindent 10 }}
    {{- end }}
{{- end -}}

{{/* The results' volume, where they are on a claim. */}}
{{- define "brink.dataMount" -}}
{{- if .Values.results.existingClaim }}
- {name: data, mountPath: /data}
{{- end }}
{{- end -}}

{{- define "brink.dataVolume" -}}
{{- with .Values.results.existingClaim }}
- name: data
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end -}}
