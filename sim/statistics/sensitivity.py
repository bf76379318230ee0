"""Which parameters a measure depends on, from trials already played ("given data"; Plischke, Borgonovo & Smith 2013).

Parameters and measures are arrays with a row a trial. Everything here measures association: it holds for
correlated parameters too, but then it does not tell a parameter from its partners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from sim.statistics.estimates import UNKNOWN, Estimate, around, student

MOST_CELLS = 100
FEWEST_IN_CELL = 20
MOST_JOINT_CELLS = 1000
GROUPS = 64
RESAMPLES = 400
SLICES = 10
PAWN_RESAMPLES = 100
DUMMIES = 200
_SEED = 20_250_101
"""Of the resampling: the same trials have the same answer."""


@dataclass(frozen=True)
class Resampling:
    """A bootstrap over groups of trials: `group` (int, shape (n,)), and how often each resample takes each group.

    `weights` is float64, shape (resamples, groups). The groups must be independent of each other, their trials
    need not be: the replicates of a Sobol design are such groups.
    """

    group: np.ndarray
    weights: np.ndarray

    def sums(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """The sum of values over all trials, and over those of each resample."""
        by_group = np.bincount(self.group, values, self.weights.shape[1])
        return float(by_group.sum()), self.weights @ by_group

    def cell_sums(self, cell: np.ndarray, count: int, values: np.ndarray | None) -> np.ndarray:
        """Sums of values (of ones for None) by cell: shape (1 + resamples, count), all trials first."""
        groups = self.weights.shape[1]
        found = np.bincount(self.group * count + cell, values, groups * count).reshape(groups, count)
        return np.concatenate([found.sum(axis=0, keepdims=True), self.weights @ found])

    def of(self, kept: np.ndarray) -> "Resampling":
        """The same resampling of some of the trials."""
        return Resampling(self.group[kept], self.weights)

    def interval(self, value: float, resampled: np.ndarray) -> Estimate:
        """An estimate with its bootstrap standard error and Student's 95 % interval for the number of groups."""
        if not (np.isfinite(value) and np.isfinite(resampled).all()):
            return UNKNOWN
        return around(float(value), float(resampled.std(ddof=1)), student(self.weights.shape[1] - 1))


def resampling(group: np.ndarray, groups: int) -> Resampling:
    """A bootstrap of the given groups, numbered from 0."""
    rng = np.random.default_rng(_SEED)
    return Resampling(group, rng.multinomial(groups, np.full(groups, 1.0 / groups), RESAMPLES).astype(np.float64))


