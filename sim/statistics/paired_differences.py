"""Strategies compared on the same trials: paired differences, how often each is better, regret, and leads by parameter.

Strategies have the same parameter values and the same chance. Their common variation cancels in the difference within
each trial, so that its error is far smaller than the errors of the two means suggest (common random numbers; Glasserman
& Yao 1992). Everything is tallied by replicate: independent trials are one replicate, a Sobol design has several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from scipy.special import stdtrit

from sim.statistics.cell_sums import sums_in_cells
from sim.statistics.estimates import (
    ANY_NUMBER,
    FEW,
    UNKNOWN,
    Estimate,
    Range,
    Z,
    are_skewed,
    around_shares,
    mean,
    mean_bounds,
    mean_of_replicates,
    mean_without_bounds,
    proportion,
    proportion_of_replicates,
)
from sim.statistics.quantile_bounds import quantile_bounds_of_counts, quantile_bounds_of_replicates
from sim.statistics.ranked import Ranked
from sim.statistics.sensitivity import cells
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments, moments

REGRET_LEVELS = (0.5, 0.9, 0.95)
LEAD_CELLS = 20
"""The number of ranges of a parameter in which strategies are compared; each has an equal share of the trials."""
FEWEST_IN_LEAD_CELL = 50
LEVEL = 0.95
_ROUNDING = 1e-9
"""A sum of squared deviations of less than this share of the sum of squares is taken as 0."""


@dataclass(frozen=True)
class Pair:
    """A measure under two strategies in the same trials.

    `difference` is the first value less the second, over the trials in which both are known; `higher` and `lower` count
    the trials in which the first is greater, and smaller. The other trials are counted by the strategies under which
    the measure is known.
    """

    difference: Moments
    higher: int
    lower: int
    only_first: int
    only_second: int
    neither: int


NO_PAIRS = Pair(NO_NUMBERS, 0, 0, 0, 0, 0)


def pair(first: np.ndarray, second: np.ndarray) -> Pair:
    """Tally a measure under two strategies, arrays of shape (trials,). A value that is not finite is unknown."""
    with np.errstate(invalid="ignore"):
        difference = first - second
    both = np.isfinite(difference)
    trials, known_to_both = difference.size, int(np.count_nonzero(both))
    known = other = known_to_both
    if known_to_both < trials:
        difference = difference[both]
        known, other = (int(np.count_nonzero(np.isfinite(values))) for values in (first, second))
    return Pair(
        moments(difference),
        int(np.count_nonzero(difference > 0.0)),
        int(np.count_nonzero(difference < 0.0)),
        known - known_to_both,
        other - known_to_both,
        trials - known - other + known_to_both,
    )


def packed(conditions: Sequence[np.ndarray]) -> np.ndarray:
    """Truth values of some conditions in the same trials, a bit each: uint64, shape (conditions, words)."""
    trials = len(conditions[0])
    bits = np.zeros((len(conditions), -(-trials // 64) * 8), np.uint8)
    bits[:, : -(-trials // 8)] = np.packbits(np.stack(conditions), axis=1)
    return bits.view(np.uint64)


def changes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The trials in which each condition holds under the first strategy alone ([0]), and under the second alone ([1]).

    Both have the conditions of the same trials, as `packed` makes them. int64, shape (2, conditions).
    """
    alone = np.stack([first & ~second, second & ~first])
    return np.bitwise_count(alone).sum(axis=2, dtype=np.int64)


def pair_of_changes(trials: int, higher: int, lower: int) -> Pair:
    """Tally a condition, as 0 and 1, from the trials in which it holds under the first strategy alone (`higher`), and
    under the second alone (`lower`).
    """
    if not trials:
        return NO_PAIRS
    centre = (higher - lower) / trials
    spread = Moments(trials, centre, higher + lower - trials * centre * centre, float(-(lower > 0)), float(higher > 0))
    return Pair(spread, higher, lower, 0, 0, 0)


def merge_pairs(a: Pair, b: Pair) -> Pair:
    """The tally of two disjoint sets of trials together."""
    return Pair(
        merge_moments(a.difference, b.difference),
        a.higher + b.higher,
        a.lower + b.lower,
        a.only_first + b.only_first,
        a.only_second + b.only_second,
        a.neither + b.neither,
    )


def mean_of(tallied: Sequence[Moments], within: Range = ANY_NUMBER) -> Estimate:
    """A mean's estimate from one tally of independent trials, or from one of each replicate."""
    return mean(tallied[0], within) if len(tallied) == 1 else mean_of_replicates(tallied, within=within)


