"""Which parameters a measure depends on, from trials already played ("given data"; Plischke, Borgonovo & Smith 2013).

Parameters and measures are arrays with one row per trial. Everything here measures association: it is valid for
correlated parameters too, but then it does not separate a parameter from those it is correlated with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from sim.statistics.estimates import UNKNOWN, Estimate, around, student
from sim.statistics.weighted_sample import quantiles

MOST_CELLS = 100
FEWEST_IN_CELL = 40
FEWEST_IN_TAIL = 8
"""Trials in the outermost cell of a parameter, which is the smallest."""
MOST_JOINT_CELLS = 1000
_FEW_CELLS = 40
_BINS = 4096
FINER = 4
"""So many times as many cells show what lines in the cells miss of a curve or a step."""
GROUPS = 64
SLICES = 10
PAWN_RESAMPLES = 100
PAWN_LEVELS = 1000
"""The number of values to which a measure with more is reduced before distances of resamples are computed."""
DUMMIES = 200
_SEED = 20_250_101
"""The seed of the resampling: the same trials give the same result."""
_RIDGE = 1e-9
_ROUNDING = 1e-7
"""The least standard error of an index, since sums of squares are rounded."""


@dataclass(frozen=True)
class Jackknife:
    """The delete-one-group jackknife (Tukey 1958): `group` has the number of each trial's group, from 0, shape (n,).
    The groups must be independent of each other, but not the trials within them: the replicates of a Sobol design are
    such groups.
    """

    group: np.ndarray
    groups: int

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums of values over all trials, then without each group: shape (1 + groups,)."""
        return _leave_out(np.bincount(self.group, values, self.groups))

    def of(self, kept: np.ndarray) -> "Jackknife":
        """The same groups of some of the trials."""
        return Jackknife(self.group[kept], self.groups)

    def interval(self, values: np.ndarray) -> Estimate:
        """An estimate with its jackknife standard error and Student's 95 % interval for the number of groups.

        `values` holds the estimate from all trials, then those without each group, shape (1 + groups,).
        """
        if not np.isfinite(values).all():
            return UNKNOWN
        without = values[1:]
        error = sqrt(float(np.square(without - without.mean()).sum()) * (self.groups - 1) / self.groups)
        return around(float(values[0]), max(error, _ROUNDING), student(self.groups - 1))


def _leave_out(by_group: np.ndarray) -> np.ndarray:
    """Sums over the first axis, then the sums without each of its entries."""
    whole = by_group.sum(axis=0, keepdims=True)
    return np.concatenate([whole, whole - by_group])


