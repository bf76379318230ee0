"""The summary of a run: nothing is claimed that does not follow from the trials."""

import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cluster.answers.summary import summarize
from cluster.query.trials import open_run
from cluster.results.plan import make_plan
from cluster.results.result_folder import MANIFEST
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from sim.statistics.estimates import Estimate
from tests.support.command_line import brink
from tests.support.examples import changed, litigious
from tests.support.runs import small_plan


def estimates(summary: dict) -> list[Estimate]:
    """All estimates of a summary, those of quantiles too."""
    found = []
    for strategy in summary["strategies"].values():
        found += [*strategy["outcome"].values(), *strategy["events"].values()]
        for measure in strategy["measures"].values():
            found.append(measure["mean"])
            found += [
                {"estimate": measure["quantiles"][level], **bounds}
                for level, bounds in measure["quantile_intervals"].items()
            ]
    return found


@pytest.mark.parametrize(
    ("trials", "design"), [*itertools.product((1, 2, 16, 17, 400), ("random", "latin_hypercube", "sobol"))]
)
def test_a_few_trials_have_a_summary(tmp_path, trials, design):
    summary = run(small_plan(trials=trials, design=design), tmp_path / "run", RunOptions(engine="inline"))
    assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
    for found in estimates(summary):
        if found["estimate"] is not None:
            assert found["low"] is None or found["low"] <= found["estimate"]
            assert found["high"] is None or found["high"] >= found["estimate"]
    talk = summary["strategies"]["talk"]
    assert talk["events"]["threat"]["estimate"] == talk["events"]["threat"]["low"] == 0
    assert talk["events"]["threat"]["high"] > 0.95 * 3.84 / (trials + 3.84)
    assert talk["measures"]["threat_week"]["mean"] == dict.fromkeys(("estimate", "standard_error", "low", "high"))
    assert set(talk["measures"]["threat_week"]["quantiles"].values()) == {None}
    if trials == 1:
        cost = talk["measures"]["export_gain"]
        assert (cost["mean"]["low"], cost["mean"]["high"]) == (None, None)
        assert cost["quantile_intervals"]["0.5"] == {"low": None, "high": None}


def test_trials_of_one_replicate_have_intervals_of_independent_trials(tmp_path):
    """The scatter of a single replicate is none, and its error is not."""
    plan = small_plan(trials=16 * 120, design="sobol", strategies=("threaten",))
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    own = range(3, plan.trials, 16)
    found = summarize(open_run(tmp_path / "run"), f"trial in ({', '.join(map(str, own))})")["strategies"]["threaten"]
    assert found["trials"] == 120
    rows = pd.read_parquet(tmp_path / "run" / "trials").query("trial in @own")
    costs = np.sort(rows["target_cost"].to_numpy(np.float64))
    assert found["measures"]["target_cost"]["mean"]["standard_error"] == pytest.approx(stats.sem(costs))
    bounds = found["measures"]["target_cost"]["quantile_intervals"]["0.5"]
    assert (bounds["low"], bounds["high"]) == (costs[48], costs[71])


