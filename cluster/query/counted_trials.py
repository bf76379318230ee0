"""The counts of all committed trials of a strategy, of a run that keeps counts instead of all rows.

Counts of shards add up exactly: neither the order of the shards nor who has read them before makes a difference. They
are read from the stored blocks of successive shards, and from the files that are in no block yet. A process keeps the
sums, and reads only what was committed since.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from cluster.query.parquet_files import DamagedTrials, damage_reported, open_parquet, read_row_groups
from cluster.query.session import check_time
from cluster.query.trials import StoredRun, blocks_of
from cluster.results.arrow_arrays import content, known_numbers
from cluster.results.plan import Shard
from cluster.results.result_folder import shard_path
from cluster.results.shard_blocks import Place, block_path, place_of
from cluster.results.trial_table import table_columns
from cluster.storage.base import Folder
from cluster.storage.concurrent import in_order
from sim.scenario.vocabulary import MEASURES
from sim.statistics.timeline import state_inputs
from sim.statistics.trial_counts import Counts, count_trials, counted_names, key_count, merge_counts

_READING = 2
"""Shards that are read at a time: counting takes more time than waiting for a file."""
_BYTES = 24
"""Bytes of a count in memory."""


@dataclass(frozen=True)
class _Summed:
    """The counts of some shards together; `tags` has the tag of each one's file."""

    tags: Mapping[Shard, str]
    counts: Mapping[str, Counts]


def summed_counts(run: StoredRun, strategy: str) -> Mapping[str, Counts]:
    """The counts of a strategy's committed trials by name, as `sim.statistics.trial_counts.count_trials` has them.

    Those of shards whose rows are kept are counted from the rows. Raises `OSError`, and `DamagedTrials` for a damaged
    file.
    """
    tags = {shard: run.tags.get(shard_path(shard), "") for shard in run.all_shards(strategy)}
    key = ("counts", run.folder.address, strategy)
    before: _Summed | None = None if run.cache is None else run.cache.find(key)
    if before is not None and any(tags.get(shard) != tag for shard, tag in before.tags.items()):
        before = None
    new = [shard for shard in tags if before is None or shard not in before.tags]
    if before is not None and not new:
        return before.counts
    counts = sum_counts(run, strategy, _parts(run, new), None if before is None else before.counts)
    if run.cache is not None:
        run.cache.put(key, _Summed(tags, counts), _BYTES * sum(one.key.size for one in counts.values()))
    return counts


def read_counts(folder: Folder, shard: Shard) -> dict[str, Counts]:
    """The counts of a reduced shard. Raises `OSError`, `ValueError` or `pyarrow.ArrowException` for a damaged file."""
    return _read_counts(folder, shard_path(shard))


def _read_counts(folder: Folder, path: str) -> dict[str, Counts]:
    with open_parquet(folder, path) as file:
        table = read_row_groups(file, range(file.num_row_groups)).combine_chunks()
    known = {name: k for k, name in enumerate(counted_names())}
    place, columns = np.empty(0, np.int64), [np.empty(0, np.int64)] * 3
    if table.num_rows:
        named = table["name"].chunk(0)
        unknown = set(named.dictionary.to_pylist()) - known.keys()
        if unknown:
            raise ValueError(f"{path}: has counts of {min(map(str, unknown))}, which is not counted")
        place = np.array([known[name] for name in named.dictionary.to_pylist()], np.int64)[content(named.indices)]
        columns = [known_numbers(table[name])[0].astype(np.int64) for name in ("replicate", "key", "count")]
    if np.any(np.diff(place) < 0) or any(np.any(column < 0) for column in columns):
        raise ValueError(f"{path}: its counts are not in order")
    bounds = np.searchsorted(place, np.arange(len(known) + 1)).tolist()
    return {name: Counts(*(column[bounds[k] : bounds[k + 1]] for column in columns)) for name, k in known.items()}


_Part = tuple[Shard, ...]
"""What is read at a time: one shard, or all shards of a stored block."""


def _parts(run: StoredRun, shards: Sequence[Shard]) -> Iterator[_Part]:
    """Shards of a strategy, in order, as they are best read."""
    for _, same in groupby(shards, key=place_of):
        block = tuple(same)
        if len(block) > 1 and run.block(block) is not None:
            yield block
        else:
            yield from ((shard,) for shard in block)


def sum_counts(
    run: StoredRun, strategy: str, parts: Iterable[_Part], before: Mapping[str, Counts] | None = None
) -> dict[str, Counts]:
    """The counts of some shards of a strategy, and of those `before`, together. As `summed_counts`."""
    replicates, horizon = run.plan.design.replicates(run.plan.scenario), run.plan.scenario.horizon_weeks
    sizes = {name: key_count(name, horizon) for name in counted_names()}
    # Memory that is not written to is not taken up: a run has numbers in few of the bins.
    sums = {name: np.zeros(replicates * size, np.int64) for name, size in sizes.items()}

    def add(counts: Mapping[str, Counts]) -> None:
        for name, own in counts.items():
            sums[name][own.replicate * sizes[name] + own.key] += own.count

    if before is not None:
        add(before)
    for counts in in_order(lambda part: _counts_of(run, strategy, part), parts, _READING):
        add(counts)
    found = {}
    for name, summed in sums.items():
        place = np.flatnonzero(summed)
        found[name] = Counts(place // sizes[name], place % sizes[name], summed[place])
    return found


def _counts_of(run: StoredRun, strategy: str, part: _Part) -> dict[str, Counts]:
    check_time()
    if len(part) > 1:
        try:
            return block_counts(run, place_of(part[0]))
        except (DamagedTrials, FileNotFoundError):
            return sum_counts(run, strategy, ((shard,) for shard in part))
    (shard,) = part
    return _checked_counts(run, shard_path(shard)) if shard.reduced else count_rows(run, strategy, shard)


def block_counts(run: StoredRun, place: Place) -> dict[str, Counts]:
    """The counts of a stored block. Raises `OSError`, and `DamagedTrials` for a damaged file."""
    return _checked_counts(run, block_path(place))


def _checked_counts(run: StoredRun, path: str) -> dict[str, Counts]:
    with damage_reported():
        counts = _read_counts(run.folder, path)
        horizon, replicates = run.plan.scenario.horizon_weeks, run.plan.design.replicates(run.plan.scenario)
        for name, own in counts.items():
            if own.key.size and (own.key.max() >= key_count(name, horizon) or own.replicate.max() >= replicates):
                raise ValueError(f"{path}: has counts of {name} that no trial can have")
    return counts


def count_rows(run: StoredRun, strategy: str, shard: Shard) -> dict[str, Counts]:
    """The counts of a shard whose rows are kept. Raises `OSError`, and `DamagedTrials` for a damaged file."""
    return merge_counts(list(_counted_rows(run, strategy, shard)))


def _counted_rows(run: StoredRun, strategy: str, shard: Shard) -> Iterator[dict[str, Counts]]:
    scenario = run.plan.scenario
    read, _ = state_inputs(scenario, strategy)
    known = {column.name: column for column in table_columns(scenario)}
    names = sorted({*MEASURES, *(name for value in read.values() for name in value.columns())})
    with run.open_shard(shard) as columns:
        for first, count in blocks_of(shard):
            table = columns.read([known[name] for name in names], first, count)
            yield count_trials(scenario, strategy, table, run.plan.design.replicates(scenario))
