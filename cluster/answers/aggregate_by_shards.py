"""The groups of `aggregate` and their statistics: a map over shards, and a merge.

A trial's group is a number made of the codes of its keys, in the order of the rows. Each shard's trials are counted
and summed by group; quantiles are found by further maps. Where and in which order shards are counted makes no
difference to counts, extremes and quantiles; sums are the same for the same run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from cluster.answers.aggregate_groups import GroupKey, check_group_count
from cluster.answers.aggregate_statistics import statistics_of_moments
from cluster.query.quantiles import Numbers, are_held, grouped_quantiles
from cluster.query.shard_map import reduce_shards
from cluster.query.strategy_tables import read_tables
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, read_blocks, same_trials
from cluster.results.trial_table import table_columns
from sim.faults import Fault, InvalidInput
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import Expression
from sim.statistics.selection import ALL_GROUPS, DIGIT_BITS, Counts, add_counts, count_digits, ordered_keys
from sim.statistics.tallies import NO_NUMBERS, Moments, moments

MOST_CELLS = 2_000_000
"""Groups of weighted trials, times strategies, replicates and patterns of the beliefs."""
_DENSE = 1 << 16
"""Up to this many possible groups are counted in an array of all of them."""


@dataclass(frozen=True)
class GroupsAsked:
    """What is computed: trials that satisfy the condition, grouped by keys, and numbers of each.

    `replicates` is 1 where no error needs the replicates of a design. Where beliefs weigh the trials, `code` is that of
    their conditions, and `patterns` are by strategy the codes that its trials have: a group then has a cell for each
    strategy, replicate and pattern. Other groups have a cell for each replicate. `digits` says whether the first digits
    of numbers are counted too, which saves the quantiles of many numbers a pass.
    """

    strategies: tuple[str, ...]
    given: Expression | None
    keys: tuple[GroupKey, ...]
    measures: tuple[Expression, ...]
    replicates: int = 1
    code: Mapping[str, Expression] | None = None
    patterns: Mapping[str, np.ndarray] | None = None
    digits: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a group's cells."""
        if self.patterns is None:
            return (self.replicates,)
        return len(self.strategies), self.replicates, max(own.size for own in self.patterns.values())

    @property
    def cells(self) -> int:
        """The number of a group's cells."""
        return int(np.prod(self.shape))

    def columns(self) -> set[str]:
        """The columns that are read."""
        read = (*self.measures, *(key.value for key in self.keys if key.value is not None))
        return set().union(*(one.columns() for one in read))


@dataclass(frozen=True)
class Groups:
    """The groups that have trials, in order, and the moments of each measure's known numbers.

    `code` has shape (groups,), `trials` (groups, cells), all others (measures, groups, cells). `squares` are squared
    deviations from the mean.
    """

    code: np.ndarray
    trials: np.ndarray
    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    digits: tuple[Counts, ...] = ()
    """Of each measure the first digits of its numbers by the group's code, where they are counted too."""


def count_groups(run: StoredRun, asked: GroupsAsked) -> Groups:
    """The groups of a run's committed trials. Raises `InvalidInput` for too many."""
    nothing = _no_groups(len(asked.measures), asked.cells)
    found = reduce_shards(run, shards_of(run, asked), partial(_count, asked), _merge, nothing)
    return _checked(asked, found)


def quantiles_of_groups(run: StoredRun, asked: GroupsAsked, groups: Groups, levels: Sequence[float]) -> np.ndarray:
    """The quantiles of each measure in each group: shape (measures, groups, levels), NaN without known numbers."""
    shards = shards_of(run, asked)
    counts = groups.count.sum(axis=2)
    # The digits by the place of each group, as the numbers have it.
    digits = [_of_groups(one, np.searchsorted(groups.code, one.code >> DIGIT_BITS)) for one in groups.digits]
    return np.stack(
        [
            grouped_quantiles(
                run,
                shards,
                partial(numbers_of, asked, k, groups.code, None),
                counts[k],
                levels,
                digits[k] if digits else None,
            )
            for k in range(len(asked.measures))
        ]
    )


