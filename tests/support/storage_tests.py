"""What every storage must do. A backend's test class derives from `StorageTests` and gives the fixture `folder`."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.results.result_folder import new_file
from cluster.storage.base import Folder, read_chunks
from cluster.storage.health import why_not_writable

CONTENT = bytes(range(256)) * 10_000


def put(folder: Folder, name: str, content: bytes) -> None:
    """Commit a file to a folder, which is created if it is not there."""
    folder.create()
    with new_file(folder, name) as draft:
        draft.write_bytes(content)


class StorageTests:
    """The tests of the protocol `Folder`; `folder` is a new, empty one."""

    def test_a_new_folder_is_empty_and_can_be_written(self, folder: Folder):
        assert folder.entries() == []
        assert folder.subfolders() == []
        assert why_not_writable(folder) is None

    def test_files_are_listed_in_order_at_any_depth(self, folder: Folder):
        for name in ("deep/er/c", "deep/b.bin", "a.txt"):
            put(folder, name, name.encode())
        assert [(entry.name, entry.bytes) for entry in folder.entries()] == [
            ("a.txt", 5),
            ("deep/b.bin", 10),
            ("deep/er/c", 9),
        ]
        assert folder.subfolders() == ["deep"]
        assert folder.within("deep").subfolders() == ["er"]
        assert [entry.name for entry in folder.within("deep").entries()] == ["b.bin", "er/c"]
        assert folder.within("deep").address == f"{folder.address}/deep"

    def test_a_file_is_read_whole_and_in_parts(self, folder: Folder):
        put(folder, "deep/b.bin", CONTENT)
        assert folder.read("deep/b.bin") == CONTENT
        assert b"".join(read_chunks(folder, "deep/b.bin", 5, 2_000_005)) == CONTENT[5:2_000_005]
        with folder.open("deep/b.bin") as file:
            file.seek(-10, 2)
            assert file.read() == CONTENT[-10:]
            file.seek(300)
            assert file.read(3) == CONTENT[300:303]

    def test_a_file_is_replaced_and_its_tag_changes(self, folder: Folder):
        put(folder, "a.txt", b"one")
        before = folder.entries()[0].tag
        put(folder, "a.txt", b"two!")
        assert folder.read("a.txt") == b"two!"
        assert folder.entries()[0].tag != before

    def test_one_file_is_looked_up_as_it_is_listed(self, folder: Folder):
        put(folder, "deep/er/c", CONTENT)
        assert [folder.entry("deep/er/c")] == folder.entries()

    @pytest.mark.parametrize("verb", ["read", "open", "entry"])
    def test_a_missing_file_is_not_found(self, folder: Folder, verb: str):
        put(folder, "here", b"x")
        reading: Callable[[str], object] = getattr(folder, verb)
        with pytest.raises(FileNotFoundError):
            reading("not-here")

    def test_removing_or_copying_a_missing_file_does_nothing(self, folder: Folder):
        folder.remove("not-here")
        folder.create()
        assert not folder.copy_from(folder.within("elsewhere"), "not-here")
        assert folder.entries() == []

    def test_an_unfinished_draft_is_no_file_and_is_removed(self, folder: Folder):
        drafts: list[Path] = []
        folder.create()

        def fail_half_way() -> None:
            with new_file(folder, "name.txt") as draft:
                drafts.append(draft)
                draft.write_text("half")
                assert folder.entries() == []
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_half_way()
        assert folder.entries() == []
        assert not drafts[0].exists()

    def test_a_name_is_given_once_to_one_of_several_writers(self, folder: Folder):
        folder.create()
        begin = threading.Barrier(6)

        def write(number: int) -> bool:
            draft = folder.draft(".txt")
            draft.write_text(str(number))
            begin.wait()
            committed = folder.commit_new(draft, "deep/name.txt")
            assert draft.exists() == (not committed)
            draft.unlink(missing_ok=True)
            return committed

        with ThreadPoolExecutor(6) as threads:
            first = list(threads.map(write, range(6)))
        assert first.count(True) == 1
        assert folder.read("deep/name.txt") == str(first.index(True)).encode()

    def test_a_copy_survives_the_removal_of_its_source(self, folder: Folder):
        put(folder.within("one"), "trials/a", b"content")
        folder.within("two").create()
        assert folder.within("two").copy_from(folder.within("one"), "trials/a")
        folder.within("one").remove_all()
        assert [entry.name for entry in folder.entries()] == ["two/trials/a"]
        assert folder.within("two").read("trials/a") == b"content"
        folder.within("two").remove("trials/a")
        assert folder.entries() == []
        folder.within("two").remove_all()

    @pytest.mark.parametrize("name", ["a=9/[x", "*", "a?b", "b c", "é/ü", "'q'", "100%"])
    def test_any_name_is_taken_literally(self, folder: Folder, name: str):
        put(folder.within(name), "a", b"odd")
        put(folder.within("plain"), "a", b"plain")
        assert folder.within(name).read("a") == b"odd"
        assert [entry.name for entry in folder.entries()] == sorted([f"{name}/a", "plain/a"])
        folder.within(name).remove_all()
        assert [entry.name for entry in folder.entries()] == ["plain/a"]
