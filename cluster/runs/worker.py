"""A worker process: it plays tasks that arrive on its connection, and sends back each committed shard.

It receives a plan, a task and a folder to play, or None to stop playing. It sends a `ShardResult` for each committed
shard, a `ShardFailed` if one fails, and None when it is done with a task.
"""

import os
import pickle
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection

from cluster.results.plan import Plan
from cluster.runs.tasks import ShardFailed, Task, play_task
from cluster.runs.warm_up import warm_up_kernel
from cluster.storage.base import Folder
from sim.faults import first_line

Order = tuple[Plan, Task, Folder]


def main(descriptor: int) -> None:
    """Play tasks until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_receive, args=(connection, orders, stop), daemon=True).start()
    warm_up_kernel()
    while True:
        plan, task, folder = orders.get()
        try:
            for result in play_task(plan, task, folder, stop.is_set):
                connection.send(result)
        except ShardFailed as failed:
            connection.send(_sendable(failed))
        connection.send(None)


def _receive(connection: Connection, orders: "queue.SimpleQueue[Order]", stop: threading.Event) -> None:
    """Receive until the connection is closed; then end this process at once, whatever it is playing."""
    try:
        while True:
            order = connection.recv()
            if order is None:
                stop.set()
            else:
                # The task before this one is done: no other is sent while one is played.
                stop.clear()
                orders.put(order)
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)


def _sendable(failed: ShardFailed) -> ShardFailed:
    """The failure, with a cause that can be sent: exceptions of some libraries cannot be read by the receiver."""
    try:
        pickle.loads(pickle.dumps(failed))
    except Exception:
        cause = failed.cause
        return ShardFailed(failed.shard, RuntimeError(f"{type(cause).__name__}: {first_line(cause)}"))
    return failed


if __name__ == "__main__":
    main(int(sys.argv[1]))
