"""Engines decide where shards are played, and nothing else."""

import errno
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import ray

from cluster.query.ray_connection import check_reachable, connection, host_and_port
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult, describe, read_manifest, verify
from cluster.runs import engines
from cluster.runs.engines import play_where_it_pays, usable_cores
from cluster.runs.options import Progress, RunOptions, Stop
from cluster.runs.ray_tasks import play_on_ray
from cluster.runs.run import Stopped, run
from cluster.runs.tasks import ShardFailed, Task, strategies_per_task, tasks_of
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from sim.faults import InvalidInput
from tests.support.runs import digests, small_plan

PLAN = small_plan()


@pytest.fixture(scope="module")
def inline(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("engines") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return digests(folder)


@pytest.fixture(scope="module")
def own_ray():
    """A Ray that stays up for the tests of this module, as a user's script may have one."""
    with connection(None, workers=2):
        yield


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(5, marks=pytest.mark.slow)]
)
def test_ray_gives_the_same_files(own_ray, inline, tmp_path, workers):
    run(PLAN, tmp_path / "run", RunOptions(engine="ray", workers=workers))
    assert digests(tmp_path / "run") == inline
    assert verify(tmp_path / "run") == []
    assert ray.is_initialized()


@pytest.mark.parametrize("shard_trials", [5000, 1700, 333])
def test_results_do_not_depend_on_the_cut_into_shards(own_ray, tmp_path, shard_trials):
    """Rows are equal whatever the shards; each file is compared by its rows, for its bytes hold its bounds."""
    import pandas as pd

    cut = small_plan(shard_trials=shard_trials)
    run(PLAN, tmp_path / "a", RunOptions(engine="inline"))
    run(cut, tmp_path / "b", RunOptions(engine="ray"))
    some, other = (
        pd.read_parquet(tmp_path / name / "trials").sort_values(["strategy", "trial"], ignore_index=True)
        for name in ("a", "b")
    )
    pd.testing.assert_frame_equal(some, other, check_exact=True)


def test_shards_in_flight_are_bounded(own_ray, tmp_path):
    """No more tasks are begun than two a worker ahead of those that are done; one more shard is looked at."""
    begun = 0

    def counted():
        nonlocal begun
        for shard in PLAN.shards():
            begun += 1
            yield shard

    done = 0
    ahead = 4 * strategies_per_task(PLAN, 2) + 1
    for _ in play_on_ray(PLAN, counted(), open_folder(tmp_path), lambda: False, workers=2):
        done += 1
        assert begun <= done + ahead
    assert done == 10


@pytest.mark.slow
def test_a_shard_that_fails_on_ray_is_named_and_the_others_are_kept(own_ray, inline, tmp_path):
    """A file where a shard's folder should be makes every shard of that strategy fail."""
    folder = tmp_path / "run"
    run(small_plan(trials=1000), tmp_path / "other", RunOptions(engine="inline"))
    with pytest.raises(Stopped):
        run(PLAN, folder, RunOptions(engine="inline", should_stop=lambda: True))
    (folder / "trials").mkdir()
    (folder / "trials" / "strategy=talk").write_text("in the way")
    with pytest.raises(ShardFailed, match=r"strategy talk, shard \d \(trials \d+ to \d+\) failed: \w+"):
        run(PLAN, folder, RunOptions(engine="ray"))
    kept = read_manifest(open_folder(folder))
    assert kept
    assert {file.strategy for file in kept} == {"threaten"}
    (folder / "trials" / "strategy=talk").unlink()
    run(PLAN, folder, RunOptions(engine="ray"))
    assert digests(folder) == inline


def test_a_run_on_ray_stops_on_request(own_ray, inline, tmp_path):
    stop = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.shards_done:
            stop.set()

    with pytest.raises(Stopped):
        run(
            PLAN,
            tmp_path / "run",
            RunOptions(engine="ray", workers=1, on_progress=on_progress, should_stop=stop.is_set),
        )
    assert 1 <= len(read_manifest(open_folder(tmp_path / "run"))) <= 4
    run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    assert digests(tmp_path / "run") == inline