def are_digits_counted(run: StoredRun, asked: GroupsAsked) -> bool:
    """Whether quantiles may be of more numbers than are held in memory, and a group's code with a digit has 64 bits."""
    if prod(key.most for key in asked.keys) > 1 << (63 - DIGIT_BITS):
        return False
    return not are_held(sum(next(iter(shards.values())).count for shards in shards_of(run, asked)))


def _of_groups(digits: Counts, group: np.ndarray) -> Counts:
    """Counts of first digits, each with another number for its group."""
    return replace(digits, code=group << DIGIT_BITS | digits.code & ((1 << DIGIT_BITS) - 1))


@dataclass(frozen=True)
class ValuesOfTrials:
    """The known values of an expression in trials that satisfy a condition, for bins whose edges depend on them."""

    run: StoredRun
    strategies: tuple[str, ...]
    given: Expression | None
    code: Mapping[str, Expression] | None = None

    def extent(self, value: Expression) -> tuple[int, float, float]:
        """The number of known values, the least and the greatest."""
        groups = count_groups(self.run, self._asked(value))
        if not groups.count.any():
            return 0, 0.0, 0.0
        return int(groups.count.sum()), float(groups.least.min()), float(groups.greatest.max())

    def quantiles(self, value: Expression, levels: Sequence[float]) -> list[float]:
        """The smallest known value whose share is at least each level."""
        asked = self._asked(value)
        asked = replace(asked, digits=are_digits_counted(self.run, asked))
        found: list[float] = quantiles_of_groups(self.run, asked, count_groups(self.run, asked), levels)[0, 0].tolist()
        return found

    def _asked(self, value: Expression) -> GroupsAsked:
        return GroupsAsked(self.strategies, self.given, (), (value,), code=self.code)


def group_rows(
    run: StoredRun, asked: GroupsAsked, levels: Mapping[str, float | None], pooled: bool
) -> tuple[list[tuple[Any, ...]], list[list[float | None]]]:
    """The value of each key and the trials of each group, and its statistics in the order of measures.

    `levels` has the level of each statistic that is a quantile, None for others.
    """
    wanted = [level for level in levels.values() if level is not None]
    groups = count_groups(run, replace(asked, digits=bool(wanted) and are_digits_counted(run, asked)))
    groups = with_the_only_group(asked, groups)
    quantiles = quantiles_of_groups(run, asked, groups, wanted)
    counts = groups_with_trials(asked, groups)
    per_point = run.plan.design.trials_per_point(run.plan.scenario)
    numbers: list[list[float | None]] = []
    for place in range(groups.code.size):
        own: list[float | None] = []
        for k in range(len(asked.measures)):
            total, trials = float(groups.total[k, place].sum()), int(groups.trials[place].sum())
            found = statistics_of_moments(trials, total, _moments(groups, k, place), per_point, pooled)
            of_level = iter(quantiles[k, place].tolist())
            own += [found[name] if level is None else next(of_level) for name, level in levels.items()]
        numbers.append(own)
    return counts, numbers


def with_the_only_group(asked: GroupsAsked, groups: Groups) -> Groups:
    """The groups; where nothing is grouped by, the group of all trials even if there are none."""
    if asked.keys or groups.code.size:
        return groups
    return _merge(groups, _of_code(np.zeros(1, np.int64), len(asked.measures), asked.cells))


def groups_with_trials(asked: GroupsAsked, groups: Groups) -> list[tuple[Any, ...]]:
    """The value of each key, and the number of trials, of each group."""
    values = _values_of_codes(asked.keys, groups.code)
    return [(*own, int(trials)) for own, trials in zip(values, groups.trials.sum(axis=1), strict=True)]


