"""One run: it continues from what is committed, refuses a folder of another run, and loses nothing when it fails."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cluster.results.plan import MANY_SHARDS, MAX_SHARD_TRIALS, MAX_SHARDS, make_plan
from cluster.results.result_folder import (
    committed_shards,
    file_metadata,
    read_manifest,
    recorded_plan,
    shard_path,
    verify,
)
from cluster.results.trial_table import table_schema, to_table
from cluster.results.trial_work import trial_seconds
from cluster.runs import shard as shard_module
from cluster.runs.options import Progress, RunOptions
from cluster.runs.run import Stopped, adopt_shard_size, run
from cluster.runs.shard import ROW_GROUP, run_shards
from cluster.runs.tasks import ShardFailed, strategies_per_task
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from sim.model.kernel import simulate, simulate_strategies
from sim.sampling.base import Design
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario
from tests.support.examples import issue, scenario
from tests.support.runs import digests, small_plan

PLAN = small_plan()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("run") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return digests(folder)


def test_a_stopped_run_continues_from_what_is_committed(tmp_path, undisturbed):
    stop = threading.Event()
    seen: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        seen.append(progress)
        if progress.shards_done == 3:
            stop.set()

    with pytest.raises(Stopped, match="3000 of 10000 trials committed; the same command continues"):
        run(PLAN, tmp_path / "run", RunOptions(engine="inline", on_progress=on_progress, should_stop=stop.is_set))
    assert len(read_manifest(open_folder(tmp_path / "run"))) == 3
    assert not (tmp_path / "run" / "summary.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.parquet")}

    seen.clear()
    summary = run(PLAN, tmp_path / "run", RunOptions(engine="inline", on_progress=seen.append))
    assert seen[0].trials_done == 3000
    assert [progress.shards_done for progress in seen] == list(range(3, 11))
    assert digests(tmp_path / "run") == undisturbed
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert verify(tmp_path / "run") == []
    assert summary["complete"]


def test_an_interrupt_keeps_what_is_committed(tmp_path, undisturbed):
    def on_progress(progress: Progress) -> None:
        if progress.shards_done == 4:
            raise KeyboardInterrupt

    with pytest.raises(Stopped, match="4000 of 10000"):
        run(PLAN, tmp_path / "run", RunOptions(engine="inline", on_progress=on_progress))
    assert len(read_manifest(open_folder(tmp_path / "run"))) == 4
    run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    assert digests(tmp_path / "run") == undisturbed


def test_a_failing_shard_is_named_and_the_others_are_kept(tmp_path, undisturbed, monkeypatch):
    def failing(
        scenario: Scenario, strategies: Sequence[str], chance: Chance, design: Design
    ) -> dict[str, dict[str, np.ndarray]]:
        if "talk" in strategies and chance.first == 3000:
            raise FloatingPointError("trial 3141 is impossible")
        return simulate_strategies(scenario, strategies, chance, design)

    monkeypatch.setattr(shard_module, "simulate_strategies", failing)
    with pytest.raises(ShardFailed) as caught:
        run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    assert str(caught.value) == (
        "strategy talk, shard 3 (trials 3000 to 3999) failed: FloatingPointError: trial 3141 is impossible"
    )
    assert len(read_manifest(open_folder(tmp_path / "run"))) == 7
    assert len(digests(tmp_path / "run")) == 7
    monkeypatch.undo()
    run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    assert digests(tmp_path / "run") == undisturbed


def test_a_damaged_or_foreign_shard_is_played_again(tmp_path, undisturbed):
    folder = tmp_path / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    shards = list(PLAN.shards())
    (folder / shard_path(shards[0])).write_bytes(b"PAR1 but not really")
    (folder / shard_path(shards[2])).unlink()
    (folder / shard_path(shards[4])).write_bytes((folder / shard_path(shards[6])).read_bytes())
    without_tallies(folder / shard_path(shards[5]))
    assert list(committed_shards(open_folder(folder), PLAN)) == [*shards[1:2], shards[3], *shards[6:]]
    run(PLAN, folder, RunOptions(engine="inline"))
    assert digests(folder) == undisturbed
    assert verify(folder) == []


def without_tallies(path: Path) -> None:
    """Write a shard's rows and its account of itself again, but not its tallies."""
    table = pq.read_table(path, partitioning=None)
    kept = {key: value for key, value in table.schema.metadata.items() if key != b"brink.tallies"}
    pq.write_table(table.replace_schema_metadata(kept), path)