def cells(x: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """The cell that each value falls into, and the number of cells: one a value if there are few, else equal shares.

    Equal values share a cell always.
    """
    values = np.unique(x)
    if values.size <= most:
        starts = values[1:]
    else:
        levels = np.arange(1, most) / most
        starts = np.unique(np.quantile(x, levels, method="inverted_cdf"))
        starts = starts[starts > values[0]]
    return np.searchsorted(starts, x, side="right"), starts.size + 1


def most_cells(trials: int) -> int:
    """Cells for a parameter, so many that the mean hardly varies within one, and each has some trials."""
    return max(2, min(MOST_CELLS, trials // FEWEST_IN_CELL))


def joint_cells(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """The cell of a grid over several parameters that each trial falls into, and the number of cells."""
    trials = len(columns[0])
    a_side = max(2, int(min(MOST_JOINT_CELLS, trials // FEWEST_IN_CELL) ** (1.0 / len(columns))))
    found, count = np.zeros(trials, np.int64), 1
    for column in columns:
        own, size = cells(column, a_side)
        found, count = found * size + own, count * size
    return found, count


def first_order(y: np.ndarray, cell: np.ndarray, count: int, resamples: Resampling) -> tuple[float, np.ndarray]:
    """The share of the variance of `y` that the cells' means explain, and the same for each resample.

    For cells of one parameter this is its first-order Sobol index, Var(E[y | x]) / Var(y), less what varies within
    a cell. The scatter that noise alone gives to the cells' means is taken off (the epsilon-squared of Kelley 1935),
    so that the estimate for a parameter without influence scatters around 0, and may be a little below it.
    NaN where `y` does not vary.
    """
    scale = float(np.ptp(y))
    if not scale > 0.0:
        return np.nan, np.full(RESAMPLES, np.nan)
    # Indices do not change with location and scale; sums of squares lose fewer digits, and do not overflow.
    z = (y - y.mean()) / scale
    n = resamples.cell_sums(cell, count, None)
    total = resamples.cell_sums(cell, count, z)
    squares = np.concatenate([[part] if np.isscalar(part) else part for part in resamples.sums(z * z)])
    trials = n.sum(axis=1)
    centre = total.sum(axis=1) ** 2 / trials
    between = np.divide(total**2, n, out=np.zeros_like(total), where=n > 0).sum(axis=1) - centre
    whole = squares - centre
    freedom = trials - (n > 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        index = 1.0 - (whole - between) / freedom / (whole / (trials - 1))
    return float(index[0]), index[1:]


def paired_share(y: np.ndarray, again: np.ndarray, resamples: Resampling) -> tuple[float, np.ndarray]:
    """The share of variance that comes from what two playings of each trial share, and the same for each resample.

    With the same parameters and independent chance, Cov(y, y') = Var(E[y | parameters]). The estimator of Janon et
    al. (2014), which takes mean and variance from both playings. NaN where neither varies.
    """
    centre = (y.mean() + again.mean()) / 2.0
    a, b = y - centre, again - centre
    parts = (np.ones(y.size), (a + b) / 2.0, a * b, (a * a + b * b) / 2.0)
    sums = [resamples.sums(part) for part in parts]
    n, mean, product, square = (np.concatenate([[whole], each]) for whole, each in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (product / n - (mean / n) ** 2) / (square / n - (mean / n) ** 2)
    return float(share[0]), share[1:]


def pawn(
    columns: Mapping[str, np.ndarray], y: np.ndarray, noise: tuple[float, float]
) -> dict[str, dict[str, Estimate]]:
    """The PAWN index of each parameter, median and maximum over slices, as SALib's ``pawn.analyze`` gives them.

    The greatest distance (Kolmogorov-Smirnov) between the distribution of `y` and that within a slice, one of
    `SLICES` of equal share, of the parameter (Pianosi & Wagener 2018). The columns must vary. `noise` is what a
    parameter without influence stays below (see `pawn_noise`); for the intervals see `_distance_interval`.
    """
    # SALib draws in matplotlib, which no other command needs to wait for.
    from SALib.analyze import pawn as salib

    problem = {"num_vars": len(columns), "names": list(columns)}
    found = salib.analyze(problem, np.column_stack(list(columns.values())), y, S=SLICES)
    resampled = _resampled_distances([(slices(x), SLICES) for x in columns.values()], y)
    return {
        name: {
            statistic: _distance_interval(float(found[statistic][k]), resampled[:, k, s], noise[s])
            for s, statistic in enumerate(("median", "maximum"))
        }
        for k, name in enumerate(columns)
    }


def pawn_by_value(x: np.ndarray, y: np.ndarray) -> dict[str, Estimate]:
    """The PAWN index of a parameter with each of its (few) values a slice: median and maximum over the values."""
    sliced = cells(x, MOST_CELLS)
    resampled = _resampled_distances([sliced], y)[:, 0]
    statistics = _median_and_maximum(distances(*sliced, *_coded(y)))
    noise = np.quantile(_dummies(*sliced, y), 0.95, axis=0)
    return {
        name: _distance_interval(statistics[s], resampled[:, s], float(noise[s]))
        for s, name in enumerate(("median", "maximum"))
    }


def pawn_noise(y: np.ndarray) -> tuple[float, float]:
    """What 95 % of parameters that have nothing to do with `y` stay below: median and maximum over slices."""
    median, maximum = np.quantile(_dummies(np.arange(y.size) * SLICES // y.size, SLICES, y), 0.95, axis=0)
    return float(median), float(maximum)


def slices(x: np.ndarray) -> np.ndarray:
    """The number of the slice that each value falls into in SALib's PAWN; `SLICES` for those in none.

    A slice holds the values from one tenth's quantile to below the next's, so that the greatest value is in none.
    """
    edges = np.nanquantile(x, np.arange(0, 1 + 1 / SLICES, 1 / SLICES))
    return np.searchsorted(edges, x, side="right") - 1


def distances(
    sliced: np.ndarray, count: int, code: np.ndarray, size: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """The Kolmogorov-Smirnov distance of each of `count` slices from all trials; NaN for empty ones.

    `code` is each trial's rank among the `size` different values of the measure, `weight` how often it counts.
    """
    inside = np.bincount(sliced * size + code, weight, (count + 1) * size)[: count * size].reshape(count, size)
    everything = np.cumsum(np.bincount(code, weight, size))
    totals = inside.sum(axis=1)
    own = np.cumsum(inside, axis=1) / np.maximum(totals, 1.0)[:, None]
    own -= everything / everything[-1]
    return np.where(totals > 0, np.abs(own, out=own).max(axis=1), np.nan)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """The difference a - b of two independent estimates, its interval from theirs (MOVER; Zou & Donner 2008)."""
    if None in (a["standard_error"], b["standard_error"]):
        return UNKNOWN
    p, q = ({key: float(value or 0.0) for key, value in one.items()} for one in (a, b))
    centre = p["estimate"] - q["estimate"]
    if None in (*a.values(), *b.values()):
        return {**UNKNOWN, "estimate": centre}
    return {
        "estimate": centre,
        "standard_error": sqrt(p["standard_error"] ** 2 + q["standard_error"] ** 2),
        "low": centre - sqrt((p["estimate"] - p["low"]) ** 2 + (q["high"] - q["estimate"]) ** 2),
        "high": centre + sqrt((p["high"] - p["estimate"]) ** 2 + (q["estimate"] - q["low"]) ** 2),
    }


def tenths(x: np.ndarray) -> tuple[float, float] | None:
    """The bounds up to which, and from which on, a parameter is in its lowest and its highest tenth.

    Where so many values are equal that the two would overlap, the least and the greatest value; None where there
    is one value alone.
    """
    low, high = np.quantile(x, (0.1, 0.9), method="inverted_cdf")
    if low >= high:
        low, high = x.min(), x.max()
    return (float(low), float(high)) if low < high else None


def _coded(y: np.ndarray) -> tuple[np.ndarray, int]:
    values, code = np.unique(y, return_inverse=True)
    return code, values.size


def _median_and_maximum(found: np.ndarray) -> tuple[float, float]:
    return float(np.nanmedian(found)), float(np.nanmax(found))


def _dummies(sliced: np.ndarray, count: int, y: np.ndarray) -> np.ndarray:
    """Median and maximum distance of parameters that are shuffled: shape (`DUMMIES`, 2)."""
    rng = np.random.default_rng(_SEED)
    coded = _coded(y)
    return np.array([_median_and_maximum(distances(rng.permutation(sliced), count, *coded)) for _ in range(DUMMIES)])


def _resampled_distances(sliced: Sequence[tuple[np.ndarray, int]], y: np.ndarray) -> np.ndarray:
    """Median and maximum distance of each parameter in each resample: shape (`PAWN_RESAMPLES`, parameters, 2).

    Trials are drawn with replacement; their slices stay.
    """
    rng = np.random.default_rng(_SEED)
    coded = _coded(y)
    found = np.empty((PAWN_RESAMPLES, len(sliced), 2))
    for resample in found:
        weight = np.bincount(rng.integers(y.size, size=y.size), minlength=y.size).astype(np.float64)
        for k, (own, count) in enumerate(sliced):
            resample[k] = _median_and_maximum(distances(own, count, *coded, weight))
    return found


def _distance_interval(value: float, resampled: np.ndarray, noise: float) -> Estimate:
    """A distance with a conservative 95 % interval, from the percentile and the basic bootstrap.

    Noise makes distances greater, the more so the smaller they are, and resamples of what is noisy already show only
    a part of this bias: so the low end has it taken off twice. What is not above `noise` cannot be told from 0, and
    there the interval reaches down to it.
    """
    low, high = (float(bound) for bound in np.quantile(resampled, (0.025, 0.975)))
    bias = max(0.0, float(resampled.mean()) - value)
    return {
        "estimate": value,
        "standard_error": float(resampled.std(ddof=1)),
        "low": 0.0 if value <= noise else max(0.0, min(low, 2.0 * value - high - bias)),
        "high": min(1.0, max(high, 2.0 * value - low)),
    }
