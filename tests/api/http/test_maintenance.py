"""Maintenance: new jobs are refused by every web process, while reading and running jobs continue."""

import json

import pytest

from cluster.service import maintenance
from cluster.service.audit import recorded
from cluster.service.jobs import open_database, runner_seen
from tests.support.command_line import assert_refused, brink
from tests.support.requests import PROBLEM, SMALL_JOB
from tests.support.served import served
from tests.support.service_process import ServiceProcess


def test_new_jobs_are_refused_and_everything_else_continues(tmp_path):
    with served(tmp_path / "data") as service:
        runner_seen(service.database, "test")
        named = {"Idempotency-Key": '"once"'}
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=named).json()
        settings = {"BRINK_DATA_DIR": str(tmp_path / "data")}
        brink("maintenance", "on", "--reason", "the database moves", environment=settings, status=0)
        refused = service.ask("POST", "/v1/jobs", json=SMALL_JOB)
        assert (refused.status_code, refused.headers["content-type"]) == (503, PROBLEM)
        assert int(refused.headers["Retry-After"]) > 0
        assert "maintenance" in refused.json()["detail"]
        assert "the database moves" in refused.json()["detail"]
        # A repeated request is no new job.
        assert service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=named).json()["id"] == job["id"]
        service.work()
        assert service.ask("GET", f"/v1/jobs/{job['id']}").json()["state"] == "succeeded"
        assert service.ask("GET", f"/v1/jobs/{job['id']}/summary").status_code == 200
        ready = service.ask("GET", "/readyz")
        assert ready.status_code == 200, "a load balancer must let reads through"
        assert ready.json()["maintenance"].endswith("Z")
        assert "database" not in ready.text, "the reason is for those who have a key"
        brink("maintenance", "off", environment=settings, status=0)
        assert service.ask("POST", "/v1/jobs", json=SMALL_JOB).status_code == 202
        assert "maintenance" not in service.ask("GET", "/readyz").json()
        assert [one.action for one in recorded(service.database, 9) if "maint" in one.action] == [
            "maintenance-off",
            "maintenance-on",
        ]


def test_the_command_says_whether_it_is_on(tmp_path):
    settings = {"BRINK_DATA_DIR": str(tmp_path)}
    assert "is off" in brink("maintenance", "off", environment=settings, status=0).stdout
    brink("maintenance", "on", environment=settings, status=0)
    shown = brink("maintenance", "on", "--reason", "a reason", environment=settings, status=0).stdout
    assert "is on" in shown
    assert "a reason" in shown
    found = json.loads(brink("maintenance", "status", "--json", environment=settings, status=0).stdout)
    assert (found["on"], found["reason"]) == (True, "a reason")
    assert_refused(brink("maintenance", "on", "--reason", "x" * 501, environment=settings), "--reason", "500")


def test_the_tables_hold_one_maintenance(database_url):

    database = open_database(database_url)
    first = maintenance.switch_on(database, "one")
    assert maintenance.switch_on(database, "two") == maintenance.Maintenance(first.since, "two")
    assert (maintenance.switch_off(database), maintenance.switch_off(database)) == (True, False)
    assert maintenance.current(database) is None
    database.dispose()


@pytest.mark.slow
def test_a_running_job_is_finished_during_maintenance(tmp_path):
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline")
    try:
        job = service.submit()["id"]
        service.begun(job)
        brink("maintenance", "on", environment=service.settings, status=0)
        assert service.client.post("/v1/jobs", json=SMALL_JOB).status_code == 503
        assert service.ended(job)["state"] == "succeeded"
        assert service.client.get(f"/v1/jobs/{job}/summary").status_code == 200
    finally:
        service.stop()
