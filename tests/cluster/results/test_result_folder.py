"""The result folder: what other programs read from it, and what `verify` finds."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cluster.answers.summary_verification import verify_summary
from cluster.query.trials import open_run
from cluster.results.result_folder import new_file, read_manifest, verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.storage.address import open_folder
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import scenario_hash
from sim.scenario.vocabulary import OUTCOMES
from tests.support.runs import small_plan

PLAN = small_plan()
FIRST = "trials/strategy=talk/part-00000.parquet"


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return folder


@pytest.fixture
def folder(done, tmp_path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def test_the_folder_holds_what_the_contract_says(done):
    assert sorted(path.name for path in done.iterdir()) == [
        "manifest.json",
        "run.json",
        "scenario.json",
        "summary.json",
        "trials",
    ]
    listed = [file.path for file in read_manifest(open_folder(done))]
    assert listed == sorted(path.relative_to(done).as_posix() for path in (done / "trials").rglob("*.parquet"))
    first = read_manifest(open_folder(done))[0]
    assert (first.path, first.rows, first.first_trial, first.last_trial) == (FIRST, 1000, 0, 999)
    recorded = json.loads((done / "run.json").read_text())
    assert {"trials": 5000, "seed": 11, "design": "random", "strategies": ["threaten", "talk"]}.items() <= (
        recorded.items()
    )
    assert {"python", "brink", "numpy", "pyarrow", "ray"} <= set(recorded["versions"])
    assert json.loads((done / "scenario.json").read_text())["parameters"]["deadline_multiplier"]


def test_pandas_polars_duckdb_and_arrow_read_the_same(done):
    expected = {strategy: simulate(PLAN.scenario, strategy, Chance(11, 0, 5000)) for strategy in PLAN.strategies}
    pandas = pd.read_parquet(done / "trials")
    polars = pl.read_parquet(done / "trials", hive_partitioning=True).to_pandas()
    duck = duckdb.sql(f"SELECT * FROM read_parquet('{done}/trials/*/*.parquet', hive_partitioning = true)").df()
    arrow = ds.dataset(done / "trials", partitioning="hive").to_table().to_pandas()
    for table in (pandas, polars, duck, arrow):
        assert set(table["strategy"].unique()) == set(expected)
        for strategy, arrays in expected.items():
            rows = table[table["strategy"] == strategy]
            np.testing.assert_array_equal(rows["trial"], np.arange(5000))
            np.testing.assert_array_equal(rows["outcome"].astype(str), np.array(OUTCOMES)[arrays["outcome"]])
            weeks = rows["agreement_week"].astype("float64").fillna(-1)
            np.testing.assert_array_equal(weeks, arrays["agreement_week"])
            np.testing.assert_array_equal(rows["target_cost"].astype("float32"), arrays["target_cost"])
            np.testing.assert_array_equal(rows["follow_through"].astype("float32"), arrays["follow_through"])


def test_columns_carry_units_and_files_their_origin(done):
    schema = pq.read_schema(done / FIRST)
    assert schema.field("target_cost").metadata[b"unit"] == b"bn USD"
    assert schema.field("issues.dealers.gap").metadata[b"description"]
    for field in schema:
        assert field.metadata[b"unit"]
        assert field.metadata[b"description"]
    types = {field.name: str(field.type) for field in schema}
    assert types["trial"] == "int64"
    assert types["agreement_week"] == "int16"
    assert types["market_access"] == "float"
    assert types["outcome"] == "dictionary<values=string, indices=int8, ordered=0>"
    assert types["defiant"] == "bool"
    metadata = pq.read_metadata(done / FIRST).metadata
    assert metadata[b"brink.scenario_sha256"].decode() == scenario_hash(PLAN.scenario)
    assert metadata[b"brink.seed"] == b"11"


def test_nulls_are_nulls(done):
    table = pq.read_table(done / FIRST)
    assert table["threat_week"].null_count == 1000
    assert table["defiant"].null_count == 1000
    agreed = 1000 - table["agreement_week"].null_count
    assert 0 < agreed < 1000
    assert table["market_access"].null_count == 1000 - agreed
    assert table["sanctions_weeks"].null_count == table["target_cost"].null_count == 0
    assert not np.isnan(table["market_access"].drop_null().to_numpy()).any()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(path: Path) -> None:
    shutil.copy(path.with_name("part-00001.parquet"), path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_short, f"{FIRST}: is truncated"),
        (alter, f"{FIRST}: is altered"),
        (swap, f"{FIRST}: is "),
        (Path.unlink, f"{FIRST}: is missing"),
        (
            lambda path: shutil.copy(path, path.with_name("part-00099.parquet")),
            "part-00099.parquet: is not in the manifest",
        ),
        (lambda path: (path.parent / "notes.txt").write_text("x"), "notes.txt: is not in the manifest"),
    ],
)
def test_verify_names_the_damaged_file(folder: Path, damage: Callable[[Path], object], says: str):
    assert verify(folder) == []
    damage(folder / FIRST)
    (finding,) = verify(folder)
    assert says in finding


def edit(folder: Path, name: str, change: Callable[[dict], object]) -> None:
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))


def test_verify_finds_a_wrong_manifest(folder: Path):
    edit(folder, "manifest.json", lambda manifest: manifest["files"].pop(0))
    found = " ".join(verify(folder))
    assert f"{FIRST}: is not in the manifest" in found
    assert "lack" in found


def test_verify_finds_rows_that_the_run_lacks(folder: Path):
    edit(folder, "run.json", lambda document: document.update(trials=6000))
    assert any("holds 5000 of 6000 trials" in finding for finding in verify(folder))


@pytest.mark.parametrize(
    ("name", "content"),
    [("manifest.json", "{"), ("manifest.json", "[]"), ("run.json", "{}"), ("manifest.json", '{"files": [{}]}')],
)
def test_verify_survives_broken_documents(folder: Path, name: str, content: str):
    (folder / name).write_text(content)
    assert any(name in finding for finding in verify(folder))


def other_scenario(document: dict) -> None:
    document["horizon_weeks"] += 1


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("scenario.json", other_scenario, "scenario.json: has the scenario_sha256"),
        ("scenario.json", other_scenario, "run.json: its scenario_sha256 is"),
        ("scenario.json", lambda document: document.update(horizon_weeks=0), "scenario.json: is not a scenario"),
        ("run.json", lambda document: document.update(scenario="another"), "run.json: its scenario is another"),
        ("run.json", lambda document: document.update(seed=12), "run.json: has the seed 12, where the files have 11"),
        ("run.json", lambda document: document.update(design="sobol"), "run.json: has the design sobol"),
        ("run.json", lambda document: document.update(shard_trials=500), "run.json: says 500 trials in a file"),
        ("run.json", lambda document: document.update(shard_trials="500"), "must be whole numbers"),
        ("run.json", lambda document: document.update(shard_trials=0), "must be whole numbers"),
        ("run.json", lambda document: document.update(strategies=["talk"]), "does not name the strategy threaten"),
        ("manifest.json", lambda document: document["files"][0].update(strategy="threaten"), "threaten"),
    ],
)
def test_verify_finds_an_edited_scenario_or_run(folder: Path, name: str, change: Callable, says: str):
    edit(folder, name, change)
    assert any(says in finding for finding in verify(folder))


def test_verify_finds_that_there_is_no_scenario(folder: Path):
    (folder / "scenario.json").unlink()
    assert verify(folder) == ["scenario.json: is missing"]


def test_a_summary_whose_method_another_version_worded_is_the_same(folder: Path):
    edit(folder, "summary.json", lambda summary: summary.update(method="in other words"))
    assert verify_summary(open_run(folder)) == []


def test_an_edited_summary_is_found(folder: Path):
    assert verify_summary(open_run(folder)) == []
    edit(folder, "summary.json", lambda summary: summary["strategies"]["talk"]["events"]["agreement"].update(low=0.5))
    edit(folder, "summary.json", lambda summary: summary.update(trials=6000))
    edit(folder, "summary.json", lambda summary: summary.pop("method"))
    places = ("trials", "method", "strategies.talk.events.agreement.low")
    assert verify_summary(open_run(folder)) == [f"summary.json: {p} differs from the trials" for p in places]
    (folder / "summary.json").write_text("{")
    assert "cannot be read" in verify_summary(open_run(folder))[0]
    (folder / "summary.json").unlink()
    assert verify_summary(open_run(folder)) == []


def test_verify_does_not_leave_the_folder(folder: Path):
    edit(folder, "manifest.json", lambda manifest: manifest["files"][0].update(path="../../etc/passwd"))
    assert "../../etc/passwd: is missing" in verify(folder)


def test_verify_reports_a_missing_folder(tmp_path: Path):
    for folder in (tmp_path / "none", tmp_path):
        assert verify(folder) == [f"{folder}: holds no files"]
    (tmp_path / "note.txt").write_text("no run")
    assert verify(tmp_path) == ["manifest.json: is missing"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    def fail_half_way() -> None:
        with new_file(open_folder(tmp_path), "deep/name.txt") as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with new_file(open_folder(tmp_path), "deep/name.txt") as draft:
        draft.write_text("whole")
        assert not (tmp_path / "deep/name.txt").exists()
    assert (tmp_path / "deep/name.txt").read_text() == "whole"