def test_a_run_stops_within_a_shard(tmp_path, undisturbed):
    """A shard of several row groups that is not finished leaves nothing behind, and is played again later."""
    plan = small_plan(trials=3 * ROW_GROUP, shard_trials=3 * ROW_GROUP, strategies=("talk",))
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    with pytest.raises(Stopped, match="0 of"):
        run(plan, tmp_path / "run", RunOptions(engine="inline", should_stop=should_stop))
    assert not list((tmp_path / "run").rglob("*.parquet"))


@pytest.mark.parametrize(
    "design", ["random", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sobol", "latin_hypercube"))]
)
def test_shards_played_together_and_alone_are_the_same_files(tmp_path, design):
    """Byte for byte, also where a shard has several row groups."""
    plan = small_plan(trials=ROW_GROUP + 999, shard_trials=ROW_GROUP + 500, design=design)
    run(plan, tmp_path / "together", RunOptions(engine="inline"))
    folder = open_folder(tmp_path / "alone")
    folder.create()
    alone = [result for shard in plan.shards() for result in run_shards(plan, [shard], folder)]
    assert [result.shard for result in alone] == list(plan.shards())
    assert digests(tmp_path / "together") == digests(tmp_path / "alone")
    assert [result.file for result in alone] == [committed_shards(folder, plan)[shard] for shard in plan.shards()]


def test_a_shards_rows_are_those_of_the_kernel(tmp_path):
    plan = small_plan(trials=ROW_GROUP + 999, shard_trials=ROW_GROUP + 999)
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    for shard in plan.shards():
        schema = table_schema(plan.scenario, file_metadata(plan, shard))
        arrays = simulate(plan.scenario, shard.strategy, Chance(plan.seed, 0, plan.trials), plan.design)
        stored = pq.read_table(tmp_path / "run" / shard_path(shard), partitioning=None, schema=schema)
        assert stored.equals(to_table(plan.scenario, schema, arrays).replace_schema_metadata(stored.schema.metadata))


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (small_plan(trials=6000), "trials is 5000, not 6000"),
        (small_plan(seed=12), "seed is 11, not 12"),
        (small_plan(design="sobol"), "design is random, not sobol"),
        (small_plan(strategies=("talk",)), "strategies"),
        (small_plan(shard_trials=2000), "shard_trials is 1000, not 2000"),
    ],
)
def test_a_folder_of_another_run_is_refused(tmp_path, other, field):
    run(small_plan(trials=5000), tmp_path / "run", RunOptions(engine="inline"))
    before = digests(tmp_path / "run")
    with pytest.raises(InvalidInput, match=field):
        run(other, tmp_path / "run", RunOptions(engine="inline"))
    assert digests(tmp_path / "run") == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letters.txt").write_text("Dear")
    with pytest.raises(InvalidInput, match=r"letters\.txt"):
        run(PLAN, tmp_path, RunOptions(engine="inline"))
    with pytest.raises(InvalidInput, match="cannot be used"):
        run(PLAN, tmp_path / "letters.txt", RunOptions(engine="inline"))
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_the_plan_can_be_read_back(tmp_path):
    plan = small_plan(trials=20, design="latin_hypercube", strategies=("talk",))
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    assert recorded_plan(open_folder(tmp_path / "run")) == plan
    assert adopt_shard_size(small_plan(trials=20, shard_trials=None), tmp_path / "run").shard_trials == 1000


