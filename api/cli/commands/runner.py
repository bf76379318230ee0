"""``brink runner``: a process that works the service's jobs, on this machine or another."""

import signal
import threading


def runner() -> None:
    """Any number of runners may work at the same time. Each ends when it is interrupted or terminated.

    Settings, such as where the database and the results are, come from the environment, as for the service.
    """
    from cluster.service.logs import log_to_stderr
    from cluster.service.settings import read_settings
    from cluster.service.supervisor import END_SIGNALS, supervise_runner

    # A runner that cannot read its settings would be started again and again.
    read_settings()
    log_to_stderr()
    ending = threading.Event()
    for name in END_SIGNALS:
        signal.signal(name, lambda *_: ending.set())
    supervise_runner(ending)
