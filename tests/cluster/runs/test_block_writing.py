"""Blocks of shards: they make reading quicker, and never change what is read."""

import json
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.answers.registry import ask
from cluster.answers.summary import summarize
from cluster.answers.summary_verification import verify_summary
from cluster.query.trials import StoredRun, open_run
from cluster.results import shard_blocks
from cluster.results.plan import Plan
from cluster.results.result_folder import SUMMARY, read_json, verify
from cluster.results.shard_blocks import BLOCKS_FOLDER, Block, place_of, places, read_block, shards_at, write_block
from cluster.runs.options import RunOptions
from cluster.runs.run import Stopped, run
from cluster.storage.address import open_folder
from cluster.storage.local import LocalFolder
from cluster.storage.s3 import ObjectFolder
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import digests, small_plan

INLINE = RunOptions(engine="inline")
ROWS = small_plan(trials=400, shard_trials=50)
COUNTS = replace(ROWS, kept_trials=100)
"""Eight shards of each strategy: with three shards in a block, two blocks and a third of two shards."""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(shard_blocks, "BLOCK_SHARDS", 3)


@contextmanager
def opened(monkeypatch, kind: type = LocalFolder):
    """The names of the files that are opened within the block."""
    names: list[str] = []
    opening: Callable = kind.open
    with monkeypatch.context() as patch:
        patch.setattr(kind, "open", lambda self, name: names.append(name) or opening(self, name))
        yield names


def stored_blocks(plan: Plan, folder: Path) -> list[Block | None]:
    held = open_folder(folder)
    entries = {entry.name: entry for entry in held.entries()}
    return [read_block(held, plan, place, entries, shards_at(plan, place)) for place in places(plan)]


def files_of(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(BLOCKS_FOLDER) and name.endswith(".parquet")]


def test_a_run_within_one_block_stores_none(tmp_path):
    run(small_plan(trials=150, shard_trials=50), tmp_path, INLINE)
    assert not (tmp_path / BLOCKS_FOLDER).exists()


@pytest.mark.parametrize("plan", [ROWS, COUNTS, replace(COUNTS, design=small_plan(design="sobol").design)])
def test_answers_from_blocks_are_those_from_the_shards_to_the_last_bit(tmp_path, monkeypatch, plan):
    run(plan, tmp_path, INLINE)
    assert all(stored_blocks(plan, tmp_path))

    def answers() -> tuple[object, object, object]:
        found = open_run(tmp_path)
        return summarize(found), ask(found, "timeline", {}), found.tallies("talk")

    with opened(monkeypatch) as names:
        from_blocks = answers()
    if not plan.keeps_all_rows:
        # The footer that says that the run is finished, and nothing else.
        assert set(files_of(names)) == {f"trials/strategy={name}/part-00000.parquet" for name in plan.strategies}
    for path in (tmp_path / BLOCKS_FOLDER).rglob("*.parquet"):
        path.unlink()
    assert answers() == from_blocks
    assert from_blocks[0] == read_json(open_folder(tmp_path), SUMMARY)
    assert verify(tmp_path) == []


def test_a_run_continues_from_its_blocks_without_reading_their_shards(tmp_path, monkeypatch):
    run(COUNTS, tmp_path / "whole", INLINE)
    done: list[object] = []
    stopping = replace(INLINE, on_progress=done.append, should_stop=lambda: len(done) > 10)
    with pytest.raises(Stopped):
        run(COUNTS, tmp_path / "run", stopping)
    valid = [block for block in stored_blocks(COUNTS, tmp_path / "run") if block is not None]
    assert len(valid) == 2
    with opened(monkeypatch) as names:
        run(COUNTS, tmp_path / "run", INLINE)
    within = {file.path for block in valid for file in block.files.values()}
    # The summary at the end reads each strategy's first footer.
    assert within & set(files_of(names)) <= {f"trials/strategy={one}/part-00000.parquet" for one in COUNTS.strategies}
    assert digests_of_shards(tmp_path / "run") == digests_of_shards(tmp_path / "whole")
    assert read_json(open_folder(tmp_path / "run"), SUMMARY) == read_json(open_folder(tmp_path / "whole"), SUMMARY)
    assert all(stored_blocks(COUNTS, tmp_path / "run"))


