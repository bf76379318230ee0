"""Reading the Parquet files of a folder with DuckDB and with Arrow, for any name of the folder.

DuckDB takes ``*``, ``?`` and ``[`` in a path for a pattern, and ``name=value`` for a column. It is therefore never
given a folder's own path: it reads a local folder through a symbolic link of a fixed name, and no folder name
becomes a column. Objects too have names of a fixed beginning, and are read through the client that the storage uses.
"""

import errno
import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from obstore.store import S3Store

from cluster.storage.base import Folder
from cluster.storage.local import LocalFolder
from cluster.storage.s3 import ObjectFolder, client, object_size, object_time, read_range
from sim.faults import Fault, InvalidInput

ParquetFile = pq.ParquetFile
"""An open Parquet file, as `open_parquet` returns it."""
_LINK = "folder"
_OBJECTS = "objects://folder/"
"""What the names of objects begin with for DuckDB."""
_PATTERN = "*?["
_OF_CONTENT = (
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.SerializationException,
)
"""What DuckDB raises for a damaged file, besides its most general error."""
_DAMAGED = "the files of trials are damaged: brink verify lists the altered ones"


class DamagedTrials(RuntimeError):
    """A file of trials has damaged content."""


@contextmanager
def open_parquet(folder: Folder, name: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file of a folder, for Arrow. Raises `OSError` or `pyarrow.ArrowException` if it is damaged."""
    with folder.open(name) as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
        yield file


@contextmanager
def damage_reported() -> Iterator[None]:
    """Raise `DamagedTrials` for what Arrow raises within the block when the content of a file makes no sense."""
    try:
        yield
    except (pa.ArrowException, ValueError) as error:
        raise DamagedTrials(f"{_DAMAGED} ({error})") from error
    except OSError as error:
        # Arrow's own errors have no number; the system's errors have.
        if error.errno is not None:
            raise
        raise DamagedTrials(f"{_DAMAGED} ({error})") from error


def read_row_group(file: pq.ParquetFile, group: int, columns: Sequence[str] | None = None) -> pa.Table:
    """A row group of a file; as `read_row_groups`."""
    return read_row_groups(file, [group], columns)


def read_row_groups(file: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
    """Row groups of a file, read by this thread alone.

    A thread of Arrow's pools that releases a Python file only while the interpreter exits can no longer take the lock
    and aborts the process ("terminate called without an active exception", status 134).
    """
    return file.read_row_groups(list(groups), columns=None if columns is None else list(columns), use_threads=False)


@contextmanager
def readable(folder: Folder, database: duckdb.DuckDBPyConnection, scratch: str) -> Iterator[None]:
    """Let DuckDB read the files of a folder within the block, as the table ``committed(names)``.

    `scratch` is an empty local folder. Raises `OSError` if a file cannot be opened or read, and `DamagedTrials` if its
    content is not valid.
    """
    if isinstance(folder, LocalFolder):
        if any(sign in scratch for sign in _PATTERN):
            message = "must be a folder for temporary files whose path has none of * ? ["
            raise InvalidInput((Fault("TMPDIR", str(Path(scratch).parent), message),))
        link = Path(scratch, _LINK)
        os.symlink(folder.root, link, target_is_directory=True)
        base, objects = f"{link}/", None
    else:
        assert isinstance(folder, ObjectFolder)
        base, objects = _OBJECTS, _ObjectFiles(folder)
        database.register_filesystem(objects)
    _define_table(database, base)
    try:
        yield
    except duckdb.Error as error:
        # DuckDB passes on the text of a Python exception, but not the exception.
        if objects is not None and objects.failure is not None:
            raise objects.failure from None
        cause = str(error).partition("\n")[0].removeprefix("IO Error: ").replace(base, "")
        if isinstance(error, duckdb.IOException):
            number = errno.EMFILE if os.strerror(errno.EMFILE) in cause else errno.EIO
            raise OSError(number, cause, folder.address) from None
        if type(error) is duckdb.Error or isinstance(error, _OF_CONTENT):
            raise DamagedTrials(f"{_DAMAGED} ({cause})") from error
        raise


def _define_table(database: duckdb.DuckDBPyConnection, base: str) -> None:
    quoted = base.replace("'", "''")
    database.execute(
        "CREATE TEMP MACRO committed(names) AS TABLE SELECT * FROM "
        f"read_parquet(list_transform(names, lambda name: '{quoted}' || name), hive_partitioning = false)"
    )
    database.execute("SET allowed_directories = [?]", [base])


class _ObjectFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types.
    """The objects of a folder as files for DuckDB, whose threads share a file and each seek and read in it."""

    protocol = _OBJECTS.partition(":")[0]
    cachable = False
    failure: OSError | None = None
    """The last error of reading."""

    def __init__(self, folder: ObjectFolder) -> None:
        super().__init__()
        self._folder = folder
        self._store = client(folder.bucket)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        """The path itself; fsspec would take characters at its end away."""
        return path

    def glob(self, path: str, **_: object) -> list[str]:
        """The path itself: it names one object and is not a pattern."""
        return [path]

    def _open(self, path: str, mode: str = "rb", **_: object) -> "_SharedFile":
        if mode != "rb":
            raise ValueError(f"objects can only be read, not opened as {mode!r}")
        with self.noting_failure():
            return _SharedFile(self, self._store, self._key(path))

    def info(self, path: str, **_: object) -> dict[str, object]:
        """An object's name, size and kind."""
        with self.noting_failure():
            return {"name": path, "size": object_size(self._store, self._key(path)), "type": "file"}

    def modified(self, path: str) -> datetime:
        """When the object was put."""
        with self.noting_failure():
            return object_time(self._store, self._key(path))

    def _key(self, path: str) -> str:
        return self._folder.key(path.removeprefix(_OBJECTS))

    @contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Record an error that is raised within."""
        try:
            yield
        except OSError as error:
            self.failure = error
            raise


class _SharedFile:
    """An object in which each thread has its own position: other threads' calls come between its `seek` and `read`."""

    def __init__(self, objects: _ObjectFiles, store: S3Store, key: str) -> None:
        self._objects, self._store, self._key = objects, store, key
        self.size = object_size(store, key)
        # By the system's number of a thread: DuckDB's threads keep no Python state from one call to the next.
        self._position: dict[int, int] = {}

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self._position[threading.get_ident()] = start + offset
        return start + offset

    def tell(self) -> int:
        return self._position.get(threading.get_ident(), 0)

    def read(self, length: int = -1) -> bytes:
        start = self.tell()
        stop = self.size if length < 0 else min(start + length, self.size)
        if stop <= start:
            return b""
        with self._objects.noting_failure():
            found = read_range(self._store, self._key, start, stop)
        self._position[threading.get_ident()] = stop
        return found

    def close(self) -> None:
        """Nothing to close: no connection stays open."""
