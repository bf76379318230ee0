"""Where shards are played: in this process, or as Ray tasks on a cluster that Brink starts or joins.

An engine takes shards and yields the committed ones, in the order in which they finish. The content of a shard does not
depend on the engine.
"""

import os
from collections.abc import Iterator

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.options import RunOptions, Stop
from cluster.runs.ray_tasks import check_reachable, play_on_ray
from cluster.runs.tasks import play_inline, play_task, strategies_together, tasks_of
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
        return play_on_ray(plan, shards, folder, should_stop, address=address, workers=workers)
    if options.engine == "auto":
        return play_where_it_pays(plan, shards, folder, should_stop, cores=usable_cores(), workers=workers)
    return play_inline(plan, shards, folder, should_stop)


def usable_cores() -> int:
    """Cores that this process may use; all cores of the machine where the system does not say, as on macOS."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def play_where_it_pays(
    plan: Plan,
    shards: list[Shard],
    folder: Folder,
    should_stop: Stop,
    *,
    cores: int,
    workers: int | None,
) -> Iterator[ShardResult]:
    """Play shards in this process, and move the rest to a newly started Ray if that is expected to finish sooner.

    The expected time is computed without the first task, whose time includes imports and tables.
    """
    tasks = list(tasks_of(shards, strategies_together(plan, 1)))
    left = sum(shard.count for shard in shards)
    seconds, played = 0.0, 0
    for k, task in enumerate(tasks):
        here = left * seconds / max(1, played)
        hands = min(workers or cores, sum(len(later) for later in tasks[k : k + (workers or cores)]))
        if hands > 1 and RAY_START_SECONDS + here / hands < here:
            rest = [shard for later in tasks[k:] for shard in later]
            yield from play_on_ray(plan, rest, folder, should_stop, workers=workers)
            return
        for result in play_task(plan, task, folder, should_stop):
            left -= result.shard.count
            if k:
                seconds += result.seconds
                played += result.shard.count
            yield result
