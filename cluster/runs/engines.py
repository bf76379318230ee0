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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.options import RunOptions, Stop
from cluster.runs.shard import run_shard
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
"""Shards in flight for each core: one that runs and one that waits."""


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
        return play_on_ray(plan, iter(shards), folder, should_stop, address=address, workers=workers)
    if options.engine == "auto":
        return play_where_it_pays(plan, shards, folder, should_stop, cores=usable_cores(), workers=workers)
    return play_inline(plan, iter(shards), folder, should_stop)


def usable_cores() -> int:
    """Cores that this process may use: where the system does not say, as on macOS, those of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def play_inline(plan: Plan, shards: Iterator[Shard], folder: Folder, should_stop: Stop) -> Iterator[ShardResult]:
    """Play shards in this process, one after the other."""
    for shard in shards:
        if should_stop():
            return
        try:
            result = run_shard(plan, shard, folder)
        except Exception as error:
            raise ShardFailed(shard, error) from error
        yield result


def play_on_ray(
    plan: Plan,
    shards: Iterator[Shard],
    folder: Folder,
    should_stop: Stop,
    *,
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[ShardResult]:
    """Play shards as Ray tasks, at most two for each core in flight.

    Without an `address` Ray is started on this machine's loopback and ended at the end; with one, the Ray
    there is joined, whose nodes must see `folder` under the same address. Ray repeats the tasks of lost workers
    and nodes. If a shard fails for good, no new ones are begun, those in flight are finished, and
    `ShardFailed` is raised. When it is time to stop, shards in flight are broken off.
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
        task = ray.remote(run_shard).options(num_cpus=1, max_retries=LOST_WORKER_RETRIES, retry_exceptions=[OSError])
        shared = ray.put(plan)
        failure: ShardFailed | None = None
        more = True
        stopping: float | None = None
        while more or running:
            room = _IN_FLIGHT * (workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
            while more and len(running) < room:
                shard = None if failure or should_stop() else next(shards, None)
                if shard is None:
                    more = False
                else:
                    running[task.remote(shared, shard, folder)] = shard
            done, _ = ray.wait(list(running), timeout=0.5) if running else ([], [])
            for reference in done:
                shard = running.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    if stopping is None:
                        failure = failure or ShardFailed(shard, error.cause or error)
                except ray.exceptions.RayError as error:
                    if stopping is None:
                        failure = failure or ShardFailed(shard, error)
                else:
                    yield result
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

    The pace is that of the shards after the first: the first also pays for imports and tables, once in a process.
    """
    played = 0
    started: float | None = None
    for k, shard in enumerate(shards):
        rest = shards[k:]
        hands = min(workers or cores, len(rest))
        if started is not None and played and hands > 1:
            here = (time.monotonic() - started) / played * sum(following.count for following in rest)
            if RAY_START_SECONDS + here / hands < here:
                yield from play_on_ray(plan, iter(rest), folder, should_stop, workers=workers)
                return
        results = list(play_inline(plan, iter((shard,)), folder, should_stop))
        if not results:
            return
        yield from results
        if started is None:
            started = time.monotonic()
        else:
            played += shard.count


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
