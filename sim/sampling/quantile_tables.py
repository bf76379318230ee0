"""Slow inverse distribution functions, tabulated: the beta's costs a hundred times a multiplication.

The unit interval is cut into equal cells, and in each the inverse is replaced by the cubic through four of its
points. A cell in which the cubic may miss the inverse between those points by more than `TOLERANCE` of the
distribution's range, such as one across a gap of the support, is not used, nor are the outermost ones, where an inverse
may be steep beyond any check: there the exact inverse is.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from sim.sampling.chance import IN_CACHE
from sim.sampling.interpolants import interpolated_quantiles
from sim.scenario.distributions import Beta, Distribution, Mixture, Pert

CELLS = 2048
TOLERANCE = 1e-7
"""Greatest error of a tabulated quantile, as a share of the range from the 0.1 % to the 99.9 % quantile."""
_CHECKED = 0.75 * TOLERANCE
"""What is allowed at the checked places: between them the error may be a tenth greater."""
_SLOW = (Beta, Pert, Mixture)
_KNOTS = np.array([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0])
_CHECKS = np.array([0.08, 0.18, 0.5, 0.82, 0.92])
_CUBIC = np.linalg.inv(np.vander(_KNOTS, increasing=True))


@dataclass(frozen=True)
class QuantileTable:
    """Cubics for each cell of the unit interval."""

    coefficients: np.ndarray
    """`coefficients[p]` are those of the p-th power of the place in a cell; float64, shape (4, CELLS). NaN where the
    exact inverse is needed."""


def draw(distribution: Distribution, u: np.ndarray) -> np.ndarray:
    """The quantiles of a distribution at `u` in (0, 1): float64, each number on its own.

    Exact, or for distributions whose inverse is slow within `TOLERANCE` of it.
    """
    if not isinstance(distribution, _SLOW):
        return distribution.quantile(u)
    result = np.empty(u.shape)
    for start in range(0, u.size, IN_CACHE):
        part = slice(start, start + IN_CACHE)
        _tabulated(distribution, u[part], result[part])
    return result


def _tabulated(distribution: Distribution, u: np.ndarray, value: np.ndarray) -> None:
    c0, c1, c2, c3 = quantile_table(distribution).coefficients
    place = u * CELLS
    cell = place.astype(np.intp)
    place -= cell
    # Every cell is one of the table's: with a mode numbers are written where they belong, without a check before.
    c3.take(cell, out=value, mode="clip")
    for lower in (c2, c1, c0):
        value *= place
        value += lower.take(cell)
    exact = np.flatnonzero(np.isnan(value))
    if exact.size:
        value[exact] = distribution.quantile(u[exact])
    low, high, *_ = distribution.support
    np.clip(value, low, high, out=value)


@lru_cache(maxsize=1024)
def quantile_table(distribution: Distribution) -> QuantileTable:
    """The table of a distribution's inverse distribution function."""
    levels, scores, knots, checks = _levels()
    value = interpolated_quantiles(distribution, levels, scores)
    coefficients = np.full((4, CELLS), np.nan)
    # Sums are written out: the last bits of a product by BLAS depend on its number of threads.
    inside = sum(column[:, None] * value[row] for column, row in zip(_CUBIC.T, knots, strict=True))
    spread = np.diff(distribution.quantile(np.array([0.001, 0.999])))[0]
    met = np.ones(CELLS - 2, bool)
    for at, row in zip(_CHECKS, checks, strict=True):
        c0, c1, c2, c3 = inside
        met &= np.abs(((c3 * at + c2) * at + c1) * at + c0 - value[row]) <= _CHECKED * spread
    coefficients[:, 1:-1] = np.where(met, inside, np.nan)
    coefficients.flags.writeable = False
    return QuantileTable(coefficients)


@cache
def _levels() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The levels of all knots and checks but the outermost cells', rising, and their normal scores.

    Then the positions of the knots of each cell, shape (4, CELLS - 2), and those of its checks.
    """
    from scipy import special

    cell = np.arange(1, CELLS - 1)
    knots = (3 * cell + np.arange(4)[:, None]) / (3 * CELLS)
    checks = (cell + _CHECKS[:, None]) / CELLS
    levels, at = np.unique(np.concatenate([knots, checks]), return_inverse=True)
    return levels, special.ndtri(levels), at[: len(_KNOTS)], at[len(_KNOTS) :]
