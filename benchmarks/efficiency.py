"""``python -m benchmarks.efficiency``: how much of two cores' time a run on two Ray workers uses, and what it loses.

Three measurements: a run on two Ray workers against two processes that play and write the same tasks without Ray; the
seconds that Ray and the driver add to a task; and the share of a task that its commits take on an object store, with a
latency added to each, when its files are put one after the other and at the same time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import ray

from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import Plan, make_plan
from cluster.results.result_folder import ShardResult, describe
from cluster.runs import ray_tasks, shard
from cluster.runs.options import never
from cluster.runs.ray_tasks import play_on_ray
from cluster.runs.shard import run_shards
from cluster.runs.tasks import Task, strategies_per_task, tasks_of
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from cluster.storage.concurrent import in_order
from cluster.storage.s3 import ObjectFolder
from tests.support.object_store import BUCKET, object_store

SCENARIO = "us-japan-autos-1995"
TRIALS = 800_000
ROUNDS = 3
WORKERS = 2
EMPTY_TASKS = 1000
LATENCIES = (0.0, 0.02, 0.1)
T = TypeVar("T")
R = TypeVar("R")
_WORKER = """
import sys
from pathlib import Path
from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import make_plan
from cluster.runs.shard import run_shards
from cluster.runs.tasks import tasks_of
from cluster.storage.address import open_folder

def new_folder(name):
    found = open_folder(Path(folder, name))
    found.create()
    return found

scenario, folder, trials, strategies, place, workers = *sys.argv[1:3], *map(int, sys.argv[3:])
plan = make_plan(shipped_scenario(scenario), trials=trials, seed=1)
tasks = list(tasks_of(plan.shards(), strategies))
list(run_shards(plan, tasks[0], new_folder(f"warm-{place}")))
run = new_folder("run")
print("ready", flush=True)
sys.stdin.readline()
for task in tasks[place::workers]:
    list(run_shards(plan, task, run))
print("done", flush=True)
"""


def whole_run(plan: Plan) -> Iterator[str]:
    """A run on Ray workers against processes without Ray, each with their files, in turn."""
    strategies = strategies_per_task(plan, WORKERS)
    rounds = [(_without_ray(plan, strategies), _on_ray(plan)) for _ in range(ROUNDS)]
    bare, on_ray = (statistics.median(one[k] for one in rounds) for k in range(2))
    shares = [one / other for one, other in rounds]
    yield (
        f"{WORKERS} processes with files {bare:.2f} s, {WORKERS} Ray workers {on_ray:.2f} s: "
        f"{100 * statistics.median(shares):.0f} % of their speed ({100 * min(shares):.0f} to {100 * max(shares):.0f} %)"
    )


def _without_ray(plan: Plan, strategies: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [SCENARIO, folder, str(plan.trials), str(strategies)]
        workers = [
            subprocess.Popen(
                [sys.executable, "-P", "-c", _WORKER, *arguments, str(place), str(WORKERS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for place in range(WORKERS)
        ]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        started = time.perf_counter()
        for worker in workers:
            print("go", file=worker.stdin, flush=True)
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        seconds = time.perf_counter() - started
        for worker in workers:
            worker.communicate()
    return seconds


def _on_ray(plan: Plan) -> float:
    with tempfile.TemporaryDirectory() as folder:
        # Each worker plays a task first.
        warm = [one for one in plan.shards() if one.index < WORKERS]
        list(play_on_ray(plan, warm, _new_folder(Path(folder, "warm")), never, workers=WORKERS))
        started = time.perf_counter()
        list(play_on_ray(plan, plan.shards(), _new_folder(Path(folder, "run")), never, workers=WORKERS))
        return time.perf_counter() - started


def _new_folder(address: str | Path) -> Folder:
    folder = open_folder(address)
    folder.create()
    return folder


def empty_task(plan: Plan, task: Task, folder: Folder) -> list[ShardResult]:
    """A task that plays nothing, and returns what one that plays returns."""
    return [ShardResult(one, describe(one, 0, "0" * 64), 0.0) for one in task]


def empty_tasks() -> Iterator[str]:
    """The seconds that each task takes if it plays nothing."""
    plan = make_plan(shipped_scenario(SCENARIO), trials=EMPTY_TASKS * 1000, seed=1, shard_trials=1000)
    playing, ray_tasks.run_task = ray_tasks.run_task, empty_task
    try:
        with tempfile.TemporaryDirectory() as folder:
            seconds = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                shards = list(play_on_ray(plan, plan.shards(), open_folder(folder), never, workers=WORKERS))
                tasks = len(list(tasks_of([one.shard for one in shards], strategies_per_task(plan, WORKERS))))
                seconds.append((time.perf_counter() - started) / tasks)
    finally:
        ray_tasks.run_task = playing
    yield f"a task that plays nothing: {1000 * statistics.median(seconds):.1f} ms of the driver, {WORKERS} workers"


def commits(plan: Plan) -> Iterator[str]:
    """The share of a task that commits take on an object store."""
    task = next(tasks_of(plan.shards(), len(plan.strategies)))
    with tempfile.TemporaryDirectory() as folder:
        local = min(_seconds(plan, task, _new_folder(Path(folder, str(k)))) for k in range(ROUNDS))
    yield f"a task of {len(task)} files on the disk: {local:.2f} s"
    with object_store():
        for latency in LATENCIES:
            found = []
            for at_once in (1, len(task)):
                with _latency(latency, at_once):
                    folders = [_new_folder(f"s3://{BUCKET}/{latency}-{at_once}-{k}") for k in range(ROUNDS)]
                    found.append(min(_seconds(plan, task, one) for one in folders))
            shown = ", ".join(
                f"{how} {seconds:.2f} s ({100 * (1 - local / seconds):.0f} %)"
                for how, seconds in zip(("one after the other", "at the same time"), found, strict=True)
            )
            yield f"on an object store, {1000 * latency:3.0f} ms more for each file (what this adds): {shown}"


def _seconds(plan: Plan, task: Task, folder: Folder) -> float:
    started = time.perf_counter()
    list(run_shards(plan, task, folder))
    return time.perf_counter() - started


@contextmanager
def _latency(seconds: float, at_once: int) -> Iterator[None]:
    """Let each commit to an object store take so much longer, and so many of them run at the same time."""
    commit, concurrent = ObjectFolder.commit, in_order

    def slow(self: ObjectFolder, draft: Path, name: str) -> None:
        time.sleep(seconds)
        commit(self, draft, name)

    def limited(function: Callable[[T], R], items: Iterator[T], _: int) -> Iterator[R]:
        return in_order(function, items, at_once)

    ObjectFolder.commit = slow  # type: ignore[method-assign]
    vars(shard)["in_order"] = limited
    try:
        yield
    finally:
        ObjectFolder.commit = commit  # type: ignore[method-assign]
        vars(shard)["in_order"] = concurrent


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.efficiency", description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials of each strategy of the whole run")
    plan = make_plan(shipped_scenario(SCENARIO), trials=parser.parse_args().trials, seed=1)
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        for part in (whole_run(plan), empty_tasks()):
            for line in part:
                print(line, flush=True)
    finally:
        ray.shutdown()
    for line in commits(plan):
        print(line, flush=True)


if __name__ == "__main__":
    main()
