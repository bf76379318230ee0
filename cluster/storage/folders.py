"""Where a run's files lie: a folder of the file system, or a prefix of an S3-compatible object store.

Both commit a file whole or not at all, under its final name: the file system by a rename after a flush to disk, the
object store by a put. Whatever goes wrong is an `OSError`, whoever reports it.
"""

import errno
import io
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import duckdb
import obstore
import psutil
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.fsspec import FsspecStore
from obstore.store import S3Store

from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from obstore.store import RetryConfig

S3 = "s3://"
CHUNK_BYTES = 1 << 20
LEAST_ROOM = 100 << 20
"""With less room than this on its disk (bytes) a folder takes no new runs."""
_WORK = ".work"
_DRAFT = "brink-draft-"
"""So begin the names of local drafts of objects, and go on with the process that writes them."""
_REMOVALS = 3
_RETRY_SECONDS = 30
"""For so long a request to an object store that fails is repeated, with growing pauses."""


@dataclass(frozen=True)
class Entry:
    """A file of a folder: its name relative to it, its size, and a tag that changes with its content."""

    name: str
    bytes: int
    tag: str


class Folder(Protocol):
    """What a result folder can do, wherever it lies. Names are relative to it, with ``/`` between their parts."""

    @property
    def address(self) -> str:
        """The folder as a user writes it."""
        ...

    def within(self, name: str) -> "Folder":
        """The folder of that name in this one."""
        ...

    def entries(self) -> list[Entry]:
        """All files in order of their names, at any depth; what is being written is not among them."""
        ...

    def folders(self) -> list[str]:
        """The names of the folders right in this one."""
        ...

    def draft(self, suffix: str) -> Path:
        """A new local path to write a file at before it is committed."""
        ...

    def commit(self, draft: Path, name: str) -> None:
        """Give a draft its final name, whole or not at all."""
        ...

    def adopt(self, source: "Folder", name: str) -> bool:
        """Take over a file of the same name from a folder of the same kind; whether it was there."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content. Raises `FileNotFoundError`."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to read from any position. Raises `FileNotFoundError`."""
        ...

    def chunks(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """A file's bytes from `start` to before `stop`, a megabyte at a time."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        ...

    def clear_drafts(self) -> None:
        """Remove what unfinished writers left behind."""
        ...

    def remove_all(self) -> None:
        """Remove every file, and the folder."""
        ...

    def hindrance(self) -> str | None:
        """What stands in the way of writing to the folder, if anything does."""
        ...

    def sql_path(self, name: str) -> str:
        """A file as DuckDB is told of it."""
        ...

    def readable_by(self, database: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
        """Let DuckDB read the folder's files within. Raises `OSError` where they could not be read."""
        ...


def open_folder(address: str | os.PathLike[str]) -> Folder:
    """The folder at an address: a path, or ``s3://bucket/prefix``. Nothing is made or looked up yet.

    An object store's end point and credentials come from the environment, under the names that every S3 client reads
    (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ...). Raises `InvalidInput` for an address that names no bucket.
    """
    text = os.fspath(address)
    if not text.startswith(S3):
        return LocalFolder(Path(text).absolute())
    bucket, _, prefix = text.removeprefix(S3).strip("/").partition("/")
    if not bucket or not prefix:
        raise InvalidInput((Fault("folder", text, "must be a path, or s3://bucket/prefix"),))
    if ":" in bucket or "@" in bucket:
        # What stands there may be a secret, and is not repeated.
        raise InvalidInput((Fault("folder", None, "must hold no credentials: they come from the environment"),))
    return ObjectFolder(bucket, prefix)


@dataclass(frozen=True)
class LocalFolder:
    """A folder of the file system."""

    root: Path

    @property
    def address(self) -> str:
        """Its path."""
        return str(self.root)

    def within(self, name: str) -> "LocalFolder":
        """A folder in it."""
        return LocalFolder(self.root / name)

    def entries(self) -> list[Entry]:
        """Its files; links and what lies below `.work` are not among them."""
        found = []
        for parent, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if name != _WORK)
            for file in files:
                path = Path(parent, file)
                try:
                    status = path.lstat()
                except FileNotFoundError:
                    continue
                name = path.relative_to(self.root).as_posix()
                found.append(Entry(name, status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}"))
        return sorted(found, key=lambda entry: entry.name)

    def folders(self) -> list[str]:
        """Its subfolders; links are not among them."""
        try:
            with os.scandir(self.root) as found:
                return sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def draft(self, suffix: str) -> Path:
        """A path on the same file system, from which a rename is atomic."""
        work = self.root / _WORK
        work.mkdir(parents=True, exist_ok=True)
        return work / f"{uuid.uuid4().hex}{suffix}"

    def commit(self, draft: Path, name: str) -> None:
        """Flush the draft to disk, rename it, and flush the folder that holds it."""
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(final)
        _flush_folder(final.parent)

    def adopt(self, source: Folder, name: str) -> bool:
        """Link the other folder's file, or copy it where a link cannot be made."""
        if not isinstance(source, LocalFolder):
            return False
        draft = self.draft(Path(name).suffix)
        try:
            try:
                os.link(source.root / name, draft)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    raise
                shutil.copyfile(source.root / name, draft)
            self.commit(draft, name)
        except FileNotFoundError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes:
        """The file's content."""
        return (self.root / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """The file."""
        return (self.root / name).open("rb")

    def chunks(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """A part of the file."""
        with self.open(name) as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK_BYTES, stop - start))):
                start += len(chunk)
                yield chunk

    def remove(self, name: str) -> None:
        """Unlink the file."""
        (self.root / name).unlink(missing_ok=True)

    def clear_drafts(self) -> None:
        """Remove the folder of drafts."""
        shutil.rmtree(self.root / _WORK, ignore_errors=True)

    def remove_all(self) -> None:
        """Remove the folder with all that is in it, also what others remove or add meanwhile."""
        for _ in range(_REMOVALS):
            shutil.rmtree(self.root, ignore_errors=True)
            if not self.root.exists():
                return
        shutil.rmtree(self.root)

    def hindrance(self) -> str | None:
        """No room, or no permission."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK):
                return "it cannot be written to"
            room = shutil.disk_usage(self.root).free
        except OSError as error:
            return error.strerror or str(error)
        return f"it has only {room >> 20} MB of room left" if room < LEAST_ROOM else None

    def sql_path(self, name: str) -> str:
        """The file's path."""
        return str(self.root / name)

    def readable_by(self, database: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
        """DuckDB reads local files as it is."""
        return nullcontext()


@dataclass(frozen=True)
class ObjectFolder:
    """The objects of a bucket whose keys begin with a prefix."""

    bucket: str
    prefix: str

    @property
    def address(self) -> str:
        """Its URL."""
        return f"{S3}{self.bucket}/{self.prefix}"

    def within(self, name: str) -> "ObjectFolder":
        """A longer prefix."""
        return ObjectFolder(self.bucket, f"{self.prefix}/{name}")

    def entries(self) -> list[Entry]:
        """Its objects."""
        with _os_errors():
            listed = [entry for page in obstore.list(_store(self.bucket), prefix=self.prefix) for entry in page]
        start = len(self.prefix) + 1
        return sorted(
            (Entry(entry["path"][start:], entry["size"], str(entry["e_tag"]).strip('"')) for entry in listed),
            key=lambda entry: entry.name,
        )

    def folders(self) -> list[str]:
        """The next parts of its objects' keys."""
        with _os_errors():
            prefixes = obstore.list_with_delimiter(_store(self.bucket), self.prefix)["common_prefixes"]
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)

    def draft(self, suffix: str) -> Path:
        """A path in the machine's folder for temporary files."""
        handle, path = tempfile.mkstemp(suffix, f"{_DRAFT}{os.getpid()}-")
        os.close(handle)
        return Path(path)

    def commit(self, draft: Path, name: str) -> None:
        """Put the object; no reader sees it before it is whole."""
        with _os_errors():
            obstore.put(_store(self.bucket), self._key(name), draft)
        draft.unlink()

    def adopt(self, source: Folder, name: str) -> bool:
        """Let the object store copy the other folder's object, if it lies in the same bucket."""
        if not isinstance(source, ObjectFolder) or source.bucket != self.bucket:
            return False
        try:
            with _os_errors():
                obstore.copy(_store(self.bucket), source._key(name), self._key(name))
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """The object's content."""
        with _os_errors():
            return bytes(obstore.get(_store(self.bucket), self._key(name)).bytes())

    def open(self, name: str) -> BinaryIO:
        """The object, read by ranges."""
        return io.BufferedReader(_Raw(_store(self.bucket), self._key(name)), CHUNK_BYTES)

    def chunks(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """A part of the object, a request a megabyte."""
        while start < stop:
            end = min(start + CHUNK_BYTES, stop)
            yield _read_range(_store(self.bucket), self._key(name), start, end)
            start = end

    def remove(self, name: str) -> None:
        """Delete the object."""
        with _os_errors():
            obstore.delete(_store(self.bucket), self._key(name))

    def clear_drafts(self) -> None:
        """Remove the drafts that processes which are gone have left on this machine."""
        for draft in Path(tempfile.gettempdir()).glob(f"{_DRAFT}*"):
            writer = draft.name.removeprefix(_DRAFT).partition("-")[0]
            if writer.isdecimal() and not psutil.pid_exists(int(writer)):
                with suppress(OSError):
                    draft.unlink()

    def remove_all(self) -> None:
        """Delete every object of the prefix."""
        names = [self._key(entry.name) for entry in self.entries()]
        if names:
            with _os_errors():
                obstore.delete(_store(self.bucket), names)

    def hindrance(self) -> str | None:
        """The object store does not answer, or does not let us in."""
        try:
            with _os_errors():
                next(iter(obstore.list(_store(self.bucket), prefix=self.prefix, chunk_size=1)), None)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def sql_path(self, name: str) -> str:
        """The object's URL."""
        return f"{self.address}/{name}"

    @contextmanager
    def readable_by(self, database: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let DuckDB read objects through the same client."""
        objects = _Objects("s3", retry_config=_RETRIES)
        database.register_filesystem(objects)
        try:
            yield
        except duckdb.Error as error:
            # DuckDB passes on the text of what went wrong in Python, and not what it was.
            if objects.failure is not None:
                raise objects.failure from None
            if isinstance(error, duckdb.IOException):
                raise OSError(errno.EIO, f"object store: {str(error).splitlines()[0]}") from None
            raise

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}"


_RETRIES: "RetryConfig" = {
    "max_retries": 10,
    "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
}


@lru_cache(maxsize=16)
def _store(bucket: str) -> S3Store:
    return S3Store(bucket, retry_config=_RETRIES)


class _Objects(FsspecStore):
    """Objects as files for DuckDB, whose threads share a file and each seek and read in it on their own."""

    cachable = False
    failure: OSError | None = None
    """What could not be read last."""

    def _open(self, path: str, mode: str = "rb", **_: object) -> "_SharedFile":  # type: ignore[override]
        if mode != "rb":
            raise ValueError(f"objects are only read here, not opened as {mode!r}")
        bucket, key = self._split_path(path)
        with self.noting_failure():
            return _SharedFile(self, _store(bucket), key)

    def modified(self, path: str) -> datetime:
        """When the object was put."""
        with self.noting_failure(), _os_errors():
            return super().modified(path)

    @contextmanager
    def noting_failure(self) -> Iterator[None]:
        """Keep what goes wrong within."""
        try:
            yield
        except OSError as error:
            self.failure = error
            raise


class _SharedFile:
    """An object whose place is each thread's own: between a thread's `seek` and its `read` others do theirs."""

    def __init__(self, objects: _Objects, store: S3Store, key: str) -> None:
        self._objects, self._store, self._key = objects, store, key
        self.size = _size(store, key)
        # By the system's number of a thread: DuckDB's threads keep no Python state from one call to the next.
        self._place: dict[int, int] = {}

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self._place[threading.get_ident()] = start + offset
        return start + offset

    def tell(self) -> int:
        return self._place.get(threading.get_ident(), 0)

    def read(self, length: int = -1) -> bytes:
        start = self.tell()
        stop = self.size if length < 0 else min(start + length, self.size)
        if stop <= start:
            return b""
        with self._objects.noting_failure():
            found = _read_range(self._store, self._key, start, stop)
        self._place[threading.get_ident()] = stop
        return found

    def close(self) -> None:
        """Nothing is kept open."""


class _Raw(io.RawIOBase):
    """An object as a raw Python file."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store, self._key = store, key
        self._size, self._place = _size(store, key), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._place + len(buffer), self._size)
        if stop <= self._place:
            return 0
        found = _read_range(self._store, self._key, self._place, stop)
        buffer[: len(found)] = found
        self._place = stop
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place


def _size(store: S3Store, key: str) -> int:
    """An object's length in bytes."""
    with _os_errors():
        return obstore.head(store, key)["size"]


def _read_range(store: S3Store, key: str, start: int, stop: int) -> bytes:
    """A part of an object, whole: what is cut short on its way is an `OSError`, and no end of the file."""
    with _os_errors():
        found = bytes(obstore.get_range(store, key, start=start, end=stop))
    if len(found) != stop - start:
        raise OSError(errno.EIO, f"object store: {key} was cut short")
    return found


@contextmanager
def _os_errors() -> Iterator[None]:
    """Report what an object store's client raises as an `OSError` with its first line."""
    try:
        yield
    except BaseError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        denied = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        raise OSError(errno.EACCES if denied else errno.EIO, f"object store: {lines[0].strip()}") from None


def _flush_folder(folder: Path) -> None:
    """Make a rename in a folder last: on POSIX the folder itself must be flushed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
