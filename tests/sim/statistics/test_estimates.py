"""Estimates and their errors, and tallies that merge."""

import itertools
from functools import reduce

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import scenario_from_document
from sim.scenario.vocabulary import MEASURES
from sim.statistics.estimates import mean, mean_of_replicates, proportion, proportion_of_replicates
from sim.statistics.paired_differences import difference_of_conditions, pair_of_changes
from sim.statistics.quantile_bounds import quantile_bounds, quantile_bounds_of_replicates
from sim.statistics.tallies import NO_NUMBERS, NO_TRIALS, Moments, merge, merge_moments, moments, tally
from sim.statistics.tally_estimates import outcome_estimates
from tests.support.examples import litigious

TABLE = simulate(scenario_from_document(litigious()), "base", Chance(3, 0, 10_000))


def cut(bounds: list[int]) -> list[dict[str, np.ndarray]]:
    return [{name: values[start:stop] for name, values in TABLE.items()} for start, stop in itertools.pairwise(bounds)]


@pytest.mark.parametrize("bounds", [[0, 10_000], [0, 1, 10_000], [0, 1, 2, 3, 5000, 5000, 10_000]])
def test_tallies_of_parts_are_that_of_the_whole(bounds):
    merged = reduce(merge, map(tally, cut(bounds)), NO_TRIALS)
    whole = tally(TABLE)
    assert (merged.trials, merged.outcomes, merged.events) == (whole.trials, whole.outcomes, whole.events)
    for name in MEASURES:
        a, b = merged.measures[name], whole.measures[name]
        assert (a.count, a.least, a.greatest) == (b.count, b.least, b.greatest)
        assert a.mean == pytest.approx(b.mean, rel=1e-12)
        assert a.m2 == pytest.approx(b.m2, rel=1e-9)


def test_a_tally_counts_what_the_columns_say():
    whole = tally(TABLE)
    assert sum(whole.outcomes.values()) == whole.trials == 10_000
    assert whole.outcomes["sanctions_standing"] == np.count_nonzero(TABLE["outcome"] == 4)
    assert whole.events["agreement"] == np.count_nonzero(TABLE["agreement_week"] > 0)
    access = TABLE["market_access"][~np.isnan(TABLE["market_access"])].astype(np.float64)
    assert whole.measures["market_access"].count == access.size == whole.events["agreement"]
    assert whole.measures["market_access"].mean == pytest.approx(access.mean())


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (5, 10), (10, 10), (17, 100_000)])
def test_the_interval_is_wilsons_away_from_rare_events(successes, trials):
    found = proportion(successes, trials)
    interval = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert found["low"] == pytest.approx(interval.low, abs=1e-12)
    assert found["high"] == pytest.approx(interval.high, abs=1e-12)
    assert found["estimate"] == successes / trials


@pytest.mark.parametrize("trials", [30, 200, 16_384])
def test_intervals_of_rare_events_have_their_coverage(trials):
    """Exact coverage, by binomial sums, where 0.01 to 12 events are expected; Wilson's own falls to 84 %."""
    counts = np.arange(61 if trials > 60 else trials + 1)
    found = [proportion(int(count), trials) for count in counts]
    low, high = (np.array([one[end] for one in found]) for end in ("low", "high"))
    for expected in np.geomspace(0.01, min(12.0, trials / 2), 400):
        p = expected / trials
        held = (low <= p) & (p <= high)
        assert stats.binom.pmf(counts[held], trials, p).sum() > (0.91 if trials < 100 else 0.92)


def test_intervals_of_events_that_are_nearly_certain_are_those_of_the_others():
    for count in range(5):
        rare, common = proportion(count, 1000), proportion(1000 - count, 1000)
        assert (1 - rare["high"], 1 - rare["low"]) == pytest.approx((common["low"], common["high"]), abs=1e-15)


def test_means_have_their_standard_error():
    numbers = np.random.default_rng(1).normal(size=5000)
    found = mean(moments(numbers))
    assert found["estimate"] == pytest.approx(numbers.mean())
    assert found["standard_error"] == pytest.approx(stats.sem(numbers))
    low, high = stats.t.interval(0.95, 4999, numbers.mean(), stats.sem(numbers))
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_estimates_without_data_are_null():
    assert proportion(0, 0)["estimate"] is None
    assert mean(moments(np.empty(0)))["estimate"] is None
    assert mean(moments(np.array([2.0]))) == {"estimate": 2.0, "standard_error": None, "low": None, "high": None}
    assert outcome_estimates((NO_TRIALS,))["stalemate"]["estimate"] is None


