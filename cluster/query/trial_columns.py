"""Columns of committed trials, as the arrays in which the model returned them."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from cluster.query.parquet_files import DamagedTrials, ParquetFile, damage_reported, read_row_groups
from cluster.results.arrow_arrays import content, is_null
from cluster.results.plan import Shard
from cluster.results.result_folder import shard_path
from sim.scenario.columns import NULL, Column

_TRIAL = Column("trial", "int64", "1", "global number of the trial, from 0")


def read_columns(
    file: ParquetFile, shard: Shard, columns: Iterable[Column], first: int, count: int
) -> dict[str, np.ndarray]:
    """Columns of `count` trials of a shard, from the trial `first` on, by name, with ``trial`` (int64) among them.

    `file` is the shard's. Raises `OSError`, or `DamagedTrials` if the file does not hold these trials in order.
    """
    wanted = [column for column in columns if column.name != "trial"]
    groups, skipped = row_groups_of(file, first - shard.first, count)
    with damage_reported():
        table = read_row_groups(file, groups, ["trial", *(column.name for column in wanted)]).slice(skipped, count)
        trials = to_array(_TRIAL, table["trial"])
        if not np.array_equal(trials, np.arange(first, first + count)):
            raise DamagedTrials(f"{shard_path(shard)}: its trials are not {first} and the following ones")
        return {"trial": trials} | {column.name: to_array(column, table[column.name]) for column in wanted}


def row_groups_of(file: ParquetFile, place: int, count: int) -> tuple[list[int], int]:
    """The row groups that hold `count` rows from a place on, and the rows before it in the first of them."""
    rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    ends = np.cumsum(rows)
    low = int(np.searchsorted(ends, place, side="right"))
    high = int(np.searchsorted(ends, place + count, side="left"))
    return list(range(low, min(high + 1, len(rows)))), int(place - (ends[low - 1] if low else 0))


def no_trials(columns: Iterable[Column]) -> dict[str, np.ndarray]:
    """Columns of no trials, by name, as `read_columns` has them."""
    kinds = {"category": "int8", "bool": "bool"}
    return {
        column.name: np.empty(
            0, np.int8 if column.kind == "bool" and column.nullable else kinds.get(column.kind, column.kind)
        )
        for column in columns
    }


def to_array(column: Column, values: pa.ChunkedArray) -> np.ndarray:
    """A Parquet column as the model's array; null is `NULL`, or NaN in a column of floats."""
    parts = [_codes(column, chunk) if column.kind == "category" else _filled(column, chunk) for chunk in values.chunks]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _codes(column: Column, values: pa.DictionaryArray) -> np.ndarray:
    """The place of each value among the column's categories; each file has a dictionary of its own."""
    places = np.array([column.categories.index(text) for text in values.dictionary.to_pylist()] or [NULL], np.int8)
    null = is_null(values.indices)
    return np.where(null, NULL, places[np.where(null, 0, content(values.indices))]).astype(np.int8)


def _filled(column: Column, values: pa.Array) -> np.ndarray:
    found = content(values)
    if not column.nullable:
        return found
    # Truth values that may be null are numbers.
    known = found.astype(np.int8) if column.kind == "bool" else found
    return np.where(is_null(values), known.dtype.type(np.nan if column.kind == "float32" else NULL), known)
