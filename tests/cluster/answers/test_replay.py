"""A stored trial played again: its end is compared with the stored row, from the command line and over HTTP too."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.query.trials import open_run
from cluster.results.plan import Plan, make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from tests.support.answers import result_of
from tests.support.command_line import brink
from tests.support.examples import full_scenarios
from tests.support.runs import small_plan

replay = partial(result_of, "replay")
TRIALS = 3000


def plan_of(name: str, design: str) -> Plan:
    if name == "small":
        return small_plan(trials=TRIALS, design=design)
    return make_plan(full_scenarios()[name], trials=TRIALS, seed=23, design=design, shard_trials=1000)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replay") / "run"
    run(plan_of("small", "random"), folder, RunOptions(engine="inline"))
    return folder


@pytest.fixture
def folder(small, tmp_path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "design"),
    [
        ("small", "latin_hypercube"),
        pytest.param("1995", "sobol", marks=pytest.mark.slow),
        ("every-mechanism", "latin_hypercube"),
    ],
)
def test_random_trials_end_as_they_are_stored(tmp_path, name, design):
    plan = plan_of(name, design)
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    found = open_run(tmp_path / "run")
    tables = {s: pq.read_table(tmp_path / "run" / "trials" / f"strategy={s}") for s in plan.strategies}
    for trial in np.random.default_rng(3).integers(0, TRIALS, 4).tolist():
        for strategy in plan.strategies[:2]:
            replayed = replay(found, trial=trial, strategy=strategy)
            check = replayed["check"]
            assert check["equal"], check
            assert (check["strategies"], check["differences"]) == (list(plan.strategies), [])
            stored = tables[strategy].slice(trial, 1).to_pylist()[0]
            stored.pop("strategy", None)
            assert replayed["end"] == stored
            assert check["columns"] == len(stored)
            for other, ended in replayed["strategies"].items():
                assert ended["outcome"] == tables[other]["outcome"][trial].as_py()
            json.dumps(replayed, allow_nan=False)


def test_the_first_strategy_is_replayed_unless_one_is_named(small):
    found = open_run(small)
    assert replay(found, trial=7)["strategy"] == "threaten"
    talk = replay(found, trial=7, strategy="talk")
    assert talk["strategy"] == "talk"
    assert talk["strategies"] == replay(found, trial=7)["strategies"]
    assert not any(event["kind"] == "announced" for passage in talk["story"] for event in passage["events"])


def test_positions_and_costs_are_continuous_from_week_to_week(small):
    replayed = replay(open_run(small), trial=12)
    assert replayed["story"][0]["first_week"] == 1
    for before, after in zip(replayed["story"], replayed["story"][1:], strict=False):
        assert after["first_week"] == before["last_week"] + 1
    last = replayed["story"][-1]
    assert (last["sender_cost"], last["target_cost"]) == (
        replayed["end"]["sender_cost"],
        replayed["end"]["target_cost"],
    )
    for issue in replayed["positions"].values():
        assert len(issue["sender"]) == len(issue["target"]) == last["last_week"] + 1
        assert issue["sender"][0] == 1.0


def changed_file(folder: Path, trial: int, column: str, value: object) -> None:
    """Change one value of a stored trial, and nothing else of its file."""
    path = folder / "trials" / "strategy=threaten" / f"part-{trial // 1000:05d}.parquet"
    table = pq.read_table(path, partitioning=None)
    place = table.schema.get_field_index(column)
    values = table[column].to_pylist()
    values[trial % 1000] = value
    changed = table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    pq.write_table(changed.replace_schema_metadata(pq.read_metadata(path).metadata), path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("agreement_week", 499),
        ("sender_cost", float("nan")),
        ("outcome", "retreat_"),
        ("target_win", 2.0),
        ("trial", -5),
    ],
)
def test_an_altered_file_is_noticed(folder, column, value):
    changed_file(folder, 1234, column, value)
    found = open_run(folder)
    check = replay(found, trial=1234)["check"]
    assert not check["equal"]
    assert [(one["strategy"], one["column"]) for one in check["differences"]] == [("threaten", column)]
    json.dumps(check, allow_nan=False)
    assert replay(found, trial=1235)["check"]["equal"]
    assert not replay(found, trial=1234, strategy="talk")["check"]["equal"]


def test_a_damaged_file_is_noticed(folder):
    path = folder / "trials" / "strategy=threaten" / "part-00000.parquet"
    content = bytearray(path.read_bytes())
    content[4:4000] = bytes(3996)
    path.write_bytes(content)
    assert not replay(open_run(folder), trial=3)["check"]["equal"]


def test_trials_and_strategies_that_are_not_there_are_refused(small, folder):
    found = open_run(small)
    with pytest.raises(InvalidInput, match=rf"trial: must be a whole number from 0 to {TRIALS - 1}"):
        replay(found, trial=TRIALS)
    with pytest.raises(InvalidInput, match=r"trial: must be at least 0 \(found -1\)"):
        replay(found, trial=-1)
    for trial in (3.5, True, "7"):
        with pytest.raises(InvalidInput, match="trial: must be a whole number"):
            replay(found, trial=trial)
    with pytest.raises(InvalidInput, match="strategy: is not a strategy of this run; there are threaten, talk"):
        replay(found, trial=0, strategy="bluff")
    # A run that has not ended has no manifest yet.
    (folder / "manifest.json").unlink()
    (folder / "trials" / "strategy=threaten" / "part-00001.parquet").unlink()
    partly = open_run(folder)
    with pytest.raises(InvalidInput, match="trial: is not committed under threaten"):
        replay(partly, trial=1500)
    assert replay(partly, trial=1500, strategy="talk")["check"] | {"columns": 0} == {
        "equal": True,
        "reason": None,
        "strategies": ["talk"],
        "columns": 0,
        "differences": [],
        "other_versions": {},
    }


def test_the_command_prints_the_narrative_and_fails_on_an_altered_file(folder):
    replayed = brink("replay", folder, "--trial", "1234")
    assert replayed.returncode == 0, replayed.stderr
    for part in (
        "trial 1,234 under threaten",
        "How far apart the sides stood",
        "The same parameters and chance under talk:",
    ):
        assert part in " ".join(replayed.stdout.split())
    assert "The replayed row equals the stored row in all" in " ".join(replayed.stdout.split())
    as_json = brink("replay", folder, "--trial", "1234", "--json")
    assert json.loads(as_json.stdout)["result"] == replay(open_run(folder), trial=1234)

    changed_file(folder, 1234, "export_gain", 77.0)
    altered = brink("replay", folder, "--trial", "1234")
    assert altered.returncode == 1
    assert "threaten: export_gain: stored 77.0, played" in altered.stderr
    assert "equals" not in altered.stdout
    refused = brink("replay", folder, "--trial", "99999")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"--trial: must be a whole number from 0 to {TRIALS - 1} (found 99999)\n"
