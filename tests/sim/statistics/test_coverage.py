"""Intervals of 95 % hold the truth in 95 % of the runs: for each design and each kind of estimate, over many seeds.

The truth is known in closed form. One issue, on which the target concedes all with chance q a week, q uniform over
(a, b): P(no agreement by week w) = ((1 - a)^(w + 1) - (1 - b)^(w + 1)) / ((w + 1) (b - a)). Full access is uniform over
(c, d), so that the balance's change is 0 without agreement and uniform over (c, d) with it.
"""

from functools import lru_cache
from math import ceil, sqrt

import numpy as np
import pytest

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import SOBOL, find_design
from sim.scenario.columns import NULL
from sim.statistics.estimates import Estimate
from sim.statistics.quantile_bounds import quantile_bounds, quantile_bounds_of_replicates
from sim.statistics.tallies import tally_replicates
from sim.statistics.tally_estimates import event_estimates, mean_estimate
from tests.support.examples import issue, scenario
from tests.support.one_issue import EXAMPLE, WEEKS, C, D, open_after

pytestmark = pytest.mark.slow
TRIALS, RUNS = 640, 1000
TOLERANCE = 4.5 * sqrt(0.95 * 0.05 / RUNS)
"""4.5 standard errors, 3.1 points. A true coverage of 90 % would be found out with a probability of 97 %."""

AGREEMENT = 1 - open_after(WEEKS)
TRUTH = {
    "probability": AGREEMENT,
    "mean": AGREEMENT * (C + D) / 2,
    "mean where known": sum(open_after(week) for week in range(WEEKS)) / AGREEMENT
    - WEEKS * open_after(WEEKS) / AGREEMENT,
    "quantile": C + (D - C) * (0.7 - open_after(WEEKS)) / AGREEMENT,
    "quantile of weeks": next(w for w in range(1, WEEKS) if 1 - open_after(w) >= 0.5 * AGREEMENT),
}


def quantile(values: np.ndarray, replicate: np.ndarray, replicates: int, level: float) -> Estimate:
    """A quantile with its interval, as the summary has it from DuckDB."""
    ordered = np.sort(values)

    def at(share: float | None) -> float | None:
        return None if share is None else float(ordered[max(0, ceil(share * ordered.size - 1e-9) - 1)])

    found = at(level)
    low, high = (
        quantile_bounds(ordered.size, level)
        if replicates == 1
        else quantile_bounds_of_replicates(
            level,
            *(np.bincount(replicate[held], minlength=16).tolist() for held in (values < found, values <= found)),
            np.bincount(replicate, minlength=16).tolist(),
        )
    )
    return {"estimate": found, "low": at(low), "high": at(high)}


@lru_cache
def coverage(design: str) -> dict[str, float]:
    """The share of runs, each of a seed of its own, whose intervals hold the truth."""
    held = dict.fromkeys(TRUTH, 0)
    replicates = find_design(design).replicates(EXAMPLE)
    for seed in range(RUNS):
        table = simulate(EXAMPLE, "base", Chance(seed, 0, TRIALS), find_design(design, TRIALS))
        counted = tally_replicates(table, replicates)
        agreed = table["agreement_week"] != NULL
        replicate = table["trial"] % replicates
        found = {
            "probability": event_estimates(counted)["agreement"],
            "mean": mean_estimate(counted, "balance_change"),
            "mean where known": mean_estimate(counted, "agreement_week"),
            "quantile": quantile(table["balance_change"], replicate, replicates, 0.7),
            "quantile of weeks": quantile(table["agreement_week"][agreed], replicate[agreed], replicates, 0.5),
        }
        for name, one in found.items():
            held[name] += one["low"] <= TRUTH[name] <= one["high"]
    return {name: count / RUNS for name, count in held.items()}


@pytest.mark.parametrize("design", ["random", "sobol"])
@pytest.mark.parametrize("kind", ["probability", "mean", "mean where known", "quantile"])
def test_intervals_have_their_nominal_coverage(design, kind):
    assert coverage(design)[kind] == pytest.approx(0.95, abs=TOLERANCE)


def test_intervals_of_a_latin_hypercube_have_at_least_their_nominal_coverage():
    """They are computed as if trials were independent, whose error is greater."""
    found = coverage("latin_hypercube")
    for kind in TRUTH:
        assert found[kind] > 0.95 - TOLERANCE


def test_intervals_of_quantiles_of_whole_numbers_are_conservative():
    """A week is a step: a bound that falls on it holds all of its share."""
    for design in ("random", "sobol"):
        assert coverage(design)["quantile of weeks"] > 0.95 - TOLERANCE


def test_the_formula_of_independent_trials_is_wrong_for_sobol_points():
    """It would hold the mean of a measure that follows the parameters nearly always: its interval is too wide."""
    given = scenario(
        {"access": issue(target_concession=0.999)}, {"full_access": {"uniform": [C, D]}}, horizon_weeks=WEEKS
    )
    errors = []
    for seed in range(100):
        table = simulate(given, "base", Chance(seed, 0, TRIALS), SOBOL)
        right, wrong = (mean_estimate(tally_replicates(table, count), "balance_change") for count in (16, 1))
        errors.append((abs(right["estimate"] - (C + D) / 2), right["standard_error"], wrong["standard_error"]))
    real, right, wrong = np.sqrt(np.mean(np.square(errors), axis=0))
    assert 0.7 < right / real < 1.4
    assert wrong > 5 * real
