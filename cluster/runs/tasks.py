"""Tasks: shards of the same trials under different strategies, played together in this process."""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.options import Stop
from cluster.runs.shard import run_shards
from cluster.storage.base import Folder

MOST_TOGETHER = 8
"""Strategies played together at most, whose trials are in memory at the same time."""
TASK_TRIALS = 1_000_000
"""Trials of all strategies in a task at most, unless a shard has more. After each a run may stop or move to Ray."""
_SHARED_COST = 0.5
"""What strategies played together share, as a share of what each takes besides."""

Task = tuple[Shard, ...]
"""Shards of the same trials under different strategies, played together."""


class ShardFailed(RuntimeError):
    """A shard could not be played or committed; the message names it and the cause."""

    def __init__(self, shard: Shard, cause: BaseException) -> None:
        last = shard.first + shard.count - 1
        super().__init__(
            f"strategy {shard.strategy}, shard {shard.index} (trials {shard.first} to {last}) failed: "
            f"{type(cause).__name__}: {first_line(cause)}"
        )
        self.shard = shard
        self.cause = cause


class EngineFailed(RuntimeError):
    """The engine itself could not be started or was lost."""


def tasks_of(shards: Iterable[Shard], together: int) -> Iterator[Task]:
    """Shards as tasks of at most so many strategies. Shards of the same trials stand next to each other, as in a plan.

    Takes no more shards than the next task needs, and one.
    """
    for _, same in groupby(shards, key=lambda shard: (shard.first, shard.count)):
        while task := tuple(islice(same, together)):
            yield task


def strategies_together(plan: Plan, hands: int) -> int:
    """How many strategies a task should have, for the run to be done soonest by so many workers.

    The more there are, the more their trials share; the fewer, the more evenly the work is spread.
    """
    strategies = len(plan.strategies)
    ranges = plan.shard_count // strategies
    most = max(1, min(strategies, MOST_TOGETHER, TASK_TRIALS // plan.shard_trials))

    def time(together: int) -> float:
        rounds = -(-ranges * -(-strategies // together) // hands)
        return rounds * (_SHARED_COST + together)

    return min(range(most, 0, -1), key=time)


def play_inline(plan: Plan, shards: Iterable[Shard], folder: Folder, should_stop: Stop) -> Iterator[ShardResult]:
    """Play shards in this process, those of the same trials together."""
    for task in tasks_of(shards, strategies_together(plan, 1)):
        yield from play_task(plan, task, folder, should_stop)


def play_task(plan: Plan, task: Task, folder: Folder, should_stop: Stop) -> Iterator[ShardResult]:
    """Play a task in this process; if it fails, its shards one by one, so that only those are lost that must be."""
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


def first_line(error: BaseException) -> str:
    """The first line of an error's text that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
