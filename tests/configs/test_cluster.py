"""The Kubernetes manifests: rendered with several values, valid by the schemas, and safe by what they hold.

`make manifests` installs what these tests need. With KUBERAY_CRDS, a folder of the CustomResourceDefinitions of KubeRay
(ray.io_rayclusters.yaml, ray.io_rayjobs.yaml), the resources of Ray are validated too.
"""

import json
import os
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from api.http.metrics import JobsCollector, Requests
from cluster.service.jobs import open_database
from cluster.service.settings import Settings
from tests.support.prometheus import samples

helm = pytest.importorskip("helm_python", reason="`make manifests` installs Helm's library and Kubernetes's schemas")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

ROOT = Path(__file__).parent.parent.parent
CLUSTER = ROOT / "configs" / "cluster"
CHART = CLUSTER / "chart"
VERSIONS = ("1.29", "1.37")
LEAST = {
    "database": {"secretName": "db"},
    "results": {"storeUrl": "s3://bucket/prefix"},
    "ray": {"auth": {"secretName": "ray"}},
}
FOREIGN = {"ServiceMonitor", "PrometheusRule", "RayCluster", "RayJob"}
"""Kinds that Kubernetes itself does not have."""


EGRESS = {
    name: [{"to": [{"ipBlock": {"cidr": f"10.0.{number}.0/24"}}], "ports": [{"port": 443, "protocol": "TCP"}]}]
    for number, name in enumerate(("database", "store", "provider", "kubernetesApi"))
}
"""Rules for what pods may connect to, each with a network of its own."""


def merged(*parts: dict) -> dict:
    """The values of several files, as Helm merges them."""
    found: dict = {}
    for part in parts:
        for name, value in part.items():
            both = isinstance(value, dict) and isinstance(found.get(name), dict)
            found[name] = merged(found[name], value) if both else deepcopy(value)
    return found


def shipped_values(name: str) -> dict:
    return yaml.safe_load((CLUSTER / f"values-{name}.yaml").read_text())


VALUES = {
    "least": LEAST,
    "aws": shipped_values("aws"),
    "on-premises": shipped_values("on-premises"),
    "small": shipped_values("small"),
    "no-policies": merged(LEAST, {"networkPolicy": {"enabled": False}, "migrations": {"enabled": False}}),
    "watched": merged(
        LEAST,
        {
            "monitoring": {
                "serviceMonitor": {"enabled": True, "keySecretName": "key", "labels": {"release": "prometheus"}},
                "rules": {"enabled": True},
                "dashboard": {"enabled": True},
            }
        },
    ),
    "accounts": merged(
        LEAST,
        {
            "oidc": {
                "issuer": "https://login.example",
                "clientId": "brink",
                "clientSecretName": "oidc",
                "groups": {"analysts": ["submit", "read"]},
            }
        },
    ),
    "backed-up": merged(LEAST, {"backup": {"schedule": "15 2 * * *", "folder": "s3://saved/daily"}}),
    "web-on-ray": merged(LEAST, {"web": {"answersOnRay": True}}),
    "claim-and-ray": merged(LEAST, {"results": {"storeUrl": "", "existingClaim": "results"}}),
    "claim-backed-up": merged(
        shipped_values("small"),
        {"backup": {"schedule": "15 2 * * *", "folder": "s3://saved/daily"}, "s3": {"credentialsSecret": "s3"}},
    ),
    "closed": merged(
        LEAST,
        {
            "networkPolicy": {"egress": {"enabled": True, **EGRESS}},
            "trustedCertificates": {"configMapName": "authorities"},
            "backup": {"schedule": "15 2 * * *", "folder": "s3://saved/daily"},
            "runner": {"tolerations": [{"key": "batch", "operator": "Exists"}]},
        },
    ),
    "rolled-back": merged(LEAST, {"runner": {"replicas": 0}}),
}


