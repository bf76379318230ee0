"""Parameters moved to the rates of a reference class: reached on other trials, as little as possible, or refused."""

import json

import numpy as np
import pandas as pd
import pytest

from api.shipped_scenarios import shipped_scenario
from cluster.answers.entry import quiet
from cluster.answers.fit import TOLERANCE, fit
from cluster.reference.rates import class_rates
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import Scenario, intervene, scenario_from_document
from sim.statistics.estimates import proportion
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, litigious

TRIALS = 8000
UNFITTED = {
    "sender_readiness": 1,
    "target_readiness": 1,
    "follow_through": {"pert": [0.5, 0.7, 0.9]},
    "extension_probability": {"pert": [0.45, 0.75, 1]},
    "deadline_multiplier": {"pert": [2.1, 6.3, 18.9]},
    "sanction_fatigue": {"loguniform": [0.004, 0.04]},
    "target_pressure": {"uniform": [0, 3]},
    "sender_pressure": {"uniform": [0, 2]},
}


def unfitted() -> Scenario:
    """A scenario that ends in other ways, and sooner, than its class."""
    return intervene(shipped_scenario("us-japan-cellular-1994"), UNFITTED)


@pytest.fixture(scope="module")
def fitted() -> dict:
    return fit(unfitted(), None, None, TRIALS, 1, quiet)


def test_a_run_with_the_fitted_parameters_ends_as_the_class_did(fitted, tmp_path):
    """Played by the engine with a seed of its own, and counted from the raw table."""
    scenario = unfitted()
    assert fitted["reached"]
    played = intervene(scenario, {name: one["after"] for name, one in fitted["parameters"].items()})
    plan = make_plan(played, trials=20_000, seed=77, strategies=(fitted["strategy"],))
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    trials = pd.read_parquet(tmp_path / "run" / "trials")
    threats = trials[trials.threat_week.notna()]
    settled = threats.outcome.astype(str) == "agreement_under_threat"
    imposed = threats.sanctions_week.notna()
    known = class_rates("specific-strong", pd.Timestamp(scenario.as_of).date())["pooled"]
    assert {name: one["target"] for name, one in fitted["endings"].items()} == known
    # The search ends within 0.005 on its own 8,000 trials; three standard errors of both samples are 0.02.
    for name, found in (("settled", settled), ("imposed", imposed), ("dropped", ~settled & ~imposed)):
        assert found.mean() == pytest.approx(known[name]["estimate"], abs=0.025), name


def test_what_is_moved_keeps_to_its_domain_and_form(fitted):
    assert set(fitted["parameters"]) == {
        "sender_readiness",
        "target_readiness",
        "follow_through",
        "extension_probability",
        "deadline_multiplier",
        "sanction_fatigue",
        "target_pressure",
        "sender_pressure",
    }
    assert "lapse_probability" in fitted["kept"]
    before, after = (fitted["parameters"]["follow_through"][key]["pert"] for key in ("before", "after"))
    odds = [np.log(np.array(one) / (1 - np.array(one))) for one in (before, after)]
    # What is moved is rounded to four digits, so that it can be written into a file.
    rounding = 5e-4 / (1 - np.array(after))
    assert (abs(odds[1] - odds[0] - fitted["moves"]["follow_through"]) <= rounding).all()
    readiness = fitted["parameters"]["sender_readiness"]["after"]
    assert readiness == pytest.approx(np.exp(fitted["moves"]["readiness"]), rel=5e-4)
    json.dumps(fitted, allow_nan=False)


def test_a_scenario_at_its_target_hardly_moves(fitted):
    scenario = unfitted()
    there = intervene(scenario, {name: one["after"] for name, one in fitted["parameters"].items()})
    again = fit(there, None, None, TRIALS, 1, quiet)
    assert again["iterations"] == 0
    assert again["parameters"] == {}


