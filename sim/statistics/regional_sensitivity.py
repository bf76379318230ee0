"""Regional sensitivity analysis: how parameters differ between some trials and the others, and which trials to read."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.special import kolmogorov, ndtri

from sim.statistics.estimates import FEW, UNKNOWN, Estimate, around, around_replicates, student
from sim.statistics.ranked import Ranked
from sim.statistics.sensitivity import cells
from sim.statistics.tallies import Moments, merge_moments
from sim.statistics.weighted_sample import effective_number, quantiles

DECILES = 10
_MANY = 1000
"""From this sample size on, p-values are those of the limiting distribution of the Kolmogorov-Smirnov distance."""


def difference_of_means(inside: Sequence[Moments], outside: Sequence[Moments], scale: float = 1.0) -> Estimate:
    """The mean of one set of trials less that of another, disjoint one, in units of `scale`, with its 95 % interval.

    There is one tally of independent trials, or one for each replicate; the differences between replicates give the
    error if each has enough trials on both sides. Without variance on both sides there is no error.
    """
    a, b = inside[0], outside[0]
    for one, other in zip(inside[1:], outside[1:], strict=True):
        a, b = merge_moments(a, one), merge_moments(b, other)
    if min(a.count, b.count) < 2 or not scale > 0.0:
        return UNKNOWN
    step = (a.mean - b.mean) / scale
    if len(inside) > 1 and min(one.count for one in (*inside, *outside)) >= FEW:
        steps = [(one.mean - other.mean) / scale for one, other in zip(inside, outside, strict=True)]
        spread = around_replicates(steps, [one.count for one in inside])
        return around(step, float(spread["standard_error"] or 0.0), student(len(inside) - 1))
    # Welch (1947), with the fewer degrees of freedom of the smaller set.
    error = sqrt(sum(one.m2 / (one.count - 1) / one.count for one in (a, b))) / scale
    return around(step, error, student(min(a.count, b.count) - 1))


def of_counts(hits: int, trials: int) -> Moments:
    """The moments of a condition as 0 and 1."""
    share = hits / trials if trials else 0.0
    return Moments(trials, share, trials * share * (1.0 - share), float(hits == trials > 0), float(hits > 0))


Weights = tuple[np.ndarray, np.ndarray]
"""The weights of the trials inside and outside."""


def distances(
    inside: Mapping[str, Ranked], outside: Mapping[str, Ranked], weights: Weights | None = None
) -> dict[str, tuple[float, float]]:
    """The Kolmogorov-Smirnov distance of every parameter's two distributions, and its p-value.

    Both sides have codes of the same values. P-values are adjusted for all parameters together (Holm 1979). They are
    those for independent trials from continuous distributions: with more even designs, and for parameters with few
    values, they are too high. Of weighted trials they are those for the effective numbers of trials (Monahan 2011,
    Numerical Methods of Statistics, section 13.3).
    """
    found = {name: _distance(one, outside[name], weights) for name, one in inside.items()}
    ordered = sorted(found, key=lambda name: found[name][1])
    adjusted: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(ordered):
        least = max(least, min(1.0, found[name][1] * (len(ordered) - rank)))
        adjusted[name] = least
    return {name: (statistic, adjusted[name]) for name, (statistic, _) in found.items()}


def _distance(inside: Ranked, outside: Ranked, weights: Weights | None) -> tuple[float, float]:
    """The distance of two distributions, that of `scipy.stats.ks_2samp`, and its p-value."""
    if weights is None:
        statistic = float(np.abs(inside.up_to / inside.size - outside.up_to / outside.size).max())
        a, b = float(inside.size), float(outside.size)
    else:
        gap = np.zeros(inside.values.size)
        for sign, side, weight in ((1.0, inside, weights[0]), (-1.0, outside, weights[1])):
            gap += sign * np.bincount(side.code, weight, gap.size) / weight.sum()
        statistic = min(1.0, float(np.abs(np.cumsum(gap)).max()))
        a, b = (effective_number(weight) for weight in weights)
    return statistic, _p_value(statistic, max(1.0, np.round(a * b / (a + b))))


def _p_value(statistic: float, trials: float) -> float:
    """The probability of a Kolmogorov-Smirnov distance of at least a statistic with so many trials.

    It is that of `scipy.stats.ks_2samp`, method ``asymp``, which takes many milliseconds for a large sample. There it
    is the limiting distribution's with a correction (Vrbik 2018, Pioneer Journal of Theoretical and Applied Statistics
    15), within 0.0002 of it.
    """
    from scipy.stats import kstwo

    if trials >= _MANY:
        return float(kolmogorov(sqrt(trials) * statistic + 1.0 / (6.0 * sqrt(trials))))
    return float(np.clip(kstwo.sf(statistic, trials), 0.0, 1.0))


def shares_by_decile(
    inside: Ranked, outside: Ranked, weights: Weights | None = None
) -> list[tuple[float, float, float]]:
    """For each decile of the distribution outside its upper end, and the shares of both sides in it. If there are few
    values, there is one cell per value. Both sides have codes of the same values.
    """
    if weights is None:
        cell, count = cells(outside, DECILES)
        ends = outside.codes_at(np.cumsum(np.bincount(cell)) - 1)
    else:
        present = np.flatnonzero(np.diff(outside.up_to, prepend=0))
        levels = [k / DECILES for k in range(1, DECILES)]
        ends = present
        if present.size > DECILES:
            bounds = quantiles(outside.numbers, weights[1], levels)
            ends = np.unique([*np.searchsorted(outside.values, bounds), present[-1]])
        count = ends.size
        cell = np.searchsorted(ends[:-1], outside.code, side="left")
    own = np.searchsorted(ends[:-1], inside.code, side="left")
    sizes = (None, None) if weights is None else weights
    counted = (np.bincount(side, weight, count) for side, weight in zip((own, cell), sizes, strict=True))
    shares = (one / one.sum() for one in counted)
    return [(float(end), float(a), float(b)) for end, a, b in zip(outside.values[ends], *shares, strict=True)]


def normal_scores(column: Ranked, reference: Ranked, weight: np.ndarray | None = None) -> np.ndarray:
    """The standard normal's quantile at each value's rank in a reference distribution; float64, shape (n,).

    Both have codes of the same values. With a `weight` of each value of the reference ranks are sums of weights.
    """
    up_to = reference.up_to if weight is None else np.cumsum(np.bincount(reference.code, weight, reference.values.size))
    below = np.concatenate([np.zeros(1), up_to])
    rank = (below.take(column.code) + up_to.take(column.code)) / 2.0 / up_to[-1]
    return ndtri(np.clip(rank, 0.5 / reference.size, 1.0 - 0.5 / reference.size))


def nearest(scores: np.ndarray, centre: np.ndarray, most: int) -> np.ndarray:
    """Positions of the points nearest to a centre, the nearest first: `scores` of shape (parameters, points)."""
    distance = np.square(scores - centre[:, None]).sum(axis=0)
    return np.argsort(distance, kind="stable")[:most]
