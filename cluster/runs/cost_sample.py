"""A process that plays the first trials of a plan in a temporary folder and measures them.

It is a process of its own so that its memory is that of a worker, and so that it can be ended. It reads a pickled plan
and a number of strategies to play together from standard input, and prints a `Sample` as JSON.
"""

import json
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cluster.answers.summary import summarize
from cluster.query.trials import StoredRun
from cluster.results.plan import Plan, Shard
from cluster.runs.shard import ROW_GROUP, run_shards
from cluster.runs.warm_up import warm_up_kernel
from cluster.storage.address import open_folder

FEW_TRIALS = 1024
"""Trials that are played first at most, to choose how many more are played."""
GOAL_SECONDS = 1.0
"""The work of a sample, in seconds of CPU, is between half of this and a little more, unless a whole row group takes
less."""
BUSY_SECONDS = 15.0
"""On a machine that is so busy that the sample has taken this long, it stays as small as it is."""
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Measured:
    """Trials of some strategies that were played once: seconds of CPU to play them, and to summarize them; bytes of the
    mean file; peak memory in bytes so far.

    The seconds of CPU do not depend on what else the machine does.
    """

    trials: int
    seconds: float
    summary_seconds: float
    file_bytes: float
    peak_memory: int


@dataclass(frozen=True)
class Sample:
    """What was measured of a plan: a few trials, and more of them, of so many strategies played together."""

    strategies: int
    few: Measured
    more: Measured


def measure(plan: Plan, strategies: int) -> Sample:
    """Play the plan's first trials of some strategies, spread over all of them. Raises `OSError`."""
    every = len(plan.strategies) / strategies
    chosen = [plan.strategies[int(k * every)] for k in range(strategies)]
    block = min(plan.shard_trials, plan.trials, ROW_GROUP)
    # What a process does once, and the tables of this scenario, are not counted.
    warm_up_kernel()
    least = max(1, min(FEW_TRIALS, block // 8))
    begun = time.perf_counter()
    _play(plan, chosen, least)
    few = _play(plan, chosen, least)
    more = few
    # The seconds of a trial fall as more are played at a time, so that the first guess is short of the goal. Two sizes
    # are measured on the slowest machine too: what a further trial adds is their difference.
    while more.trials < block and (
        more is few or (more.seconds < 0.5 * GOAL_SECONDS and time.perf_counter() - begun < BUSY_SECONDS)
    ):
        more = _play(plan, chosen, min(block, max(2 * more.trials, int(more.trials * GOAL_SECONDS / more.seconds))))
    return Sample(strategies, few, more)


def _play(plan: Plan, strategies: Sequence[str], trials: int) -> Measured:
    shards = [Shard(strategy, 0, 0, trials, plan.reduces(0)) for strategy in strategies]
    with tempfile.TemporaryDirectory(prefix="brink-sample-") as name:
        folder = open_folder(name)
        started = time.process_time()
        sizes = [result.file.bytes for result in run_shards(plan, shards, folder)]
        played, memory = time.process_time(), _peak_memory()
        # A design of a number of trials belongs to a plan of just as many.
        whole = trials if plan.design.size is None else plan.trials
        summarize(StoredRun(replace(plan, trials=whole, shard_trials=trials), folder), strategies=strategies)
        summarized = time.process_time()
    return Measured(trials, played - started, summarized - played, sum(sizes) / len(sizes), memory)


def _peak_memory() -> int:
    """The greatest resident memory of this process so far, in bytes."""
    if _STATUS.exists():
        # Linux's getrusage begins with the peak of the process that started this one.
        peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(asdict(measure(*pickle.load(sys.stdin.buffer)))))
