"""Where shards are played: in this process, or as tasks of a Ray that Brink starts or finds.

An engine takes shards and yields what was committed, in the order in which it is done. It decides nothing
else: the content of a shard does not depend on it.
"""

import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby, islice
from typing import Any

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.options import RunOptions, Stop
from cluster.runs.shard import run_shards
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput

ENGINES = ("auto", "inline", "ray")
RAY_START_SECONDS = 8.0
"""What a Ray of one's own costs before its first task runs."""
REACH_SECONDS = 5.0
LOST_WORKER_RETRIES = 5
MOST_WORKERS = 10_000
CANCEL_SECONDS = 3.0
"""So long a task that is to stop may take to clear up after itself before its worker is killed."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOOPBACK_SETTING = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Unless this is 0 when Ray is imported, Ray takes a loopback address for one of the machine's others."""
_IN_FLIGHT = 2
"""Tasks in flight for each core: one that runs and one that waits."""
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
            f"{type(cause).__name__}: {_first_line(cause)}"
        )
        self.shard = shard
        self.cause = cause


class EngineFailed(RuntimeError):
    """The engine itself could not be started or was lost."""


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
    """Cores that this process may use: where the system does not say, as on macOS, those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def run_task(plan: Plan, task: Task, folder: Folder) -> list[ShardResult]:
    """Play a task as a Ray task."""
    return list(run_shards(plan, task, folder))


def play_on_ray(
    plan: Plan,
    shards: Iterable[Shard],
    folder: Folder,
    should_stop: Stop,
    *,
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[ShardResult]:
    """Play shards as Ray tasks, at most two for each core in flight. A task has the same trials of some strategies.

    Without an `address` Ray is started on this machine's loopback and ended at the end; with one, the Ray
    there is joined, whose nodes must see `folder` under the same address. Ray repeats the tasks of lost workers
    and nodes. If a task fails, its shards are played one by one. If one of these fails, no new tasks are begun, those
    in flight are finished, and `ShardFailed` is raised. When it is time to stop, shards in flight are broken off.
    """
    if address is None or _host_and_port(address)[0] in _LOOPBACK:
        os.environ.setdefault(_LOOPBACK_SETTING, "0")
    import ray

    joined = ray.is_initialized()
    running: dict = {}
    if not joined:
        with _own_signal_handlers(), tempfile.TemporaryDirectory(prefix="brink-ray-") as nowhere:
            _connect(address, workers, nowhere)
    try:
        remote = ray.remote(run_task).options(num_cpus=1, max_retries=LOST_WORKER_RETRIES, retry_exceptions=[OSError])
        shared = ray.put(plan)
        tasks = tasks_of(shards, strategies_together(plan, _hands(workers)))
        alone: list[Task] = []
        failure: ShardFailed | None = None
        more = True
        stopping: float | None = None
        while more or running:
            room = _IN_FLIGHT * _hands(workers)
            while more and len(running) < room:
                following = alone.pop() if alone else next(tasks, None)
                task = None if failure or should_stop() else following
                if task is None:
                    more = False
                else:
                    running[remote.remote(shared, task, folder)] = task
            done, _ = ray.wait(list(running), timeout=0.5) if running else ([], [])
            for reference in done:
                task = running.pop(reference)
                try:
                    results = ray.get(reference)
                except ray.exceptions.RayError as error:
                    if stopping is not None:
                        continue
                    if len(task) > 1:
                        alone += [(shard,) for shard in reversed(task)]
                        more = True
                    else:
                        failure = failure or ShardFailed(task[0], getattr(error, "cause", None) or error)
                else:
                    yield from results
            if stopping is None and should_stop():
                more, stopping = False, time.monotonic()
                _cancel(running, force=False)
            elif stopping is not None and time.monotonic() - stopping > CANCEL_SECONDS:
                _cancel(running, force=True)
        if failure:
            raise failure
    except KeyboardInterrupt:
        # Tasks remove their drafts when they are cancelled; workers that are killed cannot.
        _cancel(running, force=False)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=CANCEL_SECONDS)
        raise
    except ConnectionError as error:
        raise EngineFailed(f"Ray was lost: {_first_line(error)}") from error
    finally:
        if not joined:
            ray.shutdown()


def _hands(workers: int | None) -> int:
    """Tasks that Ray may run at a time."""
    import ray

    return workers or max(1, int(ray.cluster_resources().get("CPU", 1)))


def _cancel(running: dict, *, force: bool) -> None:
    import ray

    for reference in running:
        ray.cancel(reference, force=force)


def play_where_it_pays(
    plan: Plan,
    shards: list[Shard],
    folder: Folder,
    should_stop: Stop,
    *,
    cores: int,
    workers: int | None,
) -> Iterator[ShardResult]:
    """Play shards here, and move the rest to a Ray of one's own once that is expected to end sooner.

    The pace is that of the tasks after the first: the first also pays for imports and tables, once in a process.
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


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Keep this process's handler of SIGTERM: Ray puts its own in its place, which exits without clearing up."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _connect(address: str | None, workers: int | None, nowhere: str) -> None:
    """Start or join Ray. `nowhere` is an empty folder that its workers have as their working directory.

    Otherwise Ray puts this process's working directory first on its workers' paths for modules, where a module of
    the user's may have the name of one of Brink's.
    """
    import ray

    environment: dict[str, Any] = {
        "env_vars": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        "working_dir": nowhere,
    }
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    # That Ray's local ports ask for a token is as it should be, and no news to a user.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                runtime_env=environment,
                **quiet,
            )
        else:
            ray.init(address=address, runtime_env=environment, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        if address is None:
            raise EngineFailed(f"Ray could not be started: {_first_line(error)}") from error
        raise _no_ray(address, error) from error


def check_reachable(address: str, seconds: float = REACH_SECONDS) -> None:
    """Raise `InvalidInput` if nothing listens at an address that names a host and a port; Ray would try for minutes."""
    try:
        host, port = _host_and_port(address)
        if host:
            socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_ray(address, error) from error


def _host_and_port(address: str) -> tuple[str, int]:
    """The host (an IPv6 address without its brackets) and port of ``host:port``; an empty host for a name as ``auto``.

    Raises `ValueError` for a port that is no number.
    """
    place = address.rpartition("://")[2]
    if ":" not in place:
        return "", 0
    host, _, port = place.rpartition(":")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError("an IPv6 address is written in brackets, [::1]:6379")
    return host.strip("[]"), int(port)


def _no_ray(address: str, error: Exception) -> InvalidInput:
    fault = Fault("ray_address", address, f"must be auto or the address of a running Ray: {_first_line(error)}")
    return InvalidInput((fault,))


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
