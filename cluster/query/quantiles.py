"""Exact quantiles of a number in groups of trials, in as many maps over the shards as their memory needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cluster.query.shard_map import reduce_shards
from cluster.query.trials import SameTrials, StoredRun
from sim.statistics.selection import (
    NO_COUNTS,
    NO_WEIGHTS,
    Counts,
    Targets,
    add_counts,
    count_digits,
    inside,
    narrowed,
    numbers_of_targets,
    ordered_keys,
    ranks,
)

MOST_HELD = 4_000_000
"""Numbers that are held in memory at a time; of more, those near the quantiles are found first by counting."""

Numbers = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Known numbers of some trials, float64, the group of each, int64 from 0, and the weights, if any.

The sum of some weights must be the same in any order.
"""
_REACHED = 1.0 - 1e-12
"""The share of a level's weight from which on it counts as reached, since the level itself is rounded."""
ReadNumbers = Callable[[StoredRun, SameTrials], Iterator[Numbers]]


@dataclass(frozen=True)
class _Held:
    """Numbers in wanted parts: the place of the part of each, its key, and its weight, if any."""

    part: list[np.ndarray]
    key: list[np.ndarray]
    weight: list[np.ndarray]


def grouped_quantiles(
    run: StoredRun,
    shards: Sequence[SameTrials],
    read: ReadNumbers,
    counts: np.ndarray,
    levels: Sequence[float],
    digits: Counts | None = None,
) -> np.ndarray:
    """The smallest number of each group whose share is at least each level: shape (groups, levels), NaN for none.

    `read` gives the numbers of some shards; `counts` has how many there are in each group. `digits` are the counts of
    their first digits, as `sim.statistics.selection.count_digits` has them, if these are known.
    """
    found = np.full((counts.size, len(levels)), np.nan)
    known = np.flatnonzero(counts)
    if not known.size or not levels:
        return found
    rank = ranks(levels, counts[known])
    targets = Targets(np.repeat(known, len(levels)), rank.ravel())
    numbers = _numbers(run, shards, read, targets, int(counts.sum()), NO_COUNTS, digits)
    found[known] = numbers.reshape(rank.shape)
    return found


def grouped_weighted_quantiles(
    run: StoredRun,
    shards: Sequence[SameTrials],
    read: ReadNumbers,
    counts: np.ndarray,
    weights: np.ndarray,
    levels: Sequence[float],
) -> np.ndarray:
    """The smallest number of each group whose share of the weight is at least each level, as `grouped_quantiles`.

    `weights` has the sum of the weights of each group's numbers.
    """
    found = np.full((counts.size, len(levels)), np.nan)
    known = np.flatnonzero(weights > 0.0)
    if not known.size or not levels:
        return found
    rank = np.array([[level * weight * _REACHED for level in levels] for weight in weights[known].tolist()])
    targets = Targets(np.repeat(known, len(levels)), rank.ravel())
    found[known] = _numbers(run, shards, read, targets, int(counts.sum()), NO_WEIGHTS).reshape(rank.shape)
    return found


def are_held(count: int) -> bool:
    """Whether so many numbers are held in memory; of more, first digits are counted first."""
    return count <= MOST_HELD


def _numbers(
    run: StoredRun,
    shards: Sequence[SameTrials],
    read: ReadNumbers,
    targets: Targets,
    held: int,
    nothing: Counts,
    digits: Counts | None = None,
) -> np.ndarray:
    """The numbers of wanted ranks among as many as are `held`."""
    found = np.empty(targets.part.size)
    left = np.arange(targets.part.size)
    while not are_held(held):
        counted = digits
        if counted is None:
            counted = reduce_shards(run, shards, partial(_count, targets, read, nothing), add_counts, nothing)
        step, digits = narrowed(targets, counted), None
        found[left[step.known]] = step.numbers
        left, targets, held = left[~step.known], step.targets, step.held
    if not left.size:
        return found
    near = reduce_shards(run, shards, partial(_inside, targets, read), _together, _Held([], [], []))
    weight = np.concatenate(near.weight) if near.weight else None
    found[left] = numbers_of_targets(targets, np.concatenate(near.part), np.concatenate(near.key), weight)
    return found


def _count(targets: Targets, read: ReadNumbers, nothing: Counts, run: StoredRun, shards: SameTrials) -> Counts:
    counted = nothing
    for numbers, group, weight in read(run, shards):
        counted = add_counts(counted, count_digits(targets, group, ordered_keys(numbers), weight))
    return counted


def _inside(targets: Targets, read: ReadNumbers, run: StoredRun, shards: SameTrials) -> _Held:
    found = [inside(targets, group, ordered_keys(numbers), weight) for numbers, group, weight in read(run, shards)]
    return _Held(
        [part for part, _, _ in found],
        [key for _, key, _ in found],
        [weight for _, _, weight in found if weight is not None],
    )


def _together(a: _Held, b: _Held) -> _Held:
    return _Held([*a.part, *b.part], [*a.key, *b.key], [*a.weight, *b.weight])
