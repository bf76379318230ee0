"""Restoring a backup into an empty database and an empty folder of results, while no runner is alive.

The results come first and the rows last, in one transaction, so that a restoration which is interrupted leaves a
database without jobs. A backup of an earlier version of Brink is restored and then brought up to date. The database may
be of the other kind than the one that was backed up.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cluster.results.result_folder import fingerprint
from cluster.service.backup import StoredFile, fetch, read_backup, read_files, read_lines
from cluster.service.jobs import connect, known_versions, open_database, rebuild_tables, tables_version
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput

_MUST_BE_EMPTY = ("jobs", "keys", "scenarios", "audit")
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
    document = read_backup(source)
    if document["tables_version"] not in known_versions():
        message = "holds the backup of a later version of Brink: install that version"
        raise InvalidInput((Fault("folder", source.address, message),))
    engine = connect(url)
    _check_empty(engine)
    present = results.subfolders()
    if present and not keep_results:
        message = f"holds {len(present)} folders of results: it must be empty, unless --keep-results is given"
        raise InvalidInput((Fault("results", results.address, message),))
    files = read_files(source, document)
    kept = _restore_files(source, results, files, set(present), on_progress)
    with tempfile.NamedTemporaryFile(prefix="brink-restore-", suffix=".gz") as rows:
        fetch(source, document["database"], Path(rows.name))
        _restore_rows(engine, document["tables_version"], Path(rows.name), set(document["deleted"]))
    engine.dispose()
    open_database(url).dispose()
    return RestoreReport(
        jobs=document["rows"]["jobs"] - len(document["deleted"]),
        files=len(files),
        bytes=sum(one.bytes for one in files),
        kept_files=kept,
        taken_at=document["taken_at"],
    )


def _check_empty(engine: sa.Engine) -> None:
    """Raise `InvalidInput` if the database holds anything that a restoration would mix with, or a runner is alive."""
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
            if seen is not None and seen > time.time() - _ALIVE_SECONDS:
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


def _restore_rows(engine: sa.Engine, version: str, path: Path, deleted: set[str]) -> None:
    """Insert the rows into tables of their version, all or none."""
    if tables_version(engine) is None:
        open_database(engine.url, version).dispose()
    elif tables_version(engine) != version:
        rebuild_tables(engine, version)
    with engine.begin() as connection:
        for name, lines in groupby(read_lines(path), key=lambda line: line[0]):
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            rows = (row for _, row in lines if name != "jobs" or row["id"] not in deleted)
            for batch in _batches(rows):
                connection.execute(table.insert(), batch)
            if engine.dialect.name == "postgresql" and "id" in table.c and table.c.id.autoincrement is True:
                _continue_numbers(connection, table)


def _continue_numbers(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL's next number follow the highest that was inserted."""
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
    connection.execute(sa.select(sa.func.setval(sequence, highest)).where(highest.is_not(None)))


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        yield batch
