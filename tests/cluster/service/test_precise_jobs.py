"""Jobs that ask for a precision: over HTTP and from Python as on the command line."""

import threading
from pathlib import Path

import pytest

from cluster.results.plan import make_plan
from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs, leases
from cluster.service.runner import work_job
from sim.scenario.scenario import scenario_document, scenario_from_document
from sim.statistics.stopping import FIRST_LOOK
from tests.support.runs import digests, small_plan
from tests.support.served import served
from tests.support.working import Working

SCENARIO = scenario_document(small_plan().scenario)
REQUEST = {"scenario": SCENARIO, "seed": 11, "strategies": ["threaten"], "precision": {"agreement": 0.006}}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def direct(trials: int, folder: Path) -> dict[str, bytes]:
    plan = make_plan(scenario_from_document(SCENARIO), trials=trials, seed=11, strategies=("threaten",))
    run(plan, folder, RunOptions(engine="inline"))
    return contents(folder)


def test_a_precise_job_is_a_run_of_the_number_of_trials_it_came_to(tmp_path):
    with served(tmp_path / "data") as service:
        made = service.ask("POST", "/v1/jobs", json=REQUEST)
        assert made.status_code == 202, made.text
        job = made.json()
        path = f"/v1/jobs/{job['id']}"
        assert job["trials"] == job["precision"]["most_trials"] == 10_000_000
        assert job["precision"]["reached"] is None
        assert job["precision"]["requested"]["agreement"]["half_width"] == 0.006
        service.work()
        job = service.ask("GET", path).json()
        trials = job["trials"]
        assert (job["state"], job["error"]) == ("succeeded", None)
        assert FIRST_LOOK < trials < 200_000
        assert job["progress"] == {"trials_done": trials, "trials_total": trials}
        assert job["precision"]["reached"]
        assert job["precision"]["looks"] == [FIRST_LOOK, trials]
        found = job["precision"]["requested"]["agreement"]
        summary = service.ask("GET", f"{path}/summary").json()
        agreement = summary["strategies"]["threaten"]["events"]["agreement"]
        assert found["half_widths"] == {"threaten": (agreement["high"] - agreement["low"]) / 2}
        assert found["half_widths"]["threaten"] <= 0.006
        assert summary["trials"] == trials
        assert summary["complete"]
        last = service.ask("POST", f"{path}/replay", json={"trial": trials - 1})
        assert last.status_code == 200, last.text
        assert service.ask("POST", f"{path}/replay", json={"trial": trials}).status_code == 422
        stored = Path(service.settings.results.within(job["id"]).address)
        assert contents(stored) == direct(trials, tmp_path / "direct")
        assert verify(stored) == []


def test_too_few_trials_fail_the_job_and_keep_its_results(tmp_path):
    with served(tmp_path / "data") as service:
        path = service.ask("POST", "/v1/jobs", json=REQUEST | {"trials": 18_000}).headers["Location"]
        service.work()
        job = service.ask("GET", path).json()
        assert job["state"] == "failed"
        assert "precision not reached with 18000 trials" in job["error"]
        assert "would take about" in job["error"]
        assert (job["trials"], job["precision"]["reached"]) == (18_000, False)
        assert job["precision"]["requested"]["agreement"]["trials_needed"] > 18_000
        assert service.ask("GET", f"{path}/summary").json()["trials"] == 18_000
        assert contents(Path(service.settings.results.within(job["id"]).address)) == direct(18_000, tmp_path / "direct")


def test_the_same_request_makes_one_job_and_another_precision_another(tmp_path):
    with served(tmp_path / "data") as service:
        key = {"Idempotency-Key": '"once"'}
        first, again = (service.ask("POST", "/v1/jobs", json=REQUEST, headers=key) for _ in range(2))
        assert first.json()["id"] == again.json()["id"]
        for other in (REQUEST | {"precision": {"agreement": 0.007}}, REQUEST | {"trials": 100_000}):
            assert service.ask("POST", "/v1/jobs", json=other, headers=key).status_code == 422
        plain = {name: value for name, value in REQUEST.items() if name != "precision"}
        assert service.ask("POST", "/v1/jobs", json=plain, headers=key).status_code == 422
        service.work()
        assert service.ask("POST", "/v1/jobs", json=REQUEST, headers=key).json()["state"] == "succeeded"


