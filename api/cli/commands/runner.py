"""``brink runner``: a process that works the service's jobs, on this machine or another."""

import signal
import threading


def runner() -> None:
    """Start a process that runs the jobs of the service.

    Any number of runners may work beside each other; each ends when interrupted or terminated. Settings come from the
    environment, as for the service: where its database and its results are.
    """
    from cluster.service.logs import log_to_stderr
    from cluster.service.settings import read_settings
    from cluster.service.supervisor import supervise_runner

    # A runner that cannot read its settings would be started again and again.
    read_settings()
    log_to_stderr()
    ending = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ending.set())
    supervise_runner(ending)
