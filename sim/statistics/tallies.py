"""Tallies: what the estimates need of any number of played trials.

Tallies of disjoint sets of trials merge without loss (moments by Chan, Golub & LeVeque 1983), so that a shard's trials
can be tallied where they are played.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import inf

import numpy as np

from sim.scenario.columns import COMMON_COLUMNS
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import Expression, parse_over
from sim.scenario.vocabulary import EVENTS, MEASURES, OUTCOMES, TERMS


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations from the mean, least and greatest of some numbers."""

    count: int
    mean: float
    m2: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Tally:
    """What the estimates need of some trials of one strategy."""

    trials: int
    outcomes: dict[str, int]
    events: dict[str, int]
    measures: dict[str, Moments]


NO_NUMBERS = Moments(0, 0.0, 0.0, inf, -inf)
NO_TRIALS = Tally(0, dict.fromkeys(OUTCOMES, 0), dict.fromkeys(EVENTS, 0), dict.fromkeys(MEASURES, NO_NUMBERS))


def tally(table: dict[str, np.ndarray]) -> Tally:
    """Tally the columns of some trials, arrays as `sim.model.kernel.simulate` returns them."""
    events = {name: evaluate(common_term(name), table, COMMON_COLUMNS) for name in EVENTS}
    measures = {name: moments(_not_null(evaluate(common_term(name), table, COMMON_COLUMNS))) for name in MEASURES}
    return tally_terms(table["outcome"], events, measures)


def tally_terms(outcome: np.ndarray, events: Mapping[str, np.ndarray], measures: dict[str, Moments]) -> Tally:
    """As `tally`, from the outcome and the events of each trial and the moments of the measures."""
    outcomes = np.bincount(outcome, minlength=len(OUTCOMES))
    return Tally(
        trials=len(outcome),
        outcomes={name: int(count) for name, count in zip(OUTCOMES, outcomes, strict=True)},
        events={name: int(np.count_nonzero(events[name])) for name in EVENTS},
        measures=measures,
    )


@cache
def common_term(name: str) -> Expression:
    """An outcome, an event or a measure over the columns that tables of all scenarios share."""
    return parse_over(COMMON_COLUMNS, TERMS[name].expression, name)


def moments(numbers: np.ndarray) -> Moments:
    """The moments of some numbers, computed in float64."""
    if not numbers.size:
        return NO_NUMBERS
    numbers = numbers.astype(np.float64, copy=False)
    mean = float(numbers.mean())
    squared = numbers - mean
    np.square(squared, out=squared)
    return Moments(numbers.size, mean, float(squared.sum()), float(numbers.min()), float(numbers.max()))


def moments_of_counts(counts: np.ndarray) -> Moments:
    """The moments of whole numbers from 0, from the number of times that each occurs."""
    values = np.flatnonzero(counts)
    if not values.size:
        return NO_NUMBERS
    counts = counts[values]
    count = int(counts.sum())
    mean = int(counts @ values) / count
    return Moments(count, mean, float(counts @ np.square(values - mean)), float(values[0]), float(values[-1]))


def merge(a: Tally, b: Tally) -> Tally:
    """The tally of two disjoint sets of trials together."""
    return Tally(
        a.trials + b.trials,
        {name: a.outcomes[name] + b.outcomes[name] for name in a.outcomes},
        {name: a.events[name] + b.events[name] for name in a.events},
        {name: merge_moments(a.measures[name], b.measures[name]) for name in a.measures},
    )


def tally_replicates(table: dict[str, np.ndarray], replicates: int) -> tuple[Tally, ...]:
    """A tally of each replicate; trial *i* belongs to replicate *i* mod `replicates`. Trials are consecutive."""
    first = int(table["trial"][0]) if len(table["trial"]) else 0
    starts = [(replicate - first) % replicates for replicate in range(replicates)]
    return tuple(tally({name: column[start::replicates] for name, column in table.items()}) for start in starts)


def merge_replicates(a: tuple[Tally, ...], b: tuple[Tally, ...]) -> tuple[Tally, ...]:
    """The tallies of two disjoint sets of trials together, replicate by replicate."""
    return tuple(merge(one, other) for one, other in zip(a, b, strict=True))


def _not_null(column: np.ndarray) -> np.ndarray:
    return column[~np.isnan(column)]


def merge_moments(a: Moments, b: Moments) -> Moments:
    """The moments of two sets of numbers together."""
    count = a.count + b.count
    if not a.count or not b.count:
        return a if a.count else b
    step = b.mean - a.mean
    return Moments(
        count,
        a.mean + step * b.count / count,
        a.m2 + b.m2 + step * step * a.count * b.count / count,
        min(a.least, b.least),
        max(a.greatest, b.greatest),
    )
