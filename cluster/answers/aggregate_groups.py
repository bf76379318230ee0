"""What `aggregate` groups by: an expression's values as they are, or bins."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Annotated, Protocol

import numpy as np
from pydantic import ConfigDict, Field

from cluster.answers.entry import Result, Text
from sim.faults import Fault, InvalidInput
from sim.scenario.columns import NULL, Column, columns
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import NUMBER, TEXT, Expression, parse_expression
from sim.scenario.scenario import Scenario

MAX_GROUPS = 10_000
MAX_BINS = 1000
STRATEGY = "strategy"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
Name = Annotated[str, Field(max_length=64)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Grouping(Result):
    """Something to group by: an expression's values as they are, or in bins.

    Bins are set by one of three fields: `bins` (their number, all of equal width between the least and the greatest
    value), `quantiles` (their number, each with about the same number of trials) and `edges` (in increasing order). A
    bin includes its lower edge but not its upper one; the last bin includes both. Values below the first edge, values
    above the last, and nulls each form a group of their own.
    """

    model_config = ConfigDict(frozen=True)

    value: Annotated[Text, Field(description="An expression over the columns, or strategy.")]
    name: Annotated[Name | None, Field(description="The name of its column in the result.")] = None
    bins: Annotated[int | None, Field(strict=True, description="The number of bins of equal width.")] = None
    quantiles: Annotated[
        int | None, Field(strict=True, description="The number of bins with about the same number of trials each.")
    ] = None
    edges: Annotated[
        tuple[Number, ...] | None, Field(max_length=MAX_BINS + 1, description="Bins with these edges.")
    ] = None

    @property
    def label(self) -> str:
        """The name of its column in the result."""
        return self.name or self.value


@dataclass(frozen=True)
class GroupKey:
    """A grouping: by the values of an expression, or by strategy if `value` is None, or by bins between `edges`.

    It has at most `most` groups.
    """

    label: str
    value: Expression | None
    kind: str
    unit: str
    most: int
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] | None = None

    def codes(self, strategy: str, table: Mapping[str, np.ndarray], columns: Mapping[str, Column]) -> np.ndarray:
        """The group of each trial of a strategy, int64 from 0 in the order of the groups; the last is that of nulls."""
        if self.value is None:
            return np.asarray(self.categories.index(strategy), np.int64)
        if self.edges is not None:
            number = evaluate(self.value, table, columns).astype(np.float64)
            code = np.searchsorted(self.edges, number, side="right")
            code[number == self.edges[-1]] -= 1
            return np.where(np.isnan(number), self.most - 1, code)
        if self.value.operation == "column":
            own = table[str(self.value.value)].astype(np.int64)
            return np.where(own == NULL, self.most - 1, own) if columns[str(self.value.value)].nullable else own
        if self.kind == "text":
            return np.asarray(0, np.int64)
        return evaluate(self.value, table, columns).astype(np.int64)

    def value_of(self, code: int) -> object:
        """The value of a group of `codes`, None for null."""
        if code == self.most - 1:
            return None
        return self.categories[code] if self.kind == "text" else bool(code) if self.kind == "truth" else code

    def columns(self) -> list[tuple[str, str, str]]:
        """The columns of the result that it makes, each with its name, kind and unit."""
        ends = [self.label] if self.edges is None else [f"{self.label}.low", f"{self.label}.high"]
        return [(end, self.kind, self.unit) for end in ends]

    def cells(self, found: object) -> list[object]:
        """The cells of the result for a value that the query returned."""
        if self.edges is None:
            return [found]
        if found is None:
            return [None, None]
        bounds = (None, *self.edges, None)
        return [bounds[int(str(found))], bounds[int(str(found)) + 1]]


def bad_name(field: str, name: str | None) -> Fault:
    """The fault of a name that cannot be that of a column."""
    return Fault(field, name, "must be a name of at most 64 letters, digits and _ . -")


def group_key(
    grouping: Grouping,
    field: str,
    strategies: Sequence[str],
    scenario: Scenario,
    values: "Values",
) -> GroupKey:
    """A grouping as it is computed. `values` finds those on which edges depend.

    Raises `InvalidInput` for a value that cannot be grouped by.
    """
    ways = [name for name in ("bins", "quantiles", "edges") if getattr(grouping, name) is not None]
    if len(ways) > 1:
        raise InvalidInput(
            (Fault(field, None, f"must have one of bins, quantiles and edges, not {' and '.join(ways)}"),)
        )
    if grouping.value == STRATEGY and not ways:
        return _category(grouping.label, None, strategies)
    found = parse_expression(grouping.value, scenario, field)
    own = _own_column(found, scenario)
    unit = own.unit if own else "1"
    if ways:
        if found.kind != NUMBER:
            raise InvalidInput((Fault(field, grouping.value, f"must be a number to be put into {ways[0]}"),))
        edges = _edges(grouping, field, found, values)
        return GroupKey(grouping.label, found, "number", unit, len(edges) + 2, edges=edges)
    if found.kind == TEXT:
        return _category(grouping.label, found, own.categories if own else (str(found.value),))
    if found.kind == NUMBER and (own is None or own.kind != "int16"):
        message = "has too many values for a group each; put it into bins, quantiles or edges"
        raise InvalidInput((Fault(field, grouping.value, message),))
    if found.kind == NUMBER:
        return GroupKey(grouping.label, found, "whole", unit, scenario.horizon_weeks + 2)
    return GroupKey(grouping.label, found, "truth", unit, 3)


def _category(label: str, value: Expression | None, categories: Sequence[str]) -> GroupKey:
    return GroupKey(label, value, "text", "1", len(categories) + 1, tuple(categories))


def _own_column(found: Expression, scenario: Scenario) -> Column | None:
    """The column that an expression consists of, if it is a column alone."""
    known = {column.name: column for column in columns(scenario)}
    return known[str(found.value)] if found.operation == "column" else None


class Values(Protocol):
    """The known values of an expression in the trials that an answer is about."""

    def extent(self, value: Expression) -> tuple[int, float, float]:
        """Their number, the least and the greatest."""

    def quantiles(self, value: Expression, levels: Sequence[float]) -> list[float]:
        """The smallest value whose share is at least each level."""


def _edges(grouping: Grouping, field: str, value: Expression, values: Values) -> tuple[float, ...]:
    if grouping.edges is not None:
        edges = tuple(float(edge) for edge in grouping.edges)
        rising = all(a < b for a, b in pairwise(edges))
        if not rising or not all(map(isfinite, edges)) or not 2 <= len(edges) <= MAX_BINS + 1:
            message = f"must be from 2 to {MAX_BINS + 1} numbers, each greater than the one before"
            raise InvalidInput((Fault(f"{field}.edges", list(edges)[:10], message),))
        return edges
    way, count = ("bins", grouping.bins) if grouping.bins is not None else ("quantiles", grouping.quantiles)
    if count is None or not 1 <= count <= MAX_BINS:
        raise InvalidInput((Fault(f"{field}.{way}", count, f"must be from 1 to {MAX_BINS}"),))
    known, least, greatest = values.extent(value)
    if not known:
        return (0.0, 1.0)
    if way == "bins":
        inner = np.linspace(least, greatest, count + 1)[1:-1].tolist()
    else:
        inner = values.quantiles(value, [k / count for k in range(1, count)]) if count > 1 else []
    # A value that many trials share would be several edges, with empty bins between them.
    edges = tuple(sorted({least, *map(float, inner), greatest}))
    return edges if len(edges) > 1 else (least, np.nextafter(least, np.inf).item())


def check_group_count(keys: Sequence[GroupKey], groups: int) -> None:
    """Raise `InvalidInput` for more groups than `MAX_GROUPS`."""
    if groups > MAX_GROUPS:
        message = f"makes more than {MAX_GROUPS:,} groups: use fewer or wider bins, or a condition"
        raise InvalidInput((Fault("by", ", ".join(key.label for key in keys), message),))
