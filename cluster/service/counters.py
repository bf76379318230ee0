"""Counters of what all runners did, in the jobs database: runners and web processes share nothing else."""

import threading

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cluster.service.jobs import metadata

TRIALS_COUNTED, SHARDS, SHARD_SECONDS, LEASE_LOSSES = COUNTERS = ("trials", "shards", "shard_seconds", "lease_losses")
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
)


class PendingCounts:
    """Counts that are not yet added to the counters in the database; any thread may count."""

    def __init__(self) -> None:
        self._counted: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, **more: float) -> None:
        """Count some more of each name."""
        with self._lock:
            for name, value in more.items():
                self._counted[name] = self._counted.get(name, 0.0) + value

    def add_to(self, engine: sa.Engine) -> None:
        """Add what was counted to the counters; if that fails, it stays counted for the next time."""
        with self._lock:
            counted, self._counted = self._counted, {}
        try:
            _add(engine, counted)
        except sa.exc.SQLAlchemyError:
            self.count(**counted)
            raise


def read_counters(engine: sa.Engine) -> dict[str, float]:
    """The counters as they stand."""
    with engine.connect() as connection:
        found = {row.name: row.value for row in connection.execute(sa.select(counters))}
    return {name: found.get(name, 0.0) for name in COUNTERS}


def _add(engine: sa.Engine, counted: dict[str, float]) -> None:
    if not counted:
        return
    insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    # In one order, so that two runners never wait for each other.
    added = insert(counters).values([{"name": name, "value": counted[name]} for name in sorted(counted)])
    summed = {"value": counters.c.value + added.excluded.value}
    with engine.begin() as connection:
        connection.execute(added.on_conflict_do_update(index_elements=[counters.c.name], set_=summed))
