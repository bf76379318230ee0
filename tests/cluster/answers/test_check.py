"""A run's forecast beside its reference class."""

import json
import shutil

import pandas as pd
import pytest

from api.shipped_scenarios import shipped_scenario
from cluster.answers.check import _rows as check_rows
from cluster.answers.outside_view import PastCases, past_cases
from cluster.query.trials import open_run
from cluster.reference.rates import class_rates
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from sim.statistics.estimates import proportion, proportion_of_replicates
from tests.support.answers import result_of
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, litigious

STRATEGIES = {"threaten": {"threat_probability": 0.3}, "talk": {"threat_probability": 0}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check") / "run"
    scenario = scenario_from_document(
        changed(litigious(), strategies=STRATEGIES, as_of="1995-04-13", reference="specific-strong")
    )
    run(make_plan(scenario, trials=6000, seed=4), folder, RunOptions(engine="inline"))
    return folder


@pytest.fixture(scope="module")
def document(folder) -> dict:
    """The answer to the shortest question, computed once for the tests that read it."""
    return check(folder)


def check(folder, **request) -> dict:
    return result_of("check", open_run(folder), **request)


def test_shares_are_those_of_the_trials_with_a_threat(folder, document):
    found = {one["name"]: one for one in document["compared"]}
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


def test_strategies_that_never_threaten_are_named_as_compared_with_nothing(document, folder):
    assert document["without_threat"] == ["talk"]
    done = brink("check", str(folder), environment={"COLUMNS": "200"})
    assert "Not compared: talk. No class says how often talks without a threat succeed" in done.stdout


@pytest.mark.slow
def test_intervals_of_a_sobol_design_are_those_of_its_replicates(tmp_path):
    scenario = scenario_from_document(
        changed(litigious(), strategies=STRATEGIES, as_of="1995-04-13", reference="specific-strong")
    )
    plan = make_plan(scenario, trials=8192, seed=4, design="sobol", strategies=("threaten",))
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    found = {one["name"]: one["forecast"] for one in check(tmp_path / "run")["compared"]}
    trials = pd.read_parquet(tmp_path / "run" / "trials")
    threats = trials[trials.threat_week.notna()]
    imposed, all_threats = (
        [int((one.trial % 16 == k).sum()) for k in range(16)]
        for one in (threats[threats.sanctions_week.notna()], threats)
    )
    assert found["imposed"] == pytest.approx(proportion_of_replicates(imposed, all_threats))
    assert found["imposed"]["high"] != pytest.approx(proportion(sum(imposed), sum(all_threats))["high"])


def test_the_class_is_as_known_on_the_first_day(document):
    pooled = class_rates("specific-strong", pd.Timestamp("1995-04-13").date())["pooled"]
    assert {one["name"]: one["class"] for one in document["compared"] if one["name"] in pooled} == pooled


def test_what_lies_outside_its_class_is_marked_and_explained(folder):
    document = check(folder, reference="unspecific-medium")
    assert any(one["outside"] for one in document["compared"])
    for one in document["compared"]:
        interval = one["class"]
        if interval["estimate"] is None:
            assert not one["outside"]
            continue
        ours = one["forecast"]
        assert one["outside"] == (ours["high"] < interval["low"] or ours["low"] > interval["high"])
        assert bool(one["movers"]) == (one["outside"] and one["reason"] is None)
    json.dumps(document, allow_nan=False)


@pytest.mark.slow
def test_the_class_is_the_scenarios_own_unless_another_is_named(folder, tmp_path):
    assert check(folder)["reference"] == "specific-strong"
    assert check(folder, reference="all")["reference"] == "all"
    with pytest.raises(InvalidInput, match="reference class; there are all"):
        check(folder, reference="none")
    plain = scenario_from_document(changed(litigious(), strategies=STRATEGIES))
    run(make_plan(plain, trials=2000, seed=4), tmp_path / "run", RunOptions(engine="inline"))
    with pytest.raises(InvalidInput, match="reference: is missing: litigious names no reference class; there are all"):
        check(tmp_path / "run")


def test_litigation_is_compared_too(folder, document):
    found = {one["name"]: one for one in document["compared"]}
    trials = pd.read_parquet(folder / "trials")
    trials = trials[trials.strategy == "threaten"]
    threatened = trials[trials.threat_week.notna()]
    assert found["complaint"]["forecast"]["estimate"] == pytest.approx(threatened.filing_week.notna().mean())
    assert found["complaint"]["class"]["estimate"] is None, "no list had been met by a member of the WTO yet"
    filed = trials[trials.filing_week.notna()]
    assert found["ruling"]["forecast"]["estimate"] == pytest.approx(filed.ruling.notna().mean())


@pytest.mark.parametrize(
    ("as_of", "shares"),
    [("1995-04-13", (None, None)), ("2003-11-10", (71 / 295, 6 / 7)), ("2019-05-30", (221 / 538, 54 / 73))],
)
def test_the_record_of_the_wto_is_that_of_the_last_count_before_the_first_day(as_of, shares):
    rows = {one.name: one for one in check_rows(PastCases("all", as_of, "threat", [], [], []), 104, "United States")}
    for name, share in zip(("ruling", "ruling_for_target"), shares, strict=True):
        found = rows[name].outside["estimate"]
        assert found == share if share is None else found == pytest.approx(share)
        assert ("not compared" in rows[name].source) == (share is None)


def test_a_condition_and_beliefs_combine(folder):
    """Sanctions have the probability believed among the trials of the condition; shares are of threats there."""
    found = {
        one["name"]: one for one in check(folder, given="threat_week <= 8", believe=["sanctions = 0.2"])["compared"]
    }
    trials = pd.read_parquet(folder / "trials")
    trials = trials[(trials.strategy == "threaten") & (trials.threat_week <= 8)]
    imposed = trials.sanctions_week.notna()
    weights = imposed.map({True: 0.2 / imposed.mean(), False: 0.8 / (1 - imposed.mean())})
    settled = trials.outcome == "agreement_under_threat"
    assert found["imposed"]["forecast"]["estimate"] == pytest.approx(0.2)
    assert found["settled"]["forecast"]["estimate"] == pytest.approx(weights[settled].sum() / weights.sum())
    filed, ruled = trials.filing_week.notna(), trials.ruling.notna()
    assert found["ruling"]["forecast"]["estimate"] == pytest.approx(weights[ruled].sum() / weights[filed].sum())
    for one in found.values():
        assert bool(one["movers"]) == (one["outside"] and one["reason"] is None)


def test_a_strategy_that_seldom_threatens_has_nothing_to_compare(folder):
    with pytest.raises(InvalidInput, match="has a threat in 0 trials"):
        check(folder, strategy="talk")


@pytest.mark.slow
def test_the_command_prints_the_same(folder):
    printed = json.loads(brink("check", folder, "--json", status=0).stdout)
    assert printed["result"] == json.loads(json.dumps(check(folder)))
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


def test_sanctions_in_force_from_the_start_are_compared_with_past_ones(tmp_path):
    """Two years after their imposition 4 of 17 had ended in an agreement, 5 had been withdrawn, 8 were in force."""
    plan = make_plan(shipped_scenario("us-eu-2025"), trials=2000, seed=4, strategies=("thirty-percent",))
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    document = check(tmp_path / "run")
    found = {one["name"]: one for one in document["compared"]}
    trials = pd.read_parquet(tmp_path / "run" / "trials")
    agreed = trials.outcome.astype(str) == "agreement_under_sanctions"
    standing = trials.outcome.astype(str) == "sanctions_standing"
    for name, happened, count in (
        ("agreed", agreed, 4),
        ("withdrawn", ~agreed & ~standing, 5),
        ("still_in_force", standing, 8),
    ):
        assert found[name]["forecast"]["estimate"] == pytest.approx(happened.mean())
        assert found[name]["class"] == proportion(count, 17)
    soon = (trials.sanctions_weeks <= 52) & ~standing
    assert found["sanctions_ended_within_a_year"]["forecast"]["estimate"] == pytest.approx(soon.mean())
    assert found["sanctions_ended_within_a_year"]["class"] == proportion(6, 17)
    assert document["reference"] == "sanctions-in-force"
    assert "past sanctions in force" in brink("check", tmp_path / "run", status=0).stdout


def test_sanctions_in_force_before_the_record_have_nothing_to_compare():
    document = changed(litigious(), parameters={"sanctions_at_start": 1}, horizon_weeks=104, as_of="1980-01-01")
    scenario = scenario_from_document(document)
    with pytest.raises(InvalidInput, match=r"as_of: .*what had become of them after two years.*1980-01-01"):
        past_cases(scenario, next(iter(scenario.strategies)))


def test_sanctions_in_force_need_two_years_to_be_compared():
    scenario = scenario_from_document(changed(litigious(), parameters={"sanctions_at_start": 1}, horizon_weeks=60))
    with pytest.raises(InvalidInput, match="horizon_weeks: must be at least 104"):
        past_cases(scenario, next(iter(scenario.strategies)))
