# syntax=docker/dockerfile:1
# The service by default, for holders of keys (`docker run -v VOLUME:/data IMAGE brink keys create ...`);
# `docker run IMAGE ray start ...` makes a Ray node of the same image.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/brink
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY sim sim
COPY cluster cluster
COPY api api
COPY configs configs
COPY brink brink
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/brink/bin/pip install --constraint constraints.txt '.[kubernetes]' \
    && /opt/brink/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim-bookworm
# Reports as PDF are set by Pango.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends \
        fonts-dejavu-core libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 brink && mkdir /data && chown brink /data
COPY --from=build /opt/brink /opt/brink
# A login shell, which some versions of KubeRay use, does not keep the path below.
RUN ln -s /opt/brink/bin/brink /opt/brink/bin/ray /usr/local/bin/
ENV PATH=/opt/brink/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BRINK_DATA_DIR=/data \
    BRINK_AUTH=keys
USER brink
WORKDIR /home/brink
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["brink", "serve", "--host", "0.0.0.0"]
