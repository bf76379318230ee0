"""Two stored runs compared: against pandas on the raw tables; refusals; from HTTP and the shell."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from cluster.answers.diff import compared_strategies, diff
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import intervene, scenario_document, scenario_from_document
from tests.support.answers import assert_same
from tests.support.command_line import brink
from tests.support.examples import changed, litigious
from tests.support.runs import STRATEGIES

FIRST = scenario_from_document(changed(litigious(), strategies=STRATEGIES))
SECOND = scenario_from_document(
    changed(litigious(), {"sanctioned_trade": 9}, strategies={"threaten": {"follow_through": 0.9}, "mild": {}})
)


def stored(scenario, folder: Path, **options: object) -> StoredRun:
    plan = make_plan(scenario, **{"trials": 4000, "seed": 7, "shard_trials": 1500} | options)
    run(plan, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> StoredRun:
    return stored(FIRST, tmp_path_factory.mktemp("diff") / "first")


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> StoredRun:
    """More trials, in shards of other sizes."""
    return stored(SECOND, tmp_path_factory.mktemp("diff") / "second", trials=5000, shard_trials=700)


def rows(found: StoredRun) -> pd.DataFrame:
    whole = pd.read_parquet(f"{found.folder.address}/trials")
    return whole[whole.strategy == "threaten"].set_index("trial").sort_index()


def test_runs_of_the_same_seed_are_compared_trial_by_trial(first, second):
    found = diff(first, second)
    assert found.paired
    assert (found.only_first, found.only_second) == (["talk"], ["mild"])
    (one,) = found.strategies
    assert (one.first, one.second, one.trials.first, one.trials.second) == ("threaten", "threaten", 4000, 4000)
    before, after = rows(first), rows(second).loc[:3999]
    for name in ("agreement_week", "market_access", "sanctions_weeks", "export_gain", "target_cost"):
        change = (after[name].astype(float) - before[name].astype(float)).dropna()
        own = one.measures[name]
        assert own.change.estimate == pytest.approx(change.mean(), rel=1e-9, abs=1e-12)
        assert own.change.standard_error == pytest.approx(change.sem(), rel=1e-9)
        assert own.equal is not None
        assert own.equal.estimate == pytest.approx((change == 0).mean())
        assert own.first.estimate == pytest.approx(before[name].astype(float).mean())
        assert own.second.estimate == pytest.approx(after[name].astype(float).mean())
    for outcome, own in one.outcome.items():
        change = (after.outcome == outcome).astype(float) - (before.outcome == outcome).astype(float)
        assert own.change.estimate == pytest.approx(change.mean(), abs=1e-12)
        assert own.change.standard_error == pytest.approx(change.sem(), abs=1e-12)
        assert own.first.estimate == pytest.approx((before.outcome == outcome).mean())
    event = one.events["retaliation"]
    change = after.retaliation_weeks.gt(0).astype(float) - before.retaliation_weeks.gt(0).astype(float)
    assert event.change.estimate == pytest.approx(change.mean(), abs=1e-12)
    assert change.abs().sum() > 0


def test_a_condition_must_hold_in_both_runs_if_they_are_paired(first, second):
    (one,) = diff(first, second, given="sanctions_week is not null").strategies
    before, after = rows(first), rows(second).loc[:3999]
    both = before.sanctions_week.notna() & after.sanctions_week.notna()
    assert one.trials.first == one.trials.second == both.sum()
    change = (after.target_cost - before.target_cost)[both]
    assert one.measures["target_cost"].change.estimate == pytest.approx(change.mean())


def test_runs_of_other_seeds_are_compared_by_their_estimates(first, tmp_path):
    other = stored(SECOND, tmp_path / "other", seed=8, trials=5000)
    found = diff(first, other)
    assert not found.paired
    assert found.reason == "the seeds differ (7 and 8)"
    (one,) = found.strategies
    assert (one.trials.first, one.trials.second) == (4000, 5000)
    before, after = rows(first).target_cost, rows(other).target_cost
    own = one.measures["target_cost"]
    assert own.change.estimate == pytest.approx(after.mean() - before.mean())
    assert own.change.standard_error == pytest.approx(np.hypot(before.sem(), after.sem()))
    assert own.equal is None
    assert (one.events["threat"].change.low or 0) <= 0 <= (one.events["threat"].change.high or 0)


def test_replicates_of_sobol_runs_are_paired(tmp_path):
    plain = stored(FIRST, tmp_path / "plain", design="sobol", trials=2048, shard_trials=512)
    tuned = stored(
        intervene(FIRST, {"sanctioned_trade": 9}), tmp_path / "tuned", design="sobol", trials=2048, shard_trials=700
    )
    found = diff(plain, tuned)
    assert found.paired == (plain.plan.design.replicates(FIRST) == tuned.plan.design.replicates(tuned.plan.scenario))
    before, after = rows(plain).target_cost, rows(tuned).target_cost
    own = found.strategies[0].measures["target_cost"].change
    assert own.estimate == pytest.approx((after - before).mean())
    assert own.low is not None
    assert own.low < (after - before).mean() < (own.high or 0)


def test_the_inputs_that_differ_are_those_that_were_changed(first, second):
    found = {one.field: (one.first, one.second) for one in diff(first, second).inputs}
    assert found == {
        "parameters.sanctioned_trade": ({"quantiles": {"0.0": 1, "0.05": 2, "0.5": 5.9, "0.95": 9, "1.0": 12}}, 9.0),
        "strategies.threaten.follow_through": (None, 0.9),
        "strategies.talk.threat_probability": (0.0, None),
        "strategies.mild": (None, {}),
    }
    assert {one.field for one in diff(first, second).run} == {"trials", "strategies"}
    assert diff(first, first).inputs == diff(first, first).run == []


def test_a_run_does_not_differ_from_itself(first):
    for one in diff(first, first).strategies:
        for own in (*one.outcome.values(), *one.events.values(), *one.measures.values()):
            assert own.change.estimate in (0.0, None)
            assert own.first == own.second


def test_strategies_are_compared_by_name_or_as_the_only_ones():
    assert compared_strategies(["a", "b"], ["b", "a", "c"]) == [("a", "a"), ("b", "b")]
    assert compared_strategies(["a"], ["b"]) == [("a", "b")]
    for names, wanted in ((["b", "c"], []), (["a", "b"], ["c"])):
        with pytest.raises(InvalidInput, match="the first has a, the second "):
            compared_strategies(["a"], names, wanted)


@pytest.mark.parametrize(
    "request_", [{"given": "agreement_wek > 3"}, {"measures": ["nonsense +"]}, {"given": "threat_week > 9999"}]
)
def test_what_cannot_be_computed_is_refused(first, second, request_):
    with pytest.raises(InvalidInput) as refused:
        diff(first, second, **request_)
    assert refused.value.faults[0].field in ("given", "measures[0]")


def test_the_command_compares_runs_and_scenarios(first, second, tmp_path):
    printed = brink("diff", first.folder.address, second.folder.address, status=0).stdout
    assert "parameters.sanctioned_trade" in " ".join(printed.split())
    assert "Compared trial by trial: the same seed (7) and the same design (random)." in printed
    assert "threaten: answers that differ, 4,000 trials" in printed
    sanctions = diff(first, second).strategies[0].events["sanctions"]
    before, after = (f"{100 * one.estimate:.1f} %" for one in (sanctions.first, sanctions.second))
    points = f"{100 * sanctions.change.estimate:+.1f} percentage points ±"
    said = f"sanctions are imposed in {after} of the trials of B instead of {before} of A ({points}"
    assert said in " ".join(printed.split())
    found = json.loads(brink("diff", first.folder.address, second.folder.address, "--json", status=0).stdout)
    assert said in found["sentences"][0]
    assert {**found, "sentences": None} == {
        "answer": "diff",
        **diff(first, second).model_dump(),
        "sentences": None,
    }
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump(scenario_document(SECOND)))
    with_file = json.loads(brink("diff", first.folder.address, file, "--json", cwd=tmp_path, status=0).stdout)
    assert with_file["second"]["run"]["trials"] == 4000
    assert_same(with_file["strategies"], found["strategies"])
    refused = brink("diff", first.folder.address, file, "--seed", 3, cwd=tmp_path, status=2)
    assert "--seed" in refused.stderr
    other = tmp_path / "first.yaml"
    other.write_text(yaml.safe_dump(scenario_document(FIRST)))
    options = ("--trials", 1000, "--engine", "inline", "--measure", "agreement")
    both = json.loads(brink("diff", other, file, *options, "--json", cwd=tmp_path, status=0).stdout)
    assert both["paired"]
    assert list(both["strategies"][0]["measures"]) == ["agreement"]
    assert {one["field"] for one in both["inputs"]} == {one["field"] for one in found["inputs"]}


def test_a_design_for_indices_is_refused(first, tmp_path):
    points = stored(
        FIRST, tmp_path / "points", design="saltelli", trials=26_624, strategies=("threaten",), shard_trials=None
    )
    with pytest.raises(InvalidInput, match="not a sample"):
        diff(first, points)
