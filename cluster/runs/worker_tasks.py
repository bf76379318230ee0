"""Tasks played by worker processes of this machine that are started already."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import wait

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult
from cluster.runs.local_workers import LocalWorker, end_worker, start_worker
from cluster.runs.options import Stop
from cluster.runs.tasks import EngineFailed, ShardFailed, Task
from cluster.storage.base import Folder

LOST_WORKER_RETRIES = 5
STOP_SECONDS = 10.0
"""The time that a worker may take to give up its task before it is killed."""
_CHECK_SECONDS = 0.1
"""Seconds between two checks whether to stop."""


def play_on_workers(
    plan: Plan, tasks: Iterable[Task], folder: Folder, should_stop: Stop, workers: list[LocalWorker]
) -> Iterator[ShardResult]:
    """Play tasks on workers, one at a time on each. Yields each committed shard.

    A worker that is lost is replaced in `workers`, and what it left is played again, shard by shard. Raises
    `EngineFailed` if a shard loses more than `LOST_WORKER_RETRIES` of them. If a shard fails, no new tasks are begun,
    those in work are finished, and `ShardFailed` is raised. When it is time to stop, tasks in work are given up.
    However the iterator ends, all workers are free then.
    """
    following, again = iter(tasks), deque[Task]()
    playing: dict[int, list[Shard]] = {}
    losses: dict[Shard, int] = {}
    failure: ShardFailed | None = None
    try:
        while not should_stop():
            for place in range(len(workers)):
                if place not in playing and failure is None:
                    task = again.popleft() if again else next(following, None)
                    if task is not None:
                        _send(workers[place], (plan, task, folder))
                        playing[place] = list(task)
            if not playing:
                break
            for place in _ready_workers(workers, playing):
                try:
                    message = workers[place].connection.recv()
                except (EOFError, OSError):
                    left = playing.pop(place)
                    status = _replace(workers, place)
                    for shard in left:
                        losses[shard] = losses.get(shard, 0) + 1
                        if losses[shard] > LOST_WORKER_RETRIES:
                            raise _lost_too_often(shard, status) from None
                    again.extend((shard,) for shard in left)
                    continue
                if isinstance(message, ShardResult):
                    playing[place].remove(message.shard)
                    yield message
                elif isinstance(message, ShardFailed):
                    failure = failure or message
                else:
                    del playing[place]
    finally:
        _free(workers, set(playing))
    if failure is not None:
        raise failure


def _send(worker: LocalWorker, order: object) -> None:
    """Send to a worker. Its loss is noticed when something is received from it."""
    with suppress(OSError):
        worker.connection.send(order)


def _ready_workers(workers: list[LocalWorker], places: Iterable[int], seconds: float = _CHECK_SECONDS) -> list[int]:
    """Those of the places whose worker has sent something or is lost, after so many seconds at most."""
    by_connection = {workers[place].connection: place for place in places}
    return [by_connection[one] for one in wait(list(by_connection), seconds)]  # type: ignore[index]


def _replace(workers: list[LocalWorker], place: int) -> int:
    """Put a new worker in a lost one's place; the lost one's exit status. Raises `EngineFailed`."""
    status = end_worker(workers[place])
    try:
        workers[place] = start_worker()
    except OSError as error:
        raise EngineFailed(f"a worker process could not be started: {error.strerror or error}") from error
    return status


def _free(workers: list[LocalWorker], busy: set[int]) -> None:
    """Let workers give up what they play, and replace those that do not."""
    for place in busy:
        _send(workers[place], None)
    ends = time.monotonic() + STOP_SECONDS
    while busy and (left := ends - time.monotonic()) > 0.0:
        for place in _ready_workers(workers, busy, left):
            try:
                done = workers[place].connection.recv() is None
            except (EOFError, OSError):
                _replace(workers, place)
                done = True
            if done:
                busy.remove(place)
    for place in busy:
        workers[place].process.kill()
        _replace(workers, place)


def _lost_too_often(shard: Shard, status: int) -> EngineFailed:
    last = shard.first + shard.count - 1
    return EngineFailed(
        f"strategy {shard.strategy}, shard {shard.index} (trials {shard.first} to {last}) ended "
        f"{LOST_WORKER_RETRIES + 1} worker processes, the last one with exit status {status}"
    )
