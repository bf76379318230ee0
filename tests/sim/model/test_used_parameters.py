"""A parameter that a trial did not use may have any other value of its range: the trial's row stays the same."""

import numpy as np
import pytest

from sim.model.kernel import play_weeks, read_played
from sim.model.used_parameters import used_parameters
from sim.sampling.chance import Chance
from sim.sampling.points import Points, draw_points
from sim.scenario.columns import trial_row
from sim.scenario.distributions import Fixed
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS
from tests.support.examples import full_scenarios

SEED = 23
SCENARIOS = full_scenarios()
WORLDS = [(name, strategy) for name, scenario in SCENARIOS.items() for strategy in scenario.strategies]
BY_NAME = {one.name: one for one in PARAMETERS}
OF_ISSUES = tuple(f".{one.name}" for one in ISSUE_PARAMETERS)


def played(name: str, strategy: str, trial: int) -> tuple[Points, dict[str, object], set[str]]:
    """A trial's points, its row without its parameters, and the parameters that it used."""
    scenario, chance = SCENARIOS[name], Chance(SEED, trial, 1)
    points = draw_points(scenario, strategy, chance)
    weeks = play_weeks(scenario, points, chance)
    row = trial_row(scenario, read_played(scenario, weeks))
    last = row["agreement_week"] or scenario.horizon_weeks
    used = used_parameters(scenario, weeks, row, set(scenario.session_calendar()[:last]))
    assert set(used) == set(BY_NAME)
    return points, outcomes(row), {parameter for parameter, is_used in used.items() if is_used}


def outcomes(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in BY_NAME and not name.endswith(OF_ISSUES)}


def check_that_unused_parameters_change_nothing(name: str, strategy: str, trials: range) -> None:
    scenario = SCENARIOS[name]
    for trial in trials:
        points, row, used = played(name, strategy, trial)
        for parameter, distribution in scenario.parameters(strategy).items():
            if isinstance(distribution, Fixed) or parameter in used or parameter.endswith(OF_ISSUES):
                continue
            for level in (0.001, 0.999):
                other = points | {parameter: distribution.quantile(np.array([level]))}
                again = read_played(scenario, play_weeks(scenario, other, Chance(SEED, trial, 1)))
                assert outcomes(trial_row(scenario, again)) == row, (trial, parameter, level)


@pytest.mark.parametrize(("name", "strategy"), [("1995", "threaten-and-decide-then"), ("deeper-litigious", "base")])
def test_another_value_of_an_unused_parameter_changes_nothing(name, strategy):
    check_that_unused_parameters_change_nothing(name, strategy, range(2))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "strategy"), WORLDS)
def test_another_value_of_an_unused_parameter_changes_nothing_in_many_trials(name, strategy):
    check_that_unused_parameters_change_nothing(name, strategy, range(2, 12))


@pytest.mark.slow
def test_every_parameter_is_used_in_some_trials_and_few_in_all_of_them():
    found = [played(*world, trial)[2] for world in WORLDS for trial in range(30)]
    assert set.union(*found) == set(BY_NAME)
    # All these scenarios have a numerical issue and technical sessions.
    always = {"technical_authority", "quota_aversion", "reframe_probability"}
    assert set.intersection(*found) <= always | {"sender_readiness", "target_readiness", "sanctions_at_start"}


def test_sanctions_that_never_come_tire_nobody():
    trials = [played("1995", "threaten-and-decide-then", trial) for trial in range(30)]
    assert {row["sanctions_week"] is None for _, row, _ in trials} == {False, True}
    for _, row, used in trials:
        if row["sanctions_week"] is None:
            assert not used & {"sanction_fatigue", "sender_pressure", "unilateral_retaliation", "panel_weeks"}
            assert row["threat_week"] is None or {"sanctioned_trade", "target_pressure"} <= used
