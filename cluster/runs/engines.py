"""Where shards are played: in this process, on worker processes, or as tasks of a Ray that Brink starts or joins.

An engine takes shards and yields the committed ones, in the order in which they finish. The content of a shard does not
depend on the engine.
"""

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice

from cluster.query.ray_connection import check_reachable
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.local_workers import LocalWorker
from cluster.runs.options import RunOptions, Stop
from cluster.runs.ray_tasks import play_on_ray
from cluster.runs.tasks import Task, play_inline, play_task, strategies_per_task, tasks_of
from cluster.runs.worker_tasks import play_on_workers
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput

ENGINES = ("auto", "inline", "ray")
RAY_START_SECONDS = 8.0
"""The time until the first task of a newly started Ray runs."""
MOST_WORKERS = 10_000


def check_engine(options: RunOptions) -> None:
    """Raise `InvalidInput` unless there is such an engine and it can be reached."""
    if options.engine not in ENGINES:
        raise InvalidInput((Fault("engine", options.engine, f"must be one of {', '.join(ENGINES)}"),))
    if options.workers is not None and not 1 <= options.workers <= MOST_WORKERS:
        message = f"must be a whole number from 1 to {MOST_WORKERS}"
        raise InvalidInput((Fault("workers", options.workers, message),))
    if options.ray_address is not None and options.engine == "inline":
        message = "needs the engine ray or auto, not inline"
        raise InvalidInput((Fault("ray_address", options.ray_address, message),))
    if options.ray_address is not None:
        check_reachable(options.ray_address)


def play(plan: Plan, shards: list[Shard], folder: Folder, options: RunOptions) -> Iterator[ShardResult]:
    """Play shards by the chosen engine. Yields each committed shard; raises `ShardFailed` or `EngineFailed`."""
    if not shards:
        return iter(())
    address, workers, should_stop = options.ray_address, options.workers, options.should_stop
    if options.engine == "ray" or (options.engine == "auto" and address is not None):
        return play_on_ray(
            plan,
            shards,
            folder,
            should_stop,
            address=address,
            workers=workers,
            shards_left=len(shards),
            on_capacity=options.on_capacity,
        )
    if options.engine == "auto":
        cores, ready = usable_cores(), options.local_workers
        return play_where_it_pays(plan, shards, folder, should_stop, ready, cores=cores, workers=workers)
    return play_inline(plan, shards, folder, should_stop)


def usable_cores() -> int:
    """Cores that this process may use; all cores of the machine where the system does not say, as on macOS."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ray_pays(work: float, here: int, on_ray: int) -> bool:
    """Whether so many core-seconds of work end sooner on a Ray that has yet to start than on `here` processes."""
    return on_ray > here and RAY_START_SECONDS + work / on_ray < work / here


def play_where_it_pays(
    plan: Plan,
    shards: list[Shard],
    folder: Folder,
    should_stop: Stop,
    ready: list[LocalWorker],
    *,
    cores: int,
    workers: int | None,
) -> Iterator[ShardResult]:
    """Play shards here, and move the rest to a newly started Ray if that is expected to finish sooner.

    They are played on the worker processes that are `ready`, or in this process if there are none. The expected time is
    computed without the first task of each, whose time includes tables. Where Ray would have no more cores than that,
    it is not started.
    """
    here = max(1, len(ready))
    tasks = deque(tasks_of(shards, strategies_per_task(plan, here)))
    first = {shard for task in list(tasks)[:here] for shard in task}
    left = sum(shard.count for shard in shards)
    seconds, played = 0.0, 0

    def until_ray_pays() -> Iterator[Task]:
        while tasks:
            most = workers or cores
            on_ray = min(most, sum(len(task) for task in islice(tasks, most)))
            work = left * seconds / max(1, played)
            if ray_pays(work, here, on_ray):
                return
            yield tasks.popleft()

    def played_here() -> Iterator[ShardResult]:
        if ready:
            yield from play_on_workers(plan, until_ray_pays(), folder, should_stop, ready)
            return
        for task in until_ray_pays():
            yield from play_task(plan, task, folder, should_stop)

    for result in played_here():
        left -= result.shard.count
        if result.shard not in first:
            seconds += result.seconds
            played += result.shard.count
        yield result
    if tasks and not should_stop():
        rest = [shard for task in tasks for shard in task]
        yield from play_on_ray(plan, rest, folder, should_stop, workers=workers)
