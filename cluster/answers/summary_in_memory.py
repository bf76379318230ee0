"""Quantiles of a run's measures over all its trials, from columns that are held in memory a few at a time.

For a condition, or for more numbers than fit in memory, `cluster.answers.summary` counts shard by shard instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cluster.answers import shared
from cluster.query.parquet_files import open_parquet, read_row_group
from cluster.query.session import check_time
from cluster.query.trials import StoredRun
from cluster.results.arrow_arrays import known_numbers
from cluster.results.plan import Shard
from cluster.results.result_folder import shard_path
from cluster.storage.concurrent import AT_ONCE, in_order
from cluster.storage.local import LocalFolder
from sim.statistics.bins import at_ranks
from sim.statistics.selection import ranks
from sim.statistics.tallies import Moments

SELECTED_AT_ONCE = 2
"""Columns selected from at a time, by threads: more take more memory."""


@dataclass(frozen=True)
class TrialsInMemory:
    """The trials of a strategy's committed shards, at most `shared.EXACT_NUMBERS`.

    Where other strategies are worked on at the same time, one thread does all that is done for this one.
    """

    run: StoredRun
    strategy: str
    beside_others: bool = False

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level the smallest value whose share is at least the level."""
        found: dict[str, dict[float, float]] = {name: {} for name in numbers}
        for names in measures_by_memory({name: known for name, known in numbers.items() if len(levels[name])}):
            parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
            for _, table in self._row_groups(names):
                for name, held in parts.items():
                    held.append(known_numbers(table[name])[0])

            def selected(name: str, parts: dict[str, list[np.ndarray]] = parts) -> np.ndarray:
                values = np.concatenate(parts.pop(name))
                wanted = ranks(levels[name], len(values))
                if values.dtype == np.float32:
                    return at_ranks(values, wanted)
                return np.searchsorted(np.cumsum(np.bincount(values)), wanted)

            for name, at in zip(
                names, in_order(selected, names, 1 if self.beside_others else SELECTED_AT_ONCE), strict=True
            ):
                found[name] = dict(zip(levels[name], at.astype(np.float64).tolist(), strict=True))
        return found

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are less than, and at most, the value there."""
        counts = {name: {level: np.zeros((2, replicates), np.int64) for level in found} for name, found in at.items()}
        for first, table in self._row_groups(list(at)):
            replicate = np.arange(first, first + len(table)) % replicates
            for name, values in at.items():
                column, known = known_numbers(table[name])
                of_known = replicate[known]
                for level, value in values.items():
                    for k, held in enumerate((column < value, column <= value)):
                        counts[name][level][k] += np.bincount(of_known[held], minlength=replicates)
        return {
            name: {level: (less.tolist(), most.tolist()) for level, (less, most) in found.items()}
            for name, found in counts.items()
        }

    def _row_groups(self, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """Columns of the trials, a row group at a time in order, each with its first trial."""
        # An object store takes its time for each file.
        alone = self.beside_others and isinstance(self.run.folder, LocalFolder)
        shards = self.run.shards(self.strategy)
        for groups in in_order(lambda shard: self._read(shard, names), shards, 1 if alone else AT_ONCE):
            check_time()
            yield from groups

    def _read(self, shard: Shard, names: Sequence[str]) -> list[tuple[int, pa.Table]]:
        first, groups = shard.first, []
        with open_parquet(self.run.folder, shard_path(shard)) as file:
            for group in range(file.num_row_groups):
                table = read_row_group(file, group, names)
                groups.append((first, table))
                first += len(table)
        return groups


def measures_by_memory(numbers: Mapping[str, Moments]) -> list[list[str]]:
    """Measures in groups of at most `shared.EXACT_NUMBERS` numbers. A measure with more numbers is left out."""
    groups: list[list[str]] = []
    room = 0
    for name, found in numbers.items():
        if found.count > shared.EXACT_NUMBERS:
            continue
        if found.count > room:
            groups.append([])
            room = shared.EXACT_NUMBERS
        groups[-1].append(name)
        room -= found.count
    return groups
