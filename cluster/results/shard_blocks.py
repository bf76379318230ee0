"""Blocks: what successive shards of a strategy have in common, stored as one file beside theirs.

A block has the tallies of its shards together, their counts together if the run keeps counts, and of each shard's file
its size, SHA-256 and tag. Whoever reads a run with many shards reads the few blocks instead. A block is derived from
the files of its shards and never replaces them: it counts only while each of these files still has the tag that it had
when the block was made, and a block that is lost or outdated is made again when the run continues.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import (
    TALLIES_KEY,
    Committed,
    belongs,
    describe,
    file_metadata,
    new_file,
    recorded_metadata,
    shard_path,
    tallies_from_document,
    tally_document,
)
from cluster.results.shard_counts import write_counts
from cluster.storage.base import Entry, Folder
from sim.statistics.tallies import Tally
from sim.statistics.trial_counts import Counts, no_counts

BLOCKS_FOLDER = "blocks"
BLOCK_SHARDS = 64
"""Successive shards of a strategy in a block. Tallies are merged within blocks first: another number changes the last
bits of sums."""
_SHARDS_KEY = "brink.shards"
"""The key of the list of a block's shards in its file's footer."""

Place = tuple[str, int]
"""A block's strategy, and its place among that strategy's blocks."""


@dataclass(frozen=True)
class Block:
    """The shards of a block with the tag and the manifest's entry of each one's file, and their tallies together."""

    tags: Mapping[Shard, str]
    files: Mapping[Shard, Committed]
    tallies: tuple[Tally, ...]


def place_of(shard: Shard) -> Place:
    """The block that a shard is in."""
    return shard.strategy, shard.index // BLOCK_SHARDS


def has_blocks(plan: Plan) -> bool:
    """Whether blocks are stored for a plan: only if a strategy has more shards than one block."""
    return plan.shards_per_strategy > BLOCK_SHARDS


def places(plan: Plan) -> Iterator[Place]:
    """The blocks of a plan, strategy by strategy."""
    return product(plan.strategies, range(-(-plan.shards_per_strategy // BLOCK_SHARDS)))


def shards_at(plan: Plan, place: Place) -> list[Shard]:
    """The shards of a block, in order."""
    strategy, index = place
    stop = min((index + 1) * BLOCK_SHARDS, plan.shards_per_strategy)
    return [plan.shard_with(strategy, k * plan.shard_trials) for k in range(index * BLOCK_SHARDS, stop)]


def block_path(place: Place) -> str:
    """A block's file, relative to the result folder."""
    strategy, index = place
    return f"{BLOCKS_FOLDER}/strategy={strategy}/block-{index:05d}.parquet"


def write_block(folder: Folder, plan: Plan, block: Block, counts: Mapping[str, Counts] | None) -> None:
    """Commit a block. `counts` are those of all its trials together, None for a run that keeps all rows."""
    shards = list(block.tags)
    listed = [
        [shard.first, shard.count, block.files[shard].bytes, block.files[shard].sha256, block.tags[shard]]
        for shard in shards
    ]
    said = {**file_metadata(plan, _as_shard(plan, shards)), _SHARDS_KEY: json.dumps(listed, separators=(",", ":"))}
    with new_file(folder, block_path(place_of(shards[0]))) as draft:
        write_counts(draft, no_counts() if counts is None else counts, tally_document(block.tallies), said)


def read_block(
    folder: Folder, plan: Plan, place: Place, entries: Mapping[str, Entry], shards: Sequence[Shard]
) -> Block | None:
    """The stored block of just these shards, whose files are as they were when it was made; else None.

    `entries` are the folder's files by name. Reads the footer of the block's file. Raises `OSError`.
    """
    path = block_path(place)
    if path not in entries or not shards:
        return None
    try:
        with folder.open(path) as file:
            footer = pq.read_metadata(file)
        said = recorded_metadata(footer)
        listed = json.loads(said[_SHARDS_KEY])
        tallies = tallies_from_document(said[TALLIES_KEY])
    except (FileNotFoundError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
    except OSError as error:
        # Arrow's error for an invalid footer has no errno; errors of the operating system have one.
        if error.errno is not None:
            raise
        return None
    if not belongs(said, plan, _as_shard(plan, shards)) or len(listed) != len(shards):
        return None
    tags, files = {}, {}
    for shard, (first, count, size, sha256, tag) in zip(shards, listed, strict=True):
        entry = entries.get(shard_path(shard))
        if (first, count) != (shard.first, shard.count) or entry is None or (entry.bytes, entry.tag) != (size, tag):
            return None
        tags[shard], files[shard] = tag, describe(shard, size, sha256)
    return Block(tags, files, tallies)


def _as_shard(plan: Plan, shards: Sequence[Shard]) -> Shard:
    """A block as one shard with all its trials: its file says of itself what that of such a shard does."""
    trials = sum(shard.count for shard in shards)
    return Shard(shards[0].strategy, place_of(shards[0])[1], shards[0].first, trials, not plan.keeps_all_rows)
