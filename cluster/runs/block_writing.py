"""Stores the blocks of a run while it is played, and finds what they say is committed when it continues.

Blocks are written by one thread beside the run, which reads what the run has just committed. They only make reading
quicker: one that cannot be written is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import pyarrow as pa

from cluster.query.counted_trials import sum_counts
from cluster.query.parquet_files import DamagedTrials
from cluster.query.trials import StoredRun
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import Committed, committed_tallies, listed_files, shard_path
from cluster.results.shard_blocks import Block, Place, has_blocks, place_of, places, read_block, shards_at, write_block
from cluster.storage.base import Entry, Folder
from cluster.storage.concurrent import in_order
from sim.statistics.tallies import NO_TRIALS, Tally, merge_replicates


def shards_of_blocks(plan: Plan, folder: Folder) -> dict[Shard, Committed]:
    """The committed shards of the stored blocks, with their entries for the manifest. Reads no file of a shard.

    A block that the manifest contradicts is left out. Raises `OSError`.
    """
    if not has_blocks(plan):
        return {}
    entries = {entry.name: entry for entry in folder.entries()}
    listed = listed_files(folder)
    found: dict[Shard, Committed] = {}
    for block in in_order(lambda place: read_block(folder, plan, place, entries, shards_at(plan, place)), places(plan)):
        if block is not None and all(listed.get(file.path, file) == file for file in block.files.values()):
            found |= block.files
    return found


@contextmanager
def blocks_written(
    plan: Plan, folder: Folder, done: Mapping[Shard, Committed], stored: Mapping[Shard, Committed]
) -> Iterator[Callable[[Shard], None]]:
    """Write each block of a plan once its shards are all among `done`. Call what is yielded for each shard that comes.

    Blocks whose shards are `stored` are there already. At the end of the block it is waited for those that are being
    written; after an error only for the one in work.
    """
    if not has_blocks(plan):
        yield lambda _: None
        return
    left: dict[Place, int] = {}
    pool = ThreadPoolExecutor(1, "blocks")

    def begin(shards: list[Shard]) -> None:
        pool.submit(_write_if_possible, plan, folder, {shard: done[shard] for shard in shards})

    for place in places(plan):
        shards = shards_at(plan, place)
        missing = sum(shard not in done for shard in shards)
        if missing:
            left[place] = missing
        elif any(shard not in stored for shard in shards):
            begin(shards)

    def note(shard: Shard) -> None:
        place = place_of(shard)
        left[place] -= 1
        if not left[place]:
            begin(shards_at(plan, place))

    try:
        yield note
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _write_if_possible(plan: Plan, folder: Folder, files: Mapping[Shard, Committed]) -> None:
    with suppress(OSError, ValueError, pa.ArrowException, DamagedTrials):
        _write(plan, folder, files)


def _write(plan: Plan, folder: Folder, files: Mapping[Shard, Committed]) -> None:
    """Write a block of successive shards, unless one of their files is no longer the committed one."""
    shards = list(files)
    together = (NO_TRIALS,) * plan.design.replicates(plan.scenario)
    tags: dict[Shard, str] = {}
    # The tag is looked up first: a file that is replaced later has another.
    for shard, (entry, tallies) in zip(shards, in_order(partial(_look, plan, folder), shards), strict=True):
        if tallies is None or entry.bytes != files[shard].bytes:
            return
        tags[shard] = entry.tag
        together = merge_replicates(together, tallies)
    counts = None
    if not plan.keeps_all_rows:
        counts = sum_counts(StoredRun(plan, folder), shards[0].strategy, ((shard,) for shard in shards))
    write_block(folder, plan, Block(tags, files, together), counts)


def _look(plan: Plan, folder: Folder, shard: Shard) -> tuple[Entry, tuple[Tally, ...] | None]:
    return folder.entry(shard_path(shard)), committed_tallies(folder, plan, shard)
