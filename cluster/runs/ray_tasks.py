"""Shards played as tasks of a Ray that Brink starts on this machine or joins at an address."""

import logging
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.capacity import Capacity, CapacityRequest
from cluster.runs.options import Stop
from cluster.runs.shard import run_shards
from cluster.runs.tasks import EngineFailed, ShardFailed, Task, first_line, strategies_together, tasks_of
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput
from sim.model.version import KERNEL_VERSION

if TYPE_CHECKING:
    import ray

REACH_SECONDS = 5.0
LOST_WORKER_RETRIES = 5
CANCEL_SECONDS = 3.0
"""The time that a cancelled task may take to clean up before its worker is killed."""
_NAMES = ("auto", "local")
"""What stands for an address: the Ray that runs on this machine, and a new one."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOOPBACK_SETTING = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Unless this is 0 when Ray is imported, Ray replaces a loopback address with another address of the machine."""
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")
"""The versions in Ray's error for a cluster of other versions: the cluster's, then this process's."""
_IN_FLIGHT = 2
"""Tasks in flight for each core: one that runs and one that waits."""


def run_task(plan: Plan, task: Task, folder: Folder) -> list[ShardResult]:
    """Play a task as a Ray task. Raises `RuntimeError` on a node with another kernel than the driver's."""
    if plan.kernel_version != KERNEL_VERSION:
        message = f"this node's Brink has kernel version {KERNEL_VERSION}, and the driver's has {plan.kernel_version}"
        raise RuntimeError(f"{message}: install the same Brink on driver and nodes")
    return list(run_shards(plan, task, folder))


def play_on_ray(
    plan: Plan,
    shards: Iterable[Shard],
    folder: Folder,
    should_stop: Stop,
    *,
    address: str | None = None,
    workers: int | None = None,
    shards_left: int = 0,
    on_capacity: Callable[[Capacity], object] = lambda _: None,
) -> Iterator[ShardResult]:
    """Play shards as Ray tasks, at most two for each core in flight. A task has the same trials of some strategies.

    Without an `address` Ray is started on this machine's loopback and shut down at the end. With one, the Ray cluster
    there is joined; its nodes must reach `folder` under the same address. Its autoscaler, if it has one, is asked for
    the cores that the `shards_left` are worth, `workers` at most; they are given back at the end. Ray repeats the tasks
    of lost workers and nodes. If a task fails, its shards are played one by one. If one of these fails, no new tasks
    are started, those in flight are finished, and `ShardFailed` is raised. When the run should stop, tasks in flight
    are cancelled.
    """
    if address is None or _host_and_port(address)[0] in _LOOPBACK:
        os.environ.setdefault(_LOOPBACK_SETTING, "0")
    import ray

    joined = ray.is_initialized()
    running: dict[ray.ObjectRef[list[ShardResult]], Task] = {}
    capacity = CapacityRequest(workers, on_capacity) if address not in (None, "local") else None
    if not joined:
        with _own_signal_handlers(), tempfile.TemporaryDirectory(prefix="brink-ray-") as nowhere:
            _connect(address, workers, nowhere)
    try:
        remote = ray.remote(run_task).options(num_cpus=1, max_retries=LOST_WORKER_RETRIES, retry_exceptions=[OSError])
        shared = ray.put(plan)
        together = strategies_together(plan, _parallel_tasks(workers))
        tasks = tasks_of(shards, together)
        seconds, played = 0.0, 0
        alone: list[Task] = []
        failure: ShardFailed | None = None
        more = True
        stopping: float | None = None
        while more or running:
            if capacity is not None and stopping is None:
                left = max(shards_left - played, sum(map(len, running.values())))
                capacity.ask(ceil(left / together), left * seconds / played if played else None)
            room = _IN_FLIGHT * _parallel_tasks(workers)
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
                    seconds += sum(result.seconds for result in results)
                    played += len(results)
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
        raise EngineFailed(f"Ray was lost: {first_line(error)}") from error
    finally:
        if capacity is not None:
            capacity.give_back()
        if not joined:
            ray.shutdown()


def _parallel_tasks(workers: int | None) -> int:
    """The number of tasks that Ray may run at the same time."""
    import ray

    return workers or max(1, int(ray.cluster_resources().get("CPU", 1)))


def _cancel(running: Iterable["ray.ObjectRef[list[ShardResult]]"], *, force: bool) -> None:
    import ray

    for reference in running:
        ray.cancel(reference, force=force)


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Restore this process's handler of SIGTERM: Ray replaces it with one that exits without cleaning up."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _connect(address: str | None, workers: int | None, nowhere: str) -> None:
    """Start or join Ray. `nowhere` is an empty folder, the working directory of its workers.

    Otherwise Ray puts this process's working directory first on the workers' module path, where a user's module may
    have the name of one of Brink's.
    """
    import ray

    environment: dict[str, Any] = {
        "env_vars": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        "working_dir": nowhere,
    }
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    # Ray reports that its local ports require a token. That is intended, and the user need not see it.
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
            raise EngineFailed(f"Ray could not be started: {first_line(error)}") from error
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
    """The host (an IPv6 address without its brackets) and port of ``host:port``; an empty host for a name such as
    ``auto``. Raises `ValueError` for anything else.
    """
    scheme, _, place = address.rpartition("://")
    if scheme not in ("", "ray"):
        raise ValueError(f"it is written host:port, without {scheme}://")
    if ":" not in place:
        if scheme or place not in _NAMES:
            raise ValueError("the port is missing: it is written host:port, such as 10.0.0.2:6379")
        return "", 0
    host, _, port = place.rpartition(":")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError("an IPv6 address is written in brackets, [::1]:6379")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("the port must be a whole number up to 65535")
    return host.strip("[]"), int(port)


def _no_ray(address: str, error: Exception) -> InvalidInput:
    versions = _VERSIONS.findall(str(error))
    if len(versions) == 2:
        (ray, python), (own_ray, own_python) = versions
        message = (
            f"runs Ray {ray} on Python {python}, and this process has Ray {own_ray} on Python {own_python}: "
            "install the same versions on driver and nodes"
        )
        return InvalidInput((Fault("ray_address", address, message),))
    cause = getattr(error, "strerror", None) or first_line(error)
    fault = Fault("ray_address", address, f"must be auto or the address of a running Ray: {cause}")
    return InvalidInput((fault,))
