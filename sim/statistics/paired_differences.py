"""Strategies compared on the same trials: paired differences, how often each is better, regret, and leads by parameter.

Strategies have the same parameter values and the same chance. Their common variation cancels in the difference within
each trial, so that its error is far smaller than the errors of the two means suggest (common random numbers; Glasserman
& Yao 1992). Everything is tallied by replicate: independent trials are one replicate, a Sobol design has several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from sim.statistics.estimates import (
    ANY_NUMBER,
    FEW,
    Estimate,
    Range,
    Z,
    are_skewed,
    around_shares,
    mean,
    mean_bounds,
    mean_of_replicates,
    proportion,
    proportion_of_replicates,
)
from sim.statistics.quantile_bounds import quantile_bounds, quantile_bounds_of_replicates
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


def pair_of_counts(joint: np.ndarray, holds: np.ndarray) -> Pair:
    """Tally a condition, as 0 and 1, from a table of counts by kind of trial.

    `joint[i, j]` counts trials of kind i under the first strategy and of kind j under the second; `holds`, one bool per
    kind, says for which kinds the condition holds.
    """
    both = joint[np.ix_(holds, holds)].sum()
    higher, lower = int(joint[holds].sum() - both), int(joint[:, holds].sum() - both)
    return pair_of_changes(int(joint.sum()), higher, lower)


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
    found = mean_of([one.difference for one in tallied])
    trials = sum(one.difference.count for one in tallied)
    higher, lower = sum(one.higher for one in tallied), sum(one.lower for one in tallied)
    if not trials:
        return found
    if len(tallied) > 1 and higher + lower >= FEW * len(tallied):
        counts = [one.difference.count for one in tallied]
        return around_shares([one.higher - one.lower for one in tallied], counts)
    changed = (higher + lower + 2) / (trials + 2)
    centre = (higher - lower) / (trials + 2)
    error = sqrt((changed - centre**2) / (trials + 2))
    return {**found, "low": max(-1.0, centre - Z * error), "high": min(1.0, centre + Z * error)}


def pair_estimates(tallied: Sequence[Pair], *, condition: bool = False, within: Range = ANY_NUMBER) -> dict:
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
    short = shortfalls(values[:, known])
    best = short == 0.0
    sole = best & (best.sum(axis=0) == 1)
    return Regret(
        tuple(moments(row) for row in short),
        tuple(int(count) for count in best.sum(axis=1)),
        tuple(int(count) for count in sole.sum(axis=1)),
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


def regret_estimates(tallied: Sequence[Regret], strategy: int) -> dict:
    """A strategy's mean regret, and how often it is best and alone best, each with its error."""
    counts = [one.shortfall[strategy].count for one in tallied]
    return {
        "mean": mean_of([one.shortfall[strategy] for one in tallied]),
        "best": share_of([one.best[strategy] for one in tallied], counts),
        "best_alone": share_of([one.alone[strategy] for one in tallied], counts),
    }


def quantile_estimate(values: np.ndarray, level: float, replicate: np.ndarray, replicates: int) -> Estimate:
    """A quantile (the least value whose share is at least `level`) with its 95 % interval; a bound that does not exist
    is null.

    `replicate` is the number of each value's replicate, from 0.
    """
    ordered = np.sort(values)
    found = _at(ordered, level)
    if replicates == 1:
        bounds = quantile_bounds(ordered.size, level)
    else:
        below, up_to = (np.bincount(replicate, which, replicates) for which in (values < found, values <= found))
        counts = np.bincount(replicate, minlength=replicates)
        bounds = quantile_bounds_of_replicates(level, below.tolist(), up_to.tolist(), counts.tolist())
    low, high = (None if bound is None else _at(ordered, bound) for bound in bounds)
    return {"estimate": found, "low": low, "high": high}


def _at(ordered: np.ndarray, level: float) -> float:
    return float(ordered[max(0, int(np.ceil(level * ordered.size)) - 1)])


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


