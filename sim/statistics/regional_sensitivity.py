"""Regional sensitivity analysis: how parameters differ between some trials and the others, and which trials to read."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.special import ndtri

from sim.statistics.estimates import FEW, UNKNOWN, Estimate, around, around_replicates, student
from sim.statistics.sensitivity import cells
from sim.statistics.tallies import Moments, merge_moments
from sim.statistics.weighted_sample import effective_number, quantiles

DECILES = 10


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
    inside: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray], weights: Weights | None = None
) -> dict[str, tuple[float, float]]:
    """The Kolmogorov-Smirnov distance of every parameter's two distributions, and its p-value.

    P-values are adjusted for all parameters together (Holm 1979). They are those for independent trials from continuous
    distributions: with more even designs, and for parameters with few values, they are too high. Of weighted trials
    they are those for the effective numbers of trials (Monahan 2011, Numerical Methods of Statistics, section 13.3).
    """
    found = {name: _distance(column, outside[name], weights) for name, column in inside.items()}
    ordered = sorted(found, key=lambda name: found[name][1])
    adjusted: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(ordered):
        least = max(least, min(1.0, found[name][1] * (len(ordered) - rank)))
        adjusted[name] = least
    return {name: (statistic, adjusted[name]) for name, (statistic, _) in found.items()}


def _distance(inside: np.ndarray, outside: np.ndarray, weights: Weights | None) -> tuple[float, float]:
    """The distance of two distributions and its p-value."""
    from scipy.stats import ks_2samp, kstwo

    if weights is None:
        found = ks_2samp(inside, outside, method="asymp")
        return float(found.statistic), float(found.pvalue)
    values = np.unique(np.concatenate([inside, outside]))
    gap = np.zeros(values.size)
    for sign, side, weight in ((1.0, inside, weights[0]), (-1.0, outside, weights[1])):
        gap += sign * np.bincount(np.searchsorted(values, side), weight, values.size) / weight.sum()
    statistic = min(1.0, float(np.abs(np.cumsum(gap)).max()))
    a, b = (effective_number(weight) for weight in weights)
    return statistic, float(kstwo.sf(statistic, max(1.0, np.round(a * b / (a + b)))))


def shares_by_decile(
    inside: np.ndarray, outside: np.ndarray, weights: Weights | None = None
) -> list[tuple[float, float, float]]:
    """For each decile of the distribution outside its upper end, and the shares of both sides in it. If there are few
    values, there is one cell per value.
    """
    if weights is None:
        cell, count = cells(outside, DECILES)
        ends = np.full(count, -np.inf)
        np.maximum.at(ends, cell, outside)
    else:
        values = np.unique(outside)
        levels = [k / DECILES for k in range(1, DECILES)]
        ends = values if values.size <= DECILES else np.unique([*quantiles(outside, weights[1], levels), values[-1]])
        count = ends.size
        cell = np.searchsorted(ends[:-1], outside, side="left")
    own = np.searchsorted(ends[:-1], inside, side="left")
    sizes = (None, None) if weights is None else weights
    counted = (np.bincount(side, weight, count) for side, weight in zip((own, cell), sizes, strict=True))
    shares = (one / one.sum() for one in counted)
    return [(float(end), float(a), float(b)) for end, a, b in zip(ends, *shares, strict=True)]


def normal_scores(column: np.ndarray, reference: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The standard normal's quantile at each value's rank in a reference distribution; float64, shape of `column`.

    With a `weight` of each value of the reference ranks are sums of weights.
    """
    if weight is not None:
        order = np.argsort(reference, kind="stable")
        below = np.concatenate([[0.0], np.cumsum(weight[order])])
        rank = (
            below[np.searchsorted(reference[order], column, "left")]
            + below[np.searchsorted(reference[order], column, "right")]
        ) / (2.0 * below[-1])
        return ndtri(np.clip(rank, 0.5 / reference.size, 1.0 - 0.5 / reference.size))
    ordered = np.sort(reference)
    rank = (np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right")) / 2.0
    return ndtri(np.clip(rank / ordered.size, 0.5 / ordered.size, 1.0 - 0.5 / ordered.size))


def nearest(scores: np.ndarray, centre: np.ndarray, most: int) -> np.ndarray:
    """Positions of the points nearest to a centre, the nearest first: `scores` of shape (parameters, points)."""
    distance = np.square(scores - centre[:, None]).sum(axis=0)
    return np.argsort(distance, kind="stable")[:most]
