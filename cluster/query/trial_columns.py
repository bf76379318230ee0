"""Columns of committed trials, as the arrays in which the model returned them."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cluster.query.parquet_files import DamagedTrials, ParquetFile, damage_reported, read_row_groups
from cluster.results.plan import Shard
from cluster.results.result_folder import shard_path
from sim.scenario.columns import NULL, Column


def read_columns(
    file: ParquetFile, shard: Shard, columns: Iterable[Column], first: int, count: int
) -> dict[str, np.ndarray]:
    """Columns of `count` trials of a shard, from the trial `first` on, by name, with ``trial`` (int64) among them.

    `file` is the shard's. Raises `OSError`, or `DamagedTrials` if the file does not hold these trials in order.
    """
    wanted = [column for column in columns if column.name != "trial"]
    groups, skipped = _groups(file, first - shard.first, count)
    with damage_reported():
        table = read_row_groups(file, groups, ["trial", *(column.name for column in wanted)]).slice(skipped, count)
        trials = np.asarray(table["trial"])
        if not np.array_equal(trials, np.arange(first, first + count)):
            raise DamagedTrials(f"{shard_path(shard)}: its trials are not {first} and the following ones")
        return {"trial": trials} | {column.name: to_array(column, table[column.name]) for column in wanted}


def _groups(file: ParquetFile, place: int, count: int) -> tuple[list[int], int]:
    """The row groups that hold `count` rows from a place on, and the rows before it in the first of them."""
    rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    ends = np.cumsum(rows)
    low = int(np.searchsorted(ends, place, side="right"))
    high = int(np.searchsorted(ends, place + count, side="left"))
    return list(range(low, min(high + 1, len(rows)))), int(place - (ends[low - 1] if low else 0))


def to_array(column: Column, values: pa.ChunkedArray) -> np.ndarray:
    """A Parquet column as the model's array; null is `NULL`, or NaN in a column of floats."""
    if column.kind == "category":
        parts = [_codes(column, chunk) for chunk in values.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.int32)
    if column.kind == "bool":
        values = values.cast(pa.int8())
    if values.null_count:
        null = np.nan if column.kind == "float32" else NULL
        values = pc.fill_null(values, pa.scalar(null, values.type))
    found = np.asarray(values)
    return found.astype(bool) if column.kind == "bool" and not column.nullable else found


def _codes(column: Column, values: pa.DictionaryArray) -> np.ndarray:
    """The place of each value among the column's categories; each file has a dictionary of its own."""
    places = [column.categories.index(text) for text in values.dictionary.to_pylist()]
    own = np.asarray(pc.fill_null(values.indices, pa.scalar(len(places), values.indices.type)))
    return np.array([*places, NULL], np.int32)[own]