def share_of(hits: Sequence[int], trials: Sequence[int]) -> Estimate:
    """A probability's estimate from the counts of independent trials, or of each replicate."""
    return proportion(hits[0], trials[0]) if len(hits) == 1 else proportion_of_replicates(hits, trials)


def difference_of_conditions(tallied: Sequence[Pair]) -> Estimate:
    """The difference of a condition's two probabilities in the same trials, with an interval that is valid for rare
    conditions.

    If few trials or none differ, their variance does not give the error. The interval is that of Bonett & Price (2012),
    as if one more trial had differed in each direction; with replicates, if fewer than `FEW` per replicate differ.
    """
    differences = [one.difference for one in tallied]
    counts = [one.count for one in differences]
    trials = sum(counts)
    higher, lower = sum(one.higher for one in tallied), sum(one.lower for one in tallied)
    if not trials:
        return UNKNOWN
    if len(tallied) > 1 and higher + lower >= FEW * len(tallied):
        return around_shares([one.higher - one.lower for one in tallied], counts)
    found = mean_without_bounds(differences[0]) if len(tallied) == 1 else mean_of(differences)
    changed = (higher + lower + 2) / (trials + 2)
    centre = (higher - lower) / (trials + 2)
    error = sqrt((changed - centre**2) / (trials + 2))
    return {**found, "low": max(-1.0, centre - Z * error), "high": min(1.0, centre + Z * error)}


def pair_estimates(tallied: Sequence[Pair], *, condition: bool = False, within: Range = ANY_NUMBER) -> dict[str, Any]:
    """The difference of two strategies' means with its paired error, and how often each has the higher value.

    `within` is the range of the difference. Without a range, a difference that is the same in all trials has no
    interval.
    """
    differences = [one.difference for one in tallied]
    counts = [one.difference.count for one in tallied]
    equal = [one.difference.count - one.higher - one.lower for one in tallied]
    return {
        "difference": difference_of_conditions(tallied) if condition else mean_of(differences, within),
        "higher": share_of([one.higher for one in tallied], counts),
        "lower": share_of([one.lower for one in tallied], counts),
        "equal": share_of(equal, counts),
        "trials": sum(counts),
        "unknown": {
            "first": sum(one.only_second for one in tallied),
            "second": sum(one.only_first for one in tallied),
            "both": sum(one.neither for one in tallied),
        },
    }


@dataclass(frozen=True)
class Regret:
    """How far each strategy is below the best one in the same trial: a tally for each strategy.

    `best` counts the trials in which no other does better, `alone` those in which all others do worse. `unknown`
    counts the trials in which the measure is not known under every strategy; they are left out.
    """

    shortfall: tuple[Moments, ...]
    best: tuple[int, ...]
    alone: tuple[int, ...]
    unknown: int


def regret(values: np.ndarray) -> Regret:
    """Tally regrets of a measure of which more is better, shape (strategies, trials)."""
    known = np.isfinite(values).all(axis=0)
    short = shortfalls(values if known.all() else values[:, known])
    best = short == 0.0
    sole = best & (sum(best.view(np.uint8), np.zeros(short.shape[1], np.uint16)) == 1)
    return Regret(
        tuple(moments(row) for row in short),
        tuple(int(np.count_nonzero(row)) for row in best),
        tuple(int(np.count_nonzero(row)) for row in sole),
        int(np.count_nonzero(~known)),
    )


def shortfalls(values: np.ndarray) -> np.ndarray:
    """How far each strategy is below the best in the same trial, shape (strategies, trials)."""
    return values.max(axis=0) - values


def no_regret(strategies: int) -> Regret:
    """The tally of no trials."""
    return Regret((NO_NUMBERS,) * strategies, (0,) * strategies, (0,) * strategies, 0)


def merge_regrets(a: Regret, b: Regret) -> Regret:
    """The tally of two disjoint sets of trials together."""
    return Regret(
        tuple(merge_moments(one, other) for one, other in zip(a.shortfall, b.shortfall, strict=True)),
        tuple(one + other for one, other in zip(a.best, b.best, strict=True)),
        tuple(one + other for one, other in zip(a.alone, b.alone, strict=True)),
        a.unknown + b.unknown,
    )


