"""Shards played as tasks of a Ray that Brink starts on this machine or joins at an address."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from math import ceil

from cluster.query.ray_connection import connection, keep_loopback
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.capacity import Capacity, CapacityRequest
from cluster.runs.options import Stop
from cluster.runs.shard import run_shards
from cluster.runs.tasks import TASK_SECONDS, EngineFailed, ShardFailed, Task, strategies_per_task, tasks_of
from cluster.storage.base import Folder
from sim.faults import first_line
from sim.model.version import KERNEL_VERSION

LOST_WORKER_RETRIES = 5
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
    are started, those in flight are finished, and `ShardFailed` is raised. When the run should stop, the connection to
    Ray is closed, and Ray ends the tasks in flight; a connection that was there before is kept, and they are finished.
    """
    keep_loopback(address)
    import ray

    joined = ray.is_initialized()
    running: dict[ray.ObjectRef[list[ShardResult]], Task] = {}
    capacity = CapacityRequest(workers, on_capacity) if address not in (None, "local") else None
    connected = ExitStack()
    if not joined:
        try:
            connected.enter_context(connection(address, workers))
        except ConnectionError as error:
            raise EngineFailed(str(error)) from error
    try:
        remote = ray.remote(run_task).options(num_cpus=1, max_retries=LOST_WORKER_RETRIES, retry_exceptions=[OSError])
        shared = ray.put(plan)
        per_task = strategies_per_task(plan, _parallel_tasks(workers))
        tasks = tasks_of(shards, per_task)
        seconds, played = 0.0, 0
        alone: list[Task] = []
        failure: ShardFailed | None = None
        more = True
        # `ray.cancel` is not used: Ray may end this process if the task that it cancels is completed at that moment.
        while (more or running) and not should_stop():
            if capacity is not None:
                left = max(shards_left - played, sum(map(len, running.values())))
                capacity.ask(ceil(left / per_task), left * seconds / played if played else None)
            room = _IN_FLIGHT * _parallel_tasks(workers)
            while more and len(running) < room:
                following = alone.pop() if alone else next(tasks, None)
                task = None if failure else following
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
                    if len(task) > 1:
                        alone += [(shard,) for shard in reversed(task)]
                        more = True
                    else:
                        failure = failure or ShardFailed(task[0], getattr(error, "cause", None) or error)
                else:
                    seconds += sum(result.seconds for result in results)
                    played += len(results)
                    yield from results
        if failure:
            raise failure
    except ConnectionError as error:
        raise EngineFailed(f"Ray was lost: {first_line(error)}") from error
    finally:
        if capacity is not None:
            capacity.give_back()
        connected.close()
        if joined and running:
            with suppress(ray.exceptions.RayError, ConnectionError):
                ray.wait(list(running), num_returns=len(running), timeout=_IN_FLIGHT * TASK_SECONDS)


def _parallel_tasks(workers: int | None) -> int:
    """The number of tasks that Ray may run at the same time."""
    import ray

    return workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
