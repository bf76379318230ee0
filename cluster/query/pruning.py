"""Which row groups of a file can have trials for which a condition holds, by the statistics in the file's footer.

A condition is evaluated over ranges of values instead of values: each number lies between two bounds and may be null,
and a condition can be true, can be false, or both. Where a condition cannot be true, the trials need not be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

import pyarrow.parquet as pq

from cluster.query.parquet_files import ParquetFile
from sim.scenario.expressions import NUMBER, TEXT, TRUTH, Expression


@dataclass(frozen=True)
class Bounds:
    """What is known of some values: the least and the greatest number, and whether any is or all are null.

    `least` is above `greatest` where all are null.
    """

    least: float = -inf
    greatest: float = inf
    null: bool = True

    @property
    def known(self) -> bool:
        """Whether any value may be known."""
        return self.least <= self.greatest


ANYTHING = Bounds()
_NOTHING = Bounds(inf, -inf)


@dataclass(frozen=True)
class _Truth:
    """Whether a condition can be true, and can be false."""

    true: bool
    false: bool


_UNKNOWN = _Truth(true=True, false=True)


def may_hold(condition: Expression, bounds: Mapping[str, Bounds]) -> bool:
    """Whether a condition can be true of trials with these bounds of columns; a column without any can be anything."""
    return _truth(condition, bounds).true


def bounds_of(file: ParquetFile, groups: Sequence[int], columns: Sequence[str]) -> dict[str, Bounds]:
    """The bounds of columns in row groups of a file, of those columns of which the file has statistics of numbers."""
    places = {file.metadata.schema.column(k).path: k for k in range(file.metadata.num_columns)}
    found = {}
    for name in columns:
        if name not in places:
            continue
        parts = [_bounds(file.metadata.row_group(group).column(places[name])) for group in groups]
        found[name] = Bounds(
            min((one.least for one in parts), default=inf),
            max((one.greatest for one in parts), default=-inf),
            any(one.null for one in parts),
        )
    return found


def _bounds(chunk: pq.ColumnChunkMetaData) -> Bounds:
    statistics = chunk.statistics
    if statistics is None:
        return ANYTHING
    # A number that is not one is not counted among the nulls.
    null = chunk.physical_type in ("FLOAT", "DOUBLE") or not statistics.has_null_count or statistics.null_count > 0
    if statistics.has_null_count and statistics.null_count == chunk.num_values:
        return _NOTHING
    if not statistics.has_min_max or not isinstance(statistics.min, int | float):
        return ANYTHING
    return Bounds(float(statistics.min), float(statistics.max), null)


def _truth(found: Expression, bounds: Mapping[str, Bounds]) -> _Truth:
    """A condition; null counts as false."""
    operation, parts = found.operation, found.parts
    if operation == "literal":
        return _Truth(bool(found.value), not found.value)
    if operation == "column":
        own = bounds.get(str(found.value), ANYTHING)
        return _Truth(own.known and own.greatest >= 1.0, own.null or own.least < 1.0)
    if operation == "not":
        only = _truth(parts[0], bounds)
        return _Truth(only.false, only.true)
    if operation in ("and", "or"):
        every = [_truth(part, bounds) for part in parts]
        trues, falses = [one.true for one in every], [one.false for one in every]
        return _Truth(all(trues), any(falses)) if operation == "and" else _Truth(any(trues), all(falses))
    if operation == "is null":
        own = _values(parts[0], bounds)
        return _Truth(own.null, own.known)
    if operation == "in":
        every = [_equal(parts[0], one, bounds) for one in parts[1:]]
        return _Truth(any(one.true for one in every), all(one.false for one in every))
    if operation in ("==", "!="):
        same = _equal(parts[0], parts[1], bounds)
        return same if operation == "==" else _Truth(same.false, same.true)
    left, right = (_values(part, bounds) for part in parts)
    if operation in (">", ">="):
        left, right = right, left
    null = left.null or right.null
    if not (left.known and right.known):
        return _Truth(true=False, false=True)
    if operation in ("<", ">"):
        return _Truth(left.least < right.greatest, null or left.greatest >= right.least)
    return _Truth(left.least <= right.greatest, null or left.greatest > right.least)


def _equal(left: Expression, right: Expression, bounds: Mapping[str, Bounds]) -> _Truth:
    """Whether two values of one kind can be the same, and can differ or be null."""
    a, b = (_values(part, bounds) for part in (left, right))
    if not (a.known and b.known):
        return _Truth(true=False, false=True)
    if left.kind != NUMBER:
        return _UNKNOWN
    overlap = a.least <= b.greatest and b.least <= a.greatest
    one_value = a.least == a.greatest == b.least == b.greatest
    return _Truth(overlap, not one_value or a.null or b.null)


def _values(found: Expression, bounds: Mapping[str, Bounds]) -> Bounds:
    """The bounds of an operand: of a number; of a truth value as 0 and 1; of a text only whether it can be null."""
    if found.operation == "column":
        own = bounds.get(str(found.value), ANYTHING)
        return own if found.kind == NUMBER or not own.known else Bounds(0.0, 1.0, own.null)
    if found.kind == TEXT:
        return Bounds(null=False)
    if found.kind == TRUTH:
        truth = _truth(found, bounds)
        return Bounds(0.0 if truth.false else 1.0, 1.0 if truth.true else 0.0, null=False)
    if found.operation == "literal":
        value = float(found.value)  # type: ignore[arg-type]
        return Bounds(value, value, null=False)
    parts = [_values(part, bounds) for part in found.parts]
    if not all(one.known for one in parts):
        return _NOTHING
    if len(parts) == 1:
        return Bounds(-parts[0].greatest, -parts[0].least, parts[0].null)
    return _computed(found.operation, *parts)


def _computed(operation: str, a: Bounds, b: Bounds) -> Bounds:
    """The bounds of a sum, difference, product or quotient. Rounding keeps the order of numbers, and so of bounds."""
    if operation == "/" and b.least <= 0.0 <= b.greatest:
        return ANYTHING
    pairs = [(x, y) for x in (a.least, a.greatest) for y in (b.least, b.greatest)]
    if operation == "+":
        ends = [a.least + b.least, a.greatest + b.greatest]
    elif operation == "-":
        ends = [a.least - b.greatest, a.greatest - b.least]
    elif operation == "*":
        ends = [x * y for x, y in pairs]
    else:
        ends = [x / y for x, y in pairs]
    if any(isnan(end) for end in ends):
        return ANYTHING
    # A sum, difference or product of infinite numbers can be undefined.
    infinite = any(abs(end) == inf for end in (*ends, a.least, a.greatest, b.least, b.greatest))
    return Bounds(min(ends), max(ends), a.null or b.null or infinite)
