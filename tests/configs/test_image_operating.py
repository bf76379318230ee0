"""The steps of the page for operators, with the image: a service of several pods that is drained, lost and restored.

``BRINK_IMAGE`` names a folder with the image's files, as for the other tests of the image. Needs Linux and root.
"""

import json
import re
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from cluster.storage.address import open_folder
from tests.support.deployment import DATABASE, IMAGE, NEEDS_IMAGE, S3, SERVICE, Deployment, get, store
from tests.support.pods import pods
from tests.support.postgres import postgres
from tests.support.waiting import wait_until

pytestmark = NEEDS_IMAGE

NAMES = ("database", "store", "web", "other-web", "runner", "driver")
JOB = {"scenario": "us-japan-autos-1995", "trials": 20_000, "seed": 3}
SERVE = ("brink", "serve", "--no-runner", "--host", "0.0.0.0", "--port", "8000")
RUNNER = {**SERVICE, "BRINK_ENGINE": "inline", "BRINK_LEASE_SECONDS": "5"}


@pytest.fixture(scope="module")
def service():
    """A database, a store and two web processes, as after `helm install` with `runner.replicas: 0`."""
    with ExitStack() as stack:
        found = stack.enter_context(pods(NAMES))
        made = Deployment(found, Path(IMAGE))
        stack.enter_context(postgres(found["database"].within, "*"))
        stack.enter_context(store(found["store"]))
        httpx.put(f"http://{found['store'].address}:5000/saved").raise_for_status()
        migrated = made.output_of("driver", "brink", "migrate", environment=DATABASE)
        assert migrated[0] == 0, migrated
        for name in ("web", "other-web"):
            hosts = {"BRINK_ALLOWED_HOSTS": found[name].address}
            stack.enter_context(made.running(name, *SERVE, environment={**RUNNER, **hosts}))
        for name in ("web", "other-web"):
            wait_until(lambda name=name: get(found[name], "/healthz").status_code == 200, ignoring=httpx.HTTPError)
        yield made


@contextmanager
def runners(service):
    with service.running("runner", "brink", "runner", environment=RUNNER) as process:
        ready(service, 200)
        yield process


def ready(service, status: int) -> None:
    """Wait for what a load balancer sees; another status is one that comes from before."""
    wait_until(lambda: get(service.pods["web"], "/readyz").status_code == status)


def typed(service, *command: str, status: int = 0) -> str:
    """The output of a command in a pod of the service."""
    found, output = service.output_of("driver", "brink", *command, environment=RUNNER)
    assert found == status, output
    return output


class Client:
    def __init__(self, service, key: str) -> None:
        self._pods = service.pods
        self._headers = {"Authorization": f"Bearer {key}"}

    def ask(self, method: str, path: str, pod: str = "web", **options) -> httpx.Response:
        url = f"http://{self._pods[pod].address}:8000{path}"
        return httpx.request(method, url, headers=self._headers, timeout=120, **options)

    def submitted(self, seed: int) -> str:
        response = self.ask("POST", "/v1/jobs", json=JOB | {"seed": seed})
        assert response.status_code == 202, response.text
        return response.json()["id"]

    def state(self, job: str) -> str:
        return self.ask("GET", f"/v1/jobs/{job}", "other-web").json().get("state")


def new_key(output: str) -> str:
    return re.search(r"^brink_\S+$", output, re.MULTILINE)[0]


def test_a_service_is_upgraded_lost_and_restored_as_the_page_for_operators_says(service, monkeypatch):
    ready(service, 503)
    client = Client(
        service, new_key(typed(service, "keys", "create", "--owner", "ann", "--scope", "submit", "--scope", "read"))
    )
    admin = new_key(typed(service, "keys", "create", "--owner", "prometheus", "--scope", "admin"))
    with runners(service):
        first = client.submitted(1)
        wait_until(lambda: client.state(first) == "succeeded")
        summary = client.ask("GET", f"/v1/jobs/{first}/summary").json()
        assert "brink_jobs" in Client(service, admin).ask("GET", "/metrics").text
        assert client.ask("GET", "/metrics").status_code == 403

        # Upgrade: maintenance, drain, backup.
        typed(service, "maintenance", "on", "--reason", "upgrade to 0.2, until 14:00")
        refused = client.ask("POST", "/v1/jobs", "other-web", json=JOB)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "upgrade to 0.2" in refused.json()["detail"]
        ready(service, 200)
        assert "1 runner drained" in typed(service, "runner", "--drain")
        typed(service, "maintenance", "off")
        waiting = client.submitted(2)
        report = json.loads(typed(service, "backup", "s3://saved/daily", "--json"))
        assert (report["jobs"], report["damaged"]) == (2, [])
        assert client.state(waiting) == "queued", "the drained runner takes nothing"

    # A key is rotated; the old one works for its grace, and the audit log shows both.
    key_id = json.loads(typed(service, "keys", "list", "--json"))[0]["id"]
    rotated = Client(service, new_key(typed(service, "keys", "rotate", key_id, "--grace", "7")))
    assert (client.state(first), rotated.state(first)) == ("succeeded", "succeeded")
    lost = rotated.submitted(3)
    records = json.loads(typed(service, "audit", "--action", "rotate-key", "--json"))
    assert [one["subject"] for one in records] == [key_id]

    # Everything is lost while web runs: the tables, and the bucket.
    for name, value in {**S3, "AWS_ENDPOINT_URL": f"http://{service.pods['store'].address}:5000"}.items():
        monkeypatch.setenv(name, value)
    open_folder(SERVICE["BRINK_STORE_URL"]).remove_all()
    database = sa.create_engine(
        DATABASE["BRINK_DATABASE_URL"].replace("@database:", f"@{service.pods['database'].address}:")
    )
    with database.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    database.dispose()
    assert client.ask("GET", f"/v1/jobs/{first}").status_code == 503
    typed(service, "maintenance", "on")
    # A client that calls meanwhile is refused, which is recorded. The restoration works nevertheless.
    assert client.ask("GET", f"/v1/jobs/{first}/summary").status_code == 401
    wait_until(lambda: json.loads(typed(service, "audit", "--result", "refused", "--json")))
    typed(service, "restore", "s3://saved/daily")
    typed(service, "maintenance", "off")
    with runners(service):
        assert client.ask("GET", f"/v1/jobs/{first}/summary").json() == summary
        wait_until(lambda: client.state(waiting) == "succeeded")
        # The key of the rotation came after the backup, as did the third job.
        assert rotated.ask("GET", "/v1/jobs").status_code == 401
        assert client.ask("GET", f"/v1/jobs/{lost}").status_code == 404
        further = client.submitted(4)
        wait_until(lambda: client.state(further) == "succeeded")
    actions = [one["action"] for one in json.loads(typed(service, "audit", "--json"))]
    assert actions.index("restore") < actions.index("drain"), "records since the loss follow the restored ones"
