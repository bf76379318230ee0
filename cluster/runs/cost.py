"""The cost of a run before it is played: rows, files, disk, core-seconds, wall time and the memory of a worker.

The bytes of a row and the seconds of a trial are measured: a process of its own plays the first trials of this very
scenario on this machine (`cluster.runs.cost_sample`). The rest follows from the plan.
"""

import errno
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from math import log

from cluster.query.session import QueryLimit
from cluster.results.plan import Plan
from cluster.runs.cost_sample import Measured, Sample
from cluster.runs.engines import RAY_START_SECONDS, ray_pays, usable_cores
from cluster.runs.local_workers import one_thread
from cluster.runs.shard import ROW_GROUP
from cluster.runs.tasks import strategies_per_task

LONGEST_SAMPLE_SECONDS = 60.0
_SUMMARY_THREADS = 2
METHOD = (
    "bytes and seconds of CPU from the plan's first trials, played and summarized on this machine on one core; other "
    "machines differ, and waiting for disks or an object store comes on top"
)


@dataclass(frozen=True)
class Cost:
    """What a whole run takes, and what of it was measured.

    `rows` counts the trials of all strategies, and `kept_rows` those whose rows are kept; of the others counts are.
    `engine` is ``inline``, ``workers`` (processes that are started already) or ``ray``; `workers` is the number of
    cores on which it is played at a time. Both `workers` and `wall_seconds` are None for a Ray cluster whose cores are
    not known. `worker_memory_bytes` is the peak of one process that plays shards. The sample is `sample_trials` of each
    of `sample_strategies` strategies, played together in `sample_seconds`.
    """

    rows: int
    kept_rows: int
    shards: int
    shard_trials: int
    bytes: int
    bytes_per_row: float
    core_seconds: float
    engine: str
    workers: int | None
    wall_seconds: float | None
    worker_memory_bytes: int
    sample_trials: int
    sample_strategies: int
    sample_seconds: float
    method: str = METHOD


def estimate_cost(
    plan: Plan, *, engine: str = "auto", ray_address: str | None = None, workers: int | None = None, ready: int = 0
) -> Cost:
    """Estimate the cost of a plan from a sample of it, without making its folder or starting Ray.

    `engine`, `ray_address` and `workers` are as in `cluster.runs.options.RunOptions`; `ready` is the number of worker
    processes that the engine ``auto`` will find started. Raises `OSError` if no sample can be played, and `QueryLimit`
    if it takes longer than `LONGEST_SAMPLE_SECONDS`.
    """
    cores = workers or usable_cores()
    count = strategies_per_task(plan, cores)
    sample = _measure(replace(plan, kept_trials=None), count)
    rows, kept_rows = (trials * len(plan.strategies) for trials in (plan.trials, plan.row_trials))
    core_seconds, summary_seconds = _core_seconds(kept_rows, sample), _summary_seconds(kept_rows, sample)
    stored, memory = _bytes_of_rows(plan, sample), _memory(plan, sample)
    if kept_rows < rows:
        sample = _measure(replace(plan, kept_trials=0), count)
        core_seconds += _core_seconds(rows - kept_rows, sample)
        stored += _bytes_of_counts(plan, sample)
        memory = max(memory, _memory(plan, sample))
    chosen, used, wall = wall_time(plan, core_seconds, summary_seconds, engine, ray_address, workers, ready)
    return Cost(
        rows=rows,
        kept_rows=kept_rows,
        shards=plan.shard_count,
        shard_trials=plan.shard_trials,
        bytes=stored,
        bytes_per_row=stored / rows,
        core_seconds=core_seconds + summary_seconds,
        engine=chosen,
        workers=used,
        wall_seconds=wall,
        worker_memory_bytes=memory,
        sample_trials=sample.more.trials,
        sample_strategies=sample.strategies,
        sample_seconds=sample.more.seconds,
    )


