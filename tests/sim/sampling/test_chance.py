"""A trial's row depends on the scenario, the strategy, the seed and its number: on nothing else, bit for bit."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import changed, deeper, every_mechanism, litigious, reluctant

TRIALS = 30_000
FULL = changed(
    every_mechanism(),
    strategies={
        "base": {},
        "talk": {"threat_probability": 0},
        "sure": {"follow_through": {"uniform": [0.9, 1]}, "target_stake": {"uniform": [2, 6]}},
    },
)


def rows(document: dict, strategy: str, first: int, count: int, design: str = "random") -> dict[str, np.ndarray]:
    return simulate(scenario_from_document(document), strategy, Chance(9, first, count), find_design(design, TRIALS))


def assert_equal_rows(some: dict[str, np.ndarray], whole: dict[str, np.ndarray], first: int = 0) -> None:
    for name, values in some.items():
        assert values.tobytes() == whole[name][first : first + len(values)].tobytes(), name


@pytest.mark.parametrize("design", ["random", "sobol", "latin_hypercube"])
@pytest.mark.parametrize("build", [every_mechanism, litigious, reluctant, partial(deeper, litigious)])
def test_rows_do_not_depend_on_the_cut_into_shards(build, design):
    whole = rows(build(), "base", 0, TRIALS, design)
    for first, count in ((0, 1), (1, 1), (7, 9), (4095, 3), (16_383, 2), (29_999, 1), (12_345, 10_000)):
        assert_equal_rows(rows(build(), "base", first, count, design), whole, first)


@given(first=st.integers(0, TRIALS - 1), count=st.integers(1, 40))
@settings(max_examples=30)
def test_any_cut_gives_the_same_rows(first, count):
    count = min(count, TRIALS - first)
    assert_equal_rows(rows(litigious(), "base", first, count), WHOLE, first)


WHOLE = rows(litigious(), "base", 0, TRIALS)


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_rows_do_not_depend_on_how_many_there_are(design):
    def some(trials: int) -> dict[str, np.ndarray]:
        given_scenario = scenario_from_document(every_mechanism())
        return simulate(given_scenario, "base", Chance(9, 500, 20), find_design(design, trials))

    assert_equal_rows(some(520), some(10**6))


@pytest.mark.parametrize("first", [2**31 - 10, 2**31, 10**10, 2**40 + 3])
def test_trials_of_high_numbers_are_addressed_too(first):
    near = rows(every_mechanism(), "base", first, 40)
    assert near["trial"].tolist() == list(range(first, first + 40))
    assert_equal_rows(rows(every_mechanism(), "base", first + 17, 1), near, 17)
    assert len(np.unique(near["follow_through"])) == 40


@pytest.mark.parametrize("design", ["random", "sobol", "latin_hypercube"])
@pytest.mark.parametrize("kept", [("base",), ("sure",), ("talk", "sure"), ("sure", "base")])
def test_rows_do_not_depend_on_the_other_strategies(kept, design):
    fewer = changed(FULL, strategies={name: FULL["strategies"][name] for name in kept})
    for strategy in kept:
        alone = rows(fewer, strategy, 0, 3000, design)
        assert_equal_rows(alone, rows(FULL, strategy, 0, 3000, design))


def test_strategies_share_points_and_chance():
    """Where a strategy's own numbers do not matter, its trials are the base's."""
    base, talk = (rows(FULL, strategy, 0, TRIALS) for strategy in ("base", "talk"))
    before = (base["agreement_week"] != -1) & (base["threat_week"] == -1)
    assert before.sum() > 200
    for name in ("agreement_week", "market_access", "settled.dealers", "reframed.purchases", "export_gain"):
        np.testing.assert_array_equal(base[name][before], talk[name][before])
    drawn = [name for name in base if name.split(".")[0] in ("issues", "credibility", "target_win", "full_access")]
    assert len(drawn) > 10
    assert_equal_rows({name: base[name] for name in drawn}, talk)
