"""Restoring a backup into an empty database and an empty folder of results, while no runner is alive.

The results come first and the rows after them, in one transaction, so that a restoration which is interrupted leaves a
database without jobs. Then the store gets the database's identity (`cluster.service.store_identity`). A backup of an
earlier version of Brink is restored and then brought up to date. The database may be of the other kind than the one
that was backed up.

Web processes may be there: what they and the command line have recorded in the audit log since the loss is kept, and
follows the restored records.
"""

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cluster.results.result_folder import fingerprint
from cluster.service.audit import audit
from cluster.service.backup import StoredFile, fetch, read_backup, read_files, read_lines
from cluster.service.jobs import connect, known_versions, open_database, rebuild_tables, tables_version
from cluster.service.store_identity import claim, mark
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput

_MUST_BE_EMPTY = ("jobs", "keys", "scenarios")
_ALIVE_SECONDS = 60.0
_AT_ONCE = 8
_ROWS_AT_ONCE = 50


@dataclass(frozen=True)
class RestoreReport:
    """What was restored; `kept_files` were there already, as the backup has them."""

    jobs: int
    files: int
    bytes: int
    kept_files: int
    taken_at: float


def restore(
    source: Folder,
    url: sa.URL,
    results: Folder,
    *,
    keep_results: bool = False,
    on_progress: Callable[[int, int], object] = lambda *_: None,
) -> RestoreReport:
    """Restore a backup. With `keep_results`, results may be there: files that are as in the backup stay, others are
    replaced, and what the backup does not know stays too.

    Raises `InvalidInput` for a folder without a backup, a database or results that are not empty, and a runner that is
    alive; `OSError` for a damaged backup, before anything is written to the database.
    """
    started = time.time()
    document = read_backup(source)
    if document["tables_version"] not in known_versions():
        message = "holds the backup of a later version of Brink: install that version"
        raise InvalidInput((Fault("folder", source.address, message),))
    engine = connect(url)
    _check_empty(engine, started)
    present = results.subfolders()
    if present and not keep_results:
        message = f"holds {len(present)} folders of results: it must be empty, unless --keep-results is given"
        raise InvalidInput((Fault("results", results.address, message),))
    files = read_files(source, document)
    # Until the end the results belong to no database: a runner that starts too early removes nothing.
    mark(results, uuid.uuid4().hex)
    kept = _restore_files(source, results, files, set(present), on_progress)
    with tempfile.NamedTemporaryFile(prefix="brink-restore-", suffix=".gz") as rows:
        fetch(source, document["database"], Path(rows.name))
        # Copying the results may have taken hours.
        _check_empty(engine, started)
        later = _make_tables(engine, document["tables_version"])
        _restore_rows(engine, Path(rows.name), set(document["deleted"]))
    engine.dispose()
    database = open_database(url)
    if later:
        with database.begin() as connection:
            connection.execute(audit.insert(), later)
    claim(database, results)
    database.dispose()
    return RestoreReport(
        jobs=document["rows"]["jobs"] - len(document["deleted"]),
        files=len(files),
        bytes=sum(one.bytes for one in files),
        kept_files=kept,
        taken_at=document["taken_at"],
    )


def _check_empty(engine: sa.Engine, started: float) -> None:
    """Raise `InvalidInput` if the database holds anything that a restoration would mix with, or a runner is alive.

    A runner counts as alive if it was seen in the minute before the restoration `started`, or since: it would remove
    the results, of which no job is known yet.
    """
    present = set(sa.inspect(engine).get_table_names())
    with engine.connect() as connection:
        for name in _MUST_BE_EMPTY:
            if name in present:
                count = connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one()
                if count:
                    message = f"names a database that is not empty: {count} rows in the table {name}"
                    raise InvalidInput((Fault("BRINK_DATABASE_URL", None, message),))
        if "runners" in present:
            seen = connection.execute(sa.text("SELECT max(seen_at) FROM runners")).scalar()
            if seen is not None and seen > started - _ALIVE_SECONDS:
                message = "names a database that a runner works with: end all runners, and wait a minute"
                raise InvalidInput((Fault("BRINK_DATABASE_URL", None, message),))


def _restore_files(
    source: Folder,
    results: Folder,
    files: list[StoredFile],
    present: set[str],
    on_progress: Callable[[int, int], object],
) -> int:
    """Copy the files of the results. Returns how many were there already."""
    results.create()
    sizes: dict[tuple[str, str], int] = {}
    for job in sorted({one.job for one in files}):
        folder = results.within(job)
        if job in present:
            sizes |= {(job, entry.name): entry.bytes for entry in folder.entries()}
        folder.create()

    def one_file(one: StoredFile) -> bool:
        folder = results.within(one.job)
        if sizes.get((one.job, one.name)) == one.bytes:
            with folder.open(one.name) as file:
                if fingerprint(file) == (one.bytes, one.sha256):
                    return True
        draft = folder.draft(Path(one.name).suffix)
        try:
            fetch(source, one.sha256, draft)
            folder.commit(draft, one.name)
        finally:
            draft.unlink(missing_ok=True)
        return False

    kept = 0
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for done, was_there in enumerate(threads.map(one_file, files), 1):
            kept += was_there
            on_progress(done, len(files))
    for job in {one.job for one in files}:
        results.within(job).remove_drafts()
    return kept


def _make_tables(engine: sa.Engine, version: str) -> list[dict[str, Any]]:
    """Make empty tables of some version. Returns the records of an audit log that was there in another version."""
    present = tables_version(engine)
    if present is None:
        open_database(engine.url, version).dispose()
    if present in (None, version):
        return []
    records: list[dict[str, Any]] = []
    if "audit" in sa.inspect(engine).get_table_names():
        columns = [column for column in audit.c if column is not audit.c.id]
        with engine.connect() as connection:
            query = sa.select(*columns).order_by(audit.c.id)
            records = [dict(row._mapping) for row in connection.execute(query)]
    rebuild_tables(engine, version)
    return records


def _restore_rows(engine: sa.Engine, path: Path, deleted: set[str]) -> None:
    """Insert the rows into tables of their version, all or none."""
    with engine.begin() as connection:
        shift = _shift_of_audit(connection, path)
        for name, lines in groupby(read_lines(path), key=lambda line: line[0]):
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            rows = (row for _, row in lines if name != "jobs" or row["id"] not in deleted)
            if name == "audit" and shift:
                rows = ({**row, "id": row["id"] - shift} for row in rows)
            for batch in _batches(rows):
                connection.execute(table.insert(), batch)
            if engine.dialect.name == "postgresql" and "id" in table.c and table.c.id.autoincrement is True:
                _continue_numbers(connection, table)


def _shift_of_audit(connection: sa.Connection, path: Path) -> int:
    """How much lower the numbers of restored audit records are, so that they precede those that are there.

    From here on nobody else writes to the audit log until the transaction ends.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if "audit" not in sa.inspect(connection).get_table_names():
        return 0
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")
    lowest = connection.execute(sa.select(sa.func.min(audit.c.id))).scalar()
    if lowest is None:
        return 0
    highest: int = max((row["id"] for name, row in read_lines(path) if name == "audit"), default=0)
    return max(0, highest - int(lowest) + 1)


def _continue_numbers(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL's next number follow the highest that was inserted."""
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
    connection.execute(sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None)))


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        yield batch
