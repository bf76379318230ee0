"""The columns of the table of trials, with their types and units."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sim.scenario.parameters import parameter
from sim.scenario.vocabulary import OUTCOMES, RULINGS, STAGES

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

NULL = -1
"""Null in a column of weeks, categories or nullable truth values; in a column of floats null is NaN."""


@dataclass(frozen=True)
class Column:
    """A column of the table of trials.

    `kind` is int64, int16, float32, bool or category. In arrays a category is an int8 index into
    `categories`, a nullable bool an int8, and null is `NULL` (NaN in float32).
    """

    name: str
    kind: str
    unit: str
    meaning: str
    categories: tuple[str, ...] = ()
    nullable: bool = False


_COURSE = (
    Column("outcome", "category", "1", "how the trial ended", OUTCOMES),
    Column("agreement_week", "int16", "week", "week of the agreement, null without one", nullable=True),
    Column("threat_week", "int16", "week", "week in which sanctions were announced, null if never", nullable=True),
    Column(
        "sanctions_week",
        "int16",
        "week",
        "week of the deadline at which sanctions were imposed, 0 if in force from the start, null if never",
        nullable=True,
    ),
    Column("filing_week", "int16", "week", "week of the complaint to the WTO, null if none", nullable=True),
    Column("ruling_week", "int16", "week", "week of the final ruling, null if none", nullable=True),
    Column(
        "lapse_week",
        "int16",
        "week",
        "week at whose end talks lapsed, null unless they are lapsed at the trial's end",
        nullable=True,
    ),
    Column("breach_week", "int16", "week", "first week of the breach of the agreement, null if none", nullable=True),
    Column(
        "partial_deal",
        "bool",
        "1",
        "agreement was signed at a deadline with issues open, null without agreement",
        nullable=True,
    ),
    Column("sanctions_weeks", "int16", "weeks", "weeks with sanctions in force"),
    Column("retaliation_weeks", "int16", "weeks", "of those, weeks with retaliation on"),
    Column("extensions", "int16", "1", "extensions of the deadline"),
    Column("ruling", "category", "1", "final ruling, null if none", RULINGS, nullable=True),
    Column("litigation", "category", "1", "last stage of the case", STAGES),
    Column(
        "defiant",
        "bool",
        "1",
        "target refuses to negotiate under threat, null if never threatened or sanctioned",
        nullable=True,
    ),
    Column(
        "market_access",
        "float32",
        "share of the full demand",
        "market access won, null without agreement",
        nullable=True,
    ),
)
_MONEY = (
    Column("sender_cost", "float32", "bn USD", "sender's cost of sanctions and retaliation, discounted"),
    Column("target_cost", "float32", "bn USD", "target's cost of sanctions and retaliation, discounted"),
    Column("export_gain", "float32", "bn USD", "sender's extra exports from the agreement to the horizon, discounted"),
    Column(
        "balance_change", "float32", "bn USD a year", "change of the sender's bilateral balance at the horizon's rate"
    ),
)
COMMON_COLUMNS = {column.name: column for column in (*_COURSE, *_MONEY)}
"""The columns that tables of all scenarios share, by name, apart from the trial's number and the strategy."""


def columns(scenario: "Scenario") -> tuple[Column, ...]:
    """The columns of a scenario's table of trials, the same for each of its strategies, in order."""
    issues = tuple((issue.name, issue.numerical) for issue in scenario.issues)
    return _columns(tuple(scenario.strategies), issues, scenario.uncertain)


@lru_cache(maxsize=64)
def _columns(
    strategies: tuple[str, ...], issues: tuple[tuple[str, bool], ...], uncertain: tuple[str, ...]
) -> tuple[Column, ...]:
    """The columns by the names of strategies and uncertain parameters, and by the issues, each with `numerical`."""
    return (
        Column("trial", "int64", "1", "global number of the trial, from 0"),
        Column("strategy", "category", "1", "strategy played", strategies),
        *_COURSE,
        *(
            Column(
                f"settled.{name}",
                "float32",
                "share of the full demand",
                "level at which the issue settled, null if open at the end",
                nullable=True,
            )
            for name, _ in issues
        ),
        *(
            Column(f"reframed.{name}", "bool", "1", "issue was reframed as a voluntary plan")
            for name, numerical in issues
            if numerical
        ),
        *_MONEY,
        *(Column(name, "float32", parameter(name).unit, f"drawn: {parameter(name).meaning}") for name in uncertain),
    )


def trial_row(scenario: "Scenario", table: dict[str, np.ndarray], at: int = 0) -> dict[str, object]:
    """A row of a table of trials as plain Python values by column, None for null; all columns but the strategy.

    `table` holds arrays as `sim.model.kernel.simulate` returns them.
    """
    return {
        column.name: _plain(column, table[column.name][at]) for column in columns(scenario) if column.name != "strategy"
    }


def _plain(column: Column, value: np.generic) -> object:
    if column.kind == "float32":
        number = float(np.float32(value))
        return None if np.isnan(number) else number
    if column.nullable and value == NULL:
        return None
    if column.kind == "category":
        return column.categories[int(value)]
    return bool(value) if column.kind == "bool" else int(value)
