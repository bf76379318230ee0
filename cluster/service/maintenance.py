"""Maintenance: while it is on, no new jobs are taken; jobs that were submitted are played, and results are read.

It is stored in the jobs database, so that all web processes follow.
"""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from cluster.service.jobs import metadata
from sim.faults import Fault, InvalidInput

LONGEST_REASON = 500
_ONLY = 1
"""The id of the only row, which is there while maintenance is on."""

maintenance = sa.Table(
    "maintenance",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("reason", sa.String(LONGEST_REASON)),
)


@dataclass(frozen=True)
class Maintenance:
    """Since when maintenance is on (seconds since 1970), and why."""

    since: float
    reason: str | None


def switch_on(engine: sa.Engine, reason: str | None = None) -> Maintenance:
    """Begin maintenance, or change the reason of one that is on. Raises `InvalidInput` for an unsuitable reason."""
    if reason is not None and (len(reason) > LONGEST_REASON or not reason.isprintable()):
        raise InvalidInput((Fault("reason", reason, f"must be at most {LONGEST_REASON} printable characters"),))
    with engine.begin() as connection:
        changed = connection.execute(maintenance.update().where(maintenance.c.id == _ONLY).values(reason=reason))
        if not changed.rowcount:
            connection.execute(maintenance.insert().values(id=_ONLY, since=time.time(), reason=reason))
    found = current(engine)
    assert found is not None
    return found


def switch_off(engine: sa.Engine) -> bool:
    """End maintenance. Returns whether it was on."""
    with engine.begin() as connection:
        return connection.execute(maintenance.delete()).rowcount > 0


def current(engine: sa.Engine) -> Maintenance | None:
    """The maintenance that is on, if it is."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(maintenance.c.since, maintenance.c.reason)).first()
    return None if row is None else Maintenance(row.since, row.reason)
