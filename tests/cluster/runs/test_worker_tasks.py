"""Worker processes are kept from one run to the next, and losing one costs time alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from cluster.results.result_folder import read_manifest, verify
from cluster.runs import worker_tasks
from cluster.runs.local_workers import LocalWorker, local_workers
from cluster.runs.options import Progress, RunOptions
from cluster.runs.run import Stopped, run
from cluster.runs.tasks import EngineFailed, ShardFailed
from cluster.storage.address import open_folder
from tests.support.processes import has_ended
from tests.support.runs import digests, small_plan
from tests.support.waiting import wait_until

PLAN = small_plan()


@pytest.fixture(scope="module")
def inline(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("inline") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return digests(folder)


@pytest.fixture(scope="module")
def workers() -> Iterator[list[LocalWorker]]:
    with local_workers(2) as started:
        yield started
    assert all(worker.process.poll() is not None for worker in started)


def pids(workers: list[LocalWorker]) -> list[int]:
    return [worker.process.pid for worker in workers]


def play(folder: Path, workers: list[LocalWorker], **options: object) -> None:
    # As many workers as cores, so that Ray would never be faster.
    run(PLAN, folder, RunOptions(workers=len(workers), local_workers=workers, **options))  # type: ignore[arg-type]


def test_workers_give_the_same_files_and_play_one_run_after_the_other(workers, inline, tmp_path):
    started = pids(workers)
    for name in ("a", "b"):
        play(tmp_path / name, workers)
        assert digests(tmp_path / name) == inline
        assert verify(tmp_path / name) == []
    assert pids(workers) == started


@pytest.mark.parametrize("idle", [True, False], ids=["before the run", "while it plays"])
def test_a_lost_worker_is_replaced_and_what_it_left_is_played_again(workers, inline, tmp_path, idle):
    lost = workers[0]

    def on_progress(progress: Progress) -> None:
        if progress.shards_done == (0 if idle else 1):
            lost.process.kill()

    play(tmp_path / "run", workers, on_progress=on_progress)
    assert lost.process.poll() == -signal.SIGKILL
    assert lost not in workers
    assert digests(tmp_path / "run") == inline
    assert verify(tmp_path / "run") == []


def test_a_shard_that_fails_is_named_and_the_workers_play_the_next_run(workers, inline, tmp_path):
    """A file where a shard's folder should be makes every shard of that strategy fail."""
    folder, started = tmp_path / "run", pids(workers)
    with pytest.raises(Stopped):
        run(PLAN, folder, RunOptions(engine="inline", should_stop=lambda: True))
    (folder / "trials").mkdir()
    (folder / "trials" / "strategy=talk").write_text("in the way")
    with pytest.raises(ShardFailed, match=r"strategy talk, shard \d \(.*\) failed: File exists") as caught:
        play(folder, workers)
    assert isinstance(caught.value.cause, OSError)
    assert {file.strategy for file in read_manifest(open_folder(folder))} == {"threaten"}
    (folder / "trials" / "strategy=talk").unlink()
    play(folder, workers)
    assert digests(folder) == inline
    assert pids(workers) == started


def test_a_run_that_is_stopped_leaves_the_workers_free(workers, inline, tmp_path):
    started, reports = pids(workers), []
    with pytest.raises(Stopped):
        play(tmp_path / "run", workers, on_progress=reports.append, should_stop=lambda: len(reports) > 1)
    assert len(read_manifest(open_folder(tmp_path / "run"))) < 10
    play(tmp_path / "run", workers)
    assert digests(tmp_path / "run") == inline
    assert pids(workers) == started


def test_a_worker_that_does_not_give_up_its_task_is_replaced(workers, inline, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_tasks, "STOP_SECONDS", 0.0)
    started, reports = pids(workers), []
    with pytest.raises(Stopped):
        play(tmp_path / "run", workers, on_progress=reports.append, should_stop=lambda: len(reports) > 1)
    assert pids(workers) != started
    play(tmp_path / "run", workers)
    assert digests(tmp_path / "run") == inline


def test_a_machine_on_which_workers_end_at_once_is_an_engine_that_failed(tmp_path, monkeypatch):
    """The failure is transient: a job waits and is tried again."""

    def ends_at_once() -> LocalWorker:
        ours, its = Pipe()
        its.close()
        return LocalWorker(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]), ours)

    monkeypatch.setattr(worker_tasks, "start_worker", ends_at_once)
    with pytest.raises(EngineFailed, match=r"strategy threaten, shard 0 .* worker processes, .* exit status 3"):
        play(tmp_path / "run", [ends_at_once(), ends_at_once()])


_PLAYS_UNTIL_KILLED = """
import sys
from cluster.runs.local_workers import local_workers
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from tests.support.runs import small_plan
with local_workers(2) as workers:
    run(small_plan(trials=2_000_000, shard_trials=1_000_000), sys.argv[1], RunOptions(workers=2, local_workers=workers))
"""


def test_workers_end_with_a_process_that_is_killed(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", _PLAYS_UNTIL_KILLED, str(folder)], cwd=Path.cwd(), env=os.environ)
    try:
        playing = wait_until(lambda: len(list(folder.glob(".work/*.parquet"))) == 2 and psutil.Process(process.pid))
        started = playing.children()
        assert len(started) == 2
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: all(has_ended(worker) for worker in started))