def _measure(plan: Plan, strategies: int) -> Sample:
    command = [sys.executable, "-P", "-m", "cluster.runs.cost_sample"]
    try:
        done = subprocess.run(
            command,
            input=pickle.dumps((plan, strategies)),
            capture_output=True,
            env=one_thread(),
            timeout=LONGEST_SAMPLE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"a sample of the run takes longer than {LONGEST_SAMPLE_SECONDS:g} seconds: its cost is not known"
        raise QueryLimit(message) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        message = f"no sample of the run can be played (exit status {done.returncode}{f', {said[-1]}' if said else ''})"
        raise OSError(errno.EIO, message)
    found = json.loads(done.stdout)
    return Sample(found["strategies"], Measured(**found["few"]), Measured(**found["more"]))


def wall_time(
    plan: Plan,
    core_seconds: float,
    summary_seconds: float,
    engine: str,
    ray_address: str | None,
    workers: int | None,
    ready: int,
) -> tuple[str, int | None, float | None]:
    """The engine that plays the plan, on how many cores, and the seconds that takes; see `estimate_cost`.

    `core_seconds` are those of playing, `summary_seconds` those of the summary at the end, which two threads of this
    process compute.
    """
    here = max(1, ready)
    summary = summary_seconds / min(_SUMMARY_THREADS, usable_cores())
    if ray_address is not None and engine != "inline":
        used = None if workers is None else min(workers, plan.shard_count)
        return "ray", used, None if used is None else _rounds(plan, used) * core_seconds + summary
    on_ray = min(workers or usable_cores(), plan.shard_count)
    if engine == "ray" or (engine == "auto" and ray_pays(core_seconds, here, on_ray)):
        return "ray", on_ray, RAY_START_SECONDS + _rounds(plan, on_ray) * core_seconds + summary
    if engine == "auto" and ready:
        used = min(ready, plan.shard_count)
        return "workers", used, _rounds(plan, used) * core_seconds + summary
    return "inline", 1, core_seconds + summary


def _rounds(plan: Plan, workers: int) -> float:
    """The share of a run's work that falls to the worker with the most tasks."""
    ranges, strategies = plan.shards_per_strategy, len(plan.strategies)
    tasks = ranges * -(-strategies // strategies_per_task(plan, workers))
    return -(-tasks // workers) / tasks


def _summary_seconds(rows: int, sample: Sample) -> float:
    return rows * sample.more.summary_seconds / (sample.more.trials * sample.strategies)


def _core_seconds(rows: int, sample: Sample) -> float:
    return rows * sample.more.seconds / (sample.more.trials * sample.strategies)


def _bytes_of_rows(plan: Plan, sample: Sample) -> int:
    """The bytes of all files of rows: what each file has in any case, and what each of its rows adds."""
    row = _slope(sample.few.trials, sample.few.file_bytes, sample.more.trials, sample.more.file_bytes)
    files, rows = (count * len(plan.strategies) for count in (_files(plan, plan.row_trials), plan.row_trials))
    return round(files * (sample.more.file_bytes - row * sample.more.trials) + row * rows)


def _bytes_of_counts(plan: Plan, sample: Sample) -> int:
    """The bytes of all files of counts, of which one of more trials has more, but not in proportion.

    A power of the number of trials fits them; beyond the sample it is a little too much.
    """
    few, more = sample.few, sample.more
    power = log(more.file_bytes / few.file_bytes) / log(more.trials / few.trials) if more.trials > few.trials else 0.0
    trials = min(plan.shard_trials, plan.trials - plan.row_trials)
    files = (_files(plan, plan.trials) - _files(plan, plan.row_trials)) * len(plan.strategies)
    return int(files * more.file_bytes * (trials / more.trials) ** power)


def _files(plan: Plan, trials: int) -> int:
    """The number of files of a strategy's first trials."""
    return -(-trials // plan.shard_trials)


def _memory(plan: Plan, sample: Sample) -> int:
    """The peak memory of a worker, whose blocks of trials may be larger than the sample."""
    trial = _slope(sample.few.trials, sample.few.peak_memory, sample.more.trials, sample.more.peak_memory)
    block = min(plan.shard_trials, plan.trials, ROW_GROUP)
    return round(sample.more.peak_memory + trial * (block - sample.more.trials))


def _slope(x: int, y: float, other_x: int, other_y: float) -> float:
    return 0.0 if x == other_x else (other_y - y) / (other_x - x)
