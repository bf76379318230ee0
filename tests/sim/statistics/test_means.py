"""Intervals of means: skewed samples, rare large values, and samples in which all values are the same."""

from dataclasses import replace

import numpy as np
import pytest

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import scenario_from_document
from sim.scenario.vocabulary import MEASURES
from sim.statistics.estimates import ANY_NUMBER, is_skewed, mean, mean_bounds, mean_of_replicates
from sim.statistics.measure_ranges import measure_ranges
from sim.statistics.stopping import half_width
from sim.statistics.tallies import NO_NUMBERS, NO_TRIALS, moments, tally
from tests.support.examples import litigious

RUNS = 2000


def bounds(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of the mean of each row."""
    m2 = np.square(samples - samples.mean(axis=1, keepdims=True)).sum(axis=1)
    count = np.full(len(samples), samples.shape[1])
    return mean_bounds(count, samples.mean(axis=1), m2, samples.min(axis=1), samples.max(axis=1))


def coverage(samples: np.ndarray, truth: float) -> float:
    """The share of the samples that vary whose interval holds the truth."""
    low, high = bounds(samples[np.ptp(samples, axis=1) > 0.0])
    return float(np.mean((low <= truth) & (truth <= high)))


# The standard error of a coverage of 95 % in 2,000 runs is 0.5 points. Student's interval has 87, 93, 79 and 88 % for
# the lognormals of sigma 1.5 and 2. What each must reach is two points below what it has in 4,000 runs.
@pytest.mark.parametrize(
    ("sigma", "count", "least"),
    [(1.0, 200, 0.95), (1.5, 200, 0.945), (1.5, 2000, 0.945), (2.0, 200, 0.92), (2.0, 2000, 0.93)],
)
def test_intervals_of_skewed_means_have_their_coverage(sigma, count, least):
    samples = np.random.default_rng(1).lognormal(0.0, sigma, (RUNS, count))
    assert coverage(samples, np.exp(sigma**2 / 2)) > least
    assert coverage(-samples, -np.exp(sigma**2 / 2)) > least


@pytest.mark.parametrize("expected", [0.3, 0.8, 2, 5, 10, 30])
def test_intervals_of_rare_large_costs_have_their_coverage(expected):
    """A cost of 100 in one trial of many: never below 94 %, where Student has 88 % for five expected."""
    count = 1000
    samples = 100.0 * (np.random.default_rng(2).random((RUNS, count)) < expected / count)
    assert coverage(samples, 100.0 * expected / count) > 0.94
    assert coverage(3.0 - samples, 3.0 - 100.0 * expected / count) > 0.94


SIZES = {
    "uniform": lambda rng, shape: rng.uniform(0.0, 2.0, shape),
    "exponential": lambda rng, shape: rng.exponential(1.0, shape),
    "lognormal": lambda rng, shape: rng.lognormal(-0.5, 1.0, shape),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("expected", [0.3, 1, 2, 5, 10, 30])
def test_intervals_of_rare_costs_of_random_size_have_their_coverage(size, expected):
    """Costs of mean 1 in so many trials of 1,000, of those samples that have any: 95 % or more in 4,000 runs.

    Four standard errors below 95 % are 93 %. With one more number as great as the greatest (Fay and Feuer) an
    exponential cost has 87 % at two expected, a lognormal one 88 %; such a test fails with certainty.
    """
    rng = np.random.default_rng(3)
    samples = (rng.random((RUNS, 1000)) < expected / 1000) * SIZES[size](rng, (RUNS, 1000))
    assert coverage(samples, expected / 1000) > 0.93


def test_a_number_not_seen_yet_lies_in_the_range_of_the_measure():
    """One trial of 1,000 in which sanctions last 50 weeks of at most 60: the next one cannot last 250."""
    one = np.zeros(1000)
    one[7] = 50.0
    wide, narrow = mean(moments(one)), mean(moments(one), (0.0, 60.0))
    assert wide["high"] > 15 * one.mean()
    assert 5.5 * one.mean() < narrow["high"] < 7 * one.mean()
    assert mean(moments(one), (0.0, 50.0))["high"] == pytest.approx(5.5716 * one.mean(), rel=1e-3)
    assert narrow["low"] == wide["low"]


@pytest.mark.parametrize("draw", ["uniform", "standard_normal", "exponential"])
def test_intervals_of_ordinary_means_are_hardly_wider_than_by_students_t(draw):
    generator = np.random.default_rng(4)
    samples = getattr(generator, draw)(size=(200, 10_000))
    low, high = bounds(samples)
    error = samples.std(axis=1, ddof=1) / 100.0
    assert np.mean((high - low) / (2 * 1.9602 * error)) < 1.02


def test_a_sample_without_scatter_has_an_interval_of_what_it_may_have_missed():
    """Of a range of 0 to 100 the mean may be 100 times the probability that n trials miss in 2.5 % of samples."""
    same = moments(np.zeros(16_384))
    assert mean(same) == {"estimate": 0.0, "standard_error": 0.0, "low": None, "high": None}
    found = mean(same, (0.0, 100.0))
    assert found["low"] == 0.0
    assert found["high"] == pytest.approx(100.0 * 3.689 / 16_384, rel=1e-3)
    assert mean(same, (0.0, 0.0)) == {"estimate": 0.0, "standard_error": 0.0, "low": 0.0, "high": 0.0}
    assert mean_of_replicates([moments(np.zeros(1024))] * 16) == mean(same)
    assert mean_of_replicates([NO_NUMBERS] * 16)["estimate"] is None


def test_replicates_that_all_but_one_are_the_same_do_not_make_a_mean_certain():
    """One trial of 16,384 with a cost: its mean may be five times as large (Poisson's upper bound is 5.57)."""
    one = np.zeros(1024)
    one[5] = 100.0
    found = mean_of_replicates([moments(one), *[moments(np.zeros(1024))] * 15])
    assert found["high"] > 5.5 * found["estimate"]
    assert is_skewed(moments(one))


EXAMPLE = scenario_from_document(
    {**litigious(), "strategies": {"threaten": {}, "talk": {"threat_probability": 0}, "bluff": {"follow_through": 0}}}
)


def test_what_a_strategy_cannot_cause_has_a_range_of_one_value():
    for strategy in ("talk", "bluff"):
        ranges = measure_ranges(EXAMPLE, strategy)
        assert ranges["target_cost"] == ranges["sender_cost"] == ranges["sanctions_weeks"] == (0.0, 0.0)
    ranges = measure_ranges(EXAMPLE, "threaten")
    assert ranges["target_cost"] == ANY_NUMBER
    assert ranges["sanctions_weeks"] == (0.0, EXAMPLE.horizon_weeks)
    assert set(ranges) == set(MEASURES)


@pytest.mark.parametrize("strategy", ["threaten", "talk", "bluff"])
def test_all_trials_lie_in_the_ranges(strategy):
    table = simulate(EXAMPLE, strategy, Chance(1, 0, 4000))
    for name, (low, high) in measure_ranges(EXAMPLE, strategy).items():
        found = tally(table).measures[name]
        assert low <= found.least, name
        assert found.greatest <= high, name


def test_a_cost_that_no_trial_has_yet_is_not_known_precisely():
    """16,384 trials miss an event of 1 in 20,000 in 44 % of runs; only a strategy that cannot cause it is sure."""
    none = NO_TRIALS.measures | {"target_cost": moments(np.zeros(16_384))}
    counted = (replace(NO_TRIALS, trials=16_384, measures=none),)
    assert half_width(counted, "target_cost", EXAMPLE, "threaten") is None
    assert half_width(counted, "target_cost", EXAMPLE, "talk") == 0.0