def digests_of_shards(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in digests(folder).items() if not name.startswith(BLOCKS_FOLDER)}


@pytest.mark.parametrize("damage", ["cut short", "altered", "gone"])
def test_a_block_does_not_count_once_a_file_of_it_is_another(tmp_path, damage):
    run(COUNTS, tmp_path, INLINE)
    before = digests_of_shards(tmp_path)
    path = tmp_path / "counts/strategy=talk/part-00004.parquet"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        # The file system's clock must have advanced, or it could not show the difference.
        path.write_bytes(content[: len(content) // 2] if damage == "cut short" else content[:-200] + content[-1:] * 200)
    valid = dict(zip(places(COUNTS), stored_blocks(COUNTS, tmp_path), strict=True))
    assert [place for place, block in valid.items() if block is None] == [("talk", 1)]
    run(COUNTS, tmp_path, INLINE)
    assert digests_of_shards(tmp_path) == before
    assert all(stored_blocks(COUNTS, tmp_path))


def test_a_lost_block_is_made_again_and_an_unreadable_one_is_not_needed(tmp_path):
    run(COUNTS, tmp_path, INLINE)
    lost, unreadable = sorted((tmp_path / BLOCKS_FOLDER).rglob("*.parquet"))[:2]
    held = lost.read_bytes()
    lost.unlink()
    unreadable.write_bytes(b"PAR1" + bytes(100))
    before = read_json(open_folder(tmp_path), SUMMARY)
    assert summarize(open_run(tmp_path)) == before
    run(COUNTS, tmp_path, INLINE)
    assert lost.read_bytes() == held
    assert all(stored_blocks(COUNTS, tmp_path))


def test_verification_finds_a_block_that_is_not_what_its_shards_have(tmp_path):
    for plan in (ROWS, COUNTS):
        folder = open_folder(tmp_path / plan.keep)
        run(plan, tmp_path / plan.keep, INLINE)
        assert verify_summary(open_run(tmp_path / plan.keep)) == []
        first = stored_blocks(plan, tmp_path / plan.keep)[1]
        assert first is not None
        altered = tuple(replace(tally, trials=tally.trials + 1) for tally in first.tallies)
        counts = None if plan.keeps_all_rows else shard_blocks.no_counts()
        write_block(folder, plan, replace(first, tallies=altered), counts)
        (finding,) = verify_summary(open_run(tmp_path / plan.keep))
        assert finding.startswith(f"{BLOCKS_FOLDER}/strategy=threaten/block-00001.parquet")


def test_a_block_of_another_plan_or_stage_does_not_count(tmp_path):
    run(COUNTS, tmp_path, INLINE)
    for other in (replace(COUNTS, seed=12), replace(COUNTS, kernel_version=0), replace(COUNTS, trials=390)):
        blocks = dict(zip(places(other), stored_blocks(other, tmp_path), strict=True))
        assert [place for place, block in blocks.items() if block] == (
            [(one, k) for one in other.strategies for k in (0, 1)] if other.trials != COUNTS.trials else []
        )


def test_blocks_count_in_an_object_store(monkeypatch):
    with object_store():
        address = f"s3://{BUCKET}/blocks/run"
        run(COUNTS, address, INLINE)
        with opened(monkeypatch, ObjectFolder) as names:
            found = summarize(open_run(address))
        assert len(set(files_of(names))) == len(COUNTS.strategies)
        assert found == read_json(open_folder(address), SUMMARY)


def test_a_block_names_each_file_with_its_digest(tmp_path):
    run(COUNTS, tmp_path, INLINE)
    listed = {file["path"]: file["sha256"] for file in json.loads((tmp_path / "manifest.json").read_text())["files"]}
    named = {file.path: file.sha256 for block in stored_blocks(COUNTS, tmp_path) for file in block.files.values()}
    assert named == listed
    shards = [shard for place in places(COUNTS) for shard in shards_at(COUNTS, place)]
    assert sorted(shards, key=str) == sorted(COUNTS.shards(), key=str)
    assert {place_of(shard) for shard in shards} == set(places(COUNTS))
    assert StoredRun(COUNTS, open_folder(tmp_path)).block(shards_at(COUNTS, ("talk", 2))) is not None
