"""A run's numbers, counted again from its files to verify the summary in an independent way.

`cluster.answers.summary` reads the tallies in the files' footers, and sorts the numbers of a measure or uses DuckDB for
its quantiles. Here the rows are read one row group at a time and counted with numpy; nothing else that is stored is
used. Memory is bounded for any size of run: quantiles are selected by the bits of the numbers, in two passes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from cluster.query.parquet_files import open_parquet, read_row_group
from cluster.query.session import check_time
from cluster.query.trial_columns import to_array
from cluster.query.trials import StoredRun
from cluster.results.arrow_arrays import known_numbers
from cluster.results.result_folder import shard_path
from sim.scenario.columns import COMMON_COLUMNS, NULL
from sim.statistics.tallies import NO_TRIALS, Moments, Tally, merge_replicates, tally_replicates

_HALF = 1 << 16
"""The number of values of 16 bits, half of a number's 32."""
_SIGN = np.uint32(1 << 31)


@dataclass(frozen=True)
class RecountedTrials:
    """The trials of a strategy, read from the files of its committed shards."""

    run: StoredRun
    strategy: str

    def tallies(self) -> tuple[Tally, ...]:
        """The tallies of each replicate. Raises `ValueError` if a file's trials are not those that it should hold."""
        replicates = self.run.plan.design.replicates(self.run.plan.scenario)
        parts = (tally_replicates(table, replicates) for table in self._tables(COMMON_COLUMNS))
        return reduce(merge_replicates, parts, (NO_TRIALS,) * replicates)

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level the smallest value whose share is at least the level."""
        wanted = {name: _ranks(levels[name], found.count) for name, found in numbers.items() if len(levels[name])}
        high = {name: np.zeros(_HALF, np.int64) for name in wanted}
        for keys in self._keys(tuple(wanted)):
            for name, key in keys.items():
                high[name] += np.bincount(key >> 16, minlength=_HALF)
        up_to = {name: np.cumsum(counts) for name, counts in high.items()}
        chosen = {name: np.unique(np.searchsorted(up_to[name], ranks)) for name, ranks in wanted.items()}
        low = {name: np.zeros((len(halves), _HALF), np.int64) for name, halves in chosen.items()}
        for keys in self._keys(tuple(wanted)):
            for name, key in keys.items():
                for row, half in enumerate(chosen[name]):
                    low[name][row] += np.bincount(key[key >> 16 == half] & (_HALF - 1), minlength=_HALF)
        found: dict[str, dict[float, float]] = {name: {} for name in numbers}
        for name, ranks in wanted.items():
            for level, rank in zip(levels[name], ranks, strict=True):
                half = int(np.searchsorted(up_to[name], rank))
                before = int(up_to[name][half] - high[name][half])
                within = np.cumsum(low[name][np.searchsorted(chosen[name], half)])
                found[name][level] = _number(half << 16 | int(np.searchsorted(within, rank - before)))
        return found

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are less than, and at most, the value there."""
        less = {name: {level: np.zeros((2, replicates), np.int64) for level in found} for name, found in at.items()}
        for table in self._tables(at):
            replicate = table["trial"] % replicates
            for name, values in at.items():
                for level, value in values.items():
                    for k, held in enumerate((table[name] < value, table[name] <= value)):
                        known = held & (table[name] != NULL if table[name].dtype.kind == "i" else True)
                        less[name][level][k] += np.bincount(replicate[known], minlength=replicates)
        return {
            name: {level: (counts[0].tolist(), counts[1].tolist()) for level, counts in found.items()}
            for name, found in less.items()
        }

    def _keys(self, names: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
        """The known numbers of measures as int64 keys from 0 to 2^32 - 1 in the order of the numbers."""
        for table in self._tables(names):
            keys = {}
            for name in names:
                column = table[name]
                known = column[~np.isnan(column)] if column.dtype.kind == "f" else column[column != NULL]
                # Adding 0 makes -0.0 the 0.0 that it equals.
                bits = (known.astype(np.float32) + np.float32(0)).view(np.uint32)
                keys[name] = np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.int64)
            yield keys

    def _tables(self, names: Iterable[str]) -> Iterator[dict[str, np.ndarray]]:
        """Columns and numbers of the trials as the model's arrays, a row group at a time, in order."""
        wanted = [COMMON_COLUMNS[name] for name in names if name not in ("trial", "strategy")]
        for shard in self.run.shards(self.strategy):
            expected = shard.first
            with open_parquet(self.run.folder, shard_path(shard)) as file:
                for group in range(file.num_row_groups):
                    check_time()
                    table = read_row_group(file, group, ["trial", *(column.name for column in wanted)])
                    trials, _ = known_numbers(table["trial"])
                    if not np.array_equal(trials, np.arange(expected, expected + len(trials))):
                        raise ValueError(f"{shard_path(shard)}: its trials are not {expected} and the following ones")
                    expected += len(trials)
                    yield {"trial": trials} | {column.name: to_array(column, table[column.name]) for column in wanted}
            if expected != shard.first + shard.count:
                raise ValueError(f"{shard_path(shard)}: ends before trial {expected}")


def _ranks(levels: Sequence[float], count: int) -> np.ndarray:
    """The ranks, from 1, of the smallest of `count` numbers whose share is at least each level."""
    return np.ceil(np.round(np.array(levels) * count, 6)).clip(1, count).astype(np.int64)


def _number(key: int) -> float:
    """The number of a key."""
    bits = np.uint32(key)
    return float(np.array([bits & ~_SIGN if bits & _SIGN else ~bits], np.uint32).view(np.float32)[0])
