"""Folders of both kinds do the same: commit whole files, list them, read them, and hold runs."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from cluster.answers.summary import summarize
from cluster.query.trials import StoredRun, open_run
from cluster.results.result_folder import new_file, verify
from cluster.runs.run import Stopped, run
from cluster.storage.folders import Folder, LocalFolder, ObjectFolder, _Objects, open_folder
from sim.faults import InvalidInput
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import digests, small_plan

PLAN = small_plan()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as served:
        yield served


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path: Path) -> Folder:
    if request.param == "local":
        return open_folder(tmp_path / "folder")
    request.getfixturevalue("endpoint")
    return open_folder(f"s3://{BUCKET}/{tmp_path.name}")


def put(folder: Folder, name: str, content: bytes) -> None:
    with new_file(folder, name) as draft:
        draft.write_bytes(content)


def test_addresses(tmp_path: Path):
    assert open_folder(tmp_path) == LocalFolder(tmp_path)
    assert open_folder("s3://bucket/a/b/") == ObjectFolder("bucket", "a/b")
    assert open_folder("s3://bucket/a").within("b").address == "s3://bucket/a/b"
    for address in ("s3://", "s3://bucket", "s3:///x"):
        with pytest.raises(InvalidInput, match="s3://bucket/prefix"):
            open_folder(address)


def test_files_are_committed_listed_and_read(folder: Folder):
    assert folder.entries() == []
    assert folder.hindrance() is None
    content = bytes(range(256)) * 10_000
    put(folder, "deep/b.bin", content)
    put(folder, "a.txt", b"one")
    assert [(entry.name, entry.bytes) for entry in folder.entries()] == [("a.txt", 3), ("deep/b.bin", len(content))]
    assert folder.read("deep/b.bin") == content
    assert b"".join(folder.chunks("deep/b.bin", 5, 2_000_005)) == content[5:2_000_005]
    with folder.open("deep/b.bin") as file:
        file.seek(-10, 2)
        assert file.read() == content[-10:]
        file.seek(300)
        assert file.read(3) == content[300:303]
    before = folder.entries()[0].tag
    put(folder, "a.txt", b"two!")
    assert folder.read("a.txt") == b"two!"
    assert folder.entries()[0].tag != before


def test_what_is_not_there_is_not_found(folder: Folder):
    put(folder, "here", b"x")
    for ask in (folder.read, folder.open):
        with pytest.raises(FileNotFoundError):
            ask("not-here")
    folder.remove("not-here")
    assert not folder.adopt(folder.within("elsewhere"), "not-here")


def test_an_unfinished_file_leaves_nothing(folder: Folder):
    drafts: list[Path] = []

    def fail_half_way() -> None:
        with new_file(folder, "name.txt") as draft:
            drafts.append(draft)
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert folder.entries() == []
    assert not drafts[0].exists()


def test_files_are_adopted_and_folders_removed(folder: Folder):
    put(folder.within("one"), "trials/a", b"content")
    assert folder.within("two").adopt(folder.within("one"), "trials/a")
    folder.within("one").remove_all()
    assert [entry.name for entry in folder.entries()] == ["two/trials/a"]
    assert folder.within("two").read("trials/a") == b"content"
    folder.within("two").remove("trials/a")
    assert folder.entries() == []
    folder.within("two").remove_all()


def test_a_run_in_an_object_store_is_the_run_of_a_local_folder(endpoint: str, tmp_path: Path):
    address = f"s3://{BUCKET}/{tmp_path.name}/run"
    with pytest.raises(Stopped):
        run(PLAN, address, engine="inline", should_stop=iter([False] * 3 + [True] * 9).__next__)
    summary = run(PLAN, address, engine="ray", workers=1)
    assert run(PLAN, tmp_path / "run", engine="inline") == summary
    stored = open_folder(address)
    there = {
        entry.name: hashlib.sha256(stored.read(entry.name)).hexdigest()
        for entry in stored.entries()
        if entry.name.endswith(".parquet")
    }
    assert there == digests(tmp_path / "run")
    assert verify(address) == []
    there_given, here_given = (
        {
            name: (found["outcome"], found["measures"]["export_gain"]["quantiles"])
            for name, found in summarize(open_run(one), "agreement_week <= 20")["strategies"].items()
        }
        for one in (address, tmp_path / "run")
    )
    assert there_given == here_given
    content = bytearray(stored.read(next(iter(there))))
    content[len(content) // 2] ^= 1
    put(stored, next(iter(there)), bytes(content))
    assert any("is altered" in finding for finding in verify(address))


def test_an_object_store_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch):
    """Nothing listens at port 1."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setattr("cluster.storage.folders._RETRIES", {"max_retries": 0})
    silent = open_folder("s3://silent/run")
    assert "object store" in str(silent.hindrance())
    with pytest.raises(OSError, match="object store"):
        silent.read("run.json")


def test_threads_that_share_an_object_read_each_at_its_own_place(endpoint: str, tmp_path: Path):
    """As DuckDB's do, which seek and read in two calls: another thread's seek may come between."""
    folder = open_folder(f"s3://{BUCKET}/{tmp_path.name}")
    put(folder, "shared", bytes(range(100)))
    shared = _Objects("s3").open(folder.sql_path("shared"))
    shared.seek(10)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(shared.seek, 50).result() == 50
        assert shared.read(4) == bytes([10, 11, 12, 13])
        assert other.submit(shared.read, 4).result() == bytes([50, 51, 52, 53])
    assert shared.read(2) == bytes([14, 15])
    assert shared.seek(-3, 2) == 97
    assert shared.read() == bytes([97, 98, 99])


def test_an_object_store_that_fails_amid_a_question_is_no_fault_of_the_question(endpoint: str, tmp_path: Path):
    run(PLAN, f"s3://{BUCKET}/{tmp_path.name}", engine="inline")
    stored = open_run(f"s3://{BUCKET}/{tmp_path.name}")
    assert stored.committed
    stored.folder.remove_all()
    with pytest.raises(OSError, match="object store"):
        summarize(stored)


def test_drafts_of_processes_that_are_gone_are_removed(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = open_folder(f"s3://{BUCKET}/{tmp_path.name}")
    command = f"from cluster.storage.folders import open_folder; open_folder({folder.address!r}).draft('.parquet')"
    subprocess.run([sys.executable, "-c", command], env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    ours = folder.draft(".parquet")
    assert len(list(tmp_path.iterdir())) == 2
    folder.clear_drafts()
    assert list(tmp_path.iterdir()) == [ours]


def test_an_object_that_comes_short_is_not_taken_for_a_damaged_one(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its trials would count as not committed, and an answer would leave them out without a word."""
    address = f"s3://{BUCKET}/{tmp_path.name}"
    run(PLAN, address, engine="inline")
    stored = open_run(address)
    whole = obstore.get_range
    monkeypatch.setattr(obstore, "get_range", lambda *where, **part: bytes(whole(*where, **part))[:-1])
    with pytest.raises(OSError, match="cut short"):
        summarize(StoredRun(stored.plan, stored.folder))
