"""Exact quantiles of a number in groups of trials, in as many maps over the shards as their memory needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cluster.query.shard_map import reduce_shards
from cluster.query.trials import SameTrials, StoredRun
from sim.statistics.selection import (
    DIGITS,
    NO_COUNTS,
    Counts,
    Targets,
    add_counts,
    count_digits,
    inside,
    narrowed,
    numbers_of_parts,
    numbers_of_targets,
    ordered_keys,
    ranks,
)

MOST_HELD = 4_000_000
"""Numbers that are held in memory at a time; of more, those near the quantiles are found first by counting."""

Numbers = tuple[np.ndarray, np.ndarray]
"""Known numbers of some trials, float64, and the group of each, int64 from 0."""
ReadNumbers = Callable[[StoredRun, SameTrials], Iterator[Numbers]]


@dataclass(frozen=True)
class _Held:
    """Numbers in wanted parts: the place of the part of each, and its key."""

    part: list[np.ndarray]
    key: list[np.ndarray]


def grouped_quantiles(
    run: StoredRun, shards: Sequence[SameTrials], read: ReadNumbers, counts: np.ndarray, levels: Sequence[float]
) -> np.ndarray:
    """The smallest number of each group whose share is at least each level: shape (groups, levels), NaN for none.

    `read` gives the numbers of some shards; `counts` has how many there are in each group.
    """
    found = np.full((counts.size, len(levels)), np.nan)
    known = np.flatnonzero(counts)
    if not known.size or not levels:
        return found
    rank = ranks(levels, counts[known])
    targets = Targets(np.repeat(known, len(levels)), rank.ravel())
    held = int(counts.sum())
    while held > MOST_HELD and len(targets.parts) < DIGITS:
        counted = reduce_shards(run, shards, partial(_count, targets, read), add_counts, NO_COUNTS)
        targets, held = narrowed(targets, counted)
    if held > MOST_HELD:
        numbers = numbers_of_parts(targets)
    else:
        near = reduce_shards(run, shards, partial(_inside, targets, read), _together, _Held([], []))
        numbers = numbers_of_targets(targets, np.concatenate(near.part), np.concatenate(near.key))
    found[known] = numbers.reshape(rank.shape)
    return found


def _count(targets: Targets, read: ReadNumbers, run: StoredRun, shards: SameTrials) -> Counts:
    counted = NO_COUNTS
    for numbers, group in read(run, shards):
        counted = add_counts(counted, count_digits(targets, group, ordered_keys(numbers)))
    return counted


def _inside(targets: Targets, read: ReadNumbers, run: StoredRun, shards: SameTrials) -> _Held:
    found = [inside(targets, group, ordered_keys(numbers)) for numbers, group in read(run, shards)]
    return _Held([part for part, _ in found], [key for _, key in found])


def _together(a: _Held, b: _Held) -> _Held:
    return _Held([*a.part, *b.part], [*a.key, *b.key])
