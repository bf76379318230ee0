"""Backups of the jobs database and the results together, taken while the service runs.

A backup is a folder, or a prefix of a bucket::

    backup.json                 what it holds, written last: before, the folder holds the previous backup, or none
    objects/ab/abcd...          contents by their SHA-256: files of results, the rows of the database, the list of files

The rows are read in one transaction, so that they are those of one instant. The results are copied afterwards. A file
of a job that had ended never changes; a job that had not ended is continued from whatever files there are. So both
agree, whatever the service does meanwhile. Contents that an earlier backup in the same folder has are not copied again,
and those that no longer belong to it are removed at the end.

Left out are sessions, so that nobody is signed in again by a restored backup, the runners, maintenance, and the
identity of database and store: a restored database has its own, and the lost one, should it return, removes nothing.
"""

import gzip
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from cluster.results.result_folder import read_manifest
from cluster.service.jobs import ENDED, connect, tables_version
from cluster.storage.base import CHUNK_BYTES, Entry, Folder
from cluster.storage.local import LocalFolder
from sim.faults import Fault, InvalidInput

BACKUP, OBJECTS, FORMAT = "backup.json", "objects", 1
LEFT_OUT = ("alembic_version", "sessions", "runners", "maintenance", "store_identity")
"""Tables that are not backed up."""
_AT_ONCE = 8
"""Files copied at a time."""
_ROWS_AT_ONCE = 50
"""Rows in memory at a time; a job's row may hold a megabyte."""


class StoredFile(NamedTuple):
    """A file of a job's results in a backup; `tag` is what its store said of its content when it was copied."""

    job: str
    name: str
    bytes: int
    tag: str
    sha256: str


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds, and what of it was copied this time.

    `damaged` names files of ended jobs that are missing or differ from their manifest; they are not in the backup.
    """

    jobs: int
    files: int
    bytes: int
    copied_files: int
    copied_bytes: int
    damaged: tuple[str, ...]


def back_up(
    url: sa.URL, results: Folder, target: Folder, on_progress: Callable[[int, int], object] = lambda *_: None
) -> BackupReport:
    """Back up the jobs database and the results to a folder that is empty or holds an earlier backup.

    `on_progress` gets the number of files done and of all files. Raises `InvalidInput` for a database without tables
    and an unsuitable target, and `OSError` for a store that fails; the earlier backup is then as it was.
    """
    engine = connect(existing(url))
    schema = tables_version(engine)
    if schema is None:
        raise InvalidInput((Fault("BRINK_DATABASE_URL", None, "names a database without the tables of Brink"),))
    objects = _objects_of(target, results)
    target.create()
    target.remove_drafts()
    copy = _Copy(results, target, objects, _earlier(target))
    with tempfile.NamedTemporaryFile(prefix="brink-backup-", suffix=".gz") as dump:
        counted, states = _dump_rows(engine, Path(dump.name))
        rows = copy.put(Path(dump.name))
    files, damaged = copy.jobs(states, on_progress)
    deleted = sorted(set(states) - _job_ids(engine))
    files = [one for one in files if one.job not in set(deleted)]
    with tempfile.NamedTemporaryFile(prefix="brink-backup-", suffix=".gz") as listing:
        write_lines(Path(listing.name), files)
        listed = copy.put(Path(listing.name))
    document = {
        "format": FORMAT,
        "brink": version("brink"),
        "taken_at": time.time(),
        "tables_version": schema,
        "rows": counted,
        "database": rows,
        "files": listed,
        "deleted": deleted,
    }
    _write_document(target, document)
    kept = {rows, listed, *(one.sha256 for one in files)}
    for digest in objects.keys() - kept:
        target.remove(object_name(digest))
    engine.dispose()
    gone = tuple(f"{job}/{name}: {fault}" for job, name, fault in damaged if job not in set(deleted))
    return BackupReport(
        jobs=len(states) - len(deleted),
        files=len(files),
        bytes=sum(one.bytes for one in files),
        copied_files=copy.copied_files,
        copied_bytes=copy.copied_bytes,
        damaged=gone,
    )


def read_backup(folder: Folder) -> dict[str, Any]:
    """What a backup says it holds. Raises `InvalidInput` if there is none, or one that this version cannot read."""
    try:
        document: dict[str, Any] = json.loads(folder.read(BACKUP))
        form = document["format"]
    except FileNotFoundError:
        raise InvalidInput((Fault("folder", folder.address, f"holds no backup: there is no {BACKUP}"),)) from None
    except (ValueError, KeyError, TypeError):
        raise InvalidInput((Fault("folder", folder.address, f"holds no backup: {BACKUP} is damaged"),)) from None
    if form != FORMAT:
        message = "holds the backup of a later version of Brink: install that version"
        raise InvalidInput((Fault("folder", folder.address, message),))
    return document


def read_files(folder: Folder, document: dict[str, Any]) -> list[StoredFile]:
    """The files of results in a backup."""
    with tempfile.NamedTemporaryFile(prefix="brink-backup-", suffix=".gz") as listing:
        fetch(folder, document["files"], Path(listing.name))
        return [StoredFile(*line) for line in read_lines(Path(listing.name))]


def fetch(folder: Folder, digest: str, path: Path) -> None:
    """Copy an object of a backup to a file. Raises `OSError` if its content is not the one that its name says."""
    found = hashlib.sha256()
    with folder.open(object_name(digest)) as source, path.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            found.update(chunk)
            file.write(chunk)
    if found.hexdigest() != digest:
        raise OSError(f"{folder.address}/{object_name(digest)}: the backup is damaged: its content is another one")


def object_name(digest: str) -> str:
    """The name of the object with this SHA-256."""
    return f"{OBJECTS}/{digest[:2]}/{digest}"


def write_lines(path: Path, lines: Iterable[object]) -> None:
    """Write JSON lines, compressed; the same lines give the same bytes."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        for line in lines:
            packed.write(json.dumps(line, ensure_ascii=True, allow_nan=False).encode() + b"\n")


