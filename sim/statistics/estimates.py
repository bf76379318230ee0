"""Estimates from played trials, with their Monte Carlo error.

A `Tally` holds what the estimates need of any number of trials. Tallies of disjoint sets of trials merge
without loss (moments by Chan, Golub & LeVeque 1983), so that shards can be tallied where they are played.

Independent trials have one tally. Those of a Sobol design are not independent, and the usual formulas are wrong
for them; but they fall into replicates that are, with a tally each, and the scatter of the replicates tells the
error (Owen 1997). So do those of a Saltelli design.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from math import inf, sqrt

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binom

from sim.sampling.design import Design
from sim.sampling.designs import RANDOM
from sim.scenario.columns import COMMON_COLUMNS
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import Expression, parse_over
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, OUTCOMES, TERMS

Z = 1.959963984540054
"""The 97.5 % point of the standard normal: intervals are of 95 %."""

FEW = 10
"""Trials a replicate, on either side of an event or a quantile, below which replicates say little of its error."""

Estimate = dict[str, float | None]
"""``estimate``, ``standard_error``, ``low`` and ``high`` (of the 95 % interval); null for what is not known."""
UNKNOWN: Estimate = {"estimate": None, "standard_error": None, "low": None, "high": None}


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations from the mean, least and greatest of some numbers."""

    count: int
    mean: float
    m2: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Tally:
    """What the estimates need of some trials of one strategy."""

    trials: int
    outcomes: dict[str, int]
    events: dict[str, int]
    measures: dict[str, Moments]


NO_NUMBERS = Moments(0, 0.0, 0.0, inf, -inf)
NO_TRIALS = Tally(0, dict.fromkeys(OUTCOMES, 0), dict.fromkeys(EVENTS, 0), dict.fromkeys(MEASURES, NO_NUMBERS))


def tally(table: dict[str, np.ndarray]) -> Tally:
    """Tally the columns of some trials, arrays as `sim.model.kernel.simulate` returns them."""
    outcomes = np.bincount(table["outcome"], minlength=len(OUTCOMES))
    return Tally(
        trials=len(table["outcome"]),
        outcomes={name: int(count) for name, count in zip(OUTCOMES, outcomes, strict=True)},
        events={name: int(np.count_nonzero(_evaluated(name, table))) for name in EVENTS},
        measures={name: moments(_not_null(_evaluated(name, table))) for name in MEASURES},
    )


def _evaluated(name: str, table: dict[str, np.ndarray]) -> np.ndarray:
    return evaluate(_parsed(name), table, COMMON_COLUMNS)


@cache
def _parsed(name: str) -> Expression:
    return parse_over(COMMON_COLUMNS, TERMS[name].expression, name)


def moments(numbers: np.ndarray) -> Moments:
    """The moments of some numbers, computed in float64."""
    if not numbers.size:
        return NO_NUMBERS
    numbers = numbers.astype(np.float64)
    mean = float(numbers.mean())
    deviation = numbers - mean
    return Moments(numbers.size, mean, float(np.square(deviation).sum()), float(numbers.min()), float(numbers.max()))


def merge(a: Tally, b: Tally) -> Tally:
    """The tally of two disjoint sets of trials together."""
    return Tally(
        a.trials + b.trials,
        {name: a.outcomes[name] + b.outcomes[name] for name in a.outcomes},
        {name: a.events[name] + b.events[name] for name in a.events},
        {name: merge_moments(a.measures[name], b.measures[name]) for name in a.measures},
    )


def tally_replicates(table: dict[str, np.ndarray], replicates: int) -> tuple[Tally, ...]:
    """A tally of each replicate; trial *i* belongs to replicate *i* mod `replicates`. Trials are consecutive."""
    first = int(table["trial"][0]) if len(table["trial"]) else 0
    starts = [(replicate - first) % replicates for replicate in range(replicates)]
    return tuple(tally({name: column[start::replicates] for name, column in table.items()}) for start in starts)


