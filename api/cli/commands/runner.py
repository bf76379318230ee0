"""``brink runner``: a process that works the service's jobs, on this machine or another."""

import signal
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.streams import say
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from cluster.service.settings import Settings

POLL_SECONDS = 0.2


def runner(
    drain: Annotated[
        bool,
        typer.Option("--drain", help="Start none, but let all runners of the service take no more jobs, and wait."),
    ] = False,
    hand_back: Annotated[
        bool,
        typer.Option("--hand-back", help="With --drain: return jobs in work to the queue instead of finishing them."),
    ] = False,
) -> None:
    """Any number of runners may work at the same time. Each ends when it is interrupted or terminated, and returns its
    job to the queue.

    Drained runners stay without work until they are ended; runners that start later take jobs. Settings, such as where
    the database and the results are, come from the environment, as for the service.
    """
    from cluster.service.logs import log_to_stderr
    from cluster.service.settings import read_settings
    from cluster.service.supervisor import END_SIGNALS, supervise_runner

    if hand_back and not drain:
        raise InvalidInput((Fault("hand_back", None, "needs --drain"),))
    # A runner that cannot read its settings would be started again and again.
    settings = read_settings()
    if drain:
        _drain(settings, hand_back=hand_back)
        return
    log_to_stderr()
    ending = threading.Event()
    for name in END_SIGNALS:
        signal.signal(name, lambda *_: ending.set())
    supervise_runner(ending)


def _drain(settings: "Settings", *, hand_back: bool) -> None:
    """Ask all runners to drain and wait until none holds a job; they stay asked if the wait is interrupted."""
    from api.cli.database import jobs_database
    from cluster.service.audit import record_command
    from cluster.service.draining import ask_to_drain, undrained

    database = jobs_database()
    asked = ask_to_drain(database, settings.lease_seconds, hand_back=hand_back)
    if not asked:
        print("no runner is alive")
        return
    record_command(database, "drain", detail=f"{len(asked)} runners{', hand back' if hand_back else ''}")
    waiting: list[str] = []
    while left := undrained(database, asked, settings.lease_seconds):
        if left != waiting:
            say(f"waiting for {len(left)} of {len(asked)} runners")
            waiting = left
        time.sleep(POLL_SECONDS)
    print(f"{len(asked)} runner{'s' * (len(asked) != 1)} drained: no job is in work there, and no more are taken")
