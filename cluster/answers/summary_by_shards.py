"""Tallies and exact quantiles of the trials for which a condition holds: a map over shards, and a merge.

Each step counts the trials of one shard, and the counts of shards merge exactly: where and in which order shards are
counted makes no difference. A measure in whole numbers is counted by value. A measure in float32 is counted by the
upper half of its bits, in the order of the numbers; a second step counts the numbers of those halves that hold a
quantile. Memory is bounded for any number of trials. Where a process keeps sorted columns
(`cluster.query.sorted_columns`), quantiles of measures in float32 come from these instead.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import TypeVar

import numpy as np

from cluster.query.session import check_time
from cluster.query.shard_map import map_shards
from cluster.query.sorted_columns import are_columns_sorted, sorted_columns
from cluster.query.trial_columns import no_trials
from cluster.query.trials import SameTrials, StoredRun, blocks_of, read_values, same_trials
from cluster.results.plan import Shard
from cluster.results.trial_table import table_columns
from sim.scenario.columns import NULL
from sim.scenario.expressions import Expression
from sim.scenario.vocabulary import EVENTS, MEASURES
from sim.statistics.bins import numbers_of_keys, ordered_keys
from sim.statistics.selection import ranks
from sim.statistics.tallies import (
    NO_TRIALS,
    Moments,
    Tally,
    common_term,
    merge_replicates,
    moments,
    moments_of_counts,
    tally_terms,
)
from sim.statistics.trial_counts import REAL, WHOLE

T = TypeVar("T")
_HALF = 1 << 16
"""The number of values of half of a float32's bits."""


@dataclass(frozen=True)
class Counted:
    """The trials of some shards for which the condition holds: the tally of each replicate, and counts of each measure.

    `counts` has int64 arrays: by value from 0 for a measure in whole numbers, by the upper half of the key for others,
    which are left out where columns are sorted.
    """

    tallies: tuple[Tally, ...]
    counts: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Values:
    """Distinct keys of a measure in increasing order, uint32, and the number of each."""

    key: np.ndarray
    count: np.ndarray


@dataclass
class CountedTrials:
    """The trials of a strategy's committed shards for which a condition holds; all without one."""

    run: StoredRun
    strategy: str
    condition: Expression | None
    _counted: Counted | None = None

    def tallies(self) -> tuple[Tally, ...]:
        """The tallies of each replicate; of no trials if no shard is committed."""
        if not self.run.shards(self.strategy):
            return (NO_TRIALS,) * self.run.plan.design.replicates(self.run.plan.scenario)
        return self._count().tallies

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level the smallest value whose share is at least the level."""
        counts = self._count().counts
        wanted = {name: ranks(levels[name], found.count) for name, found in numbers.items() if len(levels[name])}
        found: dict[str, dict[float, float]] = {name: {} for name in numbers}
        kept = sorted_columns(self.run, self.strategy, [name for name in wanted if name not in counts])
        for name, column in kept.items():
            found[name] = dict(zip(levels[name], column.at_ranks(self._mask, wanted.pop(name)).tolist(), strict=True))
        up_to = {name: np.cumsum(counts[name]) for name in wanted}
        place = {name: np.searchsorted(up_to[name], own) for name, own in wanted.items()}
        halves = {name: np.unique(place[name]) for name in wanted if name in REAL}
        values = self._map(partial(_values, halves=halves), _merge_values, tuple(halves)) if halves else {}
        for name, own in wanted.items():
            at = place[name].astype(np.float64)
            if name in halves:
                before = up_to[name][place[name]] - counts[name][place[name]]
                keys, within = values[name].key, np.cumsum(values[name].count)
                # The numbers of the halves before, which hold no quantile, are not among those that were read.
                first = np.searchsorted(keys, place[name].astype(np.uint32) << np.uint32(16))
                read = np.concatenate([[0], within])[first]
                at = numbers_of_keys(keys[np.searchsorted(within, read + own - before)])
            found[name] = dict(zip(levels[name], at.tolist(), strict=True))
        return found

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are less than, and at most, the value there."""
        counted = self._map(partial(_below, at=at), _add, tuple(at))
        return {
            name: {
                level: (less.tolist(), most.tolist()) for level, (less, most) in zip(own, counted[name], strict=True)
            }
            for name, own in at.items()
        }

    def _count(self) -> Counted:
        if self._counted is None:
            is_sorted = self.condition is not None and are_columns_sorted(self.run, self.strategy, len(REAL))
            count = partial(_count_held, halves=not is_sorted)
            self._counted = self._map(count, _merge_counted, ("outcome", *MEASURES), EVENTS)
        return self._counted

    @cached_property
    def _mask(self) -> np.ndarray:
        """Whether the condition holds in each trial."""
        assert self.condition is not None
        known = {column.name: column for column in table_columns(self.run.plan.scenario)}
        parts = []
        for shard in self.run.shards(self.strategy):
            check_time()
            with self.run.open_shard(shard) as columns:
                parts += [
                    read_values(columns, known, [self.condition], *block)[self.condition] for block in blocks_of(shard)
                ]
        return np.concatenate(parts)

    def _map(
        self,
        count: Callable[["_Held"], T],
        merge: Callable[[T, T], T],
        names: Sequence[str],
        events: Sequence[str] = (),
    ) -> T:
        """Count the trials of each block of the shards by some columns and events, and merge the counts."""
        function = partial(_count_shard, count, merge, names, events, self.condition)
        shards = same_trials(self.run, (self.strategy,))
        return reduce(merge, (found for _, found in map_shards(self.run, shards, function, merge)))


