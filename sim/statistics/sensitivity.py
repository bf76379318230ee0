"""Which parameters a measure depends on, from trials already played ("given data"; Plischke, Borgonovo & Smith 2013).

Parameters and measures are arrays with one row per trial. Everything here measures association: it is valid for
correlated parameters too, but then it does not separate a parameter from those it is correlated with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np

from sim.statistics.estimates import UNKNOWN, Estimate, around, student
from sim.statistics.ranked import Ranked, rank
from sim.statistics.weighted_sample import quantiles

MOST_CELLS = 100
FEWEST_IN_CELL = 40
FEWEST_IN_TAIL = 8
"""Trials in the outermost cell of a parameter, which is the smallest."""
MOST_JOINT_CELLS = 1000
_FEW_CELLS = 40
_BINS = 4096
NARROWEST = 1e-300
"""A cell that is not wider counts as one value, since the inverse of its width may be infinite."""
FINER = 4
"""So many times as many cells show what lines in the cells miss of a curve or a step."""
GROUPS = 64
FEWER_GROUPS = 32
SMALL_SAMPLE = 20_000
"""A sample of at most so many trials has `FEWER_GROUPS`, since each group takes as long whatever is in it."""
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


def number_of_groups(trials: int) -> int:
    """The number of groups of so many independent trials, for their jackknife."""
    return GROUPS if trials > SMALL_SAMPLE else FEWER_GROUPS


def _leave_out(by_group: np.ndarray, axis: int = 0) -> np.ndarray:
    """Sums over an axis, then the sums without each of its entries."""
    whole = by_group.sum(axis=axis, keepdims=True)
    return np.concatenate([whole, whole - by_group], axis=axis)


def cells(x: np.ndarray | Ranked, most: int) -> tuple[np.ndarray, int]:
    """The cell that each value falls into, int64, and the number of cells: one per value if there are few, else cells
    of equal share. Equal values are always in the same cell.
    """
    ranks = np.ceil(np.arange(1, most) / most * x.size).astype(np.int64) - 1
    return _cells_from(x, np.maximum(ranks, 0), most)


def tail_cells(x: Ranked, most: int) -> tuple[np.ndarray, int]:
    """As `cells`, with the lowest and the highest cell halved repeatedly as long as `FEWEST_IN_TAIL` trials remain in
    the outer half.

    The outer cells of a heavy-tailed parameter hold most of its variance.
    """
    first = _first_codes(x, _tail_ranks(x.size, most), most)
    return _cells_that_begin(x, first), first.size


def _tail_ranks(trials: int, most: int) -> np.ndarray:
    """The ranks, from 0, at which `tail_cells` begin. Those of `FINER` times as many cells are among them."""
    halvings = np.arange(1, max(1.0, np.log2(trials / most / FEWEST_IN_TAIL)) + 1e-9).astype(np.int64)
    parts = most * 2**halvings
    return np.concatenate([trials // parts, np.arange(1, most) * trials // most, trials * (parts - 1) // parts])


def _cells_from(x: np.ndarray | Ranked, ranks: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Cells that begin at the values of some ranks, from 0, or at every value if there are at most `most` of them."""
    if not isinstance(x, Ranked):
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
        x = rank(x)
    first = _first_codes(x, ranks, most)
    return _cells_that_begin(x, first), first.size


def _first_codes(x: Ranked, ranks: np.ndarray, most: int) -> np.ndarray:
    """The codes at which cells begin, the first one's too: those at some ranks, or all if they are at most `most`."""
    first = np.unique(x.codes_at(np.concatenate([[0], ranks])))
    # Where there are few values, some ranks have the same.
    if first.size < most and x.distinct <= most:
        return np.flatnonzero(np.diff(x.up_to, prepend=0))
    return first


def _cells_that_begin(x: Ranked, first: np.ndarray) -> np.ndarray:
    """The cell of each number, int64, of cells that begin at some codes."""
    ends = np.append(first[1:], x.values.size)
    cell_of_code = np.repeat(np.arange(first.size, dtype=np.int16), np.diff(ends, prepend=0))
    return cell_of_code.take(x.code).astype(np.int64)


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


@dataclass(frozen=True)
class _Scale:
    """The trials, the mean and the units per half a width of a parameter in each cell, shape (cells,)."""

    sizes: np.ndarray
    mean: np.ndarray
    per_half: np.ndarray


