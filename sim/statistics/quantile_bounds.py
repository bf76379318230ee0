"""95 % intervals of quantiles, as levels between whose sample quantiles the quantile lies."""

from collections.abc import Sequence

import numpy as np
from scipy.special import betaincc, ndtri

from sim.statistics.estimates import FEW, around_shares

Bounds = tuple[float | None, float | None]
"""Levels between whose sample quantiles a quantile lies with 95 % probability; null where no number bounds it."""


def quantile_bounds(count: int, level: float) -> Bounds:
    """Bounds of a quantile of `count` independent numbers, whatever their distribution (Conover 1999, 3.2).

    Exact ranks of order statistics from the binomial number of values below the quantile. Each is given as the level
    at which a sample quantile (the least number whose share is at least the level) is that order statistic.
    """
    return quantile_bounds_of_counts((count,), (level,))[0][0]


def quantile_bounds_of_counts(counts: Sequence[int], levels: Sequence[float]) -> list[list[Bounds]]:
    """`quantile_bounds` of each level (inner lists) for each count, computed together."""
    distinct = list(dict.fromkeys(counts))
    count, level = np.asarray(distinct)[:, None], np.asarray(levels)[None, :]
    low, high = (_binomial_quantile(q, count, level) + more for q, more in ((0.025, 0), (0.975, 1)))
    found = {
        n: [
            ((below - 0.5) / n if below >= 1 else None, (above - 0.5) / n if above <= n else None)
            for below, above in zip(lows, highs, strict=True)
        ]
        for n, lows, highs in zip(distinct, low.tolist(), high.tolist(), strict=True)
    }
    return [found[n] for n in counts]


def quantile_bounds_of_replicates(
    level: float, below: Sequence[int], up_to: Sequence[int], counts: Sequence[int], per_point: int = 1
) -> Bounds:
    """Bounds of a quantile from replicates (Woodruff 1952): by the error of the share of numbers at the estimate.

    `below` and `up_to` count each replicate's numbers less than the estimated quantile, and at most it. Where a
    replicate has too few numbers on either side of the quantile the bounds are those for independent numbers, with each
    set of `per_point` numbers counted as one.
    """
    total = sum(counts)
    few = FEW * per_point
    if min(counts) < few or min(level, 1.0 - level) * total < few * len(counts):
        return quantile_bounds(-(-total // per_point), level)
    half = 0.0
    for hits in (below, up_to):
        found = around_shares(hits, counts)
        half = max(half, ((found["high"] or 0.0) - (found["low"] or 0.0)) / 2.0)
    return level - half if level > half else None, level + half if level + half < 1.0 else None


def _binomial_quantile(probability: float, trials: np.ndarray, success: np.ndarray) -> np.ndarray:
    """The least number of successes whose cumulative probability is at least the given one; int64, shapes broadcast.

    From the normal approximation with the correction for skewness (Cornish & Fisher 1938), then by steps of one.
    `scipy.stats.binom.ppf` gives the same numbers, but loading `scipy.stats` takes half a second.
    """
    z = ndtri(probability)
    spread = np.sqrt(trials * success * (1.0 - success))
    start = trials * success + z * spread + (1.0 - 2.0 * success) * (z * z - 1.0) / 6.0
    found = np.clip(np.floor(start), 0, trials)

    def reached(successes: np.ndarray) -> np.ndarray:
        # P(X <= k) of a binomial X is the upper incomplete beta function I'(k + 1, n - k) at the success probability.
        below = betaincc(np.maximum(successes, 0) + 1.0, np.maximum(trials - successes, 1.0), success)
        return (successes >= trials) | ((successes >= 0) & (below >= probability))

    while (step := np.where(reached(found), np.where(reached(found - 1), -1, 0), 1)).any():
        found = found + step
    return found.astype(np.int64)