def regret_estimates(tallied: Sequence[Regret], strategy: int) -> dict[str, Any]:
    """A strategy's mean regret, and how often it is best and alone best, each with its error."""
    counts = [one.shortfall[strategy].count for one in tallied]
    return {
        "mean": mean_of([one.shortfall[strategy] for one in tallied]),
        "best": share_of([one.best[strategy] for one in tallied], counts),
        "best_alone": share_of([one.alone[strategy] for one in tallied], counts),
    }


def quantile_estimates(
    values: np.ndarray, levels: Sequence[float], replicate: np.ndarray, replicates: int
) -> dict[float, Estimate]:
    """Quantiles (the least value whose share is at least the level) with their 95 % intervals, by level.

    A bound that does not exist is null. `replicate` is the number of each value's replicate, from 0.
    """
    if replicates == 1:
        [bounds] = quantile_bounds_of_counts((values.size,), levels)
    else:
        ordered = np.sort(values)
        counts = np.bincount(replicate, minlength=replicates).tolist()
        bounds = []
        for level in levels:
            at = ordered[_rank(level, values.size)]
            below, up_to = (np.bincount(replicate, which, replicates) for which in (values < at, values <= at))
            bounds.append(quantile_bounds_of_replicates(level, below.tolist(), up_to.tolist(), counts))
    wanted = {one for level, own in zip(levels, bounds, strict=True) for one in (level, *own) if one is not None}
    ranks = {one: _rank(one, values.size) for one in wanted}
    ordered = np.partition(values, sorted(set(ranks.values()))) if replicates == 1 else ordered
    found = {one: float(ordered[rank]) for one, rank in ranks.items()}
    return {
        level: {"estimate": found[level], "low": found.get(low), "high": found.get(high)}  # type: ignore[arg-type]
        for level, (low, high) in zip(levels, bounds, strict=True)
    }


def _rank(level: float, count: int) -> int:
    return max(0, int(np.ceil(level * count)) - 1)


@dataclass(frozen=True)
class Lead:
    """A range of a parameter in which the same strategies are ahead.

    `ahead` has the numbers of the strategies that are not significantly worse than the best. A single one leads;
    between several it is too close to call. `trials` is the number of trials in the range, whose ends are the least and
    the greatest value in them.
    """

    low: float
    high: float
    cells: int
    trials: float
    ahead: tuple[int, ...]
    means: tuple[float, ...]