def merge_replicates(a: tuple[Tally, ...], b: tuple[Tally, ...]) -> tuple[Tally, ...]:
    """The tallies of two disjoint sets of trials together, replicate by replicate."""
    return tuple(merge(one, other) for one, other in zip(a, b, strict=True))


def proportion(successes: float, trials: float) -> Estimate:
    """A probability's estimate, binomial standard error and Wilson 95 % interval (Wilson 1927)."""
    if not trials:
        return UNKNOWN
    p = successes / trials
    centre = p + Z * Z / (2 * trials)
    half = Z * sqrt(p * (1 - p) / trials + (Z / (2 * trials)) ** 2)
    scale = 1 + Z * Z / trials
    return {
        "estimate": p,
        "standard_error": sqrt(p * (1 - p) / trials),
        "low": 0.0 if successes == 0 else (centre - half) / scale,
        "high": 1.0 if successes == trials else (centre + half) / scale,
    }


def mean(numbers: Moments) -> Estimate:
    """A mean's estimate, standard error s/sqrt(n) and Student's 95 % interval; null where there are too few numbers."""
    if not numbers.count:
        return UNKNOWN
    if numbers.count == 1:
        return {"estimate": numbers.mean, "standard_error": None, "low": None, "high": None}
    error = sqrt(numbers.m2 / (numbers.count - 1) / numbers.count)
    return around(numbers.mean, error, student(numbers.count - 1))


def around(estimate: float, error: float, quantile: float) -> Estimate:
    """An estimate with a symmetric interval of `quantile` standard errors either side."""
    return {
        "estimate": estimate,
        "standard_error": error,
        "low": estimate - quantile * error,
        "high": estimate + quantile * error,
    }


def proportion_of_replicates(successes: Sequence[int], trials: Sequence[int], together: int = 1) -> Estimate:
    """A probability's estimate from replicates, with their standard error and Student's 95 % interval.

    Of rare events (or rare failures) replicates tell too little: there it is Wilson's interval, which is wide enough.
    Where so many trials go `together` (see `sim.sampling.design.Design.trials_together`) they count as one.
    """
    hits, total = sum(successes), sum(trials)
    if min(hits, total - hits) < FEW * len(trials) * together or not all(trials):
        return proportion(hits / together, total / together)
    found = around_replicates([hit / n for hit, n in zip(successes, trials, strict=True)], trials)
    low, high = found["low"], found["high"]
    return {**found, "low": max(low, 0.0) if low is not None else None, "high": min(high, 1.0) if high else high}


