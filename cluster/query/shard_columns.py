"""Columns of a shard: from its file, or from the memory of this process where an answer has read them before."""

from collections.abc import Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cluster.query.memory_cache import MemoryCache
from cluster.query.parquet_files import ParquetFile, damage_reported, open_parquet
from cluster.query.pruning import bounds_of, may_hold
from cluster.query.trial_columns import read_columns, row_groups_of
from cluster.results.plan import Shard
from cluster.results.result_folder import shard_path
from cluster.storage.base import Folder
from sim.scenario.columns import Column
from sim.scenario.expressions import Expression

_MADE = "made"
"""Marks what is made of columns among what is kept."""


@dataclass
class ShardColumns:
    """The columns of a committed shard. `tag` is that of its file, None without a cache.

    Without a cache the columns that were read last are kept, those of the trials at `recent_place`.
    """

    folder: Folder
    shard: Shard
    cache: MemoryCache[Any] | None
    tag: str | None
    opened: ExitStack
    file: ParquetFile | None = None
    recent_place: tuple[int, int] | None = None
    recent: dict[str, np.ndarray] = field(default_factory=dict)

    def read(self, columns: Iterable[Column], first: int, count: int) -> dict[str, np.ndarray]:
        """As `cluster.query.trial_columns.read_columns`; the arrays must not be changed."""
        wanted = [column for column in columns if column.name != "trial"]
        if self.cache is None or self.tag is None:
            if self.recent_place != (first, count):
                self.recent_place, self.recent = (first, count), {}
            missing = [column for column in wanted if column.name not in self.recent]
            if missing or "trial" not in self.recent:
                self.recent |= self._read(missing, first, count)
            return {name: self.recent[name] for name in ("trial", *(column.name for column in wanted))}
        place = self._place(first, count)
        found: dict[str, Any] = {column.name: self.cache.find((*place, column.name)) for column in wanted}
        missing = [column for column in wanted if found[column.name] is None]
        if missing:
            fresh = self._read(missing, first, count)
            del fresh["trial"]
            for name, values in fresh.items():
                values.flags.writeable = False
                self.cache.put((*place, name), values, values.nbytes)
            found |= fresh
        return {"trial": np.arange(first, first + count), **found}

    def find(self, made: Hashable, first: int, count: int) -> np.ndarray | None:
        """An array that was made of the columns of some trials and kept; `made` says how."""
        if self.cache is None or self.tag is None:
            return None
        found: np.ndarray | None = self.cache.find((*self._place(first, count), _MADE, made))
        return found

    def put(self, made: Hashable, first: int, count: int, values: np.ndarray) -> None:
        """Keep an array that was made of the columns of some trials, as they are kept. It must not be changed."""
        if self.cache is None or self.tag is None:
            return
        values.flags.writeable = False
        self.cache.put((*self._place(first, count), _MADE, made), values, values.nbytes)

    def may_hold(self, condition: Expression, first: int, count: int) -> bool:
        """Whether a condition may hold in some trials, by the statistics of the file; true where values are kept."""
        if self.cache is not None:
            return True
        file = self._open()
        groups, _ = row_groups_of(file, first - self.shard.first, count)
        return may_hold(condition, bounds_of(file, groups, sorted(condition.columns())))

    def _place(self, first: int, count: int) -> tuple[object, ...]:
        return self.folder.address, shard_path(self.shard), self.tag, first, count

    def _read(self, columns: list[Column], first: int, count: int) -> dict[str, np.ndarray]:
        return read_columns(self._open(), self.shard, columns, first, count)

    def _open(self) -> ParquetFile:
        if self.file is None:
            with damage_reported():
                self.file = self.opened.enter_context(open_parquet(self.folder, shard_path(self.shard)))
        return self.file


@contextmanager
def open_shard(folder: Folder, shard: Shard, cache: MemoryCache[Any] | None, tag: str | None) -> Iterator[ShardColumns]:
    """The columns of a committed shard; its file is opened only if some of them are not in the cache."""
    with ExitStack() as opened:
        yield ShardColumns(folder, shard, cache, tag, opened)
