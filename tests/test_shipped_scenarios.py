"""The shipped scenarios: valid, sourced, without hindsight, and anchored to the record."""

import re

import numpy as np
import pytest
import yaml

from api.catalogue import shipped_names, shipped_scenario, shipped_text
from sim.kernel import simulate
from sim.outcomes import OUTCOMES
from sim.scenario import Scenario

TRIALS = 40_000


@pytest.mark.parametrize("name", shipped_names())
def test_a_scenario_is_named_after_its_file_and_every_range_has_its_source(name):
    scenario = shipped_scenario(name)
    assert scenario.name == name
    assert scenario.as_of
    ranges = set(scenario.uncertain)
    unsourced = {parameter for parameter in ranges if parameter not in scenario.sources}
    assert unsourced == set()


@pytest.mark.parametrize("name", shipped_names())
def test_nothing_in_a_scenario_is_younger_than_its_first_month(name):
    """No year after that of `as_of` appears among the sources, nor in the comments."""
    scenario = shipped_scenario(name)
    year = int((scenario.as_of or "0")[:4])
    text = shipped_text(name)
    history = yaml.safe_load(text).get("history")
    assert history is None
    assert all(int(found) <= year for found in re.findall(r"\b(?:19|20)\d\d\b", text))


def base_rates(scenario: Scenario, strategy: str) -> dict[str, float]:
    table = simulate(scenario, strategy, seed=4, first=0, count=TRIALS)
    threatened = table["threat_week"] > 0
    outcome = np.array(OUTCOMES)[table["outcome"]][threatened]
    return {
        "settled under threat": float(np.mean(outcome == "agreement_under_threat")),
        "imposed": float(np.mean(table["sanctions_week"][threatened] > 0)),
        "backed down": float(np.mean(np.isin(outcome, ["agreement_after_retreat", "retreat"]))),
    }


def test_the_autos_scenario_threatens_as_the_record_does():
    """Lists and threats before April 1995: 27 to 71 % settled under the threat, 29 to 48 % carried out."""
    found = base_rates(shipped_scenario("us-japan-autos-1995"), "threaten-and-decide-then")
    assert 0.27 <= found["settled under threat"] <= 0.71
    assert 0.29 <= found["imposed"] <= 0.48


def test_the_autos_scenario_is_the_reference_case():
    scenario = shipped_scenario("us-japan-autos-1995")
    assert scenario.deficit == pytest.approx(65.7 * 0.6, abs=0.05)
    assert [issue.name for issue in scenario.issues if issue.numerical] == ["parts-purchases"]
    assert len(scenario.issues) == 3
    assert scenario.session_calendar()[:2] == ("mid", "senior")
    assert list(scenario.strategies) == [
        "threaten-and-decide-then",
        "threaten-and-follow-through",
        "keep-talking",
        "bluff",
        "short-list",
        "long-list",
    ]
    assert scenario.strategies["threaten-and-decide-then"] == {}


@pytest.mark.parametrize("name", shipped_names())
def test_strategies_differ_as_they_should(name):
    scenario = shipped_scenario(name)
    tables = {
        strategy: simulate(scenario, strategy, seed=4, first=0, count=4000, design="sobol")
        for strategy in scenario.strategies
    }
    for strategy, table in tables.items():
        if "talk" in strategy:
            assert not np.any(table["threat_week"] > 0)
        if strategy == "bluff":
            assert not np.any(table["sanctions_week"] > 0)
