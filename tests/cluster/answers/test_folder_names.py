"""Whatever the folders above a run are called, it gives the same answers."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cluster.answers.aggregate import aggregate
from cluster.answers.compare import compare
from cluster.answers.discover import discover
from cluster.answers.drivers import drivers
from cluster.answers.replay import replay
from cluster.answers.stress import stress
from cluster.answers.summary import summarize
from cluster.answers.timeline import timeline
from cluster.answers.typical import typical
from cluster.answers.worth import worth
from cluster.query.trials import StoredRun, open_run
from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
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
        "summary": summarize(found, CONDITION),
        "aggregate": aggregate(found, measures=["export_gain", "export_gain > 0"]),
        "compare": compare(found),
        "replay": replay(found, trial=2500),
        "verify": verify(found.folder.address),
    }


def all_answers(found: StoredRun) -> dict[str, Any]:
    """Every answer that reads the files of a run."""
    return quick_answers(found) | {
        "drivers": drivers(found),
        "worth": worth(found),
        "stress": stress(found, bound="export_gain > 0"),
        "discover": discover(found, outcome="export_gain > 0"),
        "timeline": timeline(found),
        "typical": typical(found),
    }


def assert_same(found: object, expected: object) -> None:
    """Two documents are the same up to the last bits of sums, which depend on the order of DuckDB's threads."""
    if isinstance(expected, dict):
        assert isinstance(found, dict)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list | tuple):
        assert isinstance(found, list | tuple)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
    else:
        assert found == expected


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


def test_every_answer_reads_a_folder_whose_name_holds_all_that_is_odd(plain, tmp_path: Path):
    moved = tmp_path / "export_gain=9" / "follow_through=0.9" / "[x]*?" / "strategy=other" / "run"
    shutil.copytree(plain, moved)
    assert_same(all_answers(open_run(moved)), all_answers(open_run(plain)))


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
@example(name="export_gain=9")
@example(name="[!x]*?")
def test_any_name_gives_the_numbers_of_a_plain_folder(plain, expected, tmp_path: Path, name: str):
    place = tmp_path / name
    place.mkdir(exist_ok=True)
    moved = plain.rename(place / "run")
    try:
        found = aggregate(open_run(moved), measures=["export_gain", "export_gain > 0"])
    finally:
        moved.rename(plain)
    assert_same(found, expected["aggregate"])


def read_by_every_reader(trials: Path) -> dict[str, pd.DataFrame]:
    """The run's table by pandas, Polars, Arrow and DuckDB, as a user reads it."""
    with duckdb.connect() as database:
        return {
            "pandas": pd.read_parquet(trials),
            "polars": pl.scan_parquet(trials, hive_partitioning=True, glob=False).collect().to_pandas(),
            "arrow": ds.dataset(trials, partitioning="hive").to_table().to_pandas(),
            "duckdb": database.read_parquet(f"{trials}/*/*.parquet", hive_partitioning=True).df(),
        }


def test_four_readers_read_the_same_table(plain):
    tables = {
        reader: table.astype({"strategy": str, "outcome": str}).sort_values(["strategy", "trial"], ignore_index=True)
        for reader, table in read_by_every_reader(plain / "trials").items()
    }
    for table in tables.values():
        assert set(table) == set(tables["pandas"])
        for name in table:
            nulls = table[name].isna()
            assert nulls.equals(tables["pandas"][name].isna())
            assert table[name][~nulls].tolist() == tables["pandas"][name][~nulls].tolist()
    assert len(tables["pandas"]) == PLAN.trials * len(PLAN.strategies)