def read_lines(path: Path) -> Iterator[Any]:
    """The values of compressed JSON lines."""
    with gzip.open(path, "rb") as file:
        for line in file:
            yield json.loads(line)


def existing(url: sa.URL) -> sa.URL:
    """The URL of a database. Raises `InvalidInput` for an SQLite file that does not exist: connecting would make it."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        message = f"names a database that does not exist: {url.database}"
        raise InvalidInput((Fault("BRINK_DATABASE_URL", None, message),))
    return url


class _Copy:
    """Copies contents to a backup, each once, and counts them."""

    def __init__(
        self,
        results: Folder,
        target: Folder,
        objects: dict[str, int],
        earlier: dict[tuple[str, str], StoredFile],
    ) -> None:
        self._results, self._target, self._objects, self._earlier = results, target, objects, earlier
        self.copied_files = self.copied_bytes = 0

    def put(self, path: Path) -> str:
        """Copy a local file; its SHA-256."""
        with path.open("rb") as file:
            return self._put(file, path.suffix)[1]

    def jobs(
        self, states: dict[str, str], on_progress: Callable[[int, int], object]
    ) -> tuple[list[StoredFile], list[tuple[str, str, str]]]:
        """Copy the results of all jobs. Returns the files, and job, name and fault of those that cannot be kept."""
        pending: list[tuple[str, Entry, str | None]] = []
        damaged = []
        for job, state in states.items():
            folder = self._results.within(job)
            entries = {entry.name: entry for entry in folder.entries()}
            listed = _listed(folder)
            if state in ENDED:
                damaged += [(job, name, "is missing") for name in sorted(listed.keys() - entries.keys())]
            pending += [(job, entry, listed.get(name)) for name, entry in entries.items()]
        files = []
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for done, ((job, entry, _), copied) in enumerate(
                zip(pending, threads.map(lambda one: self._file(*one), pending), strict=True), 1
            ):
                if isinstance(copied, StoredFile):
                    files.append(copied)
                    self.copied_files += copied.sha256 not in self._objects
                    self.copied_bytes += copied.bytes * (copied.sha256 not in self._objects)
                    self._objects.setdefault(copied.sha256, copied.bytes)
                elif states[job] in ENDED:
                    # Of a job that has not ended, what is left out is played again.
                    damaged.append((job, entry.name, copied))
                on_progress(done, len(pending))
        return files, damaged

    def _file(self, job: str, entry: Entry, listed: str | None) -> StoredFile | str:
        """Copy a file, unless the backup has it; what is wrong with it if it cannot be kept."""
        if listed is not None and self._objects.get(listed) == entry.bytes:
            return StoredFile(job, entry.name, entry.bytes, entry.tag, listed)
        before = self._earlier.get((job, entry.name))
        unchanged = before is not None and (before.bytes, before.tag) == (entry.bytes, entry.tag) and listed is None
        if before is not None and unchanged and self._objects.get(before.sha256) == before.bytes:
            return before
        try:
            with self._results.within(job).open(entry.name) as file:
                size, digest = self._put(file, Path(entry.name).suffix, only=listed)
        except FileNotFoundError:
            return "is missing"
        if listed is not None and digest != listed:
            return "is damaged: its SHA-256 is not that of the manifest"
        return StoredFile(job, entry.name, size, entry.tag, digest)

    def _put(self, file: Any, suffix: str, only: str | None = None) -> tuple[int, str]:
        """Copy what a file holds, unless the backup has it, or its SHA-256 is not `only`. Its size and SHA-256."""
        found, size = hashlib.sha256(), 0
        draft = self._target.draft(suffix)
        try:
            with draft.open("wb") as written:
                while chunk := file.read(CHUNK_BYTES):
                    found.update(chunk)
                    size += len(chunk)
                    written.write(chunk)
            digest = found.hexdigest()
            if self._objects.get(digest) != size and only in (None, digest):
                self._target.commit(draft, object_name(digest))
        finally:
            draft.unlink(missing_ok=True)
        return size, digest


def _objects_of(target: Folder, results: Folder) -> dict[str, int]:
    """The sizes of a folder's objects by their SHA-256. Raises `InvalidInput` if a backup must not be there."""
    if isinstance(target, LocalFolder) and isinstance(results, LocalFolder):
        inside = target.root.resolve().is_relative_to(results.root.resolve())
    else:
        inside = f"{target.address}/".startswith(f"{results.address}/")
    if inside:
        raise InvalidInput((Fault("folder", target.address, "must not be within the results"),))
    found, other = {}, None
    for entry in target.entries():
        first, _, rest = entry.name.partition("/")
        if first == OBJECTS:
            found[rest.rpartition("/")[2]] = entry.bytes
        elif entry.name != BACKUP:
            other = entry.name
    if other is not None:
        message = f"holds something else than a backup ({other}): choose an empty folder"
        raise InvalidInput((Fault("folder", target.address, message),))
    return found


