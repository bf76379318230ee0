"""Several strategies played at once, and trials whose course is laid out again, against each alone."""

from functools import partial

import numpy as np
import pytest

from sim.model.kernel import simulate, simulate_strategies
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import changed, deeper, every_mechanism, litigious

STRATEGIES = {
    "base": {},
    "talk": {"threat_probability": 0},
    "sure": {"follow_through": {"uniform": [0.9, 1]}, "sender_step": 0.2},
    "same": {},
}


@pytest.mark.parametrize("build", [every_mechanism, litigious, partial(deeper, litigious)])
@pytest.mark.parametrize("design", ["random", pytest.param("sobol", marks=pytest.mark.slow), "latin_hypercube"])
def test_strategies_played_together_give_the_same_trials_as_played_alone(build, design, monkeypatch):
    """In blocks of two sizes, with a last block of a single trial when they are played together."""
    scenario = scenario_from_document(changed(build(), strategies=STRATEGIES))
    count, clocks = 16_385, 2 * len(scenario.issues)
    monkeypatch.setattr("sim.model.kernel.CLOCKS_AT_A_TIME", clocks * (count - 1))
    monkeypatch.setattr("sim.model.kernel.CLOCKS_IN_ONE_PASS", clocks * 5000)
    chance, sampled = Chance(6, 3, count), find_design(design, count + 3)
    together = simulate_strategies(scenario, tuple(STRATEGIES), chance, sampled)
    for strategy, table in together.items():
        alone = simulate(scenario, strategy, chance, sampled)
        assert {name: column.tobytes() for name, column in table.items()} == {
            name: column.tobytes() for name, column in alone.items()
        }
    assert np.array_equal(together["base"]["outcome"], together["same"]["outcome"])


def test_a_trial_that_is_computed_again_among_others_is_the_same():
    scenario = scenario_from_document(deeper(litigious))
    whole = simulate(scenario, "base", Chance(6, 0, 3000))
    for trial in range(0, 3000, 97):
        alone = simulate(scenario, "base", Chance(6, trial, 1))
        for name, column in alone.items():
            assert column.tobytes() == whole[name][trial : trial + 1].tobytes(), (trial, name)
