"""The audit log of the HTTP service: what is recorded of a request, when, and who may read it."""

import re
import threading

import pytest
import sqlalchemy as sa

from api.http.app import create_app
from api.http.audit import action_of
from cluster.service import keys
from cluster.service.audit import Record, recorded
from cluster.service.settings import Settings
from tests.support.requests import SMALL_JOB, UNKNOWN_JOB
from tests.support.served import Served, served
from tests.support.service_process import ServiceProcess
from tests.support.waiting import HANG_SECONDS, wait_until

ORIGIN = {"Origin": "http://localhost"}


@pytest.fixture
def service(tmp_path):
    with served(tmp_path, auth="keys") as found:
        yield found


def first(service: Served, action: str, result: str = "done") -> Record:
    """The newest record of an action, once it is written."""
    return wait_until(lambda: recorded(service.database, 1, action=action, result=result))[0]


def test_changes_are_recorded_before_they_are_answered(service):
    key = service.key("ann", "submit", "read")
    key_id = key["Authorization"].split("_")[1]
    job = service.ask("POST", "/v1/jobs", key, json=SMALL_JOB).json()["id"]
    service.ask("POST", f"/v1/jobs/{job}/cancel", key)
    service.ask("DELETE", f"/v1/jobs/{job}", key)
    found = recorded(service.database, 10)
    assert [(one.action, one.subject, one.status) for one in found] == [
        ("delete", job, 204),
        ("cancel", job, 202),
        ("submit", job, 202),
    ]
    assert {(one.owner, one.key_id, one.address, one.result) for one in found} == {
        ("ann", key_id, "testclient", "done")
    }


def test_reads_are_recorded_off_their_request(service):
    key = service.key("ann", "submit", "read")
    job = service.ask("POST", "/v1/jobs", key, json=SMALL_JOB).json()["id"]
    service.work()
    service.ask("GET", "/v1/jobs", key)
    writers = set()

    @sa.event.listens_for(service.database, "before_cursor_execute")
    def _(_connection, _cursor, statement, *_rest):
        if statement.startswith("INSERT INTO audit"):
            writers.add(threading.current_thread().name)

    for _ in range(3):
        assert service.ask("GET", f"/v1/jobs/{job}/summary", key).status_code == 200
    assert service.ask("POST", f"/v1/jobs/{job}/timeline", key, json={}).status_code == 200
    assert service.ask("GET", f"/v1/jobs/{job}/files/run.json", key).status_code == 200

    def reads() -> bool:
        found = recorded(service.database, 100, action="read", subject=job, result="done", owner="ann")
        times = {name: sum(one.times for one in found if one.detail == name) for name in ("summary", "timeline")}
        return times == {"summary": 3, "timeline": 1} and any(one.detail == "files" for one in found)

    wait_until(reads)
    assert len(writers) == 1, "the thread that writes batches, and none that answers"
    # A job's state and events, and the list of jobs, are no results.
    service.ask("GET", f"/v1/jobs/{job}", key)
    service.ask("GET", f"/v1/jobs/{job}/events", key)
    assert {one.action for one in recorded(service.database, 100)} == {"submit", "read"}


def test_refusals_are_recorded_and_strangers_write_nothing_of_their_own(service):
    reader, other = service.key("ann", "read"), service.key("bob", "submit", "read")
    service.ask("POST", "/v1/jobs", reader, json=SMALL_JOB)
    refused = first(service, "submit", "refused")
    assert (refused.owner, refused.status) == ("ann", 403)
    service.ask("DELETE", f"/v1/jobs/{UNKNOWN_JOB}", other)
    refused = first(service, "delete", "refused")
    assert (refused.owner, refused.status, refused.subject) == ("bob", 404, UNKNOWN_JOB)
    wrong = {"Authorization": f"Bearer brink_{'1' * 16}_{'2' * 64}"}
    service.ask("POST", f"/v1/jobs/{'3' * 32}/{'x' * 50}", wrong)
    refused = first(service, "read", "refused")
    assert (refused.owner, refused.key_id, refused.subject, refused.detail) == (None, None, None, None)
    service.ask("POST", "/v1/session", wrong)
    assert first(service, "sign-in", "refused").status == 401


