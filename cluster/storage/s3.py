"""A result folder in an S3-compatible object store: the objects of a bucket whose keys begin with a prefix.

A commit is one put. Requests that fail are repeated for a while; the final failure is an `OSError`.
"""

import errno
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
import psutil
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from cluster.storage.base import CHUNK_BYTES, Entry, Folder

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import RetryConfig

SCHEME = "s3://"
_DRAFT = "brink-draft-"
"""The names of local drafts begin with this and the number of the process that writes them."""
_RETRY_SECONDS = 30
"""A request that fails is repeated for this long, with growing pauses."""
RETRIES: "RetryConfig" = {
    "max_retries": 10,
    "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
}

_CAUSE = re.compile(r'(?:message|error): "([^"]+)"|InvalidCertificate\(\s*(\w+)')
"""Why a connection failed, in the details of the client's error: what the system says, or what is wrong with TLS."""


@dataclass(frozen=True)
class ObjectFolder:
    """The objects of a bucket whose keys begin with a prefix."""

    bucket: str
    prefix: str

    @property
    def address(self) -> str:
        """Its URL."""
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    def within(self, name: str) -> "ObjectFolder":
        """A longer prefix."""
        return ObjectFolder(self.bucket, f"{self.prefix}/{name}")

    def entries(self) -> list[Entry]:
        """Its objects."""
        with os_errors():
            listed = [entry for page in obstore.list(client(self.bucket), prefix=self.prefix) for entry in page]
        start = len(self.prefix) + 1
        return sorted((_entry(one["path"][start:], one) for one in listed), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry:
        """One of its objects."""
        with os_errors():
            return _entry(name, obstore.head(client(self.bucket), self.key(name)))

    def subfolders(self) -> list[str]:
        """The next parts of its objects' keys."""
        with os_errors():
            prefixes = obstore.list_with_delimiter(client(self.bucket), self.prefix)["common_prefixes"]
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes)

    def create(self) -> None:
        """Do nothing: a prefix exists while there is an object of it."""

    def draft(self, suffix: str) -> Path:
        """A path in the machine's folder for temporary files."""
        handle, path = tempfile.mkstemp(suffix, f"{_DRAFT}{os.getpid()}-")
        os.close(handle)
        return Path(path)

    def commit(self, draft: Path, name: str) -> None:
        """Put the object; readers see it only when it is complete."""
        with os_errors():
            obstore.put(client(self.bucket), self.key(name), draft)
        draft.unlink()

    def commit_new(self, draft: Path, name: str) -> bool:
        """Put the object on the condition that there is none of its key (``If-None-Match``)."""
        try:
            with os_errors():
                obstore.put(client(self.bucket), self.key(name), draft, mode="create")
        except FileExistsError:
            return False
        draft.unlink()
        return True

    def copy_from(self, source: Folder, name: str) -> bool:
        """Copy the other folder's object within the object store, if it is in the same bucket."""
        if not isinstance(source, ObjectFolder) or source.bucket != self.bucket:
            return False
        try:
            with os_errors():
                obstore.copy(client(self.bucket), source.key(name), self.key(name))
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        """The object's content."""
        with os_errors():
            return bytes(obstore.get(client(self.bucket), self.key(name)).bytes())

    def open(self, name: str) -> BinaryIO:
        """The object, read by ranges."""
        return io.BufferedReader(_RawObject(client(self.bucket), self.key(name)), CHUNK_BYTES)

    def remove(self, name: str) -> None:
        """Delete the object."""
        with os_errors():
            obstore.delete(client(self.bucket), self.key(name))

    def remove_drafts(self) -> None:
        """Remove the drafts that processes which have ended left on this machine."""
        for draft in Path(tempfile.gettempdir()).glob(f"{_DRAFT}*"):
            writer = draft.name.removeprefix(_DRAFT).partition("-")[0]
            if writer.isdecimal() and not psutil.pid_exists(int(writer)):
                with suppress(OSError):
                    draft.unlink()

    def remove_all(self) -> None:
        """Delete every object of the prefix."""
        names = [self.key(entry.name) for entry in self.entries()]
        if names:
            with os_errors():
                obstore.delete(client(self.bucket), names)

    def check_reachable(self) -> None:
        """Raise `OSError` if the object store does not answer, or refuses the credentials."""
        with os_errors():
            next(iter(obstore.list(client(self.bucket), prefix=self.prefix, chunk_size=1)), None)

    def key(self, name: str) -> str:
        """The key of the object of that name."""
        return f"{self.prefix}/{name}"


@lru_cache(maxsize=16)
def client(bucket: str) -> S3Store:
    """The client of a bucket. It keeps the end point and credentials that it was made with."""
    return S3Store(bucket, retry_config=RETRIES)


def _entry(name: str, found: "ObjectMeta") -> Entry:
    return Entry(name, found["size"], str(found["e_tag"]).strip('"'))


def object_size(store: S3Store, key: str) -> int:
    """An object's length in bytes. Raises `FileNotFoundError`."""
    with os_errors():
        return obstore.head(store, key)["size"]


def object_time(store: S3Store, key: str) -> datetime:
    """When an object was put. Raises `FileNotFoundError`."""
    with os_errors():
        return obstore.head(store, key)["last_modified"]


def read_range(store: S3Store, key: str, start: int, stop: int) -> bytes:
    """The bytes of an object from `start` to before `stop`. Fewer than these is an `OSError`, not the object's end."""
    with os_errors():
        found = bytes(obstore.get_range(store, key, start=start, end=stop))
    if len(found) != stop - start:
        raise OSError(errno.EIO, f"object store: {key} was cut short")
    return found


@contextmanager
def os_errors() -> Iterator[None]:
    """Raise an error of the object store's client as an `OSError` with its first line and, if known, its cause."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "object store: there is no such object") from None
    except AlreadyExistsError:
        raise FileExistsError(errno.EEXIST, "object store: there is such an object") from None
    except BaseError as error:
        first, _, details = (str(error) or type(error).__name__).partition("\n")
        found = _CAUSE.search(details)
        cause = f" ({next(filter(None, found.groups()))})" if found else ""
        denied = isinstance(error, PermissionDeniedError | UnauthenticatedError)
        raise OSError(errno.EACCES if denied else errno.EIO, f"object store: {first.strip()}{cause}") from None


class _RawObject(io.RawIOBase):
    """An object as a raw Python file."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store, self._key = store, key
        self._size, self._position = object_size(store, key), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._position + len(buffer), self._size)
        if stop <= self._position:
            return 0
        found = read_range(self._store, self._key, self._position, stop)
        buffer[: len(found)] = found
        self._position = stop
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position