@pytest.mark.parametrize(
    ("count", "level"), [(1, 0.5), (2, 0.5), (5, 0.5), (6, 0.5), (40, 0.05), (73, 0.05), (900, 0.9)]
)
def test_bounds_of_a_quantile_are_the_narrowest_ranks_with_the_coverage(count, level):
    """By the binomial number of values below it: at most 2.5 % beyond either bound, and more one rank inwards."""
    low, high = quantile_bounds(count, level)
    below = stats.binom(count, level)
    rank = 0 if low is None else round(low * count + 0.5)
    assert below.cdf(rank - 1) <= 0.025 < below.cdf(rank)
    rank = count + 1 if high is None else round(high * count + 0.5)
    assert below.sf(rank - 1) <= 0.025 < below.sf(rank - 2)


def test_replicates_that_know_nothing_leave_the_formulas_of_independent_numbers():
    some = moments(np.random.default_rng(2).normal(size=60))
    for replicates in ([NO_NUMBERS] * 15 + [some], [NO_NUMBERS] * 16, [some] + [moments(np.array([1.0]))] * 15):
        assert mean_of_replicates(replicates) == mean(reduce(merge_moments, replicates))
    assert quantile_bounds_of_replicates(0.5, [0] * 15 + [29], [0] * 15 + [30], [0] * 15 + [60]) == quantile_bounds(
        60, 0.5
    )
    assert proportion_of_replicates([0] * 15 + [30], [0] * 15 + [60]) == proportion(30, 60)


@pytest.mark.slow
def test_intervals_have_their_nominal_coverage():
    """Of 2,000 intervals 95 % should hold it; 5 standard errors are 2.4 points."""
    example = scenario_from_document(litigious())
    truth = simulate(example, "base", Chance(77, 10**9, 1_000_000))
    probability = np.mean(truth["agreement_week"] > 0)
    cost = truth["target_cost"].mean(dtype=float)
    table = simulate(example, "base", Chance(78, 0, 2000 * 200))
    held = np.zeros(2)
    for start in range(0, 2000 * 200, 200):
        agreed = int(np.count_nonzero(table["agreement_week"][start : start + 200] > 0))
        share = proportion(agreed, 200)
        average = mean(moments(table["target_cost"][start : start + 200].astype(float)))
        held += (share["low"] <= probability <= share["high"], average["low"] <= cost <= average["high"])
    assert np.all(np.abs(held / 2000 - 0.95) < 0.024)


@pytest.mark.parametrize("share", [0.37, 0.3135, 0.5001, 0.219])
def test_what_one_parameter_decides_is_known_to_a_whole_trial_of_each_replicate(share):
    """Sixteen Sobol sequences of 64 points: of 60 intervals 54 or more hold the share (97 % or more of 200 others do).

    By the scatter of the replicates alone, which is often 0, it is held in 11 % to 92 % of the runs.
    """
    held = 0
    for seed in range(60):
        points = [qmc.Sobol(1, scramble=True, seed=100 * seed + k).random(64)[:, 0] for k in range(16)]
        hits = [int((own < share).sum()) for own in points]
        found = proportion_of_replicates(hits, [64] * 16)
        held += found["low"] <= share <= found["high"]
        changed = difference_of_conditions([pair_of_changes(64, hit, 0) for hit in hits])
        assert (changed["low"], changed["high"]) == pytest.approx((found["low"], found["high"]))
    assert held >= 54


def test_clustered_trials_count_as_one():
    hits, trials = [300] * 16, [3200] * 16
    assert proportion_of_replicates(hits, trials, per_point=32) == proportion(150, 1600)
    assert proportion_of_replicates([320] * 16, trials, per_point=32) == proportion_of_replicates([320] * 16, trials)
    found = mean_of_replicates([Moments(100, 5.0, 99.0, 0.0, 10.0)] * 16, per_point=20)
    assert found["estimate"] == 5.0
    assert found["standard_error"] == pytest.approx((0.99 / 79) ** 0.5)
    assert quantile_bounds_of_replicates(0.5, [50] * 16, [51] * 16, [100] * 16, per_point=20) == quantile_bounds(
        80, 0.5
    )