def _count_shard(
    count: Callable[["_Held"], T],
    merge: Callable[[T, T], T],
    names: Sequence[str],
    events: Sequence[str],
    condition: Expression | None,
    run: StoredRun,
    shards: SameTrials,
) -> T:
    """Count the trials of each block of a strategy's shard, and merge the counts."""
    (shard,) = shards.values()
    return reduce(merge, (count(_held(run, shard, block, names, events, condition)) for block in blocks_of(shard)))


def _held(
    run: StoredRun,
    shard: Shard,
    block: tuple[int, int],
    names: Sequence[str],
    events: Sequence[str],
    condition: Expression | None,
) -> "_Held":
    """Columns and events of the trials of a block for which the condition holds."""
    check_time()
    plan, (first, count) = run.plan, block
    replicates = plan.design.replicates(plan.scenario)
    known = {column.name: column for column in table_columns(plan.scenario)}
    wanted, terms = [known[name] for name in sorted(names)], {name: common_term(name) for name in events}
    with run.open_shard(shard) as columns:
        held = None if condition is None else read_values(columns, known, [condition], first, count)[condition]
        rows = np.arange(count) if held is None else np.flatnonzero(held)
        replicate = (first + rows) % replicates
        if replicates > 1:
            rows = rows.take(np.argsort(replicate, kind="stable"))
        every = rows.size == count and replicates == 1
        if rows.size:
            table = columns.read(wanted, first, count)
            found = read_values(columns, known, terms.values(), first, count, None if every else rows)
        else:
            table, found = no_trials(wanted), dict.fromkeys(terms.values(), np.empty(0, bool))
    return _Held(
        {name: table[name] if every else table[name].take(rows) for name in names},
        {name: found[term] for name, term in terms.items()},
        np.cumsum(np.bincount(replicate, minlength=replicates)),
    )


@dataclass(frozen=True)
class _Held:
    """Columns and events of trials in the order of their replicates, and the place after the last trial of each
    replicate.
    """

    table: Mapping[str, np.ndarray]
    events: Mapping[str, np.ndarray]
    ends: np.ndarray

    def replicates(self) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
        """The columns and the events of each replicate's trials."""
        first = 0
        for end in self.ends.tolist():
            own = slice(first, end)
            yield {name: one[own] for name, one in self.table.items()}, {n: one[own] for n, one in self.events.items()}
            first = end

    def by_replicate(self, which: np.ndarray) -> np.ndarray:
        """How many trials of each replicate are among some."""
        return np.diff(np.concatenate([[0], np.cumsum(which)])[np.concatenate([[0], self.ends])])


def _count_held(held: _Held, halves: bool) -> Counted:
    """The tallies and counts of some trials; of measures in float32 the counts only if `halves` are wanted."""
    tallies, counts = [], []
    for table, events in held.replicates():
        own = {name: np.bincount(table[name] - np.int16(NULL))[1:] for name in WHOLE}
        measures = {name: moments_of_counts(count) for name, count in own.items()}
        for name in REAL:
            null = np.isnan(table[name])
            known = table[name].compress(~null) if null.any() else table[name]
            measures[name] = moments(known)
            if halves:
                own[name] = np.bincount(ordered_keys(known) >> np.uint32(16), minlength=_HALF)
        tallies.append(tally_terms(table["outcome"], events, {name: measures[name] for name in MEASURES}))
        counts.append(own)
    return Counted(tuple(tallies), reduce(_add, counts))


def _values(held: _Held, halves: Mapping[str, np.ndarray]) -> dict[str, Values]:
    """The numbers of measures whose keys begin with one of some halves."""
    found = {}
    for name, own in halves.items():
        chosen = np.zeros(_HALF, bool)
        chosen[own] = True
        keys = ordered_keys(held.table[name])
        key, count = np.unique(keys.compress(chosen.take(keys >> np.uint32(16))), return_counts=True)
        found[name] = Values(key, count)
    return found


def _below(held: _Held, at: Mapping[str, Mapping[float, float]]) -> dict[str, np.ndarray]:
    """How many numbers are less than, and at most, the value of each level: shape (levels, 2, replicates)."""
    found = {}
    for name, own in at.items():
        column = held.table[name]
        known = np.True_ if column.dtype.kind == "f" else column != NULL
        found[name] = np.array(
            [
                [held.by_replicate(which & known) for which in (column < value, column <= value)]
                for value in map(column.dtype.type, own.values())
            ]
        )
    return found


def _merge_counted(a: Counted, b: Counted) -> Counted:
    return Counted(merge_replicates(a.tallies, b.tallies), _add(a.counts, b.counts))


def _add(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sums of counts; one of two arrays may have more entries along its first axis."""
    found = {}
    for name, own in a.items():
        longer, shorter = (own, b[name]) if len(own) >= len(b[name]) else (b[name], own)
        found[name] = longer.copy()
        found[name][: len(shorter)] += shorter
    return found


def _merge_values(a: Mapping[str, Values], b: Mapping[str, Values]) -> dict[str, Values]:
    found = {}
    for name, own in a.items():
        key, place = np.unique(np.concatenate([own.key, b[name].key]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([own.count, b[name].count]), key.size)
        found[name] = Values(key, counts.astype(np.int64))
    return found
