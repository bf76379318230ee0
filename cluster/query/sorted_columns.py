"""Columns of a strategy's trials, sorted.

The order of a column's numbers does not depend on a condition: a process finds it once, and keeps it. The numbers of
the trials for which a condition holds are then selected without sorting them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cluster.query.session import check_time
from cluster.query.shard_map import is_mapped_on_ray
from cluster.query.trials import StoredRun, blocks_of
from cluster.results.result_folder import shard_path
from cluster.storage.concurrent import in_order
from sim.scenario.columns import Column, columns

MOST_SORTED = 1_000_000
"""The most trials of a strategy whose columns are sorted."""
_SHARE = 0.25
"""The most that the sorted columns of all strategies may take of the memory that keeps columns."""
_AT_ONCE = 2
"""Columns sorted at a time, by threads."""


@dataclass(frozen=True)
class SortedColumn:
    """The known numbers of a column of floats in increasing order, float32, and the place of each one's trial, int32.

    Places count from 0 over the committed trials of the strategy, in their order.
    """

    place: np.ndarray
    numbers: np.ndarray

    def at_ranks(self, held: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        """The numbers at some ranks, from 1, among those of the trials of which the mask `held` is true; float64."""
        return self.numbers.take(np.flatnonzero(held.take(self.place)).take(ranks - 1)).astype(np.float64)


def are_columns_sorted(run: StoredRun, strategy: str, count: int) -> bool:
    """Whether so many columns of a strategy are sorted: if this process can keep those of all strategies, and no trials
    are still to come, with which they would be sorted again.
    """
    trials = sum(shard.count for shard in run.shards(strategy))
    size = trials * count * len(run.plan.strategies) * (np.dtype(np.int32).itemsize + np.dtype(np.float32).itemsize)
    return (
        run.cache is not None
        and trials == run.plan.row_trials
        and trials <= MOST_SORTED
        and size <= _SHARE * run.cache.max_bytes
        and not is_mapped_on_ray(run)
    )


def sorted_columns(run: StoredRun, strategy: str, names: Iterable[str]) -> dict[str, SortedColumn]:
    """Columns of floats of a strategy's committed trials, by name.

    Raises `OSError`, and `DamagedTrials` for a damaged file.
    """
    files = tuple((shard_path(shard), run.tags.get(shard_path(shard))) for shard in run.shards(strategy))
    key = ("sorted", run.folder.address, strategy, files)
    found: dict[str, SortedColumn | None] = {
        name: None if run.cache is None else run.cache.find((*key, name)) for name in names
    }
    missing = [name for name, one in found.items() if one is None]
    # Sorting does not hold the interpreter's lock.
    for name, one in zip(missing, in_order(lambda name: _sorted(run, strategy, name), missing, _AT_ONCE), strict=True):
        found[name] = one
        if run.cache is not None:
            run.cache.put((*key, name), one, one.place.nbytes + one.numbers.nbytes)
    return {name: one for name, one in found.items() if one is not None}


def _sorted(run: StoredRun, strategy: str, name: str) -> SortedColumn:
    column = next(one for one in columns(run.plan.scenario) if one.name == name)
    numbers = np.concatenate(list(_parts(run, strategy, column)))
    # Null is NaN, which is sorted to the end.
    known = numbers.size - int(np.count_nonzero(np.isnan(numbers)))
    place = np.argsort(numbers)[:known].astype(np.int32)
    # Adding 0 makes -0.0 the 0.0 that it equals.
    found = SortedColumn(place, numbers.take(place) + np.float32(0))
    for values in (found.place, found.numbers):
        values.flags.writeable = False
    return found


def _parts(run: StoredRun, strategy: str, column: Column) -> Iterator[np.ndarray]:
    for shard in run.shards(strategy):
        check_time()
        with run.open_shard(shard) as opened:
            for first, count in blocks_of(shard):
                yield opened.read([column], first, count)[column.name]
