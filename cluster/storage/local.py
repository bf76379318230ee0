"""A result folder in the file system. A commit is a flush to disk and a rename."""

import errno
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cluster.storage.base import Entry, Folder

_WORK = ".work"
"""The subfolder of drafts."""
_REMOVALS = 3
_NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


@dataclass(frozen=True)
class LocalFolder:
    """A folder of the file system. Its own path may contain symbolic links; those inside it are not followed."""

    root: Path

    @property
    def address(self) -> str:
        """Its path."""
        return str(self.root)

    def within(self, name: str) -> "LocalFolder":
        """A folder in it."""
        return LocalFolder(self.root / name)

    def entries(self) -> list[Entry]:
        """Its regular files, without drafts and symbolic links."""
        found: list[Entry] = []
        pending = [""]
        while pending:
            parent = pending.pop()
            try:
                with os.scandir(self.root / parent) as listed:
                    for item in listed:
                        if item.is_dir(follow_symlinks=False):
                            if item.name != _WORK:
                                pending.append(f"{parent}{item.name}/")
                        elif item.is_file(follow_symlinks=False):
                            found.append(_entry(f"{parent}{item.name}", item.stat(follow_symlinks=False)))
            except (FileNotFoundError, NotADirectoryError):
                # It was removed after it was listed, or there is no such folder.
                continue
        return sorted(found, key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry:
        """One of its regular files."""
        return _entry(name, self._path(name).stat())

    def subfolders(self) -> list[str]:
        """Its subfolders, without that of drafts and symbolic links."""
        try:
            with os.scandir(self.root) as found:
                return sorted(item.name for item in found if item.is_dir(follow_symlinks=False) and item.name != _WORK)
        except FileNotFoundError:
            return []

    def create(self) -> None:
        """Create the folder and those above it. No other method creates it, so that a late writer cannot restore a
        removed folder.
        """
        self.root.mkdir(parents=True, exist_ok=True)

    def draft(self, suffix: str) -> Path:
        """A path on the same file system, from which a rename is atomic."""
        work = self._path(_WORK)
        work.mkdir(exist_ok=True)
        return work / f"{uuid.uuid4().hex}{suffix}"

    def commit(self, draft: Path, name: str) -> None:
        """Flush the draft to disk, rename it, and flush the folder that holds it."""
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        final = self._path(name)
        self._create_parents(name)
        try:
            draft.replace(final)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            message = f"{final.parent} is on another disk than {self.root}: a result folder must be on one disk"
            raise OSError(errno.EXDEV, message) from None
        _flush_folder(final.parent)

    def commit_new(self, draft: Path, name: str) -> bool:
        """Flush the draft to disk and hard-link it, which fails if the name is taken; where no hard link can be made,
        the file is created under its name and then written.
        """
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        final = self._path(name)
        self._create_parents(name)
        try:
            os.link(draft, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            try:
                with draft.open("rb") as source, final.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
            except FileExistsError:
                return False
        draft.unlink()
        _flush_folder(final.parent)
        return True

    def copy_from(self, source: Folder, name: str) -> bool:
        """Hard-link the other folder's file, or copy it where no hard link can be made."""
        if not isinstance(source, LocalFolder):
            return False
        draft = self.draft(Path(name).suffix)
        try:
            original = source._path(name)
            try:
                os.link(original, draft)
            except OSError as error:
                if error.errno not in _NO_HARD_LINK:
                    raise
                shutil.copyfile(original, draft)
            self.commit(draft, name)
        except FileNotFoundError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes:
        """The file's content."""
        return self._path(name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """The file."""
        return self._path(name).open("rb")

    def remove(self, name: str) -> None:
        """Unlink the file."""
        (self.root / name).unlink(missing_ok=True)

    def remove_drafts(self) -> None:
        """Remove the subfolder of drafts."""
        shutil.rmtree(self.root / _WORK, ignore_errors=True)

    def remove_all(self) -> None:
        """Remove the folder with everything in it, even if other processes remove or add files meanwhile."""
        for _ in range(_REMOVALS):
            shutil.rmtree(self.root, ignore_errors=True)
            if not self.root.exists():
                return
        shutil.rmtree(self.root)

    def _create_parents(self, name: str) -> None:
        """Create the parent folders of a file."""
        path = self.root
        for part in name.split("/")[:-1]:
            path = path / part
            path.mkdir(exist_ok=True)

    def _path(self, name: str) -> Path:
        """A file's path. Raises `FileNotFoundError` if it is, or leads through, a symbolic link inside the folder."""
        path = self.root
        for part in name.split("/"):
            path = path / part
            if path.is_symlink():
                message = "is a symbolic link, which is not followed in a result folder"
                raise FileNotFoundError(errno.ENOENT, message, str(path))
        return path


def _entry(name: str, status: os.stat_result) -> Entry:
    return Entry(name, status.st_size, f"{status.st_mtime_ns:x}-{status.st_size:x}")


def _flush_folder(folder: Path) -> None:
    """Make a rename in a folder durable: on POSIX the folder itself must be flushed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