def test_sanctions_last_as_long_as_past_ones_and_other_durations_lie_inside_their_intervals(fitted):
    """Of this dispute's sanctions nearly all would end within a year before the fit."""
    ended = fitted["durations"]["sanctions_ended_within_a_year"]
    assert ended["target"] == proportion(2, 8), "counted by hand: 2 of 8 impositions known at the end of 1993"
    assert ended["before"]["low"] > ended["target"]["high"]
    # The search ends within 0.005 on 2,200 trials with sanctions; three standard errors of both samples are 0.04.
    assert ended["after"]["estimate"] == pytest.approx(0.25, abs=TOLERANCE + 0.04)
    for name, one in fitted["durations"].items():
        # Three standard errors of the fit's own trials and of the others, 27 % of which have sanctions, are 0.046.
        assert one["target"]["low"] <= one["after"]["estimate"] <= one["target"]["high"] + 0.046, name


def test_a_duration_out_of_reach_is_approached_as_far_as_the_rates_allow():
    """Costs press the target so strongly once sanctions are in force that these end at once, whatever the moves."""
    pressed = intervene(unfitted(), {"credibility": 0.0, "target_pressure": 4000})
    found = fit(pressed, None, None, 4000, 1, quiet)
    assert found["reached"]
    ended = found["durations"]["sanctions_ended_within_a_year"]
    assert ended["after"]["low"] > ended["target"]["high"]
    for one in found["endings"].values():
        assert one["after"]["estimate"] == pytest.approx(one["target"]["estimate"], abs=TOLERANCE + 0.033)


def test_sanctions_in_force_from_the_start_end_as_past_ones_did():
    """After two years 4 of 17 had ended in an agreement, 5 had been withdrawn, and 8 were in force."""
    scenario = intervene(
        shipped_scenario("us-eu-2025"),
        {"sender_readiness": 1, "target_readiness": 1, "sanction_fatigue": {"loguniform": [0.004, 0.04]}},
    )
    found = fit(scenario, None, None, 4000, 1, quiet)
    assert found["reached"]
    assert found["reference"] == "sanctions-in-force"
    for (name, one), count in zip(found["endings"].items(), (4, 5, 8), strict=True):
        assert one["target"] == proportion(count, 17), name
        assert one["after"]["estimate"] == pytest.approx(count / 17, abs=TOLERANCE + 0.033), name
    assert set(found["parameters"]) == {
        "sender_readiness",
        "target_readiness",
        "sanction_fatigue",
        "target_pressure",
        "sender_pressure",
    }


def test_rates_that_cannot_be_reached_are_said_not_to_be():
    """Nobody concedes and no sanctions are imposed: every threat is dropped."""
    document = changed(litigious(), reference="specific-strong")
    document["parameters"] |= {"sender_readiness": 0, "target_readiness": 0, "follow_through": 0}
    found = fit(scenario_from_document(document), None, None, 2000, 1, quiet)
    assert not found["reached"]
    assert found["endings"]["dropped"]["after"]["estimate"] == 1.0
    assert {"readiness", "follow_through"} <= set(found["kept"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "bluff"}, "is not known; there are"),
        ({"reference": "nothing"}, "is not a reference class"),
        ({"trials": 999}, "trials"),
        ({"strategy": "keep-talking"}, "too few to compare"),
    ],
)
def test_wrong_requests_are_refused(options, says):
    request = {"strategy": None, "reference": None, "trials": 2000, "seed": 1, **options}
    with pytest.raises(InvalidInput, match=says):
        fit(shipped_scenario("us-japan-cellular-1994"), **request, on_progress=quiet)


def test_a_scenario_without_a_class_is_refused_and_one_can_be_named():
    with pytest.raises(InvalidInput, match="names no reference class"):
        fit(scenario_from_document(litigious()), None, None, 2000, 1, quiet)


def test_the_command_prints_the_fit(tmp_path):
    arguments = ("fit", "us-japan-cellular-1994", "--trials", "2000")
    found = brink(*arguments, cwd=tmp_path, status=0)
    assert "follow_through" in found.stdout
    assert "lapse_probability was not moved" in " ".join(found.stdout.split())
    document = json.loads(brink(*arguments, "--json", cwd=tmp_path, status=0).stdout)
    assert document["scenario"] == "us-japan-cellular-1994"
    assert list(tmp_path.iterdir()) == []
    assert_refused(brink(*arguments, "--strategy", "keep-talking", cwd=tmp_path), "too few to compare")