def test_signing_in_and_out_and_keys_are_recorded_without_a_secret(service):
    admin = service.key("root", "admin")
    service.ask("POST", "/v1/session", admin)
    made = service.ask("POST", "/v1/keys", json={"owner": "ann", "scopes": ["read"]}, headers=ORIGIN).json()
    service.ask("POST", f"/v1/keys/{made['id']}/revoke", headers=ORIGIN)
    service.ask("DELETE", "/v1/session", headers=ORIGIN)
    found = recorded(service.database, 10)
    assert [one.action for one in found] == ["sign-out", "revoke-key", "create-key", "sign-in"]
    assert {one.owner for one in found} == {"root"}
    assert (found[2].subject, found[2].detail) == (made["id"], "of ann: read")
    assert made["text"].split("_")[2] not in str(found)
    assert admin["Authorization"].split("_")[2] not in str(found)


def test_administrators_read_the_log_and_nobody_else(service):
    ann, admin = service.key("ann", "submit", "read"), service.key("root", "admin")
    jobs = [service.ask("POST", "/v1/jobs", ann, json={**SMALL_JOB, "seed": seed}).json()["id"] for seed in range(3)]
    assert service.ask("GET", "/v1/audit", ann).status_code == 403
    page = service.ask("GET", "/v1/audit?owner=ann&action=submit&limit=2", admin).json()
    assert [one["subject"] for one in page["records"]] == [jobs[2], jobs[1]]
    rest = service.ask(
        "GET", f"/v1/audit?owner=ann&action=submit&page_token={page['next_page_token']}&until=2999-01-01T00:00Z", admin
    ).json()
    assert ([one["subject"] for one in rest["records"]], rest["next_page_token"]) == ([jobs[0]], None)
    assert service.ask("GET", "/v1/audit?since=2999-01-01T00:00:00%2B02:00", admin).json()["records"] == []
    for wrong in ("action=look", "result=x", "since=soon", "since=2026-01-01T00:00", "limit=0", "page_token=x"):
        assert service.ask("GET", f"/v1/audit?{wrong}", admin).status_code == 422, wrong
    assert service.ask("GET", "/v1/audit?owner=a%00b", admin).json()["records"] == []
    assert first(service, "read-audit").owner == "root"


def test_a_change_is_recorded_once_the_database_takes_it(service, monkeypatch):
    key = service.key("ann", "submit", "read")

    def fails(*_: object) -> None:
        raise sa.exc.OperationalError("INSERT", None, Exception("away"))

    monkeypatch.setattr("api.http.audit.record", fails)
    assert service.ask("POST", "/v1/jobs", key, json=SMALL_JOB).status_code == 202
    assert first(service, "submit").owner == "ann"


def test_every_route_of_a_job_that_shows_results_is_recorded():
    silent = {("get", "/v1/jobs/{job_id}"), ("get", "/v1/jobs/{job_id}/events")}
    for path, methods in create_app(Settings()).openapi()["paths"].items():
        for method in methods:
            address = re.sub(r"\{\w+\}", "0" * 32, path)
            about_job = path.startswith("/v1/jobs/{job_id}") and (method, path) not in silent
            changes_keys = path.startswith(("/v1/keys", "/v1/session")) and method != "get"
            if about_job or changes_keys or (method, path) == ("post", "/v1/jobs"):
                assert action_of(method.upper(), address), (method, path)


@pytest.mark.slow
def test_a_service_that_is_stopped_writes_what_waits(tmp_path):
    """A read just before the end is in the log afterwards."""
    service = ServiceProcess(tmp_path / "data")
    job = service.submit(trials=1000)["id"]
    service.ended(job)
    assert service.client.get(f"/v1/jobs/{job}/summary").status_code == 200
    database = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'jobs.sqlite'}")
    service.process.terminate()
    service.process.wait(HANG_SECONDS)
    service.log.close()
    service.client.close()
    assert [one.detail for one in recorded(database, 10, action="read", subject=job)] == ["summary"]
    assert keys.listed(database) == []
    database.dispose()
