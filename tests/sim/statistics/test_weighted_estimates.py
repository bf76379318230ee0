"""Weighted estimates: against direct reweighting, and intervals of 95 % that hold the truth in 95 % of the runs.

The example is that of `test_coverage`: one issue, on which the target concedes all with chance q a week, q uniform over
(a, b), and full access uniform over (c, d). Believed is that an agreement comes by week 2 with 0.3, and that full
access is above 6 with 0.7. The two are independent, so that the weights are products of two of Jeffrey's and all truths
are known in closed form.
"""

from functools import lru_cache
from math import sqrt

import numpy as np
import pytest

from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.scenario.columns import NULL
from sim.statistics.estimates import Estimate, mean_of_replicates, proportion_of_replicates
from sim.statistics.grouped_moments import GroupedMoments, grouped_counts, grouped_moments
from sim.statistics.soft_evidence import Belief, Weighting, weigh
from sim.statistics.tallies import moments
from sim.statistics.weighted_estimates import (
    change_of_mean,
    weighted_difference_of_conditions,
    weighted_mean,
    weighted_quantile,
    weighted_quantile_bounds,
    weighted_share,
)
from tests.support.one_issue import EXAMPLE, WEEKS, C, D, open_after

TRIALS, RUNS = 1600, 600
TOLERANCE = 4.5 * sqrt(0.95 * 0.05 / RUNS)
EARLY, ABOVE, LIMIT = 0.3, 0.7, 6.0
BELIEFS = (Belief(EARLY, EARLY), Belief(ABOVE, ABOVE))


def counted(of: np.ndarray, place: np.ndarray, replicate: np.ndarray, replicates: int, patterns: int) -> np.ndarray:
    """How many of some trials each replicate and pattern has."""
    return np.bincount(replicate[of] * patterns + place[of], minlength=replicates * patterns).reshape(
        replicates, patterns
    )


def by_pattern(
    values: np.ndarray, place: np.ndarray, replicate: np.ndarray, replicates: int, patterns: int
) -> GroupedMoments:
    """The moments of the numbers that are not null by replicate and pattern."""
    return grouped_moments(values, replicate * patterns + place, replicates, patterns)


def truths() -> dict[str, float]:
    agreed_early, agreed = 1 - open_after(2), 1 - open_after(WEEKS)
    late = (1 - EARLY) / (1 - agreed_early)
    share = EARLY + late * (agreed - agreed_early)
    access = ABOVE * (LIMIT + D) / 2 + (1 - ABOVE) * (C + LIMIT) / 2
    by_week = [open_after(week - 1) - open_after(week) for week in range(1, WEEKS + 1)]
    weighted = [p * (EARLY / agreed_early if week <= 2 else late) for week, p in enumerate(by_week, 1)]
    # The level 0.8 of the balance's change lies above LIMIT: there its density is share * ABOVE / (D - LIMIT).
    return {
        "probability": share,
        "mean": share * access,
        "mean where known": sum(week * p for week, p in enumerate(weighted, 1)) / share,
        "quantile": D - (1 - 0.8) * (D - LIMIT) / (share * ABOVE),
        "rare": late * by_week[WEEKS - 1] * ABOVE * 0.25,
        "share where known": sum(weighted[4:]) / share,
        "change": share - agreed,
    }


TRUTH = truths()


@lru_cache
def coverage(design: str) -> dict[str, float]:
    """The share of runs, each of a seed of its own, whose intervals hold the truth."""
    held = dict.fromkeys(TRUTH, 0)
    replicates = find_design(design).replicates(EXAMPLE)
    for seed in range(RUNS):
        table = simulate(EXAMPLE, "base", Chance(seed, 0, TRIALS), find_design(design, TRIALS))
        week = np.where(table["agreement_week"] == NULL, np.nan, table["agreement_week"])
        for name, one in estimates(week, table["full_access"], table["balance_change"], replicates).items():
            held[name] += one["low"] <= TRUTH[name] <= one["high"]
    return {name: count / RUNS for name, count in held.items()}


def estimates(week: np.ndarray, access: np.ndarray, balance: np.ndarray, replicates: int) -> dict[str, Estimate]:
    holds = np.stack([week <= 2, access > LIMIT], axis=1)
    patterns, place, counts = np.unique(holds, axis=0, return_inverse=True, return_counts=True)
    place = place.ravel()
    weighting = weigh(patterns, counts, BELIEFS)
    own = (place, np.arange(week.size) % replicates, replicates, len(patterns))
    trials = counted(np.ones(week.size, bool), *own)
    agreed = np.isfinite(week)
    order = np.argsort(balance, kind="stable")
    cumulated = np.cumsum(weighting.weights[place][order])
    level = 0.8
    at = weighted_quantile(balance[order], cumulated, level)
    bounds = weighted_quantile_bounds(
        weighting, level, counted(balance < at, *own), counted(balance <= at, *own), trials, trials
    )
    low, high = (None if bound is None else weighted_quantile(balance[order], cumulated, bound) for bound in bounds)
    rare = (week == WEEKS) & (access > D - (D - LIMIT) * 0.25)
    return {
        "probability": weighted_share(weighting, counted(agreed, *own), trials, trials),
        "mean": weighted_mean(weighting, by_pattern(balance, *own), trials),
        "mean where known": weighted_mean(weighting, by_pattern(week, *own), trials),
        "quantile": {"estimate": at, "standard_error": None, "low": low, "high": high},
        "rare": weighted_share(weighting, counted(rare, *own), trials, trials),
        "share where known": weighted_share(weighting, counted(week > 4, *own), counted(agreed, *own), trials),
        "change": change_of_mean(weighting, grouped_counts(counted(agreed, *own), trials), trials),
    }


