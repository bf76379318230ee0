"""Queries over trials: DuckDB with bounded memory, and expressions as SQL."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import duckdb

from cluster.query.parquet_files import readable
from cluster.storage.base import Folder
from sim.scenario.expressions import TRUTH, Expression

MEMORY_LIMIT = "1GB"
SPILL_LIMIT = "20GB"
_INTERRUPT_SECONDS = 0.1
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
_cancelled: ContextVar[threading.Event | None] = ContextVar("cancelled", default=None)


class QueryLimit(RuntimeError):
    """A query needs more time or memory than is allowed."""


class QueryCancelled(RuntimeError):
    """Whoever asked no longer waits for the answer."""


@contextmanager
def cancelled_by(event: threading.Event) -> Iterator[None]:
    """Queries within the block end with `QueryCancelled` soon after an event is set."""
    token = _cancelled.set(event)
    try:
        yield
    finally:
        _cancelled.reset(token)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Queries within the block take at most `seconds` together, or end with `QueryLimit`."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float | None:
    """The time that is left of the time limit, if there is one."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - time.monotonic()


def check_time() -> None:
    """Raise `QueryLimit` if the time limit, if any, has passed, and `QueryCancelled` if nobody waits any more."""
    cancelled = _cancelled.get()
    if cancelled is not None and cancelled.is_set():
        raise QueryCancelled("nobody waits for the answer any more")
    deadline = _deadline.get()
    if deadline is not None and time.monotonic() > deadline:
        raise QueryLimit("the query takes longer than allowed: request less, or use fewer trials")


@contextmanager
def open_duckdb(folder: Folder | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that can read a folder's files and nothing else, and spills to disk beyond `MEMORY_LIMIT`.

    Queries read Parquet files of the folder by ``FROM committed(?)`` with a list of their names. Raises `QueryLimit`
    where `SPILL_LIMIT` or the time limit is not enough, and whatever `readable` raises.
    """
    check_time()
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        database.execute("SET temp_directory = ?", [scratch])
        database.execute(f"SET max_temp_directory_size = '{SPILL_LIMIT}'")
        database.execute("SET enable_progress_bar = false")
        database.execute("SET autoinstall_known_extensions = false")
        database.execute("SET autoload_known_extensions = false")
        with nullcontext() if folder is None else readable(folder, database, scratch):
            # No query can read another file or raise these limits.
            database.execute("SET enable_external_access = false")
            database.execute("SET lock_configuration = true")
            with _interrupted_in_time(database):
                try:
                    yield database
                except duckdb.OutOfMemoryException:
                    message = f"the query needs more than {MEMORY_LIMIT} of memory and {SPILL_LIMIT} of disk"
                    raise QueryLimit(f"{message}: request less, or use fewer trials") from None
                except duckdb.InterruptException:
                    check_time()
                    raise


@contextmanager
def _interrupted_in_time(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Interrupt a DuckDB connection when the time limit, if any, has passed."""
    deadline, cancelled = _deadline.get(), _cancelled.get()
    if deadline is None and cancelled is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_INTERRUPT_SECONDS):
            late = deadline is not None and time.monotonic() >= deadline
            if late or (cancelled is not None and cancelled.is_set()):
                database.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def to_sql(found: Expression) -> str:
    """An expression as DuckDB's SQL. Names are quoted, texts escaped, and truth values are never null."""
    parts = [to_sql(part) for part in found.parts]
    if found.operation == "column":
        return f"coalesce({_name(found)}, false)" if found.kind == TRUTH else _name(found)
    if found.operation == "literal":
        if isinstance(found.value, bool | float):
            return str(found.value).lower() if isinstance(found.value, bool) else f"{found.value!r}::DOUBLE"
        return sql_text(str(found.value))
    if found.operation in ("is null", "in", "!=", "==", "<", "<=", ">", ">="):
        return _compared(found.operation, [_nullable(part) for part in found.parts])
    if found.operation in ("and", "or"):
        return f"({f' {found.operation.upper()} '.join(parts)})"
    if found.operation == "not":
        return f"(NOT {parts[0]})"
    numbers = [f"({part})::DOUBLE" for part in parts]
    if len(numbers) == 1:
        return f"(-{numbers[0]})"
    return f"({f' {found.operation} '.join(numbers)})"


def sql_text(value: str) -> str:
    """A text as a literal in DuckDB's SQL."""
    return "'" + value.replace("'", "''") + "'"


def _compared(operation: str, parts: list[str]) -> str:
    if operation == "is null":
        return f"({parts[0]} IS NULL)"
    if operation == "in":
        return f"coalesce({parts[0]} IN ({', '.join(parts[1:])}), false)"
    if operation == "!=":
        return f"(NOT coalesce({parts[0]} = {parts[1]}, false))"
    return f"coalesce({parts[0]} {'=' if operation == '==' else operation} {parts[1]}, false)"


def _nullable(found: Expression) -> str:
    """The operand of a comparison: null where a column is null, and where a number is undefined (0 / 0)."""
    if found.operation == "column":
        return _name(found)
    # DuckDB treats NaN as the greatest number, equal to itself.
    return f"nullif({to_sql(found)}, 'NaN'::DOUBLE)" if found.operation in ("+", "-", "*", "/") else to_sql(found)


def _name(column: Expression) -> str:
    return '"' + str(column.value).replace('"', '""') + '"'