@cache
def rendered(name: str) -> tuple[dict, ...]:
    """The manifests of a set of values."""
    templates = helm.Chart.load(CHART).render(VALUES[name], name="my", namespace="trade")
    texts = [text for path, text in templates.items() if not path.endswith(".txt")]
    return tuple(one for text in texts for one in yaml.safe_load_all(text) if one)


@cache
def ray_job() -> tuple[dict, ...]:
    return tuple(yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text()))


SETS = [*VALUES, "rayjob"]
WITH_RAY = [name for name in SETS if VALUES.get(name, {}).get("ray", {}).get("enabled", True)]


def manifests(name: str) -> tuple[dict, ...]:
    return ray_job() if name == "rayjob" else rendered(name)


def pods(name: str) -> Iterator[tuple[str, dict]]:
    """Each pod template by the name of its component, with the labels that KubeRay adds."""
    for one in manifests(name):
        kind, spec = one["kind"], one.get("spec", {})
        if kind in ("Deployment", "Job"):
            yield component(spec["template"]), spec["template"]
        if kind == "CronJob":
            template = spec["jobTemplate"]["spec"]["template"]
            yield component(template), template
        if kind == "RayJob":
            yield component(spec["submitterPodTemplate"]), spec["submitterPodTemplate"]
            spec = spec["rayClusterSpec"]
        if kind in ("RayCluster", "RayJob"):
            for template in (spec["headGroupSpec"]["template"], spec["workerGroupSpecs"][0]["template"]):
                template = deepcopy(template)
                template["metadata"]["labels"]["ray.io/cluster"] = one["metadata"]["name"]
                yield component(template), template


def component(template: dict) -> str:
    return template["metadata"]["labels"]["app.kubernetes.io/component"]


def containers(name: str) -> Iterator[tuple[str, dict]]:
    for part, pod in pods(name):
        for container in pod["spec"]["containers"]:
            yield part, container


def matches(selector: dict, labels: dict) -> bool:
    return selector["matchLabels"].items() <= labels.items()


def of_kind(name: str, kind: str) -> list[dict]:
    return [one for one in manifests(name) if one["kind"] == kind]


@pytest.mark.parametrize("name", VALUES)
def test_the_chart_has_no_lint(name):
    report = helm.lint(str(CHART), VALUES[name], strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SETS)
def test_manifests_are_valid_by_the_schemas_of_kubernetes(name, version):
    checked = 0
    for one in manifests(name):
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, version, strict=True)
            checked += 1
    assert checked >= (1 if name == "rayjob" else 6)
    for part, pod in pods(name):
        template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part}, "spec": pod["spec"]}
        kubernetes_validate.validate(template, version, strict=True)


def test_a_wrong_manifest_is_found_by_the_schemas():
    wrong = deepcopy(next(one for one in rendered("least") if one["kind"] == "Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.skipif(
    "KUBERAY_CRDS" not in os.environ,
    reason="set KUBERAY_CRDS to a folder of KubeRay's CustomResourceDefinitions, which no Python package contains",
)
@pytest.mark.parametrize("name", WITH_RAY)
def test_ray_resources_are_valid_by_the_definitions_of_kuberay(name):
    import jsonschema

    (one,) = of_kind(name, "RayCluster") or of_kind(name, "RayJob")
    plural = {"RayCluster": "rayclusters", "RayJob": "rayjobs"}[one["kind"]]
    validator = jsonschema.Draft202012Validator(definition(Path(os.environ["KUBERAY_CRDS"]) / f"ray.io_{plural}.yaml"))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(one)] == []
    wrong = deepcopy(one)
    wrong["spec"]["nosuch"] = 1
    assert not validator.is_valid(wrong)


@cache
def definition(path: Path) -> dict:
    """The schema of version v1 of a definition, with unknown fields refused, as the API server prunes them."""
    document = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (version,) = [one for one in document["spec"]["versions"] if one["name"] == "v1"]
    return closed(version["schema"]["openAPIV3Schema"], top=True)


