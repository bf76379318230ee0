"""Trials as Arrow tables: the schema of a shard's Parquet file, made from the model's columns."""

import numpy as np
import pyarrow as pa

from cluster.results.arrow_arrays import of_numbers, of_texts, of_truths
from sim.scenario.columns import NULL, Column, columns
from sim.scenario.scenario import Scenario

PARTITION_COLUMN = "strategy"
"""The column that is stored in a file's folder name instead of in the file."""

_TYPES = {
    "int64": pa.int64(),
    "int16": pa.int16(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "category": pa.dictionary(pa.int8(), pa.string()),
}


def table_columns(scenario: Scenario) -> list[Column]:
    """The columns that a shard's file holds, in order."""
    return [column for column in columns(scenario) if column.name != PARTITION_COLUMN]


def table_schema(scenario: Scenario, metadata: dict[str, str]) -> pa.Schema:
    """The Arrow schema of a scenario's trials; each field's metadata carries its unit and description."""
    fields = [
        pa.field(
            column.name,
            _TYPES[column.kind],
            nullable=column.nullable,
            metadata={"unit": column.unit, "description": column.meaning},
        )
        for column in table_columns(scenario)
    ]
    return pa.schema(fields, metadata=metadata)


def to_table(scenario: Scenario, schema: pa.Schema, arrays: dict[str, np.ndarray]) -> pa.Table:
    """Arrays as `sim.model.kernel.simulate` returns them, as an Arrow table, which may share their memory."""
    return pa.table([_to_arrow(column, arrays[column.name]) for column in table_columns(scenario)], schema=schema)


def _to_arrow(column: Column, values: np.ndarray) -> pa.Array:
    null = None
    if column.nullable:
        null = np.isnan(values) if values.dtype.kind == "f" else values == NULL
    if column.kind == "category":
        codes = of_numbers(values.astype(np.int8, copy=False), null)
        return pa.DictionaryArray.from_arrays(codes, of_texts(column.categories))
    if column.kind == "bool":
        return of_truths(values, null)
    return of_numbers(values.astype(column.kind, copy=False), null)
