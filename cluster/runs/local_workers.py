"""Worker processes of this machine, each started once and kept to play the tasks of one job after the other.

A worker is connected to the process that started it, and ends when the connection is closed: also when that process
was killed. What it plays is in `cluster.runs.worker`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

END_SECONDS = 5.0
"""The time that a worker may take to end once its connection is closed."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class LocalWorker:
    """A worker process and the connection to it."""

    process: subprocess.Popen[bytes]
    connection: Connection


def one_thread() -> dict[str, str]:
    """The environment of a process whose libraries use one thread."""
    return {**os.environ, **_ONE_THREAD}


@contextmanager
def local_workers(count: int) -> Iterator[list[LocalWorker]]:
    """So many workers, which end with the block. Whoever plays on the list replaces workers in it that were lost."""
    workers: list[LocalWorker] = []
    try:
        workers += [start_worker() for _ in range(count)]
        yield workers
    finally:
        for worker in workers:
            worker.connection.close()
        for worker in workers:
            end_worker(worker)


def start_worker() -> LocalWorker:
    """Start a worker. It takes a task at once, and plays it when it has loaded what it needs. Raises `OSError`."""
    ours, its = Pipe()
    try:
        # No module is imported from the working directory, and Ctrl-C in the terminal reaches the runner alone.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cluster.runs.worker", str(its.fileno())],
            stdin=subprocess.DEVNULL,
            env=one_thread(),
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    except OSError:
        ours.close()
        raise
    finally:
        its.close()
    return LocalWorker(process, ours)


def end_worker(worker: LocalWorker, seconds: float = END_SECONDS) -> int:
    """Close a worker's connection and wait until it has ended; kill it after so many seconds. Its exit status."""
    worker.connection.close()
    try:
        return worker.process.wait(seconds)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        return worker.process.wait()
