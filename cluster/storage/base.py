"""The protocol of a result folder's storage: bytes under names.

A backend is one module with one class that satisfies `Folder`; `tests/cluster/storage/` has the tests that each must
pass. A file is committed under its final name atomically. All failures are raised as `OSError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK_BYTES = 1 << 20
"""The number of bytes that are read at a time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder: its name relative to the folder, its size, and a tag that changes with its content."""

    name: str
    bytes: int
    tag: str


class Folder(Protocol):
    """Bytes under names. Names are relative to the folder, with ``/`` between their parts."""

    @property
    def address(self) -> str:
        """The folder as a user writes it."""
        ...

    def within(self, name: str) -> "Folder":
        """The folder of that name in this one."""
        ...

    def entries(self) -> list[Entry]:
        """All committed files in order of their names, at any depth."""
        ...

    def entry(self, name: str) -> Entry:
        """One committed file, as `entries` has it. Raises `FileNotFoundError`."""
        ...

    def subfolders(self) -> list[str]:
        """The names of the folders directly in this one, in order."""
        ...

    def create(self) -> None:
        """Create the folder, if it is not there, so that files can be committed to it."""
        ...

    def draft(self, suffix: str) -> Path:
        """A new local path to write a file at before it is committed."""
        ...

    def commit(self, draft: Path, name: str) -> None:
        """Give a draft its final name atomically, replacing a file of that name."""
        ...

    def commit_new(self, draft: Path, name: str) -> bool:
        """Give a draft its final name, as `commit` does, unless a file has that name. Returns whether it was free.

        Of several processes that try at once, one gets the name.
        """
        ...

    def copy_from(self, source: "Folder", name: str) -> bool:
        """Commit a copy of the file of that name in a folder of the same kind. Returns whether it was there."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content. Raises `FileNotFoundError`."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to read from any position. Raises `FileNotFoundError`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        ...

    def remove_drafts(self) -> None:
        """Remove the drafts of writers that did not finish."""
        ...

    def remove_all(self) -> None:
        """Remove every file, and the folder. Only `create` makes it again, where a store has folders."""
        ...


def read_chunks(folder: Folder, name: str, start: int, stop: int) -> Iterator[bytes]:
    """A file's bytes from `start` to before `stop`, at most `CHUNK_BYTES` at a time."""
    with folder.open(name) as file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(CHUNK_BYTES, stop - start))):
            start += len(chunk)
            yield chunk


def cause_of(error: OSError) -> str:
    """What an error says, without its number and path."""
    return error.strerror or str(error)