def mean_of_replicates(replicates: Sequence[Moments], together: int = 1) -> Estimate:
    """A mean's estimate from replicates, with their standard error and Student's 95 % interval.

    Where a replicate has too few numbers the formula for independent ones is used; so many as go `together` are one.
    """
    if min(numbers.count for numbers in replicates) < FEW * together:
        whole = reduce(merge_moments, replicates)
        count = -(-whole.count // together)
        return mean(replace(whole, count=count, m2=whole.m2 * count / max(whole.count, 1)))
    return around_replicates([numbers.mean for numbers in replicates], [numbers.count for numbers in replicates])


def around_replicates(values: Sequence[float], weights: Sequence[float]) -> Estimate:
    """The weighted mean of replicates' values, with the standard error of a ratio and Student's 95 % interval.

    Needs two replicates or more, each with a weight above 0.
    """
    value, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    count = value.size
    centre = float(np.average(value, weights=weight))
    scatter = np.square((weight / weight.mean()) * (value - centre)).sum()
    return around(centre, float(np.sqrt(scatter / (count * (count - 1)))), student(count - 1))


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t distribution."""
    return float(stdtrit(freedom, 0.975))


Bounds = tuple[float | None, float | None]
"""Levels between whose sample quantiles a quantile lies with 95 % probability; null where no number bounds it."""


def quantile_bounds(count: int, level: float) -> Bounds:
    """Bounds of a quantile of `count` independent numbers, whatever their distribution (Conover 1999, 3.2).

    Exact ranks of order statistics from the binomial number of values below the quantile. Each is given as the level
    at which a sample quantile (the least number whose share is at least the level) is that order statistic.
    """
    low, high = int(binom.ppf(0.025, count, level)), int(binom.ppf(0.975, count, level)) + 1
    return (low - 0.5) / count if low >= 1 else None, (high - 0.5) / count if high <= count else None


def quantile_bounds_of_replicates(
    level: float, below: Sequence[int], up_to: Sequence[int], counts: Sequence[int], together: int = 1
) -> Bounds:
    """Bounds of a quantile from replicates (Woodruff 1952): by the error of the share of numbers at the estimate.

    `below` and `up_to` count each replicate's numbers less than the estimated quantile, and at most it. Where a
    replicate has too few numbers on either side of the quantile the bounds are those for independent numbers, of which
    so many as go `together` are one.
    """
    total = sum(counts)
    few = FEW * together
    if min(counts) < few or min(level, 1.0 - level) * total < few * len(counts):
        return quantile_bounds(-(-total // together), level)
    half = 0.0
    for hits in (below, up_to):
        found = around_replicates([hit / n for hit, n in zip(hits, counts, strict=True)], counts)
        half = max(half, ((found["high"] or 0.0) - (found["low"] or 0.0)) / 2.0)
    return level - half if level > half else None, level + half if level + half < 1.0 else None


def outcome_estimates(counted: tuple[Tally, ...], together: int = 1) -> dict[str, Estimate]:
    """The estimate of each outcome's probability."""
    return {name: _probability(counted, [tally.outcomes[name] for tally in counted], together) for name in OUTCOMES}


def event_estimates(counted: tuple[Tally, ...], together: int = 1) -> dict[str, Estimate]:
    """The estimate of each event's probability."""
    return {name: _probability(counted, [tally.events[name] for tally in counted], together) for name in EVENTS}


def mean_estimate(counted: tuple[Tally, ...], name: str, together: int = 1) -> Estimate:
    """The estimate of a measure's mean over the trials in which it is not null."""
    replicates = [tally.measures[name] for tally in counted]
    return mean(replicates[0]) if len(replicates) == 1 else mean_of_replicates(replicates, together)


def _probability(counted: tuple[Tally, ...], successes: list[int], together: int) -> Estimate:
    if len(counted) == 1:
        return proportion(successes[0], counted[0].trials)
    return proportion_of_replicates(successes, [tally.trials for tally in counted], together)


def method_note(scenario: Scenario, design: Design) -> str:
    """How the errors were computed, and what they mean under a design."""
    replicates = design.replicates(scenario)
    if replicates > 1:
        together = design.trials_together(scenario)
        each = f", {together} of which (one base point's) count as one" if together > 1 else ""
        return (
            f"95 % intervals: Student's t over {replicates} randomised replicates of the {design.name} design, "
            "Woodruff's for quantiles; as for independent trials (Wilson, Student, order statistics) where a replicate "
            f"has fewer than {FEW} numbers, or trials on either side of an event or a quantile{each}"
        )
    intervals = "95 % intervals: Wilson for probabilities, Student for means, order statistics for quantiles"
    if design == RANDOM or not scenario.uncertain:
        return f"{intervals}; independent trials"
    return f"{intervals}; as if trials were independent, which is wider than need be for a {design.name} design"


def _not_null(column: np.ndarray) -> np.ndarray:
    return column[~np.isnan(column)]


def merge_moments(a: Moments, b: Moments) -> Moments:
    """The moments of two sets of numbers together."""
    count = a.count + b.count
    if not a.count or not b.count:
        return a if a.count else b
    step = b.mean - a.mean
    return Moments(
        count,
        a.mean + step * b.count / count,
        a.m2 + b.m2 + step * step * a.count * b.count / count,
        min(a.least, b.least),
        max(a.greatest, b.greatest),
    )
