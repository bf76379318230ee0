"""A run's forecast beside its reference class."""

import json
import shutil

import pandas as pd
import pytest

from cluster.query.trials import open_run
from cluster.reference.check import check
from cluster.reference.rates import class_rates
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, litigious

STRATEGIES = {"threaten": {"threat_probability": 0.3}, "talk": {"threat_probability": 0}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check") / "run"
    scenario = scenario_from_document(changed(litigious(), strategies=STRATEGIES, as_of="1995-04-13"))
    run(make_plan(scenario, trials=6000, seed=4), folder, RunOptions(engine="inline"))
    return folder


def test_shares_are_those_of_the_trials_with_a_threat(folder):
    found = {one["name"]: one for one in check(open_run(folder), reference="specific-strong")["compared"]}
    trials = pd.read_parquet(folder / "trials")
    trials = trials[(trials.strategy == "threaten") & trials.threat_week.notna()]
    settled = trials.outcome == "agreement_under_threat"
    imposed = trials.sanctions_week.notna()
    assert found["settled"]["forecast"]["estimate"] == pytest.approx(settled.mean())
    assert found["imposed"]["forecast"]["estimate"] == pytest.approx(imposed.mean())
    assert found["dropped"]["forecast"]["estimate"] == pytest.approx((~settled & ~imposed).mean())
    early = settled & (trials.agreement_week - trials.threat_week <= 12)
    assert found["agreed_by_week_12"]["forecast"]["estimate"] == pytest.approx(early.mean())
    ruled = trials[trials.ruling.notna()]
    assert found["ruling_for_target"]["forecast"]["estimate"] == pytest.approx((ruled.ruling == "for_target").mean())


def test_the_class_is_as_known_on_the_first_day(folder):
    document = check(open_run(folder), reference="specific-strong")
    pooled = class_rates("specific-strong", pd.Timestamp("1995-04-13").date())["pooled"]
    assert {one["name"]: one["class"] for one in document["compared"] if one["name"] in pooled} == pooled


def test_what_lies_outside_its_class_is_marked_and_explained(folder):
    document = check(open_run(folder), reference="unspecific-medium")
    assert any(one["outside"] for one in document["compared"])
    for one in document["compared"]:
        interval = one["class"]
        assert one["outside"] == (not interval["low"] <= one["forecast"]["estimate"] <= interval["high"])
        assert bool(one["movers"]) == one["outside"]
    json.dumps(document, allow_nan=False)


def test_a_strategy_that_seldom_threatens_has_nothing_to_compare(folder):
    with pytest.raises(InvalidInput, match="has a threat in 0 trials"):
        check(open_run(folder), reference="specific-strong", strategy="talk")


def test_the_command_prints_the_same(folder):
    printed = json.loads(brink("check", folder, "--json").stdout)
    assert printed == json.loads(json.dumps(check(open_run(folder), reference="specific-strong")))
    assert "compared with the class specific-strong" in " ".join(brink("check", folder).stdout.split())
    assert_refused(brink("check", folder, "--class", "none"), "--class", "specific-strong")
    assert_refused(brink("check", folder, "--trials", "500"), "--trials", "is for a scenario that will be run")


def test_a_run_of_another_scenario_version_is_refused_with_the_cause(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "run")
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    document["scenario_sha256"] = "0" * 64
    (tmp_path / "run" / "run.json").write_text(json.dumps(document))
    with pytest.raises(InvalidInput, match="was made from another scenario, or by a version of Brink"):
        open_run(tmp_path / "run")
