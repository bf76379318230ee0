"""Whatever the folders above a run are called, it gives the same answers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cluster.query.trials import StoredRun, open_run
from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from tests.support.answers import assert_same, document_of
from tests.support.runs import small_plan

PLAN = small_plan(trials=3000, shard_trials=1000)
CONDITION = "agreement_week <= 40"
ODD = (
    "export_gain=9",
    "follow_through=0.9",
    "strategy=other",
    "trial=1/strategy=talk",
    "part-*",
    "a[b]c",
    "[",
    "what?",
    "**",
    "\\\\",
    "'quoted' \"name\"",
    "{a,b}",
    "%41#x;y",
    "-rf",
    "agreement_week=__HIVE_DEFAULT_PARTITION__",
)


def quick_answers(found: StoredRun) -> dict[str, Any]:
    """One answer for each way in which files are read: footers, SQL, paired blocks, single rows, whole files."""
    return {
        "summary": document_of("summary", found, given=CONDITION),
        "aggregate": document_of("aggregate", found, measures=["export_gain", "export_gain > 0"]),
        "compare": document_of("compare", found),
        "replay": document_of("replay", found, trial=2500),
        "verify": verify(found.folder.address),
    }


def all_answers(found: StoredRun) -> dict[str, Any]:
    """Every answer that reads the files of a run."""
    return quick_answers(found) | {
        "drivers": document_of("drivers", found),
        "worth": document_of("worth", found),
        "stress": document_of("stress", found, bound="export_gain > 0"),
        "discover": document_of("discover", found, outcome="export_gain > 0"),
        "timeline": document_of("timeline", found),
        "typical": document_of("typical", found),
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return folder


@pytest.fixture(scope="module")
def expected(plain: Path) -> dict[str, Any]:
    return quick_answers(open_run(plain))


@pytest.mark.parametrize("name", ODD)
def test_a_folder_of_any_name_gives_the_answers_of_a_plain_one(plain, expected, tmp_path: Path, name: str):
    moved = tmp_path / name / "run"
    shutil.copytree(plain, moved)
    # Were the name taken for a pattern, these would match it.
    for sibling in ("part-x", "abc", "what!", "x"):
        (tmp_path / sibling / "run" / "trials").mkdir(parents=True)
    assert_same(quick_answers(open_run(moved)), expected)


@pytest.mark.slow
def test_every_answer_reads_a_folder_with_special_characters_in_its_name(plain, tmp_path: Path):
    moved = tmp_path / "export_gain=9" / "follow_through=0.9" / "[x]*?" / "strategy=other" / "run"
    shutil.copytree(plain, moved)
    assert_same(all_answers(open_run(moved)), all_answers(open_run(plain)))


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=25)
@given(name=NAMES)
@example(name="export_gain=9")
@example(name="[!x]*?")
def test_any_name_gives_the_numbers_of_a_plain_folder(plain, expected, tmp_path_factory, name: str):
    place = tmp_path_factory.mktemp("names") / name
    place.mkdir()
    moved = plain.rename(place / "run")
    try:
        found = document_of("aggregate", open_run(moved), measures=["export_gain", "export_gain > 0"])
    finally:
        moved.rename(plain)
    assert_same(found, expected["aggregate"])
