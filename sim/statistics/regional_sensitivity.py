"""Regional sensitivity analysis: how parameters differ between some trials and the others, and which trials to read."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.special import ndtri

from sim.statistics.estimates import FEW, UNKNOWN, Estimate, around, around_replicates, student
from sim.statistics.sensitivity import cells
from sim.statistics.tallies import Moments, merge_moments

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


def distances(inside: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """The Kolmogorov-Smirnov distance of every parameter's two distributions, and its p-value.

    P-values are adjusted for all parameters together (Holm 1979). They are those for independent trials from continuous
    distributions: with more even designs, and for parameters with few values, they are too high.
    """
    from scipy.stats import ks_2samp

    found = {name: ks_2samp(column, outside[name], method="asymp") for name, column in inside.items()}
    ordered = sorted(found, key=lambda name: found[name].pvalue)
    adjusted: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(ordered):
        least = max(least, min(1.0, float(found[name].pvalue) * (len(ordered) - rank)))
        adjusted[name] = least
    return {name: (float(one.statistic), adjusted[name]) for name, one in found.items()}


def shares_by_decile(inside: np.ndarray, outside: np.ndarray) -> list[tuple[float, float, float]]:
    """For each decile of the distribution outside its upper end, and the shares of both sides in it. If there are few
    values, there is one cell per value.
    """
    cell, count = cells(outside, DECILES)
    ends = np.full(count, -np.inf)
    np.maximum.at(ends, cell, outside)
    own = np.searchsorted(ends[:-1], inside, side="left")
    shares = (np.bincount(side, minlength=count) / side.size for side in (own, cell))
    return [(float(end), float(a), float(b)) for end, a, b in zip(ends, *shares, strict=True)]


def normal_scores(column: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The standard normal's quantile at each value's rank in a reference distribution; float64, shape of `column`."""
    ordered = np.sort(reference)
    rank = (np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right")) / 2.0
    return ndtri(np.clip(rank / ordered.size, 0.5 / ordered.size, 1.0 - 0.5 / ordered.size))


def nearest(scores: np.ndarray, centre: np.ndarray, most: int) -> np.ndarray:
    """Positions of the points nearest to a centre, the nearest first: `scores` of shape (parameters, points)."""
    distance = np.square(scores - centre[:, None]).sum(axis=0)
    return np.argsort(distance, kind="stable")[:most]