def test_quantiles_have_order_statistics_or_the_error_of_their_replicates(tmp_path):
    summary = run(small_plan(trials=6400, design="sobol"), tmp_path / "sobol", RunOptions(engine="inline"))
    same = run(small_plan(trials=6400), tmp_path / "random", RunOptions(engine="inline"))
    for one, name in itertools.product((summary, same), ("threat_week", "target_cost")):
        bounds = one["strategies"]["threaten"]["measures"][name]["quantile_intervals"]["0.5"]
        assert bounds["low"] <= bounds["high"]
    assert "Woodruff" in summary["method"]
    assert "order statistics for quantiles; independent trials" in same["method"]
    rows = pd.read_parquet(tmp_path / "random" / "trials")
    costs = np.sort(rows[rows["strategy"] == "threaten"]["target_cost"].to_numpy())
    bounds = same["strategies"]["threaten"]["measures"]["target_cost"]["quantile_intervals"]["0.5"]
    assert (bounds["low"], bounds["high"]) == (costs[3121], costs[3278])


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_quantiles_of_more_numbers_than_can_be_held_are_the_same(tmp_path, monkeypatch, design):
    plan = small_plan(trials=3000, design=design)
    summary = run(plan, tmp_path / "run", RunOptions(engine="inline"))
    monkeypatch.setattr("cluster.answers.shared.EXACT_NUMBERS", 10)
    assert summarize(open_run(tmp_path / "run")) == summary


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_a_condition_that_always_holds_changes_no_number(tmp_path, design):
    """Without a condition the measures are sorted; with one they are counted shard by shard."""
    run(small_plan(trials=4096, shard_trials=700, design=design), tmp_path / "run", RunOptions(engine="inline"))
    found = open_run(tmp_path / "run")
    without, counted = summarize(found), summarize(found, "trial >= 0")
    for strategy, summary in without["strategies"].items():
        other = counted["strategies"][strategy]
        assert (summary["outcome"], summary["events"]) == (other["outcome"], other["events"])
        for name, measure in summary["measures"].items():
            for part in ("count", "quantiles", "quantile_intervals", "quantiles_exact"):
                assert measure[part] == other["measures"][name][part], (name, part)
            for part, value in measure["mean"].items():
                counted_value = other["measures"][name]["mean"][part]
                assert value == counted_value or value == pytest.approx(counted_value, rel=1e-12), (name, part)


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_a_condition_selects_the_rows_that_pandas_selects(tmp_path, design):
    run(small_plan(trials=4096, shard_trials=1500, design=design), tmp_path / "run", RunOptions(engine="inline"))
    found = summarize(open_run(tmp_path / "run"), "agreement_week > 3 or target_cost > 0.1")["strategies"]
    rows = pd.read_parquet(tmp_path / "run" / "trials")
    rows = rows[(rows["agreement_week"] > 3).fillna(False) | (rows["target_cost"] > np.float32(0.1))]
    for strategy, summary in found.items():
        own = rows[rows["strategy"] == strategy]
        assert summary["trials"] == len(own)
        assert summary["events"]["sanctions"]["estimate"] == pytest.approx(own["sanctions_week"].notna().mean())
        for name in ("agreement_week", "market_access", "target_cost", "sender_cost", "extensions"):
            known = own[name].dropna().to_numpy(np.float64)
            measure = summary["measures"][name]
            assert measure["count"] == known.size
            for level, value in measure["quantiles"].items():
                assert value == np.quantile(known, float(level), method="inverted_cdf"), (strategy, name, level)
            assert measure["mean"]["estimate"] == pytest.approx(known.mean(), rel=1e-12)


def test_a_condition_on_a_threat_is_answered_without_the_strategy_that_never_threatens(tmp_path):
    run(small_plan(trials=1_000, strategies=("threaten", "talk")), tmp_path / "run", RunOptions(engine="inline"))
    stored = open_run(tmp_path / "run")
    condition = "threat_week <= 52"
    with pytest.raises(InvalidInput, match="leaves 0 of 1000 trials of talk"):
        summarize(stored, condition)
    rows = pd.read_parquet(tmp_path / "run" / "trials" / "strategy=threaten")
    found = summarize(stored, condition, strategies=("threaten",))["strategies"]
    assert list(found) == ["threaten"]
    assert found["threaten"]["trials"] == (rows["threat_week"] <= 52).sum()
    with pytest.raises(InvalidInput, match="there are threaten, talk"):
        summarize(stored, strategies=("wait",))


def test_a_condition_while_a_strategy_has_no_trials_yet_is_refused(tmp_path):
    run(small_plan(trials=1_000, strategies=("threaten", "talk")), tmp_path / "run", RunOptions(engine="inline"))
    shutil.rmtree(tmp_path / "run" / "trials" / "strategy=talk")
    (tmp_path / "run" / MANIFEST).unlink()
    stored = open_run(tmp_path / "run")
    with pytest.raises(InvalidInput, match="leaves 0 of 0 trials of talk"):
        summarize(stored, "trial >= 0")
    assert list(summarize(stored, "trial >= 0", strategies=("threaten",))["strategies"]) == ["threaten"]


def test_a_mean_of_a_few_great_values_is_marked_and_named(tmp_path):
    rare = {"follow_through": 0.002, "sanctioned_trade": {"lognormal": {"p05": 0.01, "p95": 300.0}}}
    scenario = scenario_from_document(changed(litigious(), rare))
    plan = make_plan(scenario, trials=4000, seed=3)
    measures = run(plan, tmp_path / "run", RunOptions(engine="inline"))["strategies"]["base"]["measures"]
    assert {name for name, one in measures.items() if one.get("skewed")} >= {"sender_cost", "target_cost"}
    assert not {name for name, one in measures.items() if one.get("skewed")} & {"agreement_week", "market_access"}
    assert all(one.get("skewed", True) for one in measures.values())
    common = run(small_plan(), tmp_path / "common", RunOptions(engine="inline"))["strategies"]["threaten"]["measures"]
    assert not any("skewed" in one for one in common.values())
    printed = " ".join(brink("summary", tmp_path / "run", status=0).stdout.split())
    assert "A few large values make up the mean, which is less certain than --json says: " in printed
    assert brink("verify", tmp_path / "run").returncode == 0
