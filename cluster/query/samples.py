"""Samples of a run's trials: the first trials for which a condition holds, and the values of trials that are known.

Both are maps over shards (`cluster.query.shard_map`): of a large run only the values of the sampled trials come to this
process. They are read in waves of as many shards as seem to be enough, so that the others are not read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cluster.query.session import check_time
from cluster.query.shard_map import map_shards
from cluster.query.trials import (
    CODE,
    Reading,
    SameTrials,
    StoredRun,
    blocks_of,
    read_blocks,
    read_values,
    same_trials,
)
from cluster.results.trial_table import table_columns
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression

_MARGIN = 1.2
"""A wave has the trials that are expected to be enough, times this."""
_GROWTH = 4.0
"""A wave has at most as many times the trials of all waves before it, since few may be the rule by chance."""

Values = Mapping[str, Mapping[str, np.ndarray]]
"""By strategy and name the values of the same trials."""


def sample(
    run: StoredRun,
    strategy: str,
    values: Mapping[str, Expression],
    *,
    given: Expression | None = None,
    code: Mapping[str, Expression] | None = None,
    most: int,
) -> dict[str, np.ndarray]:
    """The values of the first trials of a strategy (at most `most`) for which a condition holds.

    float64 arrays by name, NaN for null, and the trials' numbers as ``trial`` (int64). The first trials are a random
    sample: trials of a `random` design are independent, and those of the other designs are in random order. Raises
    `InvalidInput` for a saltelli run, whose trials are not a sample.
    """
    return paired_sample(run, (strategy,), values, given=given, code=code, most=most)[strategy]


def paired_sample(
    run: StoredRun,
    strategies: Sequence[str],
    values: Mapping[str, Expression],
    *,
    given: Expression | None = None,
    code: Mapping[str, Expression] | None = None,
    most: int,
) -> dict[str, dict[str, np.ndarray]]:
    """The first trials (at most `most`) of several strategies in one, as `cluster.query.trials.paired_blocks` gives
    them in blocks; with a `code` as `cluster.query.trials.Reading` has it.

    Raises `InvalidInput` for a saltelli run, whose trials share points and are not a sample.
    """
    if not run.plan.design.is_sample:
        message = "has trials that share points, for indices: play a run of another design for this answer"
        raise InvalidInput((Fault("run", run.plan.design.name, message),))
    reading = Reading(tuple(strategies), values, given, code)
    return _concatenated(reading, list(_first_blocks(run, reading, most)), most)


def values_of(
    run: StoredRun, strategy: str, values: Mapping[str, Expression], trial: np.ndarray
) -> dict[str, np.ndarray]:
    """The values of known trials of a strategy, in the order of their numbers `trial` (int64, increasing).

    float64 arrays by name, NaN for null. Shards that have none of the trials are not read, nor are the other row groups
    of those that have some.
    """
    if not trial.size:
        return {name: np.empty(0) for name in values}
    wanted = [one for one in same_trials(run, (strategy,)) if _those_of(one, strategy, trial).size]
    function = partial(_take, strategy, values, trial)
    parts = [part for _, found in map_shards(run, wanted, function, _together) for part in found]
    return {name: np.concatenate([part.values[strategy][name] for part in parts], dtype=np.float64) for name in values}


@dataclass(frozen=True)
class _Rows:
    """The values of some trials. They are sent as float32 where that loses nothing."""

    values: Values

    def __reduce__(self) -> tuple[type["_Rows"], tuple[Values]]:
        narrow = {
            strategy: {name: _narrow(column) for name, column in own.items()} for strategy, own in self.values.items()
        }
        return _Rows, (narrow,)


def _narrow(column: np.ndarray) -> np.ndarray:
    if column.dtype != np.float64:
        return column
    with np.errstate(over="ignore"):
        narrow = column.astype(np.float32)
    return narrow if np.array_equal(narrow, column, equal_nan=True) else column


def _first_blocks(run: StoredRun, reading: Reading, most: int) -> Iterator[Values]:
    """Blocks with at least the first `most` trials for which the condition holds, or with all of these."""
    shards = same_trials(run, reading.read)
    first = reading.strategies[0]
    begun = read = found = 0
    while begun < len(shards) and found < most:
        wanted = float(most - found)
        if read:
            wanted = min(_MARGIN * wanted * read / max(found, 1), _GROWTH * read)
        end, trials = begun, 0
        while end < len(shards) and trials < wanted:
            trials += shards[end][first].count
            end += 1
        wave = map_shards(run, shards[begun:end], partial(_first, reading, most - found), _together)
        for _, parts in wave:
            for part in parts:
                found += len(part.values[first]["trial"])
                yield part.values
            if found >= most:
                # What else was begun is not needed.
                wave.close()
        begun, read = end, read + trials


def _first(reading: Reading, most: int, run: StoredRun, shards: SameTrials) -> list[_Rows]:
    """The blocks of a shard with its first trials."""
    return [_Rows(block) for block in read_blocks(run, shards, reading, most)]


def _together(a: list[_Rows], b: list[_Rows]) -> list[_Rows]:
    return [*a, *b]


def _concatenated(reading: Reading, blocks: Sequence[Values], most: int) -> dict[str, dict[str, np.ndarray]]:
    """The first `most` trials of some blocks."""
    if not blocks:
        nothing = {"trial": np.empty(0, np.int64), **{name: np.empty(0) for name in reading.values}}
        of_first = {CODE: np.empty(0, np.int64)} if reading.codes else {}
        first = reading.strategies[0]
        return {strategy: nothing | (of_first if strategy == first else {}) for strategy in reading.strategies}
    return {
        strategy: {name: _joined([block[strategy][name] for block in blocks], most) for name in blocks[0][strategy]}
        for strategy in reading.strategies
    }


def _joined(columns: Sequence[np.ndarray], most: int) -> np.ndarray:
    """Some columns as one of at most `most` numbers: float64, or int64 of trials' numbers and codes."""
    wide = np.int64 if columns[0].dtype == np.int64 else np.float64
    if len(columns) == 1:
        return columns[0][:most].astype(wide, copy=False)
    found = np.empty(min(most, sum(map(len, columns))), wide)
    start = 0
    for column in columns:
        part = column[: found.size - start]
        found[start : start + part.size] = part
        start += part.size
    return found


def _those_of(shards: SameTrials, strategy: str, trial: np.ndarray) -> np.ndarray:
    """Those of some trials, whose numbers increase, that a shard has."""
    shard = shards[strategy]
    low, high = np.searchsorted(trial, [shard.first, shard.first + shard.count])
    return trial[low:high]


def _take(
    strategy: str, values: Mapping[str, Expression], trial: np.ndarray, run: StoredRun, shards: SameTrials
) -> list[_Rows]:
    """The values of those of some trials that a shard has."""
    shard, own = shards[strategy], _those_of(shards, strategy, trial)
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    found = []
    with run.open_shard(shard) as file:
        # Whole blocks, as others read them, where they are kept in memory.
        for first, count in blocks_of(shard):
            low, high = np.searchsorted(own, [first, first + count])
            wanted = own[low:high]
            if not wanted.size:
                continue
            check_time()
            if file.cache is None:
                first = int(wanted[0])
                count = int(wanted[-1]) - first + 1
            read = read_values(
                file, known, values.values(), first, count, None if wanted.size == count else wanted - first
            )
            own_values = {name: read[one].astype(np.float64, copy=False) for name, one in values.items()}
            found.append(_Rows({strategy: own_values}))
    return found
