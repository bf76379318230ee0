"""What the jobs database reports about the service as a whole."""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from cluster.service.counters import read_counters
from cluster.service.jobs import QUEUED, STATES, jobs
from cluster.service.store_identity import known


@dataclass(frozen=True)
class Counts:
    """Jobs by state, for how long (seconds) the oldest of those that wait has waited, 0 if none does, what the
    runners have counted, and whether they found that the store of results does not belong to this database.
    """

    jobs: dict[str, int]
    queue_age: float
    counted: dict[str, float]
    store_mismatch: bool


def counts(engine: sa.Engine) -> Counts:
    """Read the number of jobs in each state, the age of the queue, and the runners' counters."""
    with engine.connect() as connection:
        by_state = connection.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state))
        found: dict[str, int] = {row[0]: row[1] for row in by_state}
        oldest = connection.execute(sa.select(sa.func.min(jobs.c.created_at)).where(jobs.c.state == QUEUED)).scalar()
    return Counts(
        jobs={state: found.get(state, 0) for state in STATES},
        queue_age=0.0 if oldest is None else max(0.0, time.time() - oldest),
        counted=read_counters(engine),
        store_mismatch=known(engine).mismatch is not None,
    )
