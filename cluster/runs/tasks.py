"""Tasks: shards of the same trials under different strategies, played together in this process."""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.results.trial_work import trial_seconds
from cluster.runs.options import Stop
from cluster.runs.shard import run_shards
from cluster.storage.base import Folder
from sim.faults import first_line

MOST_STRATEGIES_PER_TASK = 8
"""The largest number of strategies in a task; their trials are in memory at the same time."""
TASK_SECONDS = 30.0
"""About the largest work of a task in seconds of one core, unless one shard has more. After each task a run may move to
Ray, and a lost worker loses a task."""
SHARED_COST = 0.5
"""The cost of what strategies played together share, relative to the remaining cost of each."""

Task = tuple[Shard, ...]
"""Shards of the same trials under different strategies, played together."""


class ShardFailed(RuntimeError):
    """A shard could not be played or committed; the message names it and the cause."""

    def __init__(self, shard: Shard, cause: BaseException) -> None:
        last = shard.first + shard.count - 1
        super().__init__(
            f"strategy {shard.strategy}, shard {shard.index} (trials {shard.first} to {last}) failed: {_cause(cause)}"
        )
        self.shard = shard
        self.cause = cause

    def __reduce__(self) -> tuple[type["ShardFailed"], tuple[Shard, BaseException]]:
        """How it is pickled: it is made again from what it was made from, not from its message."""
        return ShardFailed, (self.shard, self.cause)


class EngineFailed(RuntimeError):
    """The engine could not be started or was lost."""


def tasks_of(shards: Iterable[Shard], most: int) -> Iterator[Task]:
    """Shards grouped into tasks of at most `most` strategies. Shards of the same trials must be adjacent, as in a plan.
    Reads at most one shard more than the next task needs.
    """
    for _, same in groupby(shards, key=lambda shard: (shard.first, shard.count)):
        while task := tuple(islice(same, most)):
            yield task


def strategies_per_task(plan: Plan, workers: int) -> int:
    """How many strategies a task should have, so that the run finishes soonest with this number of workers.

    With more strategies per task more is shared; with fewer the work is spread more evenly.
    """
    strategies = len(plan.strategies)
    ranges = plan.shard_count // strategies
    shard_seconds = plan.shard_trials * trial_seconds(plan.scenario)
    most = max(1, min(strategies, MOST_STRATEGIES_PER_TASK, int(TASK_SECONDS / shard_seconds)))

    def time(per_task: int) -> float:
        rounds = -(-ranges * -(-strategies // per_task) // workers)
        return rounds * (SHARED_COST + per_task)

    return min(range(most, 0, -1), key=time)


def play_inline(plan: Plan, shards: Iterable[Shard], folder: Folder, should_stop: Stop) -> Iterator[ShardResult]:
    """Play shards in this process, those of the same trials together."""
    for task in tasks_of(shards, strategies_per_task(plan, 1)):
        yield from play_task(plan, task, folder, should_stop)


def play_task(plan: Plan, task: Task, folder: Folder, should_stop: Stop) -> Iterator[ShardResult]:
    """Play a task here. If it fails, its shards are played one by one, so that only those that fail are lost."""
    if should_stop():
        return
    left = list(task)
    try:
        for result in run_shards(plan, task, folder, should_stop):
            left.remove(result.shard)
            yield result
    except Exception as error:
        if len(task) == 1:
            raise ShardFailed(task[0], error) from error
        for shard in left:
            yield from play_task(plan, (shard,), folder, should_stop)


def _cause(error: BaseException) -> str:
    """What an error of the system says, without its number; any other error with its class."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return f"{type(error).__name__}: {first_line(error)}"
