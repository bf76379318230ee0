"""Jobs that ask for what is played already: they take it over, hold it to its digest, and harm nobody by it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cluster.results.result_folder import read_manifest, shard_path, verify
from cluster.runs import run as run_module
from cluster.runs import shard as shard_module
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from cluster.storage.address import open_folder
from sim.model.kernel import simulate_strategies
from sim.sampling.base import Design
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import digests, small_plan
from tests.support.working import Working

SMALL, LARGE = small_plan(trials=4500), small_plan(trials=7000)


@pytest.fixture
def played(monkeypatch) -> list[tuple[str, int]]:
    """The strategy and first trial of all that is played from here on."""
    found: list[tuple[str, int]] = []

    def counted(scenario: Scenario, strategies: Sequence[str], chance: Chance, design: Design) -> object:
        found.extend((strategy, chance.first) for strategy in strategies)
        return simulate_strategies(scenario, strategies, chance, design)

    monkeypatch.setattr(shard_module, "simulate_strategies", counted)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("large") / "run"
    run(LARGE, folder, RunOptions(engine="inline"))
    return digests(folder)


@pytest.fixture
def service(tmp_path) -> Working:
    return Working(tmp_path / "data")


def test_more_trials_of_the_same_play_only_what_is_missing(service, played, undisturbed):
    service.job(SMALL)
    played.clear()
    larger = service.job(LARGE)
    assert larger.state == jobs.SUCCEEDED
    assert sorted(played) == [(name, first) for name in ("talk", "threaten") for first in (4000, 5000, 6000)]
    assert digests(service.folder(larger)) == undisturbed
    assert verify(service.folder(larger)) == []


def test_nothing_new_is_played_for_a_repetition_or_a_part(service, played):
    first = service.job(LARGE)
    played.clear()
    for plan in (LARGE, replace(LARGE, trials=3000), replace(LARGE, strategies=("talk",))):
        again = service.job(plan)
        assert (again.state, again.trials_done) == (jobs.SUCCEEDED, plan.trials * len(plan.strategies))
        assert verify(service.folder(again)) == []
    assert played == []
    assert jobs.get(service.database, first.id).state == jobs.SUCCEEDED


def test_a_repetition_has_the_summary_of_the_first_job(service, monkeypatch):
    first = service.job(SMALL)
    larger = service.job(LARGE)
    monkeypatch.setattr(run_module, "summarize", None)
    for plan, earlier in ((SMALL, first), (LARGE, larger)):
        again = service.job(plan)
        assert again.state == jobs.SUCCEEDED
        found, expected = (service.folder(job) / "summary.json" for job in (again, earlier))
        assert found.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("other", [{"seed": 12}, {"design": "sobol"}, {"shard_trials": 500}])
def test_other_trials_are_not_taken_over(service, played, other):
    service.job(SMALL)
    played.clear()
    service.job(small_plan(trials=2000, **other))
    assert len(played) == 2 * 2000 // other.get("shard_trials", 1000)


def test_a_latin_hypercube_is_taken_over_whole_or_not_at_all(service, played):
    plan = small_plan(trials=2000, design="latin_hypercube")
    service.job(plan)
    played.clear()
    service.job(small_plan(trials=3000, design="latin_hypercube"))
    assert len(played) == 6
    played.clear()
    service.job(plan)
    assert played == []


def test_jobs_of_other_owners_are_not_reused(service, played):
    service.job(SMALL, owner="anna")
    played.clear()
    service.job(SMALL, owner="bela")
    assert len(played) == 10


def test_files_of_other_versions_are_not_taken_over(service, played):
    first = service.job(SMALL)
    path = service.folder(first) / "run.json"
    recorded = json.loads(path.read_text())
    recorded["versions"]["numpy"] = "0.1"
    path.write_text(json.dumps(recorded))
    played.clear()
    service.job(SMALL)
    assert len(played) == 10


def test_a_damaged_file_is_not_taken_over(service, played, undisturbed):
    """One that still says that it is the shard, but no longer has the digest that is in its manifest."""
    first = service.job(SMALL)
    damaged = service.folder(first) / shard_path(next(SMALL.shards()))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(bytes(content))
    played.clear()
    larger = service.job(LARGE)
    assert ("threaten", 0) in played
    assert len(played) == 7
    assert digests(service.folder(larger)) == undisturbed


def test_either_run_may_be_deleted_without_effect_on_the_other(service, undisturbed):
    first = service.job(SMALL)
    larger = service.job(LARGE)
    service.results.within(first.id).remove_all()
    jobs.delete(service.database, first.id)
    assert verify(service.folder(larger)) == []
    assert digests(service.folder(larger)) == undisturbed


def test_committed_files_of_a_cancelled_job_are_taken_over(service, played):
    submitted = jobs.submit(service.database, LARGE, owner="anna")
    asked = iter([False] * 4)

    def ending() -> bool:
        jobs.request_cancel(service.database, submitted.id)
        return next(asked, True)

    left = service.work(submitted, SimpleNamespace(is_set=ending))
    assert left.state == jobs.CANCELLED
    held = read_manifest(open_folder(service.folder(left)))
    assert len(held) == len(played) > 0
    assert verify(service.folder(left))[0].startswith("manifest.json: lists only a part of the run")
    played.clear()
    service.job(LARGE)
    assert len(played) == 14 - len(held)


def test_an_object_store_copies_what_is_taken_over(tmp_path, played, undisturbed):
    with object_store():
        service = Working(tmp_path / "data", store_url=f"s3://{BUCKET}/reuse")
        service.job(small_plan(trials=2500, strategies=("talk",)))
        played.clear()
        larger = service.job(small_plan(trials=4000, strategies=("talk",)))
        assert larger.state == jobs.SUCCEEDED
        assert played == [("talk", 2000), ("talk", 3000)]
        listed = {file.path: file.sha256 for file in read_manifest(service.results.within(larger.id))}
    assert len(listed) == 4
    assert listed.items() <= undisturbed.items()
