"""Estimates of a probability and of a mean, with their Monte Carlo error and 95 % intervals.

Points of a Sobol design are not independent, and the usual formulas are wrong for their trials. These trials fall into
replicates that are independent of each other, so the error follows from the differences between replicates (Owen
1997). The same holds for a Saltelli design.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, reduce
from math import hypot, inf, isinf, sqrt

import numpy as np
from scipy.special import gammaincinv, ndtri, stdtrit

from sim.statistics.tallies import Moments, merge_moments

Z = 1.959963984540054
"""The 97.5 % point of the standard normal: intervals are of 95 %."""
TAIL = 0.025
"""The probability beyond either end of an interval."""
FEW = 10
"""With fewer trials per replicate than this on one side of an event or a quantile, replicates do not give its error."""
SKEWED = 0.1
"""Student's interval is not used if the greatest deviation from the mean, in units of s sqrt(n), is above this and
`LOPSIDED` times the greatest deviation on the other side."""
LOPSIDED = 3.0
FAR_OUT = 5.0
"""A deviation of at least this many standard deviations makes a side of a distribution heavy-tailed."""
HEAVY = 0.25
"""As `SKEWED`, if the other side has great deviations too."""
UNSEEN = 4.0
"""A number not seen yet may exceed the greatest by so many times it, over the root of the effective number of values.

Chosen by simulation, such that intervals of means of costs of random size hold the truth in 95 % of samples.
"""

FEW_VALUES = 30
"""With fewer costs of lognormal sizes than this, intervals hold the mean in less than 95 % of samples."""
ROUNDING = 0.15
"""Sixteen equal counts come in 2.5 % of samples where the expected one is 0.21 less; Student's interval is as wide."""
Range = tuple[float, float]
"""The least and the greatest value that a measure can have; infinite where no bound is known."""
ANY_NUMBER: Range = (-inf, inf)
Estimate = dict[str, float | None]
"""``estimate``, ``standard_error``, ``low`` and ``high`` (of the 95 % interval); null for what is not known."""
UNKNOWN: Estimate = {"estimate": None, "standard_error": None, "low": None, "high": None}