def _moments(groups: Groups, k: int, place: int) -> list[Moments]:
    """The moments of a measure in a group, by replicate."""
    parts = (groups.count, groups.total, groups.squares, groups.least, groups.greatest)
    return [
        Moments(count, total / count, squares, least, greatest) if count else NO_NUMBERS
        for count, total, squares, least, greatest in zip(*(part[k, place].tolist() for part in parts), strict=True)
    ]


def shards_of(run: StoredRun, asked: GroupsAsked) -> list[SameTrials]:
    """The shards of each strategy in turn, with those of the strategies of the beliefs."""
    beside = tuple(asked.code or ())
    return [
        shards
        for strategy in asked.strategies
        for shards in same_trials(run, tuple(dict.fromkeys((strategy, *beside))))
    ]


def _tables(
    asked: GroupsAsked, run: StoredRun, shards: SameTrials
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
    """Blocks of a strategy's trials, the code of each trial's group, and its cell."""
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    strategy = next(iter(shards))
    cells = _cells(asked, strategy, run, shards)
    for table in read_tables(run, shards[strategy], asked.columns(), asked.given):
        code = np.zeros(len(table["trial"]), np.int64)
        for key in asked.keys:
            code = code * key.most + key.codes(strategy, table, known)
        yield table, code, table["trial"] % asked.replicates if cells is None else next(cells)


def _cells(asked: GroupsAsked, strategy: str, run: StoredRun, shards: SameTrials) -> Iterator[np.ndarray] | None:
    """The cell of each trial of the blocks, where beliefs weigh them."""
    if asked.patterns is None:
        return None
    patterns, first = asked.patterns[strategy], asked.strategies.index(strategy) * asked.replicates
    blocks = read_blocks(run, shards, Reading((strategy,), {}, given=asked.given, code=asked.code))
    return (
        (first + block[strategy]["trial"] % asked.replicates) * asked.shape[-1]
        + np.searchsorted(patterns, block[strategy][CODE])
        for block in blocks
    )


def _count(asked: GroupsAsked, run: StoredRun, shards: SameTrials) -> Groups:
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    found = _no_groups(len(asked.measures), asked.cells)
    for table, code, of_group in _tables(asked, run, shards):
        groups, place = _distinct(code, asked.keys)
        cell = place if asked.cells == 1 else place * asked.cells + of_group
        own = _of_code(groups, len(asked.measures), asked.cells)
        size = own.trials.size
        own.trials.ravel()[:] = np.bincount(cell, minlength=size)
        digits = []
        for k, measure in enumerate(asked.measures):
            values = evaluate(measure, table, known).astype(np.float64)
            finite = np.isfinite(values)
            at, group = cell, place
            if not finite.all():
                rows = np.flatnonzero(finite)
                at, group, values = cell.take(rows), place.take(rows), values.take(rows)
            _add_moments(own, k, at, values)
            if asked.digits:
                counted = count_digits(ALL_GROUPS, group, ordered_keys(values))
                digits.append(_of_groups(counted, groups.take(counted.code >> DIGIT_BITS)))
        found = _checked(asked, _merge(found, replace(own, digits=tuple(digits))))
    return found


def _add_moments(groups: Groups, k: int, cell: np.ndarray, values: np.ndarray) -> None:
    """Set the moments of the measure `k` in groups that have none, from its known numbers, each in a cell."""
    size = groups.trials.size
    found: tuple[np.ndarray | float, ...]
    if size == 1:
        one = moments(values)
        found = (one.count, values.sum(), one.m2, one.least, one.greatest)
    else:
        count, total = np.bincount(cell, minlength=size), np.bincount(cell, values, size)
        squares = np.bincount(cell, np.square(values - (total / np.maximum(count, 1)).take(cell)), size)
        least, greatest = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(least, cell, values)
        np.maximum.at(greatest, cell, values)
        found = (count, total, squares, least, greatest)
    parts = (groups.count, groups.total, groups.squares, groups.least, groups.greatest)
    for part, own in zip(parts, found, strict=True):
        part[k].ravel()[:] = own


def numbers_of(
    asked: GroupsAsked, k: int, codes: np.ndarray, weight: np.ndarray | None, run: StoredRun, shards: SameTrials
) -> Iterator[Numbers]:
    """The known numbers of a measure, each with the place of its group, and its weight if each cell has a `weight`."""
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    for table, code, cell in _tables(asked, run, shards):
        values = evaluate(asked.measures[k], table, known).astype(np.float64)
        rows = np.flatnonzero(np.isfinite(values))
        own = None if weight is None else weight.take(cell.take(rows))
        yield values.take(rows), np.searchsorted(codes, code.take(rows)), own


def _distinct(code: np.ndarray, keys: Sequence[GroupKey]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes in order, and the place of each trial's code among them."""
    possible = int(np.prod([float(key.most) for key in keys]))
    if possible > _DENSE:
        found, place = np.unique(code, return_inverse=True)
        return found, place
    found = np.flatnonzero(np.bincount(code, minlength=possible))
    places = np.zeros(possible, np.int64)
    places[found] = np.arange(found.size)
    return found, places.take(code)


def _no_groups(measures: int, cells: int) -> Groups:
    return _of_code(np.empty(0, np.int64), measures, cells)


def _of_code(code: np.ndarray, measures: int, cells: int) -> Groups:
    """Groups without trials."""
    shape = (measures, code.size, cells)
    return Groups(
        code,
        np.zeros(shape[1:], np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape),
        np.zeros(shape),
        np.full(shape, np.inf),
        np.full(shape, -np.inf),
    )


def _merge(a: Groups, b: Groups) -> Groups:
    """Two disjoint sets of trials together; moments by Chan, Golub & LeVeque (1983)."""
    code = np.union1d(a.code, b.code)
    found = _of_code(code, *a.count.shape[::2])
    one, other = np.searchsorted(code, a.code), np.searchsorted(code, b.code)
    found.trials[one] += a.trials
    found.trials[other] += b.trials
    means = []
    for own, at in ((a, one), (b, other)):
        mean = np.zeros(found.count.shape)
        mean[:, at] = own.total / np.maximum(own.count, 1)
        count = np.zeros(found.count.shape, np.int64)
        count[:, at] = own.count
        means.append((mean, count))
        found.count[:, at] += own.count
        found.total[:, at] += own.total
        found.squares[:, at] += own.squares
        found.least[:, at] = np.minimum(found.least[:, at], own.least)
        found.greatest[:, at] = np.maximum(found.greatest[:, at], own.greatest)
    (mean, count), (other_mean, other_count) = means
    between = np.square(other_mean - mean) * count * other_count / np.maximum(found.count, 1)
    found.squares[:] += between
    if a.digits and b.digits:
        return replace(found, digits=tuple(map(add_counts, a.digits, b.digits)))
    return replace(found, digits=a.digits or b.digits)


def _checked(asked: GroupsAsked, groups: Groups) -> Groups:
    check_group_count(asked.keys, groups.code.size)
    if asked.patterns is not None and groups.trials.size > MOST_CELLS:
        message = f"makes more than {MOST_CELLS:,} groups of weighted trials: use fewer or wider bins, or fewer beliefs"
        raise InvalidInput((Fault("by", ", ".join(key.label for key in asked.keys), message),))
    return groups


def _values_of_codes(keys: Sequence[GroupKey], codes: np.ndarray) -> list[tuple[Any, ...]]:
    """The value of each key in each group, as `GroupKey.cells` takes it."""
    found: list[list[object]] = []
    left = codes
    for key in reversed(keys):
        left, own = np.divmod(left, key.most)
        found.insert(0, [key.value_of(one) for one in own.tolist()])
    return list(zip(*found, strict=True)) if keys else [()] * codes.size