@pytest.mark.slow
@pytest.mark.parametrize("design", ["random", "sobol"])
@pytest.mark.parametrize("kind", list(TRUTH))
def test_weighted_intervals_have_their_nominal_coverage(design, kind):
    """A true coverage of 90 % would be found out with a probability of 79 %; rare events may be held more often."""
    found = coverage(design)[kind]
    assert found > 0.95 - TOLERANCE
    assert found < 0.95 + TOLERANCE or kind == "rare"


def example(seed: int = 3, trials: int = 4000) -> tuple[Weighting, np.ndarray, np.ndarray, np.ndarray]:
    """Some trials with two conditions: the weighting, each trial's pattern, its weight, and a measure."""
    rng = np.random.default_rng(seed)
    measure = rng.lognormal(0.0, 0.5, trials)
    holds = np.stack([measure + rng.normal(0, 0.5, trials) > 1.2, rng.random(trials) < 0.3], axis=1)
    patterns, place, counts = np.unique(holds, axis=0, return_inverse=True, return_counts=True)
    weighting = weigh(patterns, counts, [Belief(0.2, 0.2), Belief(0.5, 0.5)])
    return weighting, place.ravel(), weighting.weights[place.ravel()], measure


def test_estimates_are_those_of_the_weights_trial_by_trial():
    weighting, place, weights, measure = example()
    known = np.where(measure > 0.8, measure, np.nan)
    own = (place, np.zeros(measure.size, np.int64), 1, 4)
    trials = counted(np.ones(measure.size, bool), *own)
    mean = weighted_mean(weighting, by_pattern(known, *own), trials)
    there = measure > 0.8
    assert mean["estimate"] == pytest.approx(np.average(measure[there], weights=weights[there]))
    share = weighted_share(weighting, counted(measure > 1.5, *own), trials, trials)
    assert share["estimate"] == pytest.approx(weights[measure > 1.5].sum() / weights.sum())


def test_the_standard_error_is_that_of_the_calibrated_residuals():
    """Deville & Särndal's variance, computed from the trials by a regression weighted by the weights."""
    weighting, place, weights, measure = example()
    own = (place, np.zeros(measure.size, np.int64), 1, 4)
    trials = counted(np.ones(measure.size, bool), *own)
    found = weighted_mean(weighting, by_pattern(measure, *own), trials)
    features = np.column_stack([np.ones(measure.size), weighting.holds[place]])
    slopes = np.linalg.lstsq(features * np.sqrt(weights)[:, None], measure * np.sqrt(weights), rcond=None)[0]
    residuals = weights * (measure - features @ slopes)
    assert found["standard_error"] == pytest.approx(residuals.std() / sqrt(measure.size), rel=1e-3)
    # Weights that were given instead of estimated would leave more scatter.
    alone = weights * (measure - found["estimate"])
    assert found["standard_error"] < 0.95 * alone.std() / sqrt(measure.size)


def test_what_is_believed_has_no_error():
    weighting, place, _, _ = example()
    own = (place, np.zeros(place.size, np.int64), 1, 4)
    trials = counted(np.ones(place.size, bool), *own)
    found = weighted_share(weighting, counted(weighting.holds[place, 0], *own), trials, trials)
    assert found["estimate"] == pytest.approx(0.2)
    assert (found["low"], found["high"]) == (found["estimate"], found["estimate"])


def test_without_beliefs_that_move_anything_all_is_as_without_weights():
    _, place, _, measure = example()
    holds = np.array([[False], [True]])
    place = (place % 2).astype(np.int64)
    weighting = weigh(holds, np.bincount(place), [Belief(0.0, 1.0)])
    own = (place, np.arange(place.size) % 16, 16, 2)
    trials = counted(np.ones(place.size, bool), *own)
    plain = [moments(measure[np.arange(place.size) % 16 == r]) for r in range(16)]
    assert weighted_mean(weighting, by_pattern(measure, *own), trials) == pytest.approx(mean_of_replicates(plain))
    hits = counted(measure > 1.5, *own)
    expected = proportion_of_replicates(hits.sum(axis=1).tolist(), trials.sum(axis=1).tolist())
    # The unweighted one also allows for shares being known to a whole trial.
    assert weighted_share(weighting, hits, trials, trials) == pytest.approx(expected, rel=2e-3)


def test_what_no_trial_did_is_bounded_by_trials_of_the_greatest_weight():
    weighting, place, _, _ = example()
    own = (place, np.zeros(place.size, np.int64), 1, 4)
    trials = counted(np.ones(place.size, bool), *own)
    nothing = weighted_share(weighting, np.zeros_like(trials), trials, trials)
    assert nothing["estimate"] == nothing["low"] == 0.0
    assert nothing["high"] == pytest.approx(3.84 * weighting.greatest / place.size, rel=0.02)
    same = weighted_difference_of_conditions(
        weighting, by_pattern(np.zeros(place.size), *own), np.zeros_like(trials), np.zeros_like(trials), trials
    )
    assert same["low"] < 0.0 < same["high"]