def proportion(successes: float, trials: float, tail: float = TAIL) -> Estimate:
    """A probability's estimate, binomial standard error and modified Wilson interval, of 95 % unless `tail` differs.

    Wilson's interval (1927) with the modification of Brown, Cai & DasGupta (2001, section 4.1.1): for an event (or a
    non-event) seen one to three times the bound near 0 (or 1) is a one-sided Poisson bound, since Wilson's interval
    misses the true value in 16 % of samples if about 0.18 events are expected. `tail` is the probability beyond either
    end.
    """
    if not trials:
        return UNKNOWN
    p = successes / trials
    z = Z if tail == TAIL else float(-ndtri(tail))
    centre = p + z * z / (2 * trials)
    half = z * sqrt(p * (1 - p) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    low, high = (centre - half) / scale, (centre + half) / scale
    few = 2 if trials <= 50 else 3
    if 0 < successes <= few:
        low = min(low, _poisson_bound(successes, tail) / trials)
    if 0 < trials - successes <= few:
        high = max(high, 1 - _poisson_bound(trials - successes, tail) / trials)
    return {
        "estimate": p,
        "standard_error": sqrt(p * (1 - p) / trials),
        "low": 0.0 if successes == 0 else low,
        "high": 1.0 if successes == trials else high,
    }


@lru_cache(maxsize=1024)
def _poisson_bound(count: float, tail: float) -> float:
    """The mean of a Poisson variable that is `count` or more with probability 2 `tail`."""
    return float(gammaincinv(count, 2.0 * tail))


def mean(numbers: Moments, within: Range = ANY_NUMBER) -> Estimate:
    """A mean's estimate, standard error s/sqrt(n) and 95 % interval; null where there are too few numbers.

    The interval is Student's, or for a skewed sample that of `mean_bounds`. If all numbers are equal their variance is
    unknown. Then the interval allows for other values `within` the measure's range, with the greatest probability at
    which `count` trials miss them in 2.5 % of samples; a bound that does not exist is null.
    """
    if numbers.count < 2:
        return mean_without_bounds(numbers)
    if numbers.least == numbers.greatest:
        return _of_equal(numbers, within)
    count, centre, m2, least, greatest = (np.array([getattr(numbers, field)]) for field in _FIELDS)
    low, high = mean_bounds(count, centre, m2, least, greatest, within=within)
    return {**mean_without_bounds(numbers), "low": float(low[0]), "high": float(high[0])}


def mean_without_bounds(numbers: Moments) -> Estimate:
    """A mean's estimate and standard error; null where there are too few numbers."""
    if not numbers.count:
        return UNKNOWN
    error = sqrt(numbers.m2 / (numbers.count - 1) / numbers.count) if numbers.count > 1 else None
    return {"estimate": numbers.mean, "standard_error": error, "low": None, "high": None}


def _of_equal(numbers: Moments, within: Range) -> Estimate:
    missed = 1.0 - TAIL ** (1.0 / numbers.count)
    low, high = (
        None if isinf(end) else numbers.mean + missed * (end - numbers.mean)
        for end in (min(within[0], numbers.least), max(within[1], numbers.greatest))
    )
    return {"estimate": numbers.mean, "standard_error": 0.0, "low": low, "high": high}


_FIELDS = ("count", "mean", "m2", "least", "greatest")


def mean_bounds(
    count: np.ndarray,
    mean: np.ndarray,
    m2: np.ndarray,
    least: np.ndarray,
    greatest: np.ndarray,
    tail: float | np.ndarray = TAIL,
    within: Range = ANY_NUMBER,
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper bound of means with the moments of samples, float64 arrays of one shape.

    Student's interval if no number has much weight. If a few large numbers make up the mean (a rare event with a large
    cost, a lognormal measure) it misses the true mean too often. Then the gamma interval of Fay & Feuer (1997,
    Statistics in Medicine 16) is used, which was made for sums of few unequal weights: a gamma distribution with the
    mean and variance of the estimate above the near end of the sample, with an upper bound that allows for one more
    number. They take that number to be as great as the greatest observed one, which is too little if sizes are random
    and few of them were observed. Here it exceeds the greatest by `UNSEEN` / sqrt(k) times the greatest, where k is the
    effective number of values, (sum)^2 / sum of squares (Kish 1965), but not the end of the range `within`. If both
    sides are heavy-tailed the interval spans the intervals of both sides. Counts must be 2 or more.
    """
    variance = m2 / (count - 1) / count
    error = np.sqrt(variance)
    half = stdtrit(count - 1, 1.0 - tail) * error
    low, high = mean - half, mean + half
    above, below = greatest - mean, mean - least
    skewed_up = _is_skewed(above, below, error, count)
    skewed_down = _is_skewed(below, above, error, count)
    if not (skewed_up.any() or skewed_down.any()):
        return low, high
    span = greatest - least
    under, over = _gamma_bounds_where(skewed_up, below, variance, count, span, within[1] - least, tail)
    up_low, up_high = least + under, least + over
    under, over = _gamma_bounds_where(skewed_down, above, variance, count, span, greatest - within[0], tail)
    down_low, down_high = greatest - over, greatest - under
    return (
        np.select(
            [skewed_up & skewed_down, skewed_up, skewed_down], [np.minimum(up_low, down_low), up_low, down_low], low
        ),
        np.select(
            [skewed_up & skewed_down, skewed_up, skewed_down],
            [np.maximum(up_high, down_high), up_high, down_high],
            high,
        ),
    )


def is_skewed(numbers: Moments) -> bool:
    """Whether a few large numbers make up so much of a sample's mean that Student's interval is not used."""
    if numbers.count < 2 or numbers.least == numbers.greatest:
        return False
    return bool(are_skewed(*(np.array([getattr(numbers, field)]) for field in _FIELDS))[0])


def is_doubtful(numbers: Moments) -> bool:
    """Whether a mean is made up by so few large numbers that even its wider interval may be too short.

    So it is if a sample is skewed and its sum of squared deviations is less than `FEW_VALUES` times the greatest one:
    that many numbers as far out would make up all of the variance.
    """
    far = max(numbers.greatest - numbers.mean, numbers.mean - numbers.least)
    return is_skewed(numbers) and numbers.m2 < FEW_VALUES * far * far


def are_skewed(
    count: np.ndarray, mean: np.ndarray, m2: np.ndarray, least: np.ndarray, greatest: np.ndarray
) -> np.ndarray:
    """As `is_skewed`, for arrays of moments of samples of 2 numbers or more."""
    error = np.sqrt(m2 / (count - 1) / count)
    above, below = greatest - mean, mean - least
    return _is_skewed(above, below, error, count) | _is_skewed(below, above, error, count)


def _is_skewed(far: np.ndarray, near: np.ndarray, error: np.ndarray, count: np.ndarray) -> np.ndarray:
    leverage = far / count
    return (leverage > SKEWED * error) & (
        (far > LOPSIDED * near) | ((leverage > HEAVY * error) & (far > FAR_OUT * error * np.sqrt(count)))
    )


def _gamma_bounds_where(chosen: np.ndarray, *given: float | np.ndarray) -> np.ndarray:
    """The bounds of `_gamma_bounds` for some of the means, shape (2, ...), with NaN for the others."""
    found = np.full((2, *chosen.shape), np.nan)
    if chosen.any():
        found[:, chosen] = _gamma_bounds(*(np.broadcast_to(one, chosen.shape)[chosen] for one in given))
    return found


def _gamma_bounds(
    mean: np.ndarray,
    variance: np.ndarray,
    count: np.ndarray,
    greatest: np.ndarray,
    most: np.ndarray,
    tail: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds as `mean_bounds` describes them, of a mean over the least number, of which one more is at most `most`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low = variance / mean * gammaincinv(mean * mean / variance, tail)
        effective = mean * mean / (variance + mean * mean / count)
        weight = np.minimum(greatest * (1.0 + UNSEEN / np.sqrt(effective)), np.maximum(most, greatest)) / count
        spread = variance + weight * weight
        high = spread / (mean + weight) * gammaincinv((mean + weight) ** 2 / spread, 1.0 - tail)
    return np.where(variance > 0.0, low, mean), high


def around(estimate: float, error: float, quantile: float) -> Estimate:
    """An estimate with a symmetric interval of `quantile` standard errors to each side."""
    return {
        "estimate": estimate,
        "standard_error": error,
        "low": estimate - quantile * error,
        "high": estimate + quantile * error,
    }


def proportion_of_replicates(
    successes: Sequence[int], trials: Sequence[int], per_point: int = 1, tail: float = TAIL
) -> Estimate:
    """A probability's estimate from replicates, with their standard error and Student's 95 % interval.

    For rare events (or rare failures), where replicates do not give the error, it is Wilson's interval, which is wide
    enough. Each set of `per_point` trials (see `sim.sampling.base.Design.trials_per_point`) counts as one trial.
    """
    hits, total = sum(successes), sum(trials)
    if min(hits, total - hits) < FEW * len(trials) * per_point or not all(trials):
        return proportion(hits / per_point, total / per_point, tail)
    found = around_shares(successes, trials, tail)
    low, high = found["low"], found["high"]
    return {**found, "low": max(low, 0.0) if low is not None else None, "high": min(high, 1.0) if high else high}


def mean_of_replicates(replicates: Sequence[Moments], per_point: int = 1, within: Range = ANY_NUMBER) -> Estimate:
    """A mean's estimate from replicates, with their standard error and Student's 95 % interval.

    If a replicate has too few numbers, or all numbers are equal, the formula for independent numbers is used, with each
    set of `per_point` numbers counted as one. If a few large numbers make up the mean, the variance of the replicates
    is not reliable, and the interval spans that for independent numbers too.
    """
    whole = reduce(merge_moments, replicates)
    count = -(-whole.count // per_point)
    independent = replace(whole, count=count, m2=whole.m2 * count / max(whole.count, 1))
    if min(numbers.count for numbers in replicates) < FEW * per_point or whole.least == whole.greatest:
        return mean(independent, within)
    found = around_replicates([numbers.mean for numbers in replicates], [numbers.count for numbers in replicates])
    if not is_skewed(independent):
        return found
    other = mean(independent)
    return {
        **found,
        "low": min(float(found["low"] or 0.0), float(other["low"] or 0.0)),
        "high": max(float(found["high"] or 0.0), float(other["high"] or 0.0)),
    }


def around_replicates(values: Sequence[float], weights: Sequence[float], tail: float = TAIL) -> Estimate:
    """The weighted mean of replicates' values, with the standard error of a ratio and Student's 95 % interval.

    Needs two replicates or more, each with a weight above 0.
    """
    value, weight = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    count = value.size
    centre = float(np.average(value, weights=weight))
    scatter = np.square((weight / weight.mean()) * (value - centre)).sum()
    return around(centre, float(np.sqrt(scatter / (count * (count - 1)))), student(count - 1, tail))


def around_shares(hits: Sequence[int], trials: Sequence[int], tail: float = TAIL) -> Estimate:
    """As `around_replicates`, of shares of trials, which are known to a whole trial each.

    What depends on one parameter alone has the same count in all replicates of a Sobol design, or two neighbouring
    ones. The variance of a count is at least `ROUNDING`.
    """
    found = around_replicates([hit / n for hit, n in zip(hits, trials, strict=True)], trials, tail)
    error = hypot(float(found["standard_error"] or 0.0), sqrt(ROUNDING * len(trials)) / sum(trials))
    return around(float(found["estimate"] or 0.0), error, student(len(trials) - 1, tail))


def student(freedom: int, tail: float = TAIL) -> float:
    """The point of Student's t distribution with the probability `tail` above it."""
    return float(stdtrit(freedom, 1.0 - tail))
