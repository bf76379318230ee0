"""Slow inverse distribution functions, tabulated: the beta's costs a thousand times a multiplication.

The unit interval is cut into equal cells, and in each the inverse is replaced by the cubic through four of its
points. A cell in which the cubic misses the inverse between those points by more than `TOLERANCE` of the
distribution's range, such as one in a tail or across a gap of the support, is not used: the exact inverse is.

A cell is tabulated when a number first falls into it, so that a few trials cost a few cells. What a cell holds does not
depend on the others, nor on when it was tabulated.
"""

from functools import lru_cache
from threading import Lock

import numpy as np

from sim.scenario.distributions import Beta, Distribution, Mixture, Pert

CELLS = 2048
TOLERANCE = 1e-7
"""Greatest error of a tabulated quantile, as a share of the range from the 0.1 % to the 99.9 % quantile."""
MANY = CELLS // 4
"""Where more cells are needed at once, all are tabulated."""
_SLOW = (Beta, Pert, Mixture)
_CUBIC = np.linalg.inv(np.vander([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0], increasing=True))
_BETWEEN = np.array([0.08, 0.18, 0.5, 0.82, 0.92])


class QuantileTable:
    """Cubics for each cell of the unit interval, tabulated as they are needed: `coefficients[p]` are of the p-th power.

    `exact` says whether a cell is left to the exact inverse; bool, shape (CELLS,).
    """

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        self.coefficients = np.zeros((4, CELLS))
        self.exact = np.ones(CELLS, bool)
        self._known = np.zeros(CELLS, bool)
        self._complete = False
        self._lock = Lock()

    def need(self, cell: np.ndarray) -> None:
        """Tabulate the given cells, as far as they are not yet; all of them where many are needed."""
        if self._complete:
            return
        with self._lock:
            wanted = np.zeros(CELLS, bool)
            wanted[cell] = True
            wanted &= ~self._known
            if wanted.sum() > MANY:
                wanted = ~self._known
            if wanted.any():
                self._tabulate(np.flatnonzero(wanted))
            self._complete = bool(self._known.all())

    def _tabulate(self, cell: np.ndarray) -> None:
        quantile = self.distribution.quantile
        edge = np.finfo(np.float64).tiny, 1.0 - 2.0**-53
        index, at = np.unique(3 * cell + np.arange(4)[:, None], return_inverse=True)
        knots = quantile(np.clip(index / (3 * CELLS), *edge)).take(at)
        # The products are taken over all cells, so that each has its place whichever others are tabulated with it.
        four = np.zeros((4, CELLS))
        four[:, cell] = knots.reshape(4, -1)
        coefficients = _CUBIC @ four
        guess = np.einsum("bp,pc->bc", np.vander(_BETWEEN, 4, increasing=True), coefficients)[:, cell]
        checks = (cell[None, :] + _BETWEEN[:, None]) / CELLS
        with np.errstate(invalid="ignore"):
            error = np.abs(guess - quantile(checks.ravel()).reshape(checks.shape)).max(axis=0)
            spread = np.diff(quantile(np.array([0.001, 0.999])))[0]
            exact = ~(error <= TOLERANCE * spread)
        # The outermost cells hold the ends of the support, where a quantile may be steep beyond any check.
        exact |= (cell == 0) | (cell == CELLS - 1)
        self.coefficients[:, cell] = np.where(exact, 0.0, coefficients[:, cell])
        self.exact[cell] = exact
        self._known[cell] = True


def draw(distribution: Distribution, u: np.ndarray) -> np.ndarray:
    """The quantiles of a distribution at `u` in (0, 1): float64, each number on its own.

    Exact, or for distributions whose inverse is slow within `TOLERANCE` of it.
    """
    if not isinstance(distribution, _SLOW):
        return distribution.quantile(u)
    table = quantile_table(distribution)
    place = u * CELLS
    cell = place.astype(np.intp)
    table.need(cell)
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
    """The table of a distribution's inverse distribution function."""
    return QuantileTable(distribution)
