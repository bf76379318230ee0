"""What a person sees of a store that belongs to another jobs database, and the command that decides."""

import json

from cluster.service import jobs
from cluster.service.audit import recorded
from cluster.service.jobs import runner_seen
from cluster.service.retention import apply_retention
from cluster.service.store_identity import OTHER, SENTENCES, belong_together, known
from tests.support.command_line import brink
from tests.support.requests import SMALL_JOB
from tests.support.served import Served, served


def cleaned_up(service: Served) -> list[str]:
    """The result folders that are left after the runners have looked several times."""
    without_job: frozenset[str] = frozenset()
    for _ in range(3):
        without_job = apply_retention(service.database, service.settings.results, None, None, without_job)
    return service.settings.results.subfolders()


def metric(service: Served) -> str:
    return next(line for line in service.ask("GET", "/metrics").text.splitlines() if line.startswith("brink_store"))


def test_another_database_is_reported_until_a_person_lets_it_have_the_store(tmp_path):
    data = tmp_path / "data"
    with served(data) as service:
        runner_seen(service.database, "test")
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
        service.work()
        assert cleaned_up(service) == [job]
        assert "warning" not in service.ask("GET", "/readyz").json()
        assert metric(service) == "brink_store_mismatch 0.0"
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    settings = {"BRINK_DATA_DIR": str(data), "BRINK_DATABASE_URL": url}
    with served(data, database_url=url) as service:
        runner_seen(service.database, "test")
        assert cleaned_up(service) == [job]
        ready = service.ask("GET", "/readyz")
        assert (ready.status_code, ready.json()["warning"]) == (200, SENTENCES[OTHER]), "jobs are taken and played"
        assert metric(service) == "brink_store_mismatch 1.0"
        assert "does not belong" in brink("store", "status", environment=settings, status=0).stdout
        found = json.loads(brink("store", "status", "--json", environment=settings, status=0).stdout)
        assert found == {"belongs": False, "marked": True, "without_job": 1}
        assert cleaned_up(service) == [job], "looking changes nothing"
        assert "no job names (now 1)" in brink("store", "claim", environment=settings, status=0).stdout
        assert (recorded(service.database, 1)[0].action, recorded(service.database, 1)[0].detail) == (
            "claim-store",
            "1 without a job",
        )
        assert "warning" not in service.ask("GET", "/readyz").json()
        assert metric(service) == "brink_store_mismatch 0.0"
        found = json.loads(brink("store", "status", "--json", environment=settings, status=0).stdout)
        assert found == {"belongs": True, "marked": True, "without_job": 1}
        assert cleaned_up(service) == []
    with served(data) as service:
        assert not belong_together(service.database, service.settings.results)
        assert jobs.get(service.database, job) is not None
        assert cleaned_up(service) == []
        assert known(service.database).mismatch == OTHER
