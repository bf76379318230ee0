"""The audit log: who submitted, read, cancelled or deleted jobs, managed keys, signed in or out, and what was refused.

A record is never changed, and deleted only by retention (`BRINK_AUDIT_DAYS`); triggers in the database enforce this for
a record's first day. Records hold ids of keys, never their secrets.
"""

import getpass
import socket
import threading
import time
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from cluster.service.jobs import metadata
from cluster.service.logs import logger

log = logger("brink.audit")
DONE, REFUSED, FAILED = RESULTS = ("done", "refused", "failed")
ACTIONS = (
    "submit",
    "read",
    "cancel",
    "delete",
    "create-key",
    "revoke-key",
    "rotate-key",
    "sign-in",
    "sign-out",
    "read-audit",
    "maintenance-on",
    "maintenance-off",
    "drain",
    "backup",
    "restore",
    "claim-store",
    "lost",
)
"""What is recorded. ``read`` is of results and answers; ``lost`` counts records for which there was no room."""
MOST_PENDING = 10_000
"""Different records that wait to be written; further ones are counted as lost."""
_DAY = 86_400.0

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("owner", sa.String(64)),
    sa.Column("key_id", sa.String(16)),
    sa.Column("address", sa.String(100)),
    sa.Column("subject", sa.String(64), index=True),
    sa.Column("detail", sa.String(200)),
    sa.Column("result", sa.String(16), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("times", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Event:
    """Something to record: the action, who did it with which key from which address, on what, and the result.

    `subject` is the id of a job or key; `status` is that of the HTTP response, None for the command line.
    """

    action: str
    result: str = DONE
    owner: str | None = None
    key_id: str | None = None
    address: str | None = None
    subject: str | None = None
    detail: str | None = None
    status: int | None = None


@dataclass(frozen=True)
class Record(Event):
    """An event as it was recorded: its number, its time (seconds since 1970), and how often it came within a second."""

    id: int = 0
    at: float = 0.0
    times: int = 1


class PendingEvents:
    """Events that are not yet in the database; any thread may add some. Equal ones are counted, not repeated."""

    def __init__(self) -> None:
        self._waiting: dict[Event, tuple[float, int]] = {}
        self._lost = 0
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        """Let an event wait for the next `write_to`."""
        with self._lock:
            self._merge(event, time.time(), 1)

    def write_to(self, engine: sa.Engine) -> None:
        """Write what waits. If that fails, it waits for the next time, and the database's error is raised."""
        with self._lock:
            taken, lost = self._waiting, self._lost
            self._waiting, self._lost = {}, 0
        if not taken and not lost:
            return
        rows = [_row(event, at, times) for event, (at, times) in taken.items()]
        if lost:
            rows.append(_row(Event("lost", FAILED), time.time(), lost))
        try:
            with engine.begin() as connection:
                connection.execute(audit.insert(), rows)
        except sa.exc.SQLAlchemyError:
            with self._lock:
                self._lost += lost
                for event, (at, times) in taken.items():
                    self._merge(event, at, times)
            raise

    def _merge(self, event: Event, at: float, times: int) -> None:
        if event not in self._waiting and len(self._waiting) >= MOST_PENDING:
            self._lost += times
            return
        first, before = self._waiting.get(event, (at, 0))
        self._waiting[event] = (min(first, at), before + times)


def record(engine: sa.Engine, event: Event) -> None:
    """Record an event at once."""
    with engine.begin() as connection:
        connection.execute(audit.insert().values(_row(event, time.time(), 1)))


def record_command(engine: sa.Engine, action: str, subject: str | None = None, detail: str | None = None) -> None:
    """Record what somebody with access to the database did on the command line, under the name of their account."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        account = "unknown"
    address = f"command line of {account}@{socket.gethostname()}"[:100]
    record(engine, Event(action, address=address, subject=subject, detail=detail))


def recorded(
    engine: sa.Engine,
    limit: int,
    before: int | None = None,
    *,
    owner: str | None = None,
    key_id: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    result: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> list[Record]:
    """The records to which all conditions apply, the newest first, at most `limit`, of those with ids below `before`.

    `since` and `until` (not included) are seconds since 1970.
    """
    if "\0" in f"{owner}{key_id}{subject}":
        # No name holds one, and PostgreSQL refuses to compare texts with it.
        return []
    query = audit.select().order_by(audit.c.id.desc()).limit(limit)
    wanted = {"owner": owner, "key_id": key_id, "action": action, "subject": subject, "result": result}
    for column, value in wanted.items():
        if value is not None:
            query = query.where(audit.c[column] == value)
    if before is not None:
        query = query.where(audit.c.id < before)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    with engine.connect() as connection:
        return [Record(**row._mapping) for row in connection.execute(query)]


def delete_old_records(engine: sa.Engine, days: float) -> int:
    """Delete the records older than `days`, at least one day. Returns how many."""
    with engine.begin() as connection:
        return connection.execute(audit.delete().where(audit.c.at < time.time() - max(days, 1.0) * _DAY)).rowcount


def write_regularly(pending: PendingEvents, engine: sa.Engine, ending: threading.Event, seconds: float) -> None:
    """Write what waits every so many seconds until `ending` is set, and once more then."""
    while True:
        ended = ending.wait(seconds)
        try:
            pending.write_to(engine)
        except sa.exc.SQLAlchemyError as error:
            log.warning("the audit log could not be written", error=str(error), ended=ended)
        if ended:
            return


def _row(event: Event, at: float, times: int) -> dict[str, object]:
    return {**asdict(event), "at": at, "times": times}
