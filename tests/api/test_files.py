"""Files that commands write: whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from api.files import new_file
from tests.support.command_line import brink, brink_process
from tests.support.small_disk import SmallDisk

SMALL = ["us-mexico-2019", "--trials", "1000", "--engine", "inline"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "run"
    brink("run", *SMALL, "--out", folder, status=0)
    return folder


@pytest.fixture
def full(tmp_path):
    made = SmallDisk(tmp_path / "disk", 8)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["report"], "old.html"),
        (["aggregate", "--measure", "export_gain", "--by", "sender_cost|bins=900"], "old.json"),
        (["aggregate", "--measure", "export_gain", "--by", "sender_cost|bins=900"], "old.csv"),
    ],
)
def test_a_full_disk_leaves_the_file_that_was_there(run, full, typed, name):
    old = full.folder / name
    old.write_text("before")
    found = brink(typed[0], run, *typed[1:], "--out", old)
    assert found.returncode == 1, found.stderr
    assert found.stderr.startswith(f"{old}: ")
    assert os.strerror(errno.ENOSPC) in found.stderr or os.strerror(errno.EFBIG) in found.stderr
    assert [(path.name, path.read_text()) for path in full.folder.iterdir()] == [(name, "before")]


def test_a_full_disk_is_no_fault_of_the_input(full):
    (full.folder / "fill").write_bytes(b"x" * 4096)
    found = brink("run", *SMALL, "--out", full.folder / "run")
    assert found.returncode == 1, found.stderr
    assert found.stderr.startswith(str(full.folder))


def test_a_file_is_written_through_a_symbolic_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    with new_file(tmp_path / "link") as draft:
        draft.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "new"
    assert len(list((tmp_path / "there").iterdir())) == 1


@pytest.mark.parametrize("typed", [["run", *SMALL], ["run", *SMALL, "--out", "here"]])
def test_a_removed_working_directory_is_named(tmp_path, typed):
    gone = tmp_path / "gone"
    gone.mkdir()
    found = brink_process(*typed, cwd=gone, preexec_fn=lambda: os.rmdir(gone))
    assert found.returncode == 1
    assert found.stderr == "the working directory no longer exists: change to another one\n"
