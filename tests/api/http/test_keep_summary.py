"""A job that keeps counts: how it is requested and shown, its files, its backup and its removal."""

import pytest

from cluster.results import plan as plan_module
from cluster.results.result_folder import COUNTS_FOLDER, TRIALS_FOLDER, read_manifest
from cluster.service.backup import back_up
from cluster.storage.local import LocalFolder
from tests.support.requests import PROBLEM, SMALL_JOB
from tests.support.served import served

JOB = SMALL_JOB | {"trials": 3000, "keep": "summary"}


@pytest.fixture
def service(tmp_path, monkeypatch):
    # Small files, so that a small job has some that are reduced.
    monkeypatch.setattr(plan_module, "shard_size", lambda scenario, trials: 1000)
    monkeypatch.setattr(plan_module, "KEPT_TRIALS", 1000)
    with served(tmp_path / "data") as found:
        yield found


def test_a_job_that_keeps_counts(service, tmp_path):
    made = service.ask("POST", "/v1/jobs", json=JOB).json()
    assert made["keep"] == "summary"
    assert service.ask("POST", "/v1/jobs", json=JOB | {"keep": "all"}).json()["keep"] == "all"
    service.work()
    path = f"/v1/jobs/{made['id']}"
    summary, timeline = (service.ask("GET", f"{path}/summary").json(), service.ask("POST", f"{path}/timeline").json())
    assert all(one["trials"] == 3000 for one in summary["strategies"].values())
    assert all(one["trials"] == 3000 for one in timeline["result"]["strategies"].values())
    compared = service.ask("POST", f"{path}/compare", json={}).json()
    assert compared["trials"]["played"] == 6000
    assert compared["method"]["rows"].startswith("from the rows of the first 1,000 of 3,000 trials")

    names = {file["path"] for file in service.ask("GET", f"{path}/files").json()["files"]}
    folders = [name.partition("/")[0] for name in names if name.endswith(".parquet")]
    assert sorted(folders) == [COUNTS_FOLDER] * 4 + [TRIALS_FOLDER] * 2
    one = f"{COUNTS_FOLDER}/strategy=talk/part-00002.parquet"
    stored = {file.path: file for file in read_manifest(service.settings.results.within(made["id"]))}
    assert len(service.ask("GET", f"{path}/files/{one}").content) == stored[one].bytes

    saved = back_up(service.settings.jobs_database, service.settings.results, LocalFolder(tmp_path / "saved"))
    assert (saved.jobs, saved.damaged) == (2, ())
    assert service.ask("DELETE", path).status_code == 204
    assert service.settings.results.within(made["id"]).entries() == []


@pytest.mark.parametrize(
    ("body", "field"), [({"keep": "some"}, "keep"), ({"design": "latin_hypercube"}, "keep")], ids=["name", "design"]
)
def test_what_cannot_be_kept_is_refused(service, body, field):
    answer = service.ask("POST", "/v1/jobs", json=JOB | body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, PROBLEM)
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_a_request_from_before_counts_were_kept_has_the_same_digest(service):
    """A client repeats it, with its idempotency key, to a service that was updated meanwhile."""
    key = {"Idempotency-Key": "one"}
    first = service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers=key)
    again = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"keep": "all"}, headers=key)
    other = service.ask("POST", "/v1/jobs", json=JOB | {"trials": 300}, headers=key)
    assert (first.json()["id"], other.status_code) == (again.json()["id"], 422)
