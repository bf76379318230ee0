"""What is set under every strategy, and the scenario's measure of choice."""

import numpy as np
import pytest

from sim.faults import InvalidInput
from sim.sampling.chance import Chance
from sim.sampling.designs import RANDOM, find_design
from sim.sampling.points import draw_points
from sim.scenario.scenario import intervene, scenario_document, scenario_from_document, scenario_hash
from tests.support.examples import changed, litigious

TRIALS = 4096
CHANCE = Chance(7, 0, TRIALS)
DESIGNS = [RANDOM, find_design("sobol", TRIALS)]
UNCERTAIN = {"target_win": {"uniform": [0.2, 0.8]}, "tariff_rate": {"uniform": [0.1, 1.0]}}
STRATEGIES = {"talk": {}, "bluff": {"follow_through": 0.0, "tariff_rate": {"uniform": [0.2, 0.4]}}}
CORRELATED = [{"between": ["target_win", "tariff_rate"], "spearman": 0.6}]


def example(**fields: object) -> dict:
    return changed(litigious(), UNCERTAIN, strategies=STRATEGIES, correlations=CORRELATED, **fields)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["target_win", "tariff_rate", "follow_through"])
def test_setting_a_parameter_leaves_all_others_as_they_are(design, strategy, name):
    scenario = scenario_from_document(example())
    before = draw_points(scenario, strategy, CHANCE, design)
    after = draw_points(intervene(scenario, {name: 0.9}), strategy, CHANCE, design)
    assert after[name] == 0.9
    for other in before:
        if other != name:
            np.testing.assert_array_equal(after[other], before[other], other)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_setting_a_parameter_to_its_own_range_changes_nothing(design):
    scenario = scenario_from_document(example())
    again = intervene(scenario, {"target_win": {"uniform": [0.2, 0.8]}})
    before, after = (draw_points(one, "talk", CHANCE, design) for one in (scenario, again))
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], name)


def test_what_is_set_holds_under_a_strategy_that_overrides_it():
    scenario = intervene(scenario_from_document(example()), {"follow_through": 0.7})
    assert {draw_points(scenario, strategy, CHANCE)["follow_through"] for strategy in STRATEGIES} == {0.7}
    assert "tariff_rate" in scenario.uncertain
    assert "tariff_rate" not in intervene(scenario, {"tariff_rate": 0.5}).uncertain


def test_what_is_set_is_a_part_of_the_document_and_of_the_hash():
    scenario = intervene(scenario_from_document(example()), {"target_win": 0.9})
    read = scenario_from_document(scenario_document(scenario))
    assert read == scenario
    assert scenario_document(scenario)["set"] == {"target_win": 0.9}
    assert scenario_from_document(example(set={"target_win": 0.9})) == scenario
    assert scenario_hash(scenario) != scenario_hash(scenario_from_document(example()))
    twice = intervene(scenario, {"tariff_rate": 0.5})
    assert scenario_document(twice)["set"] == {"target_win": 0.9, "tariff_rate": 0.5}


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"target_wn": 0.9}, "set.target_wn", "did you mean target_win"),
        ({"target_win": 1.5}, "set.target_win", "must lie in [0, 1]"),
        ({"target_win": "high"}, "set.target_win", "must be"),
        ([], "set", "must be a mapping"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(given, field, message):
    with pytest.raises(InvalidInput) as caught:
        intervene(scenario_from_document(example()), given)
    (fault,) = caught.value.faults
    assert fault.field == field
    assert message in fault.message


def test_a_probable_mistake_in_what_is_set_is_a_warning():
    scenario = intervene(scenario_from_document(example()), {"tariff_rate": 25})
    assert "set.tariff_rate" in {warning.field for warning in scenario.warnings}


def test_the_measure_of_choice_is_checked_and_has_no_part_in_the_trials():
    plain, chosen = (
        scenario_from_document(example(**more)) for more in ({}, {"choice": "agreement and export_gain > 1"})
    )
    assert scenario_hash(chosen) == scenario_hash(plain)
    assert scenario_from_document(scenario_document(chosen)) == chosen
    with pytest.raises(InvalidInput) as caught:
        scenario_from_document(example(choice="export_gian - sender_cost"))
    (fault,) = caught.value.faults
    assert fault.field == "choice"
    assert "export_gain" in fault.message
