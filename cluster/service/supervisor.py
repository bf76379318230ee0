"""The supervisor of a runner process: if it ends for any reason, another is started.

Some ends cannot be caught by the process itself: a Ray whose head is lost may abort a process that has joined it.
"""

import signal
import subprocess
import sys
import threading

from cluster.service.logs import logger

log = logger("brink.supervisor")
RESTART_SECONDS = 2.0
GRACE_SECONDS = 20.0
END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end the service and its runners in order; the last one comes when the terminal is closed."""


def supervise_runner(ending: threading.Event) -> None:
    """Keep one runner process alive, and end it once `ending` is set."""
    while not ending.is_set():
        runner = subprocess.Popen(
            [sys.executable, "-P", "-m", "cluster.service.runner", "--end-with-parent"], start_new_session=True
        )
        while runner.poll() is None and not ending.wait(0.2):
            pass
        if not ending.is_set():
            log.warning("the runner ended; starting another", status=runner.returncode)
            ending.wait(RESTART_SECONDS)
            continue
        runner.terminate()
        try:
            runner.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            runner.kill()
            runner.wait()