def _earlier(target: Folder) -> dict[tuple[str, str], StoredFile]:
    """The files of the backup that a folder holds, by job and name; none if it holds none, or its list is damaged."""
    try:
        return {(one.job, one.name): one for one in read_files(target, read_backup(target))}
    except (InvalidInput, OSError, ValueError, TypeError, KeyError):
        return {}


def _dump_rows(engine: sa.Engine, path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Write the rows of one instant. Returns the number of rows of each table, and each job's state."""
    counted: dict[str, int] = {}
    states: dict[str, str] = {}
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**level) as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            # From the first read on, SQLite's write-ahead log shows this transaction one state.
            connection.exec_driver_sql("BEGIN")
        tables = [
            sa.Table(name, sa.MetaData(), autoload_with=connection)
            for name in sorted(sa.inspect(connection).get_table_names())
            if name not in LEFT_OUT
        ]

        def rows() -> Iterator[tuple[str, dict[str, Any]]]:
            for table in tables:
                counted[table.name] = 0
                query = table.select().order_by(*table.primary_key.columns)
                streamed = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
                for row in streamed:
                    counted[table.name] += 1
                    if table.name == "jobs":
                        states[row.id] = row.state
                    yield table.name, dict(row._mapping)

        write_lines(path, rows())
    return counted, states


def _job_ids(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(sa.select(sa.table("jobs", sa.column("id")).c.id)).scalars())


def _listed(folder: Folder) -> dict[str, str]:
    """The SHA-256 of each file that a result folder's manifest lists; none if there is no manifest to read."""
    try:
        return {one.path: one.sha256 for one in read_manifest(folder)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_document(target: Folder, document: dict[str, Any]) -> None:
    draft = target.draft(".json")
    try:
        draft.write_text(json.dumps(document, indent=2))
        target.commit(draft, BACKUP)
    finally:
        draft.unlink(missing_ok=True)