def test_the_summary_is_that_of_the_rows(tmp_path):
    summary = run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    rows = pd.read_parquet(tmp_path / "run" / "trials")
    for strategy, found in summary["strategies"].items():
        own = rows[rows["strategy"] == strategy]
        assert found["trials"] == len(own) == 5000
        for outcome, estimate in found["outcome"].items():
            assert estimate["estimate"] == pytest.approx((own["outcome"] == outcome).mean())
            assert estimate["low"] <= estimate["estimate"] <= estimate["high"]
        for name in ("agreement_week", "target_cost", "export_gain", "market_access"):
            values = own[name].dropna().astype(float)
            if len(values):
                measure = found["measures"][name]
                assert measure["mean"]["estimate"] == pytest.approx(values.mean())
                assert measure["mean"]["standard_error"] == pytest.approx(values.sem())
                quantile = values.quantile(0.95, interpolation="lower")
                assert measure["quantiles"]["0.95"] == pytest.approx(quantile, abs=np.ptp(values) / 200)
        share = found["measures"]["balance_change_share_of_deficit"]["mean"]["estimate"]
        assert share == pytest.approx(found["measures"]["balance_change"]["mean"]["estimate"] / 39.4)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"trials": 0}, "trials"),
        ({"trials": 10**11}, "trials"),
        ({"trials": 2.5}, "trials"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"shard_trials": 0}, "shard_trials"),
        ({"trials": MAX_SHARDS + 1, "shard_trials": 1}, "shard_trials"),
        ({"design": "halton"}, "design"),
        ({"strategies": ("threaten", "surrender")}, "threaten, talk .found 'surrender'"),
        ({"strategies": ("talk", "talk")}, "named more than once"),
        ({"design": "sobol", "trials": 2**32 + 1, "shard_trials": None}, "trials"),
    ],
)
def test_an_impossible_plan_is_refused(given, field):
    with pytest.raises(InvalidInput, match=field):
        make_plan(PLAN.scenario, **{"trials": 1000, "seed": 1} | given)


def test_every_trial_is_in_one_shard():
    for trials, size in ((1, 1), (1, 1000), (1000, 1000), (1001, 1000), (2999, 7)):
        plan = small_plan(trials=trials, shard_trials=size)
        for strategy in plan.strategies:
            covered = [n for s in plan.shards() if s.strategy == strategy for n in range(s.first, s.first + s.count)]
            assert covered == list(range(trials))
        assert plan.shard_count == len(list(plan.shards()))


@pytest.mark.parametrize(
    ("trials", "strategies", "shard_trials"),
    [
        (1, 1, 100_000),
        (10**6, 6, 100_000),
        (10**9, 1, 100_000),
        (10**9, 2, 200_000),
        (10**9, 6, 700_000),
        (10**10, 2, 2_000_000),
        (10**10, 100, 10_000_000),
    ],
)
def test_the_shards_of_a_large_run_are_larger_and_not_more(trials, strategies, shard_trials):
    names = {f"s{k}": {} for k in range(strategies)}
    plan = make_plan(replace(PLAN.scenario, strategies=names), trials=trials, seed=1)
    assert plan.shard_trials == shard_trials
    assert plan.shard_count <= max(MANY_SHARDS, strategies * -(-trials // MAX_SHARD_TRIALS))


def test_the_shards_of_a_dispute_with_more_work_are_smaller():
    """By the document alone; a run within one shard of the usual size has that size whatever its work."""
    cheap = scenario(issues={"access": issue(0.5)})
    dear = scenario(issues={f"issue-{k}": issue(0.5) for k in range(50)})
    assert trial_seconds(cheap) < trial_seconds(PLAN.scenario) < trial_seconds(dear)
    sizes = [make_plan(one, trials=10**6, seed=1).shard_trials for one in (cheap, PLAN.scenario, dear)]
    assert sizes == [200_000, 100_000, 10_000]
    assert {make_plan(one, trials=100_000, seed=1).shard_trials for one in (cheap, dear)} == {100_000}
    # A large run has a multiple, and its tasks have few strategies where a shard is much work.
    named = replace(dear, strategies={f"s{k}": {} for k in range(6)})
    large = make_plan(named, trials=10**9, seed=1)
    assert (large.shard_trials % 10_000, large.shard_count <= MANY_SHARDS) == (0, True)
    assert strategies_per_task(large, 1) < strategies_per_task(make_plan(named, trials=10**6, seed=1), 1) == 6


def test_unknown_engines_and_workers_are_refused(tmp_path: Path):
    for options in ({"engine": "dask"}, {"workers": 0}, {"engine": "inline", "ray_address": "auto"}):
        with pytest.raises(InvalidInput):
            run(PLAN, tmp_path / "run", RunOptions(**options))
    assert not (tmp_path / "run").exists()