def pieces(columns: Sequence[Ranked], finer: float = 1.0) -> Pieces:
    """The cells of one parameter, or of a grid over several, for `first_order`; `finer` times as many as usual."""
    trials = columns[0].size
    if len(columns) == 1:
        most = int(finer * most_cells(trials))
        return _pieces_of_one(columns[0], _first_codes(columns[0], _tail_ranks(trials, most), most))[0]
    fewest = FEWEST_IN_TAIL * (1 + len(columns))
    a_side = max(2, int((finer * min(MOST_JOINT_CELLS, trials // fewest)) ** (1.0 / len(columns))))
    cell, count = np.zeros(trials, np.int64), 1
    for column in columns:
        own, size = cells(column, a_side)
        cell, count = cell * size + own, count * size
    return Pieces(cell, count, np.stack([_places(column.numbers, cell, count) for column in columns]))


def _pieces_of_one(x: Ranked, first: np.ndarray) -> tuple[Pieces, _Scale]:
    """The cells of one parameter that begin at some codes, whose least and greatest values are those at their ends."""
    cell, count = _cells_that_begin(x, first), first.size
    sizes, low, high = _ends(x, first)
    scale = _scale(x.numbers, cell, sizes, low, high)
    return Pieces(cell, count, _placed(x.numbers, cell, scale)[None]), scale


def _ends(x: Ranked, first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sizes of cells that begin at some codes, and the least and the greatest value of each."""
    up_to = np.append(x.up_to[first[1:] - 1], x.size)
    # The last number of a cell is that before the first one of the next.
    return np.diff(up_to, prepend=0), x.values[first], x.values[x.codes_at(up_to - 1)]


def _places(x: np.ndarray, cell: np.ndarray, count: int) -> np.ndarray:
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, cell, x)
    np.maximum.at(high, cell, x)
    return _placed(x, cell, _scale(x, cell, np.bincount(cell, minlength=count), low, high))


def _scale(x: np.ndarray, cell: np.ndarray, sizes: np.ndarray, low: np.ndarray, high: np.ndarray) -> _Scale:
    """The scale of values in their cells, whose sizes, least and greatest values are given."""
    mean = np.bincount(cell, x, sizes.size) / np.maximum(sizes, 1)
    return _Scale(sizes, mean, _per_half(low, high))


def _per_half(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The units per half the width of cells, of which the least and the greatest values are given."""
    width = high.astype(np.float64) - low.astype(np.float64)
    return np.divide(2.0, width, out=np.full(width.size, 2.0), where=width > NARROWEST)


def _placed(x: np.ndarray, cell: np.ndarray, scale: _Scale) -> np.ndarray:
    """The places of values in their cells."""
    return (x - scale.mean[cell]) * scale.per_half[cell]


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


@dataclass(frozen=True)
class Response:
    """A measure whose first-order indices are looked for: its values standardised, in independent groups of trials.

    `z` has shape (n,). `counts`, `sums` and `squares` are those of the trials of each group, or of their weights.
    """

    z: np.ndarray
    groups: Jackknife
    weight: np.ndarray | None
    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray


def response(y: np.ndarray, groups: Jackknife, weight: np.ndarray | None = None) -> Response | None:
    """A measure, shape (n,), for `explained` and `first_order`; None where it does not vary. With a `weight` of each
    trial, of mean 1, all sums and lines are weighted; cells are those of the trials as they are.
    """
    scale = float(np.ptp(y))
    if not scale > 0.0:
        return None
    # Indices do not depend on location and scale. Standardised values lose fewer digits in sums of squares and do not
    # overflow.
    z = (y - np.average(y, weights=weight)) / scale
    counts = np.bincount(groups.group, weight, groups.groups).astype(np.float64)
    sums, squares = (np.bincount(groups.group, _times(one, weight), groups.groups) for one in (z, z * z))
    return Response(z, groups, weight, counts, sums, squares)


def explained(given: Response | None, columns: Sequence[Ranked], groups: Jackknife) -> Explained:
    """The first-order index of a measure on one parameter, or the joint one of several.

    The gain is that of `FINER` times as many cells for one parameter, of the grid over half as many cells a side for
    several, since a finer grid has too few trials in each.
    """
    if len(columns) == 1:
        return _explained_by_one(given, columns[0], groups)
    usual, coarser = pieces(columns), pieces(columns, 0.5 ** len(columns))
    index = index_of(given, usual, groups)
    return Explained(usual.count, index, index - index_of(given, coarser, groups))


def _explained_by_one(given: Response | None, x: Ranked, groups: Jackknife) -> Explained:
    """As `explained`. Each of the usual cells consists of finer ones, whose sums give its own."""
    most = most_cells(x.size)
    usual, finer = (_first_codes(x, _tail_ranks(x.size, one), one) for one in (most, FINER * most))
    if given is None:
        unknown = np.full(1 + groups.groups, np.nan)
        return Explained(usual.size, unknown, unknown)
    cut, scale = _pieces_of_one(x, finer)
    sums = _sums(given, cut)
    _, low, high = _ends(x, usual)
    index = _index(given, _joined(sums, scale, np.searchsorted(finer, usual), _per_half(low, high)))
    return Explained(usual.size, index, _index(given, sums) - index)


def first_order(y: np.ndarray, given: Pieces, groups: Jackknife, weight: np.ndarray | None = None) -> np.ndarray:
    """The share of the variance of `y` that a straight line in each cell explains; shape (1 + groups,).

    For cells of one parameter this is its first-order Sobol index, Var(E[y | x]) / Var(y), from all trials and then
    without each group. The lines' own noise is subtracted: the expected size of what they explain by chance, from the
    scatter of the groups' residuals in each cell (the cluster-robust variance; Liang & Zeger 1986). So the index of a
    parameter without influence varies around 0, and the groups may be replicates of a design that is more even than
    random points. NaN where `y` does not vary. With a `weight` of each trial see `response`.
    """
    return index_of(response(y, groups, weight), given, groups)


def index_of(y: Response | None, given: Pieces, groups: Jackknife) -> np.ndarray:
    """As `first_order`, of a measure that is standardised already."""
    return np.full(1 + groups.groups, np.nan) if y is None else _index(y, _sums(y, given))


@dataclass(frozen=True)
class _Sums:
    """What lines in cells are fitted to: sums over the trials of each group in each cell, or of their weights.

    Of products of 1 and the places with each other, `gram` of shape (1 + parameters, 1 + parameters, cells, groups),
    and with the measure, `moment`; `squares` are the sums of squared weights in each cell, None without weights.
    """

    gram: np.ndarray
    moment: np.ndarray
    squares: np.ndarray | None


def _sums(y: Response, given: Pieces) -> _Sums:
    cell, count, total = given.cell, given.count, y.groups.groups
    place = cell * total + y.groups.group

    def summed(values: np.ndarray | None) -> np.ndarray:
        return np.bincount(place, _times(values, y.weight), count * total).reshape(count, total)

    width = 1 + len(given.places)
    gram = np.empty((width, width, count, total))
    moment = np.empty((width, count, total))
    gram[0, 0], moment[0] = summed(None), summed(y.z)
    for i, one in enumerate(given.places, 1):
        gram[0, i] = gram[i, 0] = summed(one)
        moment[i] = summed(one * y.z)
        for j in range(1, i + 1):
            gram[i, j] = gram[j, i] = summed(one * given.places[j - 1])
    return _Sums(gram, moment, None if y.weight is None else np.bincount(cell, y.weight * y.weight, count))


def _joined(finer: _Sums, scale: _Scale, begins: np.ndarray, per_half: np.ndarray) -> _Sums:
    """The sums of cells of one parameter that begin at some finer ones, of which each consists.

    `scale` is that of the finer cells, `per_half` has the units per half a width of the others.
    """
    sizes, held = np.add.reduceat(scale.sizes, begins), np.diff(begins, append=scale.sizes.size)
    mean = np.add.reduceat(scale.sizes * scale.mean, begins) / sizes
    # A place in a cell is a straight line in that in the finer one.
    slope = (np.repeat(per_half, held) / scale.per_half)[:, None]
    height = ((scale.mean - np.repeat(mean, held)) * np.repeat(per_half, held))[:, None]
    count, place, square = finer.gram[0, 0], finer.gram[0, 1], finer.gram[1, 1]
    above, moved = height * count, slope * place

    def joined(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, begins)

    counts, places = joined(count), joined(moved + above)
    squares = joined(slope * slope * square + height * (2.0 * moved + above))
    return _Sums(
        np.array([[counts, places], [places, squares]]),
        np.array([joined(finer.moment[0]), joined(slope * finer.moment[1] + height * finer.moment[0])]),
        None if finer.squares is None else joined(finer.squares),
    )


def _index(y: Response, sums: _Sums) -> np.ndarray:
    """The index that `first_order` describes, from the sums of its cells."""
    gram, moment = sums.gram, sums.moment
    width, total = len(moment), moment.shape[-1]
    grams, moments = _leave_out(gram, -1), _leave_out(moment, -1)
    ridged = grams + _RIDGE * np.eye(width)[:, :, None, None]
    lines = _solved(ridged, moments)
    explained = sum(line * own for line, own in zip(lines, moments, strict=True))

    # What is explained by chance alone, by group.
    residual = [own - sum(gram[i, j] * line[:, :1] for j, line in enumerate(lines)) for i, own in enumerate(moment)]
    inverse = _solved(ridged[..., 0], np.eye(width)[:, :, None])
    chance = sum(residual[i] * sum(inverse[i][j][:, None] * residual[j] for j in range(width)) for i in range(width))
    size = grams[0, 0, :, 0] if sums.squares is None else _effective_sizes(grams[0, 0, :, 0], sums.squares)
    present = np.count_nonzero(gram[0, 0] > 0.0, axis=-1)
    used = 1 + sum(grams[i, i, :, 0] > 1e-6 for i in range(1, width))
    enough = (present > 1) & (size > used)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(enough, present / (present - 1.0) * (size - 1.0) / (size - used), 0.0)
    noise = factor @ chance
    # A cell with too few trials to estimate its noise counts as explaining nothing.
    known = enough @ explained
    centre = np.square(residual[0].sum(axis=0)) / y.counts.sum() * total / (total - 1.0)

    counts, means = _leave_out(y.counts), _leave_out(y.sums)
    subtracted = _leave_out(noise - centre)
    subtracted[1:] *= total / (total - 1.0)
    whole = _leave_out(y.squares) - means**2 / counts
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((known - subtracted - means**2 / counts) / whole)


def _solved(matrices: np.ndarray, right: np.ndarray) -> list[np.ndarray]:
    """The unknowns of many small systems of equations at once, by elimination.

    The matrices, shape (unknowns, unknowns, ...), are symmetric and positive definite, so that no rows need to be
    exchanged; `right` has shape (unknowns, ...).
    """
    rows, found = [list(row) for row in matrices], list(right)
    for k, row in enumerate(rows):
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / row[k]
            rows[i] = [one - factor * other for one, other in zip(rows[i], row, strict=True)]
            found[i] = found[i] - factor * found[k]
    for k in reversed(range(len(rows))):
        for j in range(k + 1, len(rows)):
            found[k] = found[k] - rows[k][j] * found[j]
        found[k] = found[k] / rows[k][k]
    return found


def _times(values: np.ndarray | None, weight: np.ndarray | None) -> np.ndarray | None:
    """Values times weights, either of which may be none: as the weights of `numpy.bincount`."""
    if values is None or weight is None:
        return weight if values is None else values
    return values * weight


def _effective_sizes(weights: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The effective number of trials in each cell (Kish 1965), from the sums of their weights and squared weights."""
    return np.square(weights) / np.where(squares > 0.0, squares, 1.0)


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
    sliced: Mapping[str, np.ndarray], y: np.ndarray, noise: tuple[float, float], weight: np.ndarray | None = None
) -> dict[str, dict[str, Estimate]]:
    """The PAWN index of each parameter, median and maximum over slices, as SALib's ``pawn.analyze`` computes them.

    The greatest distance (Kolmogorov-Smirnov) between the distribution of `y` and that within a slice, one of `SLICES`
    of equal share, of the parameter (Pianosi & Wagener 2018). `sliced` has the `slices` of each parameter, which must
    vary. `noise` is the bound of a parameter without influence (see `pawn_noise`); for the intervals see
    `_distance_interval`. With a `weight` of each trial the slices and the distributions are weighted.
    """
    resampled = _resampled_distances(list(sliced.values()), SLICES, y, weight)
    coded = _coded(y)
    found = [_medians_and_maxima(distances(own, SLICES, *coded, weight)).tolist() for own in sliced.values()]
    return {
        name: {
            statistic: _distance_interval(found[k][s], resampled[:, k, s], noise[s])
            for s, statistic in enumerate(("median", "maximum"))
        }
        for k, name in enumerate(sliced)
    }


def pawn_by_value(x: Ranked, y: np.ndarray, weight: np.ndarray | None = None) -> dict[str, Estimate]:
    """The PAWN index of a parameter with each of its (few) values as a slice: median and maximum over the values."""
    sliced, count = cells(x, MOST_CELLS)
    resampled = _resampled_distances([sliced], count, y, weight)[:, 0]
    statistics = _medians_and_maxima(distances(sliced, count, *_coded(y), weight)).tolist()
    noise = np.quantile(_dummies(sliced, count, y, weight), 0.95, axis=0)
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
    by_slice = np.bincount(sliced * size + code, weight, (count + 1) * size).reshape(count + 1, size)
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


def average_ranks(x: Ranked, weight: np.ndarray | None = None) -> np.ndarray:
    """The rank of each value, from 1, equal values having the mean of theirs; float64, shape (n,).

    With a `weight` of each trial ranks are sums of weights.
    """
    sizes = np.bincount(x.code, weight, x.values.size)
    return (np.cumsum(sizes) - (sizes - 1) / 2.0).take(x.code)


def outer_deciles(x: Ranked, weight: np.ndarray | None = None) -> tuple[float, float] | None:
    """The upper bound of a parameter's lowest decile and the lower bound of its highest. If so many values are equal
    that the two would overlap, the least and the greatest value; None if there is only one value.
    """
    levels = (0.1, 0.9)
    low, high = x.quantiles(levels) if weight is None else quantiles(x.numbers, weight, levels)
    if low >= high:
        low, high = x.values[x.codes_at(np.array([0, x.size - 1]))]
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
    coded = _coarsely_coded(y)
    found = [distances(sliced.take(order), count, *coded, weight) for order in _shuffles(y.size)]
    return _medians_and_maxima(np.stack(found))


@lru_cache(maxsize=2)
def _shuffles(trials: int) -> np.ndarray:
    """Orders of trials at random: shape (`DUMMIES`, trials)."""
    rng = np.random.default_rng(_SEED)
    narrow = np.min_scalar_type(trials)
    return np.stack([rng.permutation(trials).astype(narrow) for _ in range(DUMMIES)])


@lru_cache(maxsize=2)
def _resamples(trials: int) -> np.ndarray:
    """How often each trial is drawn in each resample, with replacement: shape (trials, `PAWN_RESAMPLES`)."""
    rng = np.random.default_rng(_SEED)
    times = [np.bincount(rng.integers(trials, size=trials), minlength=trials) for _ in range(PAWN_RESAMPLES)]
    return np.stack(times, axis=1).astype(np.uint16)


def _resampled_distances(
    sliced: Sequence[np.ndarray], count: int, y: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Median and maximum distance of each parameter in each resample: shape (`PAWN_RESAMPLES`, parameters, 2).

    Trials are drawn with replacement; their slices stay, of which there are `count`. All resamples of a parameter are
    added up at once, by a product with a matrix that has a row for each slice and code.
    """
    code, size = _coarsely_coded(y)
    times = _resamples(y.size).astype(np.float64)
    if weight is not None:
        times *= weight[:, None]
    everything = np.cumsum(_summed_rows(code, size, times), axis=0)
    everything /= everything[-1]
    found = np.empty((len(times[0]), len(sliced), count))
    own = np.empty_like(everything)
    for k, place in enumerate(sliced):
        by_slice = _summed_rows(place * size + code, (count + 1) * size, times).reshape(count + 1, size, -1)
        for one in range(count):
            np.cumsum(by_slice[one], axis=0, out=own)
            totals = own[-1].copy()
            own /= np.where(totals > 0, totals, 1.0)
            own -= everything
            found[:, k, one] = np.where(totals > 0, np.abs(own, out=own).max(axis=0), np.nan)
    return _medians_and_maxima(found)


def _summed_rows(place: np.ndarray, places: int, rows: np.ndarray) -> np.ndarray:
    """Sums of the rows of a table by the place of each: shape (places, columns)."""
    from scipy.sparse import coo_array

    chosen = coo_array((np.ones(place.size), (place, np.arange(place.size))), (places, place.size))
    return np.asarray(chosen.tocsr() @ rows)


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
