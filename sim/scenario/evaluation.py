"""The values of expressions over a table of trials in memory, as `sim.model.kernel.simulate` returns it.

`cluster.query.session.to_sql` gives the same expressions as SQL for stored trials; both follow the rules of
`sim.scenario.expressions`, and a property test compares them.
"""

from collections.abc import Mapping

import numpy as np

from sim.scenario.columns import NULL, Column
from sim.scenario.expressions import NUMBER, TEXT, TRUTH, Expression

Table = Mapping[str, np.ndarray]
Columns = Mapping[str, Column]
_ARITHMETIC = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}
_COMPARISONS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def evaluate(found: Expression, table: Table, columns: Columns) -> np.ndarray:
    """The value of an expression in each trial: bool for a condition, float64 for a number, with NaN for null.

    `table` holds one array a column, all of one length, and `columns` describes those that the expression reads.
    Raises `ValueError` for an expression that is a text.
    """
    if found.kind == TEXT:
        raise ValueError(f"{found} is a text, neither a number nor a condition")
    rows = len(next(iter(table.values())))
    with np.errstate(all="ignore"):
        value = _truth(found, table, columns) if found.kind == TRUTH else _number(found, table, columns)
    return np.broadcast_to(value, (rows,))


def _number(found: Expression, table: Table, columns: Columns) -> np.ndarray:
    """A number; a condition counts as 0 or 1."""
    if found.kind == TRUTH:
        return _truth(found, table, columns).astype(np.float64)
    if found.operation == "literal":
        return np.asarray(found.value, np.float64)
    if found.operation == "column":
        values = table[str(found.value)]
        numbers = values.astype(np.float64)
        if columns[str(found.value)].nullable and values.dtype.kind != "f":
            numbers[values == NULL] = np.nan
        return numbers
    parts = [_number(part, table, columns) for part in found.parts]
    return -parts[0] if len(parts) == 1 else np.asarray(_ARITHMETIC[found.operation](*parts))


def _truth(found: Expression, table: Table, columns: Columns) -> np.ndarray:
    """A condition; null counts as false."""
    operation, parts = found.operation, found.parts
    if operation == "literal":
        return np.asarray(found.value, np.bool_)
    if operation == "column":
        return np.asarray(table[str(found.value)] == 1)
    if operation == "not":
        return np.logical_not(_truth(parts[0], table, columns))
    if operation in ("and", "or"):
        every = [_truth(part, table, columns) for part in parts]
        joined = every[0]
        for one in every[1:]:
            joined = joined & one if operation == "and" else joined | one
        return joined
    if operation == "is null":
        return _null(parts[0], table, columns)
    if operation == "==":
        return _equal(parts[0], parts[1], table, columns)
    if operation == "!=":
        return np.logical_not(_equal(parts[0], parts[1], table, columns))
    if operation == "in":
        matches = [_equal(parts[0], choice, table, columns) for choice in parts[1:]]
        return np.logical_or.reduce(np.broadcast_arrays(*matches))
    left, right = (_number(part, table, columns) for part in parts)
    return np.asarray(_COMPARISONS[operation](left, right))


def _equal(left: Expression, right: Expression, table: Table, columns: Columns) -> np.ndarray:
    """Whether two values of one kind are the same and neither is null."""
    if left.kind == NUMBER:
        return np.asarray(_number(left, table, columns) == _number(right, table, columns))
    if left.kind == TEXT and (left.operation, right.operation) == ("column", "literal"):
        categories, values = columns[str(left.value)].categories, table[str(left.value)]
        return np.asarray(values == categories.index(str(right.value)) if right.value in categories else np.False_)
    read = _text if left.kind == TEXT else _truth
    same = np.asarray(read(left, table, columns) == read(right, table, columns))
    return same & ~_null(left, table, columns) & ~_null(right, table, columns)


def _text(found: Expression, table: Table, columns: Columns) -> np.ndarray:
    """A text; the value where it is null has no meaning."""
    if found.operation == "literal":
        return np.asarray(str(found.value))
    return np.asarray(columns[str(found.value)].categories)[table[str(found.value)]]


def _null(found: Expression, table: Table, columns: Columns) -> np.ndarray:
    """Where a value is null, or undefined such as 0 / 0."""
    if found.operation == "column":
        column, values = columns[str(found.value)], table[str(found.value)]
        if column.nullable:
            return np.isnan(values) if values.dtype.kind == "f" else np.asarray(values == NULL)
    elif found.kind == NUMBER:
        return np.isnan(_number(found, table, columns))
    return np.asarray(False)