def closed(schema: dict, *, top: bool = False) -> dict:
    found = {
        key: {name: closed(part) for name, part in value.items()}
        if key == "properties"
        else closed(value)
        if key in ("items", "additionalProperties") and isinstance(value, dict)
        else value
        for key, value in schema.items()
        if key != "format"
    }
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("properties") and not open_ended:
        found["additionalProperties"] = top
    return found


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"database": {"secretName": ""}}, "database.secretName is required"),
        ({"results": {"storeUrl": ""}}, "give one of results.storeUrl"),
        ({"results": {"existingClaim": "both"}}, "give one of results.storeUrl"),
        ({"ray": {"auth": {"secretName": ""}}}, "ray.auth.secretName is required"),
        ({"ray": {"worker": {"minReplicas": 20}}}, "maxReplicas must not be less"),
        ({"ingress": {"enabled": True}}, "ingress.host is required"),
        ({"monitoring": {"serviceMonitor": {"enabled": True}}}, "keySecretName is required"),
        ({"nosuch": 1}, "nosuch"),
        ({"image": {"tag": "latest"}}, "image"),
        ({"oidc": {"issuer": "https://login.example", "groups": {"a": ["read"]}}}, "oidc.clientId is required"),
        ({"oidc": {"issuer": "https://login.example", "clientId": "brink"}}, "oidc.groups is required"),
        ({"oidc": {"groups": {"analysts": ["write"]}}}, "groups"),
        ({"backup": {"schedule": "15 2 * * *"}}, "backup.schedule needs"),
        ({"runner": {"replicas": -1}}, "replicas"),
        ({"trustedCertificates": {"configMapName": "a", "key": "../a"}}, "key"),
        *(
            ({"networkPolicy": {"egress": {"enabled": True, **EGRESS, name: []}}}, f"networkPolicy.egress.{name}")
            for name in ("database", "store", "kubernetesApi")
        ),
        ({"networkPolicy": {"egress": {"store": [{"ports": [{"port": 443}]}]}}}, "store"),
        ({"backup": {"folder": "/tmp/saved"}}, "folder"),
        ({"results": {"storeUrl": "s3://user:password@bucket/prefix"}}, "storeUrl"),
        ({"settings": {"BRINK_DATABASE_URL": "postgresql://secret@host/name"}}, "BRINK_DATABASE_URL"),
        ({"ray": {"worker": {"resources": {"limits": {"cpu": "1500m"}}}}}, "cpu"),
    ],
)
def test_wrong_values_are_refused(wrong, says):
    with pytest.raises(helm.HelmError, match=re.escape(says)):
        rendered_strictly(merged(LEAST, wrong))


def rendered_strictly(values: dict) -> None:
    """Check the values by their schema and render the chart, as `helm install` does."""
    chart = helm.Chart.load(CHART)
    chart.validate_schema(values)
    chart.render(values, name="my", namespace="trade")


@pytest.mark.parametrize("name", SETS)
def test_pods_run_without_rights_on_a_read_only_root(name):
    for part, pod in pods(name):
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, part
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, part
        assert pod["spec"]["automountServiceAccountToken"] is False, part
        assert pod["spec"]["enableServiceLinks"] is False, f"{part}: BRINK_WEB_PORT would be refused as a setting"
        assert not any(pod["spec"].get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), part
        assert not any("hostPath" in volume for volume in pod["spec"]["volumes"]), part
    contexts = [(part, container["securityContext"]) for part, container in containers(name)]
    contexts += [
        (one["kind"], (one["spec"].get("rayClusterSpec") or one["spec"])["autoscalerOptions"]["securityContext"])
        for one in of_kind(name, "RayCluster") + of_kind(name, "RayJob")
    ]
    for part, context in contexts:
        assert context["readOnlyRootFilesystem"] is True, part
        assert context["allowPrivilegeEscalation"] is False, part
        assert context["capabilities"] == {"drop": ["ALL"]}, part