def leads(x: np.ndarray, values: np.ndarray, replicate: np.ndarray, replicates: int) -> list[Lead]:
    """Which strategy has the best mean as a function of a parameter `x`, shape (trials,), from low to high.

    The trials are sorted into cells of the parameter, and in each the strategy with the best mean is compared with
    every other by their paired differences. It leads if all these intervals are above zero; they are widened so that
    all those of the parameter hold at once with 95 % (Bonferroni), and where a few great differences make up a mean
    they are those of `mean_bounds`, with the least and the greatest difference of all cells. Neighbouring cells with
    the same strategies ahead are joined. `values` has shape (strategies, trials).
    """
    cell, count = cells(x, max(1, min(LEAD_CELLS, x.size // FEWEST_IN_LEAD_CELL)))
    sizes = np.bincount(cell, minlength=count)
    means = np.array([np.bincount(cell, row, count) for row in values]) / sizes
    front = means.argmax(axis=0)
    comparisons = count * (len(values) - 1)
    in_front = np.ones((len(values), count), bool)
    for leader in np.unique(front):
        led = front == leader
        for strategy, row in enumerate(values):
            if strategy != leader:
                gap = values[leader] - row
                low_gap = _least_gap(gap, cell, sizes, replicate, replicates, comparisons)
                in_front[strategy, led] = low_gap[led] <= 0.0
    return lead_ranges(x, cell, sizes, means, in_front)


def lead_ranges(
    x: np.ndarray, cell: np.ndarray, sizes: np.ndarray, means: np.ndarray, in_front: np.ndarray
) -> list[Lead]:
    """The ranges of a parameter `x` whose cells have the same strategies ahead.

    `cell` is each trial's cell, `sizes` counts the trials of each cell; `means` and `in_front`, whether a strategy is
    ahead there, have shape (strategies, cells).
    """
    count = sizes.size
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, cell, x)
    np.maximum.at(high, cell, x)
    found: list[Lead] = []
    for k in range(count):
        ahead = tuple(int(strategy) for strategy in np.flatnonzero(in_front[:, k]))
        own = Lead(float(low[k]), float(high[k]), 1, float(sizes[k]), ahead, tuple(float(m) for m in means[:, k]))
        if found and found[-1].ahead == ahead:
            found[-1] = _joined(found[-1], own)
        else:
            found.append(own)
    return found


def _least_gap(
    gap: np.ndarray, cell: np.ndarray, sizes: np.ndarray, replicate: np.ndarray, replicates: int, comparisons: int
) -> np.ndarray:
    """The lower end of the simultaneous interval of the mean in each cell of a paired difference, shape (trials,)."""
    count = sizes.size
    tail = (1.0 - LEVEL) / (2.0 * max(1, comparisons))
    total, of_squares = np.bincount(cell, gap, count), np.bincount(cell, np.square(gap), count)
    centre = total / sizes
    squares = of_squares - total * centre
    # What is left of equal values is rounding.
    squares = np.where(squares <= _ROUNDING * of_squares, 0.0, squares)
    # Values that the trials of one cell miss may occur in those of others.
    least, greatest = (np.full(count, float(end)) for end in (gap.min(), gap.max()))
    low = np.full(count, -np.inf)
    several = sizes > 1
    low[several], _ = mean_bounds(
        sizes[several], centre[several], squares[several], least[several], greatest[several], tail
    )
    if replicates == 1:
        return low
    n = np.bincount(replicate * count + cell, minlength=replicates * count).reshape(replicates, count)
    total = np.bincount(replicate * count + cell, gap, replicates * count).reshape(replicates, count)
    scatter = np.square((total - n * centre) / n.mean(axis=0)).sum(axis=0)
    own = centre - stdtrit(replicates - 1, 1.0 - tail) * np.sqrt(scatter / (replicates * (replicates - 1)))
    skewed = several & are_skewed(*(np.where(several, each, 2) for each in (sizes, centre, squares, least, greatest)))
    return np.where(skewed, np.minimum(own, low), own)


def _joined(a: Lead, b: Lead) -> Lead:
    trials = a.trials + b.trials
    means = tuple((m * a.trials + n * b.trials) / trials for m, n in zip(a.means, b.means, strict=True))
    return Lead(a.low, b.high, a.cells + b.cells, trials, a.ahead, means)