def cells(x: np.ndarray, most: int, order: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """The cell that each value falls into, and the number of cells: one per value if there are few, else cells of equal
    share. Equal values are always in the same cell. `order` sorts `x`, where it is known already.
    """
    ranks = np.ceil(np.arange(1, most) / most * x.size).astype(np.int64) - 1
    return _cells_from(x, np.maximum(ranks, 0), most, order)


def tail_cells(x: np.ndarray, most: int, order: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """As `cells`, with the lowest and the highest cell halved repeatedly as long as `FEWEST_IN_TAIL` trials remain in
    the outer half.

    The outer cells of a heavy-tailed parameter hold most of its variance.
    """
    size = x.size / most
    halved = size / 2.0 ** np.arange(1, max(1.0, np.log2(size / FEWEST_IN_TAIL)) + 1e-9)
    ranks = np.concatenate([halved, np.arange(1, most) * size, x.size - halved]).astype(np.int64)
    return _cells_from(x, ranks, most, order)


def _cells_from(x: np.ndarray, ranks: np.ndarray, most: int, order: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Cells that begin at the values of some ranks, from 0, or at every value if there are at most `most` of them."""
    if order is None:
        # Parameters are drawn in float32, with which all is faster.
        narrow = x.astype(np.float32)
        x = narrow if np.array_equal(narrow, x) else x
        if most <= _FEW_CELLS:
            chosen = _order_statistics(x, ranks, most)
            if chosen is not None:
                bounds = np.unique(chosen)
                # The lowest value begins the first cell, which needs no bound.
                bounds = bounds[bounds > x.min()]
                return _count_up_to(x, bounds), bounds.size + 1
    ordered = np.sort(x) if order is None else x[order]
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if starts.size >= most:
        # A cell begins with the first of the values that are equal to that of its rank.
        first = np.searchsorted(ordered, ordered[ranks], side="left")
        starts = np.unique(first[first > 0])
    order = np.argsort(x) if order is None else order
    sizes = np.diff(starts, prepend=0, append=x.size)
    cell = np.empty(x.size, np.int64)
    cell[order] = np.repeat(np.arange(sizes.size), sizes)
    return cell, sizes.size


def _order_statistics(x: np.ndarray, ranks: np.ndarray, most: int) -> np.ndarray | None:
    """The values at some ranks, from 0, in order; None where this may be slow or `x` may have only `most` values.

    Values are counted in bins of equal width, and only those in the bins of the ranks are sorted.
    """
    low, high = x.min(), x.max()
    if not high > low or not np.isfinite(high - low):
        return None
    # Subtraction and multiplication keep the order whatever their rounding.
    place = ((x - low) * (_BINS / (high - low)).astype(x.dtype)).astype(np.int64)
    counts = np.bincount(place)
    if np.count_nonzero(counts) <= most:
        return None
    up_to = np.cumsum(counts)
    wanted = np.searchsorted(up_to, ranks, side="right")
    chosen = np.zeros(counts.size, bool)
    chosen[wanted] = True
    read = np.cumsum(np.where(chosen, counts, 0))
    ordered = np.sort(x.compress(chosen.take(place)))
    return np.asarray(ordered[ranks - up_to[wanted] + read[wanted]])


def _count_up_to(x: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """How many of a few bounds each value reaches; int64. Comparing with each of them is faster than a search."""
    reached = np.zeros(x.size, np.int8)
    for bound in bounds:
        reached += x >= bound
    return reached.astype(np.int64)


def most_cells(trials: int) -> int:
    """The number of cells of a parameter: enough for the mean to be nearly linear in each, with some trials in each."""
    return max(2, min(MOST_CELLS, trials // FEWEST_IN_CELL))


@dataclass(frozen=True)
class Pieces:
    """Cells of one or more parameters: each trial's cell, shape (n,), and its position in it.

    `places` has shape (parameters, n): the distance from the mean of the cell in units of half the cell's width.
    """

    cell: np.ndarray
    count: int
    places: np.ndarray


def pieces(columns: Sequence[np.ndarray], finer: float = 1.0, orders: Sequence[np.ndarray] | None = None) -> Pieces:
    """The cells of one parameter, or of a grid over several, for `first_order`; `finer` times as many as usual.

    `orders` sort the columns, where they are known already.
    """
    trials = len(columns[0])
    orders = [np.argsort(column) for column in columns] if orders is None else orders
    if len(columns) == 1:
        cell, count = tail_cells(columns[0], int(finer * most_cells(trials)), orders[0])
    else:
        fewest = FEWEST_IN_TAIL * (1 + len(columns))
        a_side = max(2, int((finer * min(MOST_JOINT_CELLS, trials // fewest)) ** (1.0 / len(columns))))
        cell, count = np.zeros(trials, np.int64), 1
        for column, order in zip(columns, orders, strict=True):
            own, size = cells(column, a_side, order)
            cell, count = cell * size + own, count * size
    return Pieces(cell, count, np.stack([_places(column, cell, count) for column in columns]))


def _places(x: np.ndarray, cell: np.ndarray, count: int) -> np.ndarray:
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, cell, x)
    np.maximum.at(high, cell, x)
    size = np.maximum(np.bincount(cell, minlength=count), 1)
    width = np.where(high > low, high - low, 1.0)
    place = (x - np.where(np.isfinite(low), low, 0.0)[cell]) / width[cell] * 2.0
    return place - (np.bincount(cell, place, count) / size)[cell]


@dataclass(frozen=True)
class Explained:
    """A first-order index from so many cells, and what it gains by more cells.

    Each from all trials and then without each group, shape (1 + groups,).
    """

    cells: int
    index: np.ndarray
    gain: np.ndarray

    def __add__(self, other: "Explained") -> "Explained":
        """The sum of the indices of independent parameters."""
        return Explained(self.cells + other.cells, self.index + other.index, self.gain + other.gain)

    def interval(self, groups: Jackknife) -> Estimate:
        """The index with its 95 % interval, which holds too what lines in the cells miss of a curve or a step.

        What is missed falls with the fourth power of the cells' width on a smooth curve, and with the width at a step,
        so that the gain is most of it. The upper end is higher by twice the gain, as far as that is above its own
        standard error.
        """
        found = groups.interval(self.index)
        if found["high"] is None:
            return found
        gain = groups.interval(self.gain)
        missed = max(0.0, (gain["estimate"] or 0.0) - (gain["standard_error"] or 0.0))
        return {**found, "high": found["high"] + 2.0 * missed}


def explained(
    y: np.ndarray, columns: Sequence[np.ndarray], groups: Jackknife, weight: np.ndarray | None = None
) -> Explained:
    """The first-order index of `y` on one parameter, or the joint one of several; of weighted trials with a `weight`.

    The gain is that of `FINER` times as many cells for one parameter, of the grid over half as many cells a side for
    several, since a finer grid has too few trials in each.
    """
    orders = [np.argsort(column) for column in columns]
    usual = pieces(columns, orders=orders)
    index = first_order(y, usual, groups, weight)
    if len(columns) == 1:
        return Explained(usual.count, index, first_order(y, pieces(columns, FINER, orders), groups, weight) - index)
    coarser = pieces(columns, 0.5 ** len(columns), orders)
    return Explained(usual.count, index, index - first_order(y, coarser, groups, weight))


def first_order(y: np.ndarray, given: Pieces, groups: Jackknife, weight: np.ndarray | None = None) -> np.ndarray:
    """The share of the variance of `y` that a straight line in each cell explains; shape (1 + groups,).

    For cells of one parameter this is its first-order Sobol index, Var(E[y | x]) / Var(y), from all trials and then
    without each group. The lines' own noise is subtracted: the expected size of what they explain by chance, from the
    scatter of the groups' residuals in each cell (the cluster-robust variance; Liang & Zeger 1986). So the index of a
    parameter without influence varies around 0, and the groups may be replicates of a design that is more even than
    random points. NaN where `y` does not vary. With a `weight` of each trial, of mean 1, all sums and lines are
    weighted; the cells are those of the trials as they are.
    """
    scale = float(np.ptp(y))
    if not scale > 0.0:
        return np.full(1 + groups.groups, np.nan)
    # Indices do not depend on location and scale. Standardised values lose fewer digits in sums of squares and do not
    # overflow.
    z = (y - np.average(y, weights=weight)) / scale
    cell, count, total = given.cell, given.count, groups.groups
    place = groups.group * count + cell

    def summed(values: np.ndarray | None) -> np.ndarray:
        return np.bincount(place, _times(values, weight), total * count).reshape(total, count)

    width = 1 + len(given.places)
    gram, moment = np.zeros((total, count, width, width)), np.zeros((total, count, width))
    gram[:, :, 0, 0], moment[:, :, 0] = summed(None), summed(z)
    for i, one in enumerate(given.places, 1):
        gram[:, :, 0, i] = gram[:, :, i, 0] = summed(one)
        moment[:, :, i] = summed(one * z)
        for j in range(1, i + 1):
            gram[:, :, i, j] = gram[:, :, j, i] = summed(one * given.places[j - 1])
    n = np.bincount(groups.group, weight, total).astype(np.float64)
    sums, squares = (np.bincount(groups.group, _times(one, weight), total) for one in (z, z * z))

    grams, moments = _leave_out(gram), _leave_out(moment)
    ridged = grams + _RIDGE * np.eye(width)
    lines = np.linalg.solve(ridged, moments[..., None])[..., 0]
    explained = (lines * moments).sum(axis=(1, 2))

    # What is explained by chance alone, by group.
    residual = moment - np.einsum("gcij,cj->gci", gram, lines[0])
    chance = np.einsum("gci,cij,gcj->gc", residual, np.linalg.inv(ridged[0]), residual)
    size = grams[0, :, 0, 0] if weight is None else _effective_sizes(cell, count, weight)
    present = (gram[:, :, 0, 0] > 0.0).sum(axis=0)
    used = 1 + (np.einsum("cii->ci", grams[0])[:, 1:] > 1e-6).sum(axis=1)
    enough = (present > 1) & (size > used)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(enough, present / (present - 1.0) * (size - 1.0) / (size - used), 0.0)
    noise = chance @ factor
    # A cell with too few trials to estimate its noise counts as explaining nothing.
    nothing = ((lines * moments).sum(axis=2) * ~enough).sum(axis=1)
    centre = np.square(residual[:, :, 0].sum(axis=1)) / n.sum() * total / (total - 1.0)

    counts, means = _leave_out(n), _leave_out(sums)
    subtracted = _leave_out(noise - centre)
    subtracted[1:] *= total / (total - 1.0)
    whole = _leave_out(squares) - means**2 / counts
    with np.errstate(invalid="ignore", divide="ignore"):
        return (explained - nothing - subtracted - means**2 / counts) / whole


def _times(values: np.ndarray | None, weight: np.ndarray | None) -> np.ndarray | None:
    """Values times weights, either of which may be none: as the weights of `numpy.bincount`."""
    if values is None or weight is None:
        return weight if values is None else values
    return values * weight


def _effective_sizes(cell: np.ndarray, count: int, weight: np.ndarray) -> np.ndarray:
    """The effective number of trials in each cell (Kish 1965)."""
    squares = np.bincount(cell, weight * weight, count)
    return np.square(np.bincount(cell, weight, count)) / np.where(squares > 0.0, squares, 1.0)


def paired_share(y: np.ndarray, again: np.ndarray, groups: Jackknife, weight: np.ndarray | None = None) -> np.ndarray:
    """The share of variance that two plays of each trial have in common; shape (1 + groups,).

    With the same parameters and independent chance, Cov(y, y') = Var(E[y | parameters]). The estimator of Janon et
    al. (2014), which takes mean and variance from both plays; from all trials, then without each group. NaN where
    neither varies. With a `weight` of each trial the moments are weighted.
    """
    centre = (np.average(y, weights=weight) + np.average(again, weights=weight)) / 2.0
    a, b = y - centre, again - centre
    parts = (np.ones(y.size), (a + b) / 2.0, a * b, (a * a + b * b) / 2.0)
    n, mean, product, square = (groups.sums(part if weight is None else part * weight) for part in parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (product / n - (mean / n) ** 2) / (square / n - (mean / n) ** 2)


def pawn(
    columns: Mapping[str, np.ndarray], y: np.ndarray, noise: tuple[float, float], weight: np.ndarray | None = None
) -> dict[str, dict[str, Estimate]]:
    """The PAWN index of each parameter, median and maximum over slices, as SALib's ``pawn.analyze`` computes them.

    The greatest distance (Kolmogorov-Smirnov) between the distribution of `y` and that within a slice, one of `SLICES`
    of equal share, of the parameter (Pianosi & Wagener 2018). The columns must vary. `noise` is the bound of a
    parameter without influence (see `pawn_noise`); for the intervals see `_distance_interval`. With a `weight` of each
    trial the slices and the distributions are weighted.
    """
    sliced = [(slices(x, weight), SLICES) for x in columns.values()]
    resampled = _resampled_distances(sliced, y, weight)
    coded = _coded(y)
    found = [_medians_and_maxima(distances(*own, *coded, weight)).tolist() for own in sliced]
    return {
        name: {
            statistic: _distance_interval(found[k][s], resampled[:, k, s], noise[s])
            for s, statistic in enumerate(("median", "maximum"))
        }
        for k, name in enumerate(columns)
    }


def pawn_by_value(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> dict[str, Estimate]:
    """The PAWN index of a parameter with each of its (few) values as a slice: median and maximum over the values."""
    sliced = cells(x, MOST_CELLS)
    resampled = _resampled_distances([sliced], y, weight)[:, 0]
    statistics = _medians_and_maxima(distances(*sliced, *_coded(y), weight)).tolist()
    noise = np.quantile(_dummies(*sliced, y, weight), 0.95, axis=0)
    return {
        name: _distance_interval(statistics[s], resampled[:, s], float(noise[s]))
        for s, name in enumerate(("median", "maximum"))
    }


def pawn_noise(y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float]:
    """The 95 % quantile of the PAWN index of a parameter without influence on `y`: median and maximum over slices."""
    sliced = np.arange(y.size) * SLICES // y.size
    median, maximum = np.quantile(_dummies(sliced, SLICES, y, weight), 0.95, axis=0)
    return float(median), float(maximum)


def slices(x: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The number of the slice that each value falls into in SALib's PAWN; `SLICES` for those in none.

    A slice holds the values from one decile to below the next, so that the greatest value is in none.
    """
    levels = np.arange(0, 1 + 1 / SLICES, 1 / SLICES)
    edges = np.nanquantile(x, levels) if weight is None else quantiles(x, weight, levels.tolist())
    return np.searchsorted(edges, x, side="right") - 1


def distances(
    sliced: np.ndarray, count: int, code: np.ndarray, size: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """The Kolmogorov-Smirnov distance of each of `count` slices from all trials; NaN for empty ones.

    `code` is each trial's rank among the `size` different values of the measure, `weight` how often it counts.
    """
    return _distances(sliced * size + code, count, size, weight)


def _distances(place: np.ndarray, count: int, size: int, weight: np.ndarray | None) -> np.ndarray:
    """As `distances`, of trials whose slice times `size` and code together are `place`."""
    by_slice = np.bincount(place, weight, (count + 1) * size).reshape(count + 1, size)
    inside = by_slice[:count]
    everything = np.cumsum(by_slice.sum(axis=0))
    totals = inside.sum(axis=1)
    own = np.cumsum(inside, axis=1) / np.where(totals > 0, totals, 1.0)[:, None]
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


def average_ranks(x: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """The rank of each value, from 1, equal values having the mean of theirs; float64, shape of `x`.

    With a `weight` of each trial ranks are sums of weights.
    """
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    sizes = counts if weight is None else np.bincount(place, weight)
    return (np.cumsum(sizes) - (sizes - 1) / 2.0)[place]


def outer_deciles(x: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float] | None:
    """The upper bound of a parameter's lowest decile and the lower bound of its highest. If so many values are equal
    that the two would overlap, the least and the greatest value; None if there is only one value.
    """
    levels = (0.1, 0.9)
    low, high = np.quantile(x, levels, method="inverted_cdf") if weight is None else quantiles(x, weight, levels)
    if low >= high:
        low, high = x.min(), x.max()
    return (float(low), float(high)) if low < high else None


def _coded(y: np.ndarray) -> tuple[np.ndarray, int]:
    values, code = np.unique(y, return_inverse=True)
    return code, values.size


def _coarsely_coded(y: np.ndarray) -> tuple[np.ndarray, int]:
    """As `_coded`, with neighbouring values taken together where there are more than `PAWN_LEVELS`."""
    code, size = cells(y, PAWN_LEVELS)
    return code, size


def _medians_and_maxima(found: np.ndarray) -> np.ndarray:
    """Median and maximum of distances over their last axis, NaN left out; shape (..., 2)."""
    # NaN is sorted to the end.
    ordered = np.sort(found, axis=-1)
    known = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    low, high, last = (
        np.take_along_axis(ordered, np.maximum(place, 0), axis=-1)[..., 0]
        for place in ((known - 1) // 2, known // 2, known - 1)
    )
    return np.stack([(low + high) / 2.0, last], axis=-1)


def _dummies(sliced: np.ndarray, count: int, y: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Median and maximum distance of parameters that are shuffled: shape (`DUMMIES`, 2)."""
    rng = np.random.default_rng(_SEED)
    coded = _coarsely_coded(y)
    found = [distances(rng.permutation(sliced), count, *coded, weight) for _ in range(DUMMIES)]
    return _medians_and_maxima(np.stack(found))


def _resampled_distances(
    sliced: Sequence[tuple[np.ndarray, int]], y: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Median and maximum distance of each parameter in each resample: shape (`PAWN_RESAMPLES`, parameters, 2).

    Trials are drawn with replacement; their slices stay. All parameters have the same number of slices.
    """
    rng = np.random.default_rng(_SEED)
    coded = _coarsely_coded(y)
    places = [own * coded[1] + coded[0] for own, _ in sliced]
    count = sliced[0][1]
    found = np.empty((PAWN_RESAMPLES, len(sliced), count))
    for resample in found:
        times = np.bincount(rng.integers(y.size, size=y.size), minlength=y.size).astype(np.float64)
        if weight is not None:
            times *= weight
        for k, place in enumerate(places):
            resample[k] = _distances(place, count, coded[1], times)
    return _medians_and_maxima(found)


def _distance_interval(value: float, resampled: np.ndarray, noise: float) -> Estimate:
    """A distance with a conservative 95 % interval, from the percentile and the basic bootstrap.

    Noise increases distances, small ones most, and resamples show only a part of this bias; so the bias is subtracted
    twice from the lower end. A distance that is not above `noise` cannot be distinguished from 0, and its interval
    reaches 0.
    """
    low, high = (float(bound) for bound in np.quantile(resampled, (0.025, 0.975)))
    bias = max(0.0, float(resampled.mean()) - value)
    return {
        "estimate": value,
        "standard_error": float(resampled.std(ddof=1)),
        "low": 0.0 if value <= noise else max(0.0, min(low, 2.0 * value - high - bias)),
        "high": min(1.0, max(high, 2.0 * value - low)),
    }