@pytest.mark.parametrize("name", SETS)
def test_containers_have_resources_a_pinned_image_and_a_place_for_temporary_files(name):
    for part, container in containers(name):
        for bound in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][bound]), part
        image, _, tag = container["image"].rpartition(":")
        assert image, part
        assert re.fullmatch(r"\d+\.\d+\.\d+", tag), part
        assert not any("hostPort" in port for port in container.get("ports", ())), part
        assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]], part
        assert {"name": "HOME", "value": "/tmp"} in container["env"], part


@pytest.mark.parametrize("name", SETS)
def test_every_mount_has_its_volume_and_emptied_volumes_have_a_size(name):
    for part, pod in pods(name):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for container in pod["spec"]["containers"] for mount in container["volumeMounts"]}
        assert mounted <= set(volumes), part
        for volume in volumes.values():
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], part
        if part in ("runner", "ray-head", "ray-worker"):
            assert volumes["shm"]["emptyDir"]["medium"] == "Memory"


@pytest.mark.parametrize("name", SETS)
def test_containers_that_serve_have_probes(name):
    for part, container in containers(name):
        if part == "web":
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        if part in ("web", "ray-head", "ray-worker"):
            assert "livenessProbe" in container, part
            assert "readinessProbe" in container, part


@pytest.mark.parametrize("name", SETS)
def test_secrets_are_named_and_never_written(name):
    assert of_kind(name, "Secret") == []
    for part, container in containers(name):
        for variable in container["env"]:
            if re.search(r"TOKEN|SECRET|PASSWORD|KEY|DATABASE_URL", variable["name"]):
                assert set(variable) == {"name", "valueFrom"}, (part, variable)
                assert "secretKeyRef" in variable["valueFrom"], (part, variable)


@pytest.mark.parametrize("name", VALUES)
def test_settings_are_those_of_the_service(name):
    known = {f"BRINK_{field.upper()}" for field in Settings.model_fields}
    for part, container in containers(name):
        names = [variable["name"] for variable in container["env"]]
        assert len(names) == len(set(names)), part
        assert {one for one in names if one.startswith("BRINK_")} <= known, part


def test_a_pod_answers_under_its_service_and_its_own_address():
    ((_, container),) = [one for one in containers("aws") if one[0] == "web"]
    names = [variable["name"] for variable in container["env"]]
    hosts = next(one["value"] for one in container["env"] if one["name"] == "BRINK_ALLOWED_HOSTS")
    assert {"my-brink-web", "my-brink-web.trade.svc", "brink.example", "$(POD_IP)", "[$(POD_IP)]"} <= set(
        hosts.split(",")
    )
    assert names.index("POD_IP") < names.index("BRINK_ALLOWED_HOSTS"), "it must be known before it is used"


