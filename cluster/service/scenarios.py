"""Scenarios that users keep in the jobs database, beside the shipped ones."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from cluster.service.jobs import metadata
from sim.faults import Fault, InvalidInput

MAX_SCENARIOS = 200
"""Scenarios that an owner may keep."""

scenarios = sa.Table(
    "scenarios",
    metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
)


@dataclass(frozen=True)
class KeptScenario:
    """A scenario's document under its name, and when it was last changed (seconds since 1970)."""

    name: str
    document: dict[str, Any]
    changed_at: float


class Changed(Exception):
    """The scenario that is kept under a name is not the one that was expected."""


def keep(
    engine: sa.Engine,
    owner: str,
    name: str,
    document: dict[str, Any],
    expected: Callable[[dict[str, Any] | None], bool] | None = None,
) -> None:
    """Keep an owner's scenario under a name, in place of an older one.

    `expected` says of the older document, None without one, whether it may be replaced; any may be without `expected`.
    Raises `Changed` if it may not, or if another request changes it meanwhile, and `InvalidInput` beyond
    `MAX_SCENARIOS`.
    """
    values = {"document": json.dumps(document), "changed_at": time.time()}
    mine = scenarios.c.owner == owner
    named = sa.and_(mine, scenarios.c.name == name)
    with engine.begin() as connection:
        replaced = named
        if expected is not None:
            older = connection.execute(sa.select(scenarios.c.document).where(named)).scalar()
            if not expected(None if older is None else json.loads(older)):
                raise Changed(name)
            replaced = sa.and_(named, scenarios.c.document == older)
        if connection.execute(scenarios.update().where(replaced).values(**values)).rowcount:
            return
        if expected is not None and older is not None:
            raise Changed(name)
        count = connection.execute(sa.select(sa.func.count()).select_from(scenarios).where(mine)).scalar() or 0
        if count >= MAX_SCENARIOS:
            message = f"cannot be kept: you keep {count} scenarios, and may keep {MAX_SCENARIOS}; delete some"
            raise InvalidInput((Fault("name", name, message),))
        try:
            connection.execute(scenarios.insert().values(owner=owner, name=name, **values))
        except IntegrityError:
            raise Changed(name) from None


def find(engine: sa.Engine, owner: str, name: str) -> KeptScenario | None:
    """An owner's scenario of that name."""
    wanted = scenarios.select().where(scenarios.c.owner == owner, scenarios.c.name == name)
    with engine.connect() as connection:
        row = connection.execute(wanted).first()
    return None if row is None else _kept(row)


def listed(engine: sa.Engine, owner: str) -> list[KeptScenario]:
    """An owner's scenarios, the last changed first."""
    wanted = scenarios.select().where(scenarios.c.owner == owner).order_by(scenarios.c.changed_at.desc())
    with engine.connect() as connection:
        return [_kept(row) for row in connection.execute(wanted)]


def delete(engine: sa.Engine, owner: str, name: str) -> bool:
    """Delete an owner's scenario. Returns whether there was one."""
    with engine.begin() as connection:
        found = connection.execute(scenarios.delete().where(scenarios.c.owner == owner, scenarios.c.name == name))
    return bool(found.rowcount)


def _kept(row: sa.Row[Any]) -> KeptScenario:
    return KeptScenario(row.name, json.loads(row.document), row.changed_at)
