from dataclasses import replace

import pytest

from cluster.results.result_folder import read_manifest
from cluster.runs.cost import estimate_cost, wall_time
from cluster.runs.engines import RAY_START_SECONDS
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.storage.address import open_folder
from tests.support.runs import small_plan


@pytest.mark.parametrize(
    ("trials", "shard_trials"),
    [(1, 1), (3000, 500), (40_000, 30_000)],
    ids=["one trial", "small files", "a last file that is smaller"],
)
def test_the_estimated_disk_is_that_of_the_run(tmp_path, trials, shard_trials):
    plan = small_plan(trials, shard_trials)
    cost = estimate_cost(plan, engine="inline")
    run(plan, tmp_path, RunOptions(engine="inline"))
    stored = read_manifest(open_folder(tmp_path))
    assert (cost.rows, cost.shards) == (sum(file.rows for file in stored), len(stored))
    # The sample is the run's first trials; how well other trials compress differs a little.
    assert cost.bytes == pytest.approx(sum(file.bytes for file in stored), rel=0.06)
    assert cost.bytes_per_row == cost.bytes / cost.rows


def test_the_estimated_disk_of_a_run_that_keeps_counts(tmp_path):
    plan = replace(small_plan(12_000, 3000), kept_trials=3000)
    cost = estimate_cost(plan, engine="inline")
    run(plan, tmp_path, RunOptions(engine="inline"))
    stored = read_manifest(open_folder(tmp_path))
    assert (cost.rows, cost.kept_rows) == (24_000, sum(file.rows for file in stored))
    assert cost.bytes == pytest.approx(sum(file.bytes for file in stored), rel=0.06)


@pytest.mark.slow
def test_the_estimated_disk_of_a_billion_trials_of_which_counts_are_kept():
    """A row has some 280 bytes."""
    cost = estimate_cost(small_plan(10**9, None, keep="summary"))
    assert 280 * cost.kept_rows < 1.1 * cost.bytes < 280 * cost.rows / 200


def test_work_and_memory_grow_with_the_run_and_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    small, large = (estimate_cost(small_plan(trials, None)) for trials in (4000, 10**9))
    assert small.worker_memory_bytes < large.worker_memory_bytes < 2e9
    # By the number of trials it would be 250,000 times as much; small blocks cost more for each trial.
    assert large.core_seconds > 1000 * small.core_seconds > 0
    assert large.bytes == pytest.approx(10**9 / 4000 * small.bytes, rel=0.2)
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_cannot_be_played_is_an_error_with_its_cause():
    with pytest.raises(OSError, match=r"no sample of the run can be played.*KeyError: 'wait'"):
        estimate_cost(replace(small_plan(), strategies=("wait",)))


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("inline", None, None, 0), ("inline", 1, 1000.0)),
        (("auto", None, 1, 0), ("inline", 1, 1000.0)),
        (("ray", None, 5, 0), ("ray", 5, RAY_START_SECONDS + 200.0)),
        (("ray", None, 500, 0), ("ray", 10, RAY_START_SECONDS + 100.0)),
        (("auto", None, 4, 0), ("ray", 4, RAY_START_SECONDS + 300.0)),
        (("auto", None, 4, 4), ("workers", 4, 300.0)),
        (("auto", "10.0.0.2:6379", 4, 0), ("ray", 4, 300.0)),
        (("ray", "10.0.0.2:6379", None, 0), ("ray", None, None)),
    ],
)
def test_the_time_follows_from_the_work_the_engine_and_its_cores(options, found):
    """Ten shards with 1,000 core-seconds of work: on four cores the last of three rounds is not full."""
    assert wall_time(small_plan(), 1000.0, 0.0, *options) == found