@pytest.mark.parametrize("name", SETS)
def test_selectors_find_their_pods_and_no_others(name):
    labels = [pod["metadata"]["labels"] for _, pod in pods(name)]
    for one in manifests(name):
        if one["kind"] == "Deployment":
            assert matches(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"])
            assert sum(matches(one["spec"]["selector"], found) for found in labels) == 1
        if one["kind"] == "Service":
            assert sum(one["spec"]["selector"].items() <= found.items() for found in labels) == 1
        if one["kind"] == "PodDisruptionBudget":
            assert sum(matches(one["spec"]["selector"], found) for found in labels) == 1
        if one["kind"] == "HorizontalPodAutoscaler":
            target = one["spec"]["scaleTargetRef"]["name"]
            (scaled,) = [other for other in of_kind(name, "Deployment") if other["metadata"]["name"] == target]
            assert "replicas" not in scaled["spec"]


def admitted(policy: dict, labels: dict, port: str | int) -> bool:
    """Whether a policy lets pods of its namespace with these labels connect to a port."""
    for rule in policy["spec"].get("ingress", ()):
        peers = [peer for peer in rule["from"] if set(peer) == {"podSelector"}]
        ports = [one["port"] for one in rule.get("ports", ())]
        if (not ports or port in ports) and any(
            matches(peer["podSelector"], labels) for peer in peers if peer["podSelector"]
        ):
            return True
    return False


@pytest.mark.parametrize("name", [name for name in SETS if name != "no-policies"])
def test_policies_keep_every_pod_and_let_only_ray_and_runners_reach_ray(name):
    found = dict(pods(name))
    policies = of_kind(name, "NetworkPolicy")
    for policy in policies:
        assert any(matches(policy["spec"]["podSelector"], pod["metadata"]["labels"]) for pod in found.values())
    for part, pod in found.items():
        of_pod = policies_of(name, pod)
        assert any("Ingress" in one["spec"]["policyTypes"] for one in of_pod), f"{part} is open to everybody"
        if part.startswith("ray-"):
            who = {
                other
                for other, from_pod in found.items()
                if any(admitted(one, from_pod["metadata"]["labels"], 6379) for one in of_pod)
            }
            web = {"web"} if name == "web-on-ray" else set()
            assert who == {"ray-head", "ray-worker", "submitter" if name == "rayjob" else "runner"} | web


def policies_of(name: str, pod: dict) -> list[dict]:
    labels = pod["metadata"]["labels"]
    return [one for one in of_kind(name, "NetworkPolicy") if matches(one["spec"]["podSelector"], labels)]


def test_no_policy_admits_all_sources():
    for name in VALUES:
        for policy in of_kind(name, "NetworkPolicy"):
            for rule in policy["spec"].get("ingress", ()):
                assert rule["from"], policy["metadata"]["name"]


def test_pods_connect_to_what_they_need_and_to_nothing_else():
    networks = {rules[0]["to"][0]["ipBlock"]["cidr"]: name for name, rules in EGRESS.items()}
    found, reach_ray = {}, set()
    for part, pod in pods("closed"):
        policies = policies_of("closed", pod)
        assert any("Egress" in one["spec"]["policyTypes"] for one in policies), part
        rules = [rule for one in policies for rule in one["spec"].get("egress", ())]
        named = [rule for rule in rules if "to" in rule]
        (lookup,) = [rule for rule in rules if "to" not in rule]
        assert {(one["port"], one["protocol"]) for one in lookup["ports"]} >= {(53, "UDP"), (53, "TCP")}, part
        peers = [peer for rule in named for peer in rule["to"]]
        found[part] = {networks[peer["ipBlock"]["cidr"]] for peer in peers if "ipBlock" in peer}
        selectors = [peer["podSelector"] for peer in peers if "podSelector" in peer]
        for other, target in pods("closed"):
            if any(matches(selector, target["metadata"]["labels"]) for selector in selectors):
                reach_ray.add((part, other))
    assert found == {
        "web": {"database", "store", "provider"},
        "runner": {"database", "store"},
        "migrate": {"database"},
        "backup": {"database", "store"},
        "ray-head": {"kubernetesApi"},
        "ray-worker": {"store"},
    }
    nodes = ("runner", "ray-head", "ray-worker")
    assert reach_ray == {(one, other) for one in nodes for other in nodes}


def test_certificate_authorities_are_known_wherever_database_or_store_are_reached():
    for part, pod in pods("closed"):
        (container,) = pod["spec"]["containers"]
        values = {one["name"]: one.get("value") for one in container["env"]}
        if part == "ray-head":
            assert "SSL_CERT_FILE" not in values
            continue
        assert values["SSL_CERT_FILE"] == values["PGSSLROOTCERT"] == "/etc/brink/certificates/ca-bundle.crt", part
        (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == "/etc/brink/certificates"]
        (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == mount["name"]]
        assert volume["configMap"]["name"] == "authorities"


def test_several_pods_of_a_kind_are_spread_and_jobs_run_where_runners_may():
    found = dict(pods("closed"))
    for part in ("web", "runner"):
        (spread,) = found[part]["spec"]["topologySpreadConstraints"]
        assert matches(spread["labelSelector"], found[part]["metadata"]["labels"])
    for part in ("migrate", "backup"):
        assert found[part]["spec"]["tolerations"] == found["runner"]["spec"]["tolerations"]


def test_karpenter_leaves_pods_of_ray_alone():
    for part, pod in pods("aws"):
        if part.startswith("ray-"):
            assert pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true", part


@pytest.mark.parametrize("name", WITH_RAY)
def test_ray_scales_from_none_and_asks_for_its_token(name):
    (one,) = of_kind(name, "RayCluster") or of_kind(name, "RayJob")
    spec = one["spec"].get("rayClusterSpec") or one["spec"]
    assert spec["authOptions"]["mode"] == "token"
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["version"] == "v2"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (workers,) = spec["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert spec["rayVersion"] == pinned[1]
    head = [mount["name"] for mount in spec["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"]]
    assert "kubernetes-access" not in head, "Ray's code must not have the token of Kubernetes"
    assert "kubernetes-access" in [mount["name"] for mount in spec["autoscalerOptions"]["volumeMounts"]]


def test_a_runner_joins_ray_with_the_same_token_and_may_use_every_core():
    ((_, runner),) = [one for one in containers("aws") if one[0] == "runner"]
    ((_, worker),) = [one for one in containers("aws") if one[0] == "ray-worker"]
    token = [[one for one in container["env"] if one["name"] == "RAY_AUTH_TOKEN"] for container in (runner, worker)]
    assert token[0] == token[1] != []
    values = {one["name"]: one.get("value") for one in runner["env"]}
    assert values["BRINK_RAY_ADDRESS"] == f"{of_kind('aws', 'RayCluster')[0]['metadata']['name']}-head-svc:6379"
    assert int(values["BRINK_WORKERS"]) == 50 * int(worker["resources"]["limits"]["cpu"])
    assert "ray start" in runner["args"][0]
    ((_, web),) = [one for one in containers("web-on-ray") if one[0] == "web"]
    ((_, beside),) = [one for one in containers("web-on-ray") if one[0] == "runner"]
    assert web["args"] == [*beside["args"], "beside-ray", "brink", "serve", "--no-runner", *web["args"][-4:]]
    for name in ("RAY_AUTH_TOKEN", "BRINK_RAY_ADDRESS", "RAY_OBJECT_STORE_BYTES"):
        found, other = ([one for one in container["env"] if one["name"] == name] for container in (web, beside))
        assert found == other != [], name
    ((_, alone),) = [one for one in containers("small") if one[0] == "runner"]
    assert alone["command"] == ["brink", "runner"]


def test_backups_have_what_web_has_to_reach_database_and_results():
    (one,) = of_kind("backed-up", "CronJob")
    assert one["spec"]["concurrencyPolicy"] == "Forbid"
    found = {part: container for part, container in containers("backed-up") if part in ("backup", "web")}
    assert found["backup"]["command"] == ["brink", "backup", "s3://saved/daily"]
    of_web = {json.dumps(variable) for variable in found["web"]["env"]}
    assert {json.dumps(variable) for variable in found["backup"]["env"]} <= of_web
    ((_, on_claim),) = [one for one in containers("claim-backed-up") if one[0] == "backup"]
    assert {"name": "data", "mountPath": "/data"} in on_claim["volumeMounts"]
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= {variable["name"] for variable in on_claim["env"]}


def test_accounts_of_a_provider_are_for_web_alone():
    found = {
        part: {one["name"]: one.get("value") for one in container["env"] if "OIDC" in one["name"]}
        for part, container in containers("accounts")
    }
    assert {part for part, settings in found.items() if settings} == {"web"}
    assert Settings(oidc_groups=found["web"]["BRINK_OIDC_GROUPS"]).oidc_groups == {"analysts": ("submit", "read")}


def test_the_tables_are_migrated_before_the_service_starts():
    (job,) = of_kind("least", "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["brink", "migrate"]
    assert "serviceAccountName" not in job["spec"]["template"]["spec"], "the chart's account does not exist yet"
    (policy,) = policies_of("least", job["spec"]["template"])
    assert policy["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert int(policy["metadata"]["annotations"]["helm.sh/hook-weight"]) < 0, "it must be there before the job"


def metric_names(tmp_path: Path) -> set[str]:
    """The names of the samples that a web process gives."""
    database = open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    registry = CollectorRegistry()
    registry.register(JobsCollector(database))
    Requests(None, registry)._seconds.labels("GET", "/v1/jobs", "200").observe(0.1)
    found = {name for name, *_ in samples(generate_latest(registry).decode())}
    database.dispose()
    return found


def test_alerts_and_dashboard_use_metrics_that_exist(tmp_path):
    names = metric_names(tmp_path)
    (rules,) = of_kind("watched", "PrometheusRule")
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    (config,) = of_kind("watched", "ConfigMap")
    board = json.loads(config["data"]["brink.json"])
    expressions = [rule["expr"] for rule in alerts] + [
        target["expr"] for panel in board["panels"] for target in panel["targets"]
    ]
    used = {name for text in expressions for name in re.findall(r"\bbrink_\w+", text)}
    assert used <= names
    assert {"brink_jobs", "brink_queue_age_seconds", "brink_lease_losses_total"} <= used
    for text in expressions:
        assert all(text.count(a) == text.count(b) for a, b in ("()", "[]", "{}")), text
        assert "{{" not in text, text
    page = (ROOT / "docs" / "operating.md").read_text()
    assert [rule["alert"] for rule in alerts if f"`{rule['alert']}`" not in page] == []


def test_alerts_look_at_the_service_that_is_scraped():
    (monitor,) = of_kind("watched", "ServiceMonitor")
    (service,) = of_kind("watched", "Service")
    assert matches(monitor["spec"]["selector"], service["metadata"]["labels"])
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert "credentials" in monitor["spec"]["endpoints"][0]["authorization"]
    (rules,) = of_kind("watched", "PrometheusRule")
    for rule in rules["spec"]["groups"][0]["rules"]:
        asked = re.findall(r"\{(.*?)\}", rule["expr"].replace("{job_id}", ""))
        assert asked
        for selector in asked:
            assert f'namespace="trade",service="{service["metadata"]["name"]}"' in selector


def test_the_compose_file_starts_what_the_service_needs():
    found = yaml.safe_load((CLUSTER / "compose.yaml").read_text())["services"]
    assert {"postgres", "s3", "bucket", "migrate", "web", "runner"} == set(found)
    known = {f"BRINK_{field.upper()}" for field in Settings.model_fields}
    for name, service in found.items():
        tag = service["image"].rpartition(":")[2]
        assert tag != "latest", name
        assert re.search(r"\d", tag), name
        for variable, value in service["environment"].items():
            assert not variable.startswith("BRINK_") or variable in known, (name, variable)
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY", variable):
                assert value.startswith("${"), (name, variable)
        for needed, awaited in service.get("depends_on", {}).items():
            if awaited["condition"] == "service_healthy":
                assert found[needed]["healthcheck"]["test"][0] == "CMD", needed
            else:
                assert awaited["condition"] == "service_completed_successfully", name
                assert found[needed]["restart"] == "on-failure", needed
        if name in ("migrate", "web", "runner"):
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in found["web"]["ports"])
    assert "127.0.0.1" in found["postgres"]["healthcheck"]["test"], "the server of the set-up listens on a socket alone"


def test_sqlalchemy_reads_the_database_address_of_the_compose_file():
    address = yaml.safe_load((CLUSTER / "compose.yaml").read_text())["services"]["web"]["environment"]
    url = sa.make_url(re.sub(r"\$\{.*?\}", "password", address["BRINK_DATABASE_URL"]))
    assert (url.host, url.database, url.username) == ("postgres", "brink", "brink")
