"""The file system as storage."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from cluster.storage.address import open_folder
from cluster.storage.local import LocalFolder
from tests.support.storage_tests import StorageTests, put


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "folder")


class TestLocal(StorageTests):
    pass


def test_a_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert open_folder("x") == open_folder(tmp_path / "x") == LocalFolder(tmp_path / "x")


@pytest.mark.parametrize("linked", ["secret", "deep/secret", "inside/secret"])
def test_symbolic_links_inside_are_neither_listed_nor_followed(folder: LocalFolder, tmp_path: Path, linked: str):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    put(folder, "deep/a", b"a")
    (folder.root / "secret").symlink_to(tmp_path / "outside" / "secret")
    (folder.root / "deep" / "secret").symlink_to(tmp_path / "outside" / "secret")
    (folder.root / "inside").symlink_to(tmp_path / "outside")
    assert [entry.name for entry in folder.entries()] == ["deep/a"]
    assert folder.subfolders() == ["deep"]
    for verb in (folder.read, folder.open):
        with pytest.raises(FileNotFoundError, match="symbolic link"):
            verb(linked)
    with pytest.raises(OSError, match="symbolic link"):
        put(folder, linked, b"x")
    folder.within("other").create()
    assert not folder.within("other").copy_from(folder, linked)
    assert (tmp_path / "outside" / "secret").read_text() == "secret"


@pytest.mark.parametrize("name", ["summary.json", "trials/strategy=talk/part-00000.parquet"])
def test_a_late_writer_cannot_restore_a_removed_folder(folder: LocalFolder, name: str):
    put(folder, name, b"x")
    source = LocalFolder(folder.root.parent / "source")
    put(source, name, b"x")
    draft = folder.draft(".x")
    draft.write_bytes(b"y")
    # A writer that was interrupted just before the rename still has its draft open under another name.
    outside = draft.rename(folder.root.parent / draft.name)
    folder.remove_all()
    for late in (draft, outside):
        with pytest.raises(FileNotFoundError):
            folder.commit(late, name)
    with pytest.raises(FileNotFoundError):
        folder.draft(".x")
    with pytest.raises(FileNotFoundError):
        folder.copy_from(source, name)
    assert not folder.root.exists()


def test_the_folder_itself_may_be_a_symbolic_link(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    linked = open_folder(tmp_path / "link")
    put(linked, "deep/a", b"a")
    assert (tmp_path / "disk" / "deep" / "a").read_bytes() == b"a"
    assert linked.read("deep/a") == b"a"


def test_a_part_on_another_disk_is_reported_as_such(folder: LocalFolder):
    other = folder.root / "trials"
    other.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", other], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(OSError, match="must be on one disk"):
            put(folder, "trials/a", b"a")
    finally:
        subprocess.run(["umount", other], check=True)
    assert os.listdir(other) == []


def test_a_name_is_given_once_where_no_hard_link_can_be_made(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    folder.create()
    for content, committed in (("first", True), ("second", False)):
        draft = folder.draft("")
        draft.write_text(content)
        assert folder.commit_new(draft, "name") == committed
        assert folder.read("name") == b"first"