def leads(parameters: Sequence[Ranked], values: np.ndarray, replicate: np.ndarray, replicates: int) -> list[list[Lead]]:
    """Which strategy has the best mean as a function of each of some parameters, from low to high.

    `values` has a measure under each strategy, shape (strategies, trials). The trials are sorted into cells of the
    parameter, and in each the strategy with the best mean is compared with every other by their paired differences. It
    leads if all these intervals are above zero; they are widened so that all those of the parameter hold at once with
    95 % (Bonferroni), and where a few large differences make up a mean they are those of `mean_bounds`, with the least
    and the greatest difference of all cells. Neighbouring cells with the same strategies ahead are joined.
    """
    most = max(1, min(LEAD_CELLS, values.shape[1] // FEWEST_IN_LEAD_CELL))
    cut = [cells(x, most) for x in parameters]
    counts = np.array([count for _, count in cut])
    table = np.stack([cell.astype(np.int16) for cell, _ in cut])
    sizes, *sums = sums_in_cells(table, counts, np.vstack([np.ones(values.shape[1]), values]))
    means = np.array(sums) / sizes
    tail = np.repeat((1.0 - LEVEL) / (2.0 * np.maximum(1, counts * (len(values) - 1))), counts)
    front = means.argmax(axis=0)
    ahead = np.ones(means.shape, bool)
    for leader in np.unique(front).tolist() if len(values) > 1 else []:
        led = front == leader
        where = np.flatnonzero(np.logical_or.reduceat(led, np.cumsum(counts) - counts))
        of_these = np.repeat(np.isin(np.arange(counts.size), where), counts)
        others = np.delete(np.arange(len(values)), leader)
        gaps = values[leader] - values[others]
        ends = np.stack([gaps.min(axis=1), gaps.max(axis=1)], axis=1)
        centre = (means[leader] - means[others])[:, of_these]
        # Values that the trials of one cell miss may occur in those of others.
        given = (centre, sums_in_cells(table[where], counts[where], np.square(gaps)), ends, tail[of_these])
        low = _least_gaps(sizes[of_these], *given)
        if replicates > 1:
            by_replicate = [_of_replicates(gaps, *cut[k], replicate, replicates) for k in where]
            n, totals = (np.concatenate(own, axis=-1) for own in zip(*by_replicate, strict=True))
            low = _with_replicates(low, n, totals, sizes[of_these], *given)
        ahead[np.ix_(others, led)] = low[:, led[of_these]] <= 0.0
    each = (np.split(own, np.cumsum(counts)[:-1], axis=-1) for own in (sizes, means, ahead))
    return [
        lead_ranges(x, np.cumsum(size).astype(np.int64), size, own, in_front)
        for x, size, own, in_front in zip(parameters, *each, strict=True)
    ]


def lead_ranges(
    parameter: Ranked, up_to: np.ndarray, sizes: np.ndarray, means: np.ndarray, in_front: np.ndarray
) -> list[Lead]:
    """The ranges of a parameter whose cells have the same strategies ahead.

    `up_to` has the number of trials up to the end of each cell, `sizes` the trials of each cell, or their weights;
    `means` and `in_front`, whether a strategy is ahead there, have shape (strategies, cells).
    """
    changes = 1 + np.flatnonzero((in_front[:, 1:] != in_front[:, :-1]).any(axis=0))
    ends = [0, *changes.tolist(), sizes.size]
    found = []
    for first, end in pairwise(ends):
        own = sizes[first:end]
        # Cells are in the order of the parameter.
        ranks = np.array([0 if first == 0 else up_to[first - 1], up_to[end - 1] - 1])
        low, high = parameter.values[parameter.codes_at(ranks)]
        ahead = tuple(np.flatnonzero(in_front[:, first]).tolist())
        mean = tuple((means[:, first:end] @ own / own.sum()).tolist())
        found.append(Lead(float(low), float(high), end - first, float(own.sum()), ahead, mean))
    return found


def _least_gaps(
    sizes: np.ndarray, centre: np.ndarray, of_squares: np.ndarray, ends: np.ndarray, tail: np.ndarray
) -> np.ndarray:
    """The lower ends of simultaneous intervals of the means of paired differences in each cell.

    `centre` has their means, `of_squares` the sums of their squares, both of shape (gaps, cells) as the result; `ends`
    has the least and the greatest of each, shape (gaps, 2), and `tail` the probability beyond the end in each cell.
    """
    count, centre, squares, least, greatest = _moments_of_gaps(sizes, centre, of_squares, ends)
    low, _ = mean_bounds(count, centre, squares, least, greatest, tail)
    return np.where(sizes > 1, low, -np.inf)


def _moments_of_gaps(
    sizes: np.ndarray, centre: np.ndarray, of_squares: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean, sum of squared deviations, least and greatest of paired differences; a count of at least 2."""
    squares = of_squares - sizes * np.square(centre)
    # What is left of equal values is rounding.
    squares = np.where(squares <= _ROUNDING * of_squares, 0.0, squares)
    least, greatest = (np.broadcast_to(end[:, None], centre.shape) for end in ends.T)
    return np.broadcast_to(np.maximum(sizes, 2), centre.shape), centre, squares, least, greatest


def _of_replicates(
    gaps: np.ndarray, cell: np.ndarray, count: int, replicate: np.ndarray, replicates: int
) -> tuple[np.ndarray, np.ndarray]:
    """The trials of each replicate in each cell, and the sums of the gaps: (replicates, cells), with (gaps,) before."""
    place = replicate * count + cell
    totals = [np.bincount(place, gap, replicates * count).reshape(replicates, count) for gap in gaps]
    return np.bincount(place, minlength=replicates * count).reshape(replicates, count), np.array(totals)


def _with_replicates(
    low: np.ndarray,
    n: np.ndarray,
    totals: np.ndarray,
    sizes: np.ndarray,
    centre: np.ndarray,
    of_squares: np.ndarray,
    ends: np.ndarray,
    tail: np.ndarray,
) -> np.ndarray:
    """The lower ends of intervals by the scatter of replicates; the lower of both where few differences make a mean.

    `low` are those of independent trials; `n` and `totals` are those of `_of_replicates`.
    """
    replicates = len(n)
    scatter = np.square((totals - n * centre[:, None]) / n.mean(axis=0)).sum(axis=1)
    own = centre - stdtrit(replicates - 1, 1.0 - tail) * np.sqrt(scatter / (replicates * (replicates - 1)))
    skewed = (sizes > 1) & are_skewed(*_moments_of_gaps(sizes, centre, of_squares, ends))
    return np.where(skewed, np.minimum(own, low), own)