@pytest.mark.parametrize(
    ("first", "later", "cores", "inline"),
    [
        (0.05, 0.05, 4, 10),
        (30.0, 0.05, 4, 10),
        (30.0, 9.0, 1, 10),
        (9.0, 9.0, 4, 4),
        (0.05, 9.0, 4, 4),
    ],
    ids=["quick", "slow first task", "one core", "slow", "slow after a quick first task"],
)
def test_auto_takes_ray_where_the_tasks_after_the_first_are_slow(monkeypatch, tmp_path, first, later, cores, inline):
    """Nine seconds a shard repay Ray's start, a twentieth of a second does not, whatever the first task took."""
    engines_used: list[str] = []

    def play_task(plan: Plan, task: Task, folder: Folder, should_stop: Stop) -> Iterator[ShardResult]:
        seconds = later if engines_used else first
        for shard in task:
            engines_used.append("inline")
            yield ShardResult(shard, describe(shard, 0, ""), seconds)

    def play_on_ray(
        plan: Plan, shards: Iterable[Shard], folder: Folder, should_stop: Stop, *, workers: int | None
    ) -> Iterator[ShardResult]:
        for shard in shards:
            engines_used.append("ray")
            yield ShardResult(shard, describe(shard, 0, ""), later)

    monkeypatch.setattr(engines, "play_task", play_task)
    monkeypatch.setattr(engines, "play_on_ray", play_on_ray)
    shards, folder = list(PLAN.shards()), open_folder(tmp_path)
    played = list(play_where_it_pays(PLAN, shards, folder, lambda: False, [], cores=cores, workers=None))
    assert [result.shard for result in played] == shards
    assert engines_used == ["inline"] * inline + ["ray"] * (10 - inline)


def test_auto_stops_on_request(tmp_path):
    """A stop between shards leaves the rest unplayed."""
    folder, stop = open_folder(tmp_path), threading.Event()
    played = []
    for result in play_where_it_pays(PLAN, list(PLAN.shards()), folder, stop.is_set, [], cores=4, workers=None):
        played.append(result)
        stop.set()
    assert len(played) == 1


def test_tasks_have_the_same_trials_and_follow_the_plan():
    shards = list(PLAN.shards())
    for per_task in (1, 2, 3):
        tasks = list(tasks_of(shards, per_task))
        assert [shard for task in tasks for shard in task] == shards
        assert all(len({(shard.first, shard.count) for shard in task}) == 1 for task in tasks)
        assert max(len(task) for task in tasks) == min(per_task, 2)
    assert list(tasks_of(shards[1:4], 2)) == [(shards[1],), (shards[2], shards[3])]


def test_work_is_spread_over_the_workers_before_it_is_shared():
    short, long = small_plan(trials=1000), small_plan(trials=1000, shard_trials=10)
    assert strategies_per_task(short, 1) == 2
    assert strategies_per_task(short, 2) == 1
    assert strategies_per_task(long, 2) == 2


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:port", "ray://127.0.0.1:1"])
def test_a_ray_address_without_a_ray_is_a_fault_of_the_input(tmp_path: Path, address: str):
    ray.shutdown()
    with pytest.raises(InvalidInput, match="ray_address"):
        run(PLAN, tmp_path / "run", RunOptions(engine="ray", ray_address=address))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("auto", ("", 0)),
        ("node:6379", ("node", 6379)),
        ("10.0.0.1:6379", ("10.0.0.1", 6379)),
        ("[::1]:6379", ("::1", 6379)),
        ("ray://[2001:db8::1]:10001", ("2001:db8::1", 10001)),
    ],
)
def test_the_host_and_port_of_an_address_are_read(address: str, expected: tuple[str, int]):
    assert host_and_port(address) == expected


def test_a_ray_is_reached_by_an_ipv6_address():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        check_reachable(f"[::1]:{listener.getsockname()[1]}")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("::1:6379", "in brackets"),
        ("[::1]", "in brackets"),
        ("[::1:6379", "in brackets"),
        ("node:port", "whole number up to 65535"),
        ("node:99999999", "whole number up to 65535"),
        ("node:-1", "whole number up to 65535"),
        ("node", "port is missing"),
        ("ray://", "port is missing"),
        ("http://node:8265", "without http://"),
        ("tcp://node:6379", "without tcp://"),
        ("127.0.0.1:1", ": Connection refused"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused(address: str, says: str):
    with pytest.raises(InvalidInput, match=f"ray_address.*{says}"):
        check_reachable(address)


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "failed: No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "here"), "failed: Permission denied (here)"),
        (OSError("lost"), "failed: OSError: lost"),
        (KeyError("gap"), "failed: KeyError: 'gap'"),
    ],
)
def test_a_failed_shard_names_its_cause_in_words(cause: Exception, says: str):
    assert str(ShardFailed(next(iter(PLAN.shards())), cause)).endswith(says)


def test_cores_are_known_where_the_system_has_no_affinity(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == os.cpu_count()
