"""Questions to trials in SQL: DuckDB in bounded memory, and expressions in its words."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from cluster.folders import Folder
from sim.expressions import Expression

MEMORY_LIMIT = "1GB"


@contextmanager
def open_duckdb(folder: Folder | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that can read a folder's files, and spills to disk rather than grow beyond `MEMORY_LIMIT`."""
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        database.execute("SET temp_directory = ?", [scratch])
        database.execute("SET enable_progress_bar = false")
        if folder is not None:
            folder.prepare(database)
        yield database


def evaluate(table: pa.Table, values: Mapping[str, Expression]) -> dict[str, np.ndarray]:
    """The values of expressions over a table of trials in memory, in its order: float64 by name, NaN for null."""
    wanted = [f"({to_sql(value)})::DOUBLE AS v{k}" for k, value in enumerate(values.values())]
    with open_duckdb() as database:
        database.register("played", table)
        columns = database.execute(f"SELECT {', '.join(wanted)} FROM played").fetchnumpy()
    return {name: np.ma.filled(columns[f"v{k}"], np.nan) for k, name in enumerate(values)}


def to_sql(found: Expression) -> str:
    """An expression as DuckDB's SQL. Names are quoted, texts escaped, and truth values are never null."""
    parts = [to_sql(part) for part in found.parts]
    if found.operation == "column":
        name = '"' + str(found.value).replace('"', '""') + '"'
        return f"coalesce({name}, false)" if found.kind == "truth" else name
    if found.operation == "literal":
        if isinstance(found.value, bool | float):
            return str(found.value).lower() if isinstance(found.value, bool) else f"{found.value!r}::DOUBLE"
        return "'" + str(found.value).replace("'", "''") + "'"
    if found.operation == "is null":
        return f"({parts[0]} IS NULL)"
    if found.operation == "in":
        return f"coalesce({parts[0]} IN ({', '.join(parts[1:])}), false)"
    if found.operation == "!=":
        return f"(NOT coalesce({parts[0]} = {parts[1]}, false))"
    if found.operation in ("==", "<", "<=", ">", ">="):
        return f"coalesce({parts[0]} {'=' if found.operation == '==' else found.operation} {parts[1]}, false)"
    if found.operation in ("and", "or"):
        return f"({f' {found.operation.upper()} '.join(parts)})"
    if found.operation == "not":
        return f"(NOT {parts[0]})"
    numbers = [f"({part})::DOUBLE" for part in parts]
    if len(numbers) == 1:
        return f"(-{numbers[0]})"
    return f"({f' {found.operation} '.join(numbers)})"
