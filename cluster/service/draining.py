"""Draining: runners that are asked to take no more jobs, and that report when they hold none.

A runner finishes the job that it plays, or hands it back to the queue, and stays alive without work until it is ended:
a process that ended itself would be started again, and would take jobs. The request is for the runners that are alive
when it is made; a runner that starts later takes jobs.
"""

import threading
import time
from collections.abc import Collection

import sqlalchemy as sa

from cluster.service import leases
from cluster.service.jobs import RUNNING, Job, jobs, runners
from cluster.service.logs import logger

log = logger("brink.runner")
FINISH, HAND_BACK, DRAINED = "finish", "hand-back", "drained"
"""How a runner is asked to drain: it plays its job to the end, or returns it to the queue. Then it is drained."""


def ask_to_drain(engine: sa.Engine, lease_seconds: float, *, hand_back: bool = False) -> list[str]:
    """Ask every runner that was seen within the time of a lease to drain. Returns the ids of all these."""
    alive = runners.c.seen_at > time.time() - lease_seconds
    changed = sa.or_(runners.c.drain.is_(None), runners.c.drain == FINISH)
    with engine.begin() as connection:
        requested = HAND_BACK if hand_back else FINISH
        connection.execute(runners.update().where(alive, changed).values(drain=requested))
        return list(connection.execute(sa.select(runners.c.id).where(alive).order_by(runners.c.id)).scalars())


def undrained(engine: sa.Engine, asked: Collection[str], lease_seconds: float) -> list[str]:
    """The runners among those asked that are alive and not drained yet."""
    waited = sa.select(runners.c.id).where(
        runners.c.id.in_(asked),
        runners.c.seen_at > time.time() - lease_seconds,
        sa.func.coalesce(runners.c.drain, "") != DRAINED,
    )
    with engine.connect() as connection:
        return sorted(connection.execute(waited).scalars())


class Intake:
    """Takes jobs for all threads of a runner, until it is asked to drain."""

    def __init__(self, database: sa.Engine, runner: str) -> None:
        self._database, self.runner = database, runner
        self._lock = threading.Lock()
        self._open, self._reported = True, False
        self.hands_back = False

    def claim(self, holder: str, lease_seconds: float, *, repeats_only: bool) -> Job | None:
        """Take the next job in turn for a thread of the runner; none once the runner is to drain."""
        with self._lock:
            if not self._open:
                return None
            return leases.claim(self._database, holder, lease_seconds, repeats_only=repeats_only)

    def follow(self, requested: str | None) -> None:
        """Follow what the runner is asked for in the database, if anything."""
        if requested is None:
            return
        # No thread is between its look at `_open` and its claim once the lock is free again.
        with self._lock:
            self._open = False
        self.hands_back = self.hands_back or requested == HAND_BACK

    def report(self) -> None:
        """Report once that the runner is drained, if it is to drain and none of its threads holds a job."""
        if self._open or self._reported:
            return
        mine = jobs.c.lease_owner.in_((self.runner, repeats_holder(self.runner)))
        with self._database.begin() as connection:
            held = connection.execute(sa.select(sa.func.count()).where(jobs.c.state == RUNNING, mine)).scalar_one()
            if held:
                return
            connection.execute(runners.update().where(runners.c.id == self.runner).values(drain=DRAINED))
        self._reported = True
        log.info("runner is drained: it takes no more jobs", runner=self.runner)


def repeats_holder(runner: str) -> str:
    """The name under which a runner holds jobs that repeat earlier ones."""
    return f"{runner}-repeats"
