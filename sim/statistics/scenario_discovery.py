"""Scenario discovery: boxes of parameters in which an outcome is likely, by the patient rule induction method (PRIM).

A box is found by peeling (Friedman & Fisher 1999, Bump hunting in high-dimensional data): starting with all trials, a
small share of the remaining ones is removed repeatedly, each time at that end of a parameter whose removal makes the
outcome most likely in the rest. Each step loses some of the outcome's cases (coverage) and gains probability (density);
the steps are the trade-off between the two. A second set of trials decides which restrictions a box needs, and a third
set must measure it (Bryant & Lempert 2010).

A classification tree gives few points of the trade-off, since its leaves are made by a few deep cuts. A peel removes
little at a time, so that there is a box for any coverage, and boxes need fewer restrictions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from scipy.special import ndtri

from sim.statistics.ranked import Ranked
from sim.statistics.weighted_sample import effective_number

PEEL = 0.05
"""The share of the remaining trials that a peel may remove."""
WIDE_TAILS = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Shares of the remaining trials at either end of a parameter by which the end to peel is chosen."""
TAILS = (WIDE_TAILS, (0.05, 0.1, 0.2), (0.05, 0.1))
"""Wide tails find the parameters of a rare outcome, narrow ones more of those of a common one. Each is tried."""
LEAST_SHARE = 0.02
LEAST_TRIALS = 50
"""A box keeps at least this many of the trials that are peeled, and at least `LEAST_SHARE` of them."""
MOST_BOXES = 4
LEAST_COVERAGE = 0.05
"""A box adds at least this share of the outcome's cases to those of the boxes before it."""
LEVELS = 200
"""Intervals of equal share between whose ends a peel may cut a parameter."""
COVERAGES = (0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Of the steps of a trajectory, the ones nearest to these coverages are reported."""
_PARTS = 2.0**20
"""Weights are multiples of one over this number."""
FALSE_RESTRICTIONS = 0.05
"""The probability with which any bound of a box may stay although it does not raise the density."""


@dataclass(frozen=True)
class Box:
    """A range (low, high] for each restricted parameter; infinite where it is open."""

    ranges: Mapping[str, tuple[float, float]]

    def holds(self, columns: Mapping[str, Ranked], without: str | None = None) -> np.ndarray:
        """Which trials lie in the box, bool of shape (trials,); `without` leaves out the restriction of a parameter.

        `columns` has at least the parameters that are restricted.
        """
        found = np.ones(next(iter(columns.values())).size, bool)
        for name, (low, high) in self.ranges.items():
            if name != without:
                found &= _above(columns[name], low) & ~_above(columns[name], high)
        return found


def _above(column: Ranked, bound: float) -> np.ndarray:
    """Which numbers are above a bound, one of the numbers that a peeling has seen."""
    # A bound of another type would have all values converted.
    return column.code >= np.searchsorted(column.values, column.values.dtype.type(bound), side="right")


@dataclass(frozen=True)
class Discovered:
    """Boxes in the order found, and the trade-off: steps of the first one's peeling, the greatest coverage first."""

    boxes: tuple[Box, ...] = ()
    trade_off: tuple[Box, ...] = ()


def find_boxes(
    columns: Mapping[str, Ranked], happened: np.ndarray, peeled: np.ndarray, weight: np.ndarray | None = None
) -> Discovered:
    """Boxes in which an outcome is likelier than overall; they may overlap.

    `columns` holds the parameters, `happened` whether the outcome did, all of shape (trials,). The trials that
    `peeled` marks are peeled, once for each of `TAILS`; the peeling is used that is densest over `COVERAGES` on the
    others. On these too, restrictions that do not significantly raise the density are removed, and
    the step is chosen whose box has the most cases above those expected from the overall probability (weighted relative
    accuracy; Lavrac, Flach & Zupan 1999). The next box is found in the trials outside (covering), until no box is
    found, or `MOST_BOXES` are. With a `weight` of each trial all counts are sums of weights, scaled to the effective
    number of trials, which standard errors and the least sizes of boxes then go by.
    """
    found: list[Box] = []
    trade_off: tuple[Box, ...] = ()
    left = np.ones(happened.size, bool)
    scaled = None if weight is None else _scaled(weight)
    sizes = np.ones(happened.size) if scaled is None else scaled
    base = float(sizes[happened].sum() / sizes.sum())
    while len(found) < MOST_BOXES:
        box, steps = _find_box(columns, happened, (left & peeled, left & ~peeled), base, scaled)
        trade_off = trade_off if found else steps
        added = left & box.holds(columns)
        if not box.ranges or sizes[added & happened].sum() < LEAST_COVERAGE * sizes[happened].sum():
            break
        found.append(box)
        left &= ~added
    return Discovered(tuple(found), trade_off)


def _scaled(weight: np.ndarray) -> np.ndarray:
    """Weights whose sum is the effective number of trials, as multiples of a small number, so that sums are exact."""
    scaled = weight * (effective_number(weight) / weight.sum())
    return np.maximum(np.round(scaled * _PARTS), 1.0) / _PARTS


def _find_box(
    columns: Mapping[str, Ranked],
    happened: np.ndarray,
    trials: tuple[np.ndarray, np.ndarray],
    base: float,
    weight: np.ndarray | None,
) -> tuple[Box, tuple[Box, ...]]:
    """The box with the most excess cases on the second of two sets of trials, and steps of the peeling of the first.

    `trials` says which trials are in each set.
    """
    inner, outer = (np.flatnonzero(one) for one in trials)
    cases = happened[outer]
    if not cases.any():
        return Box({}), ()
    inner_weight, sizes = (None, np.ones(outer.size)) if weight is None else (weight[inner], weight[outer])
    coded = code_columns(_of_rows(columns, columns, inner))
    peelings = [peel(coded, happened[inner], tails, inner_weight) for tails in TAILS]
    restricted = {name for boxes in peelings if boxes for name in boxes[-1].ranges}
    others = _of_rows(columns, restricted, outer)
    trajectory = max(peelings, key=lambda boxes: _density_at_coverages(boxes, others, cases, sizes))
    if not trajectory:
        return Box({}), ()
    hits = [((sizes * cases)[rows].sum(), sizes[rows].sum()) for rows in _nested(trajectory, others, cases.size)]
    coverage = np.array([hit for hit, _ in hits]) / sizes[cases].sum()
    best = int(np.argmax([hit - base * size for hit, size in hits]))
    chosen = {best, *(int(np.abs(coverage - wanted).argmin()) for wanted in COVERAGES)}
    pruned = {step: _pruned(trajectory[step], len(columns), others, cases, sizes) for step in sorted(chosen)}
    return pruned[best], tuple(box for box in pruned.values() if box.ranges)


def _of_rows(columns: Mapping[str, Ranked], names: Iterable[str], rows: np.ndarray) -> dict[str, Ranked]:
    """Some parameters of some trials, with codes of the same values."""
    return {name: Ranked(columns[name].code.take(rows), columns[name].values) for name in names}


def _density_at_coverages(
    boxes: list[Box], columns: Mapping[str, Ranked], cases: np.ndarray, sizes: np.ndarray
) -> float:
    """The mean over `COVERAGES` of the greatest density of a box that covers so many of these cases."""
    inside = [np.arange(cases.size), *_nested(boxes, columns, cases.size)]
    hits = sizes * cases
    found = [(hits[rows].sum() / hits.sum(), hits[rows].sum() / sizes[rows].sum()) for rows in inside if rows.size]
    return float(np.mean([max(density for covered, density in found if covered >= wanted) for wanted in COVERAGES]))


def _nested(boxes: Sequence[Box], columns: Mapping[str, Ranked], trials: int) -> Iterator[np.ndarray]:
    """The trials inside each of some boxes, of which each lies inside the one before it, as their places."""
    rows = np.arange(trials)
    before: Mapping[str, tuple[float, float]] = {}
    for box in boxes:
        for name, (low, high) in box.ranges.items():
            if before.get(name) != (low, high):
                one = _of_rows(columns, [name], rows)[name]
                rows = rows[_above(one, low) & ~_above(one, high)]
        before = box.ranges
        yield rows


@dataclass(frozen=True)
class Coded:
    """Parameters in at most `LEVELS` intervals each: their names, and by parameter the greatest value of each interval.

    `code`, of shape (parameters, trials), is the interval of each value; `place`, of shape (trials, parameters), is
    that plus `LEVELS` times the parameter's number.
    """

    names: tuple[str, ...]
    ends: tuple[np.ndarray, ...]
    code: np.ndarray
    place: np.ndarray


def code_columns(columns: Mapping[str, Ranked]) -> Coded:
    """The intervals of the parameters of some trials."""
    coded = [_coded(column) for column in columns.values()]
    code = np.stack([code for code, _ in coded])
    place = np.ascontiguousarray((code + np.arange(len(coded))[:, None] * LEVELS).T)
    return Coded(tuple(columns), tuple(ends for _, ends in coded), code.astype(np.uint8), place)


def peel(
    coded: Coded,
    happened: np.ndarray,
    tails: tuple[float, ...] = WIDE_TAILS,
    weight: np.ndarray | None = None,
) -> list[Box]:
    """The boxes of a peeling, each inside the one before it; empty if there are too few trials.

    A peel removes the lowest or the highest values of a parameter: at most `PEEL` of the remaining trials, or one of
    its `LEVELS` intervals (one value, if it has few) where more trials are in it. The end is peeled where one of
    `tails` is less likely to have the outcome by the most standard errors. (A peel alone holds too few cases of a rare
    outcome to choose by, and standard errors do not prefer parameters of few values.) Peeling ends where no tail is
    less likely, or too few trials would remain. A `weight` of each trial, shape (trials,), says how often it counts.
    """
    names, ends, place = coded.names, coded.ends, coded.place
    size = float(happened.size) if weight is None else float(weight.sum())
    least = max(LEAST_TRIALS, int(LEAST_SHARE * size))
    if size < 2 * least or not happened.any():
        return []

    def counted(rows: np.ndarray) -> np.ndarray:
        """Trials ([0]) and cases ([1]) of some rows, by parameter and interval: counts, or sums of weights."""
        found = []
        for some in (rows, rows[happened[rows]]):
            times = None if weight is None else np.repeat(weight[some], len(names))
            found.append(np.bincount(place[some].ravel(), times, len(names) * LEVELS))
        return np.stack(found).reshape(2, -1, LEVELS)

    rows = np.arange(happened.size)
    counts = counted(rows)
    ranges: dict[str, tuple[float, float]] = {}
    found: list[Box] = []
    while True:
        up = np.cumsum(counts, axis=2)
        last_in, removed, lost = _tails(up, (PEEL, *tails))
        cut, peeled = last_in[0], removed[0]
        whole = up[:, 0, -1]
        allowed = (peeled > 0) & (whole[0] - peeled >= least)
        score = np.where(allowed, _contrast(whole, removed[1:], lost[1:], least), -inf)
        side, which = np.unravel_index(int(score.argmax()), score.shape)
        if not score[side, which] > 0.0:
            return found
        code = coded.code[which].take(rows)
        low, high = ranges.get(names[which], (-inf, inf))
        if side == 0:
            last = int(cut[0, which])
            gone, bounds = code <= last, (float(ends[which][last]), high)
        else:
            last = LEVELS - 1 - int(cut[1, which])
            gone, bounds = code >= last, (low, float(ends[which][last - 1]))
        counts = counts - counted(rows[gone])
        rows = rows[~gone]
        ranges = {**ranges, names[which]: bounds}
        found.append(Box(ranges))


def _coded(column: Ranked) -> tuple[np.ndarray, np.ndarray]:
    """The interval of each number, int64 from 0, and the greatest number of each interval."""
    last = np.unique(column.codes_at(np.ceil(np.arange(1, LEVELS + 1) / LEVELS * column.size).astype(np.int64) - 1))
    if last.size < LEVELS and column.distinct <= LEVELS:
        last = np.flatnonzero(np.diff(column.up_to, prepend=0))
    interval = np.repeat(np.arange(last.size), np.diff(last, prepend=-1))
    return interval.take(column.code), column.values[last]


def _tails(up: np.ndarray, shares: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The last interval of tails that hold at most some shares of the trials, and the trials and cases in each tail.

    `up` has the trials and the cases up to each interval, shape (2, parameters, `LEVELS`). A tail has at least the
    first interval with trials. Shape (shares, 2, parameters): tails from the lower ([:, 0]) and the upper end ([:, 1]),
    with intervals counted from the tail's end.
    """
    trials, cases = up
    size = trials[0, -1]
    # One search for all parameters and shares: each row is moved above the one before it.
    rows = np.arange(len(trials))
    above = rows * (size + 1.0)
    moved = (trials + above[:, None]).ravel()
    most = np.floor(np.array([0.0, *(share * size for share in shares)]))
    below = np.searchsorted(moved, np.add.outer(most, above), side="right") - rows * LEVELS
    # Counts are multiples of one number: differences are exact.
    beyond = (rows + 1) * LEVELS - 1 - np.searchsorted(moved, np.add.outer(size - most, above), side="left")
    reached = np.stack([below, beyond], axis=1)
    last = np.maximum(reached[0], reached[1:] - 1)
    low, high = last[:, 0], LEVELS - 2 - last[:, 1]
    found = []
    for counted in (trials, cases):
        whole = counted[0, -1]
        # Below the first interval there is nothing.
        rest = np.where(high < 0, 0, counted[rows, np.maximum(high, 0)])
        found.append(np.stack([counted[rows, low], whole - rest], axis=1))
    return last, found[0], found[1]


def _contrast(whole: np.ndarray, removed: np.ndarray, lost: np.ndarray, least: int) -> np.ndarray:
    """By how many standard errors a tail has less density than the rest, the best tail's: shape (2, parameters).

    `whole` has the trials and the cases of all, `removed` and `lost` those of each tail, shape (tails, 2, parameters).
    """
    size, hits = whole
    share = min(max(hits, 1.0), size - 1.0) / size
    kept = size - removed
    possible = (removed > 0) & (kept >= least)
    removed, kept = np.maximum(removed, 1.0), np.maximum(kept, 1.0)
    error = np.sqrt(share * (1.0 - share) * (1.0 / removed + 1.0 / kept))
    return np.where(possible, ((hits - lost) / kept - lost / removed) / error, -inf).max(axis=0)


def _pruned(box: Box, parameters: int, columns: Mapping[str, Ranked], cases: np.ndarray, sizes: np.ndarray) -> Box:
    """The box without the bounds that do not significantly raise its density on these trials, the least useful first.

    A bound must raise it by so many standard errors that, were two bounds of so many parameters tested and all of them
    useless, any would stay with a probability of `FALSE_RESTRICTIONS` (Bonferroni): 3.0 for 20 parameters, 3.3 for 60.
    """
    significant = float(-ndtri(FALSE_RESTRICTIONS / (2 * parameters)))
    bounds = [
        (name, side, value) for name, own in box.ranges.items() for side, value in enumerate(own) if np.isfinite(value)
    ]
    within = np.stack([_above(columns[name], value) == (side == 0) for name, side, value in bounds])
    kept = list(range(len(bounds)))
    # The number of bounds that each trial violates: a trial that violates one is removed by that bound alone.
    beyond = (~within).sum(axis=0)
    while kept:
        inside, near = beyond == 0, np.flatnonzero(beyond == 1)
        removed = ~within[:, near]
        trials, hits = removed @ sizes[near], removed @ (sizes * cases)[near]
        kept_trials, kept_hits = float(sizes[inside].sum()), float(sizes[inside & cases].sum())
        useful = [_raises(kept_trials, kept_hits, float(trials[k]), float(hits[k])) for k in kept]
        worst = int(np.argmin(useful))
        if useful[worst] > significant:
            break
        beyond = beyond - ~within[kept[worst]]
        del kept[worst]
    ranges: dict[str, tuple[float, float]] = {}
    for k in kept:
        name, side, value = bounds[k]
        low, high = ranges.get(name, (-inf, inf))
        ranges[name] = (value, high) if side == 0 else (low, value)
    return Box(ranges)


def _raises(trials: float, hits: float, removed: float, lost: float) -> float:
    """By how many standard errors the density of some trials, with so many hits, is above that of the removed ones."""
    if not trials or not removed:
        return -inf
    pooled = (hits + lost + 1.0) / (trials + removed + 2.0)
    error = sqrt(pooled * (1.0 - pooled) * (1.0 / trials + 1.0 / removed))
    return (hits / trials - lost / removed) / error
