"""Slow inverse distribution functions, tabulated: the beta's costs a thousand times a multiplication.

The unit interval is cut into equal cells, and in each the inverse is replaced by the cubic through four of its
points. A cell in which the cubic misses the inverse between those points by more than `TOLERANCE` of the
distribution's range, such as one in a tail or across a gap of the support, is not used: the exact inverse is.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.scenario.distributions import Beta, Distribution, Mixture, Pert

CELLS = 2048
TOLERANCE = 1e-7
"""Greatest error of a tabulated quantile, as a share of the range from the 0.1 % to the 99.9 % quantile."""
_SLOW = (Beta, Pert, Mixture)
_CUBIC = np.linalg.inv(np.vander([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0], increasing=True))
_BETWEEN = np.array([0.08, 0.18, 0.5, 0.82, 0.92])


@dataclass(frozen=True)
class QuantileTable:
    """Cubics for each cell of the unit interval: `coefficients[p, cell]` belongs to the p-th power."""

    coefficients: np.ndarray
    exact: np.ndarray
    """Whether a cell is left to the exact inverse; bool, shape (CELLS,)."""


def draw(distribution: Distribution, u: np.ndarray) -> np.ndarray:
    """The quantiles of a distribution at `u` in (0, 1): float64, each number on its own.

    Exact, or for distributions whose inverse is slow within `TOLERANCE` of it.
    """
    if not isinstance(distribution, _SLOW):
        return distribution.quantile(u)
    table = quantile_table(distribution)
    place = u * CELLS
    cell = place.astype(np.intp)
    place -= cell
    c0, c1, c2, c3 = table.coefficients
    value = c3.take(cell)
    for lower in (c2, c1, c0):
        value *= place
        value += lower.take(cell)
    slow = np.flatnonzero(table.exact.take(cell))
    if slow.size:
        value[slow] = distribution.quantile(u[slow])
    low, high, *_ = distribution.support
    return np.clip(value, low, high, out=value)


@lru_cache(maxsize=1024)
def quantile_table(distribution: Distribution) -> QuantileTable:
    """Tabulate a distribution's inverse distribution function."""
    edge = np.finfo(np.float64).tiny, 1.0 - 2.0**-53
    knots = distribution.quantile(np.clip(np.arange(3 * CELLS + 1) / (3 * CELLS), *edge))
    four = np.stack([knots[:-1:3], knots[1::3], knots[2::3], knots[3::3]])
    coefficients = _CUBIC @ four
    checks = (np.arange(CELLS)[None, :] + _BETWEEN[:, None]) / CELLS
    guess = np.einsum("bp,pc->bc", np.vander(_BETWEEN, 4, increasing=True), coefficients)
    with np.errstate(invalid="ignore"):
        error = np.abs(guess - distribution.quantile(checks.ravel()).reshape(checks.shape)).max(axis=0)
        spread = np.diff(distribution.quantile(np.array([0.001, 0.999])))[0]
        exact = ~(error <= TOLERANCE * spread)
    # The outermost cells hold the ends of the support, where a quantile may be steep beyond any check.
    exact[[0, -1]] = True
    return QuantileTable(np.ascontiguousarray(np.where(exact, 0.0, coefficients)), exact)