@pytest.mark.parametrize(
    ("changed", "pointer", "says"),
    [
        ({"precision": {"agremeent": 0.1}}, "/precision/agremeent", "agreement_week"),
        ({"precision": {"agreement": 0.0}}, "/precision/agreement", "greater than 0"),
        ({"precision": {"agreement": -1}}, "/precision/agreement", "greater than 0"),
        ({"precision": {"agreement": 0.5}}, "/precision/agreement", "between 0 and 0.5"),
        ({"precision": {"agreement": 1e-300}}, "/precision/agreement", "at least 1e-10"),
        ({"precision": {"agreement": "0.1"}}, "/precision/agreement", "number"),
        ({"precision": {}}, "/precision", "at least 1"),
        ({"design": "latin_hypercube"}, "/precision", "random, sobol"),
        ({"design": "saltelli", "trials": 8 * 16 * 1000}, "", "saltelli"),
        ({"trials": 0}, "/trials", "1"),
    ],
)
def test_impossible_precisions_are_refused_with_their_pointer(tmp_path, changed, pointer, says):
    with served(tmp_path / "data") as service:
        answer = service.ask("POST", "/v1/jobs", json=REQUEST | changed)
        assert answer.status_code == 422
        assert any(pointer in found["pointer"] and says in found["detail"] for found in answer.json()["errors"])
        assert service.ask("GET", "/v1/jobs").json()["jobs"] == []


class EndsAfter(threading.Event):
    """Set once a folder holds so many files of trials."""

    def __init__(self, folder: Path, files: int) -> None:
        super().__init__()
        self.folder, self.files = folder, files

    def is_set(self) -> bool:
        return len(list(self.folder.rglob("part-*.parquet"))) >= self.files


@pytest.mark.parametrize("files", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_an_interrupted_job_continues_and_can_be_read_meanwhile(tmp_path, files):
    working = Working(tmp_path / "data")
    plan = small_plan(trials=200_000, shard_trials=10_000, strategies=("threaten",))
    submitted = jobs.submit(working.database, plan, precision={"agreement": 0.003})
    job = working.work(submitted, EndsAfter(tmp_path / "data", files))
    assert job.state == jobs.QUEUED
    assert 0 < job.trials_done < job.trials_total == job.plan.trials
    assert job.precision["most_trials"] == 200_000
    assert (job.trials_total > FIRST_LOOK) == (files == 3)
    with served(tmp_path / "data") as service:
        got = service.ask("GET", f"/v1/jobs/{job.id}/summary").json()
        assert not got["complete"]
        assert got["strategies"]["threaten"]["trials"] == job.trials_done
    job = working.work(job)
    assert (job.state, job.trials_done) == (jobs.SUCCEEDED, job.trials_total)
    assert job.precision["reached"]
    run(job.plan, tmp_path / "direct", RunOptions(engine="inline"))
    assert contents(tmp_path / "direct") == contents(working.folder(job))


def test_a_cancelled_precise_job_keeps_its_results(tmp_path):
    working = Working(tmp_path / "data")
    plan = small_plan(trials=10_000_000, shard_trials=10_000, strategies=("threaten",))
    job = jobs.submit(working.database, plan, precision={"agreement": 0.0005})
    taken = leases.claim(working.database, "runner", 60)
    played = threading.Thread(
        target=work_job, args=(working.database, taken, "runner", working.settings, threading.Event())
    )
    played.start()
    for _ in range(600):
        if jobs.get(working.database, job.id).trials_done > 0:
            break
        played.join(0.05)
    jobs.request_cancel(working.database, job.id)
    played.join(30)
    found = jobs.get(working.database, job.id)
    assert found.state == jobs.CANCELLED
    assert 0 < found.trials_done < 10_000_000
    assert len(digests(working.folder(job))) > 0


def test_another_runner_that_lost_the_job_records_nothing(tmp_path):
    working = Working(tmp_path / "data")
    job = jobs.submit(working.database, small_plan(), precision={"agreement": 0.1})
    leases.claim(working.database, "a", 60)
    assert not leases.record(working.database, job.id, "b", trials=7)
    assert jobs.get(working.database, job.id).plan.trials == 5000
    assert leases.record(working.database, job.id, "a", trials=7)
    found = jobs.get(working.database, job.id)
    assert (found.plan.trials, found.trials_total) == (7, 14)
