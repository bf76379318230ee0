"""Which shards of a plan are committed, and their tallies; quick for a hundred thousand shards.

A finished run is as its manifest says if each file is there in its size. Otherwise the files that are there are
looked at: the stored blocks of successive shards (`cluster.results.shard_blocks`), and the footers of files that are in
no block yet. A process keeps the tallies of blocks, so that a run that grows is not read from its beginning again.
Tallies are merged within blocks and then block by block, whoever reads them: the sums of the same files are the same to
the last bit.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from cluster.query.memory_cache import MemoryCache
from cluster.query.parquet_files import DamagedTrials
from cluster.query.session import check_time
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import MANIFEST, committed_tallies, finished_files, read_manifest, shard_path
from cluster.results.shard_blocks import Place, place_of, read_block
from cluster.storage.base import Entry, Folder
from cluster.storage.concurrent import in_order
from sim.statistics.tallies import NO_TRIALS, Tally, merge_replicates

_TALLY_BYTES = 8192
"""About what the tallies of a replicate take up in memory."""
_SHARD_BYTES = 256

Tallies = tuple[Tally, ...]
"""The tallies of each replicate."""


@dataclass(frozen=True)
class CommittedShards:
    """By strategy the committed shards in the order of their trials, and their tallies together."""

    shards: Mapping[str, list[Shard]]
    tallies: Mapping[str, Tallies]


def finished_shards(
    folder: Folder, plan: Plan, entries: Mapping[str, Entry], cache: MemoryCache[Any] | None
) -> Mapping[str, list[Shard]] | None:
    """By strategy the shards of a plan if its folder's manifest says that they are all committed, and nothing speaks
    against it; else None. `entries` are the folder's files by name. Reads a footer of each strategy.
    """
    if MANIFEST not in entries:
        return None
    files = hash(tuple((one.name, one.tag) for one in entries.values()))
    # A run that grows has another plan before it has other files.
    key = ("finished", folder.address, files, plan.trials, plan.shard_trials, plan.kept_trials, plan.strategies)
    known: Mapping[str, list[Shard]] | None = None if cache is None else cache.find(key)
    if known is not None:
        return known
    try:
        listed = {file.path: file for file in finished_files(folder)}
    except (OSError, ValueError):
        return None
    found: dict[str, list[Shard]] = {strategy: [] for strategy in plan.strategies}
    for shard in plan.shards():
        path = shard_path(shard)
        file, entry = listed.get(path), entries.get(path)
        if file is None or entry is None or entry.bytes != file.bytes:
            return None
        if (file.first_trial, file.trials) != (shard.first, shard.count):
            return None
        found[shard.strategy].append(shard)
    if any(committed_tallies(folder, plan, shards[0]) is None for shards in found.values()):
        return None
    if cache is not None:
        cache.put(key, found, _SHARD_BYTES * plan.shard_count)
    return found


def read_footers(
    folder: Folder, plan: Plan, entries: Mapping[str, Entry], cache: MemoryCache[Any] | None
) -> CommittedShards:
    """The shards of a plan whose files are there and belong to it, and their tallies.

    Raises `DamagedTrials` if a file that was committed before, as the manifest says, is missing or damaged.
    """
    replicates = plan.design.replicates(plan.scenario)
    found: dict[str, list[Shard]] = {strategy: [] for strategy in plan.strategies}
    counted: dict[str, Tallies] = dict.fromkeys(plan.strategies, (NO_TRIALS,) * replicates)
    tagged = {place: _tags(shards, entries) for place, shards in _present(plan, entries).items()}
    known = {place: _cached_block(folder, place, tags, cache) for place, tags in tagged.items()}
    stored = in_order(
        lambda place: _stored_block(folder, plan, place, entries, tagged[place]),
        (place for place in tagged if known[place] is None),
    )
    blocks = {place: block if block is not None else next(stored) for place, block in known.items()}
    read = in_order(
        lambda shard: _tallies(folder, plan, shard),
        (shard for place, tags in tagged.items() if blocks[place] is None for shard in tags),
    )
    for place, tags in tagged.items():
        block = blocks[place]
        if block is None:
            pairs = [(shard, tallies) for shard in tags if (tallies := next(read)) is not None]
            together = reduce(merge_replicates, (tallies for _, tallies in pairs), (NO_TRIALS,) * replicates)
            block = _Block(tags, [shard for shard, _ in pairs], together)
        if cache is not None and known[place] is None:
            cache.put(_key(folder, place), block, _TALLY_BYTES * replicates + _SHARD_BYTES * len(tags))
        strategy, _ = place
        found[strategy] += block.shards
        counted[strategy] = merge_replicates(counted[strategy], block.tallies)
    if sum(map(len, found.values())) < plan.shard_count:
        _check_listed(folder, plan, {shard for shards in found.values() for shard in shards})
    return CommittedShards(found, counted)


@dataclass(frozen=True)
class _Block:
    """The committed shards of a block, their tallies together, and the tag of each shard's file that was there."""

    tags: Mapping[Shard, str]
    shards: list[Shard]
    tallies: Tallies


def _present(plan: Plan, entries: Mapping[str, Entry]) -> dict[Place, list[Shard]]:
    """The shards of a plan whose files are there, by block, in order."""
    blocks: dict[Place, list[Shard]] = {}
    for shard in plan.shards():
        if shard_path(shard) in entries:
            blocks.setdefault(place_of(shard), []).append(shard)
    return blocks


def _tags(shards: list[Shard], entries: Mapping[str, Entry]) -> dict[Shard, str]:
    return {shard: entries[shard_path(shard)].tag for shard in shards}


def _key(folder: Folder, place: Place) -> tuple[object, ...]:
    return ("tallies", folder.address, *place)


def _cached_block(
    folder: Folder, place: Place, tags: Mapping[Shard, str], cache: MemoryCache[Any] | None
) -> _Block | None:
    block: _Block | None = None if cache is None else cache.find(_key(folder, place))
    return block if block is not None and block.tags == tags else None


def _stored_block(
    folder: Folder, plan: Plan, place: Place, entries: Mapping[str, Entry], tags: Mapping[Shard, str]
) -> _Block | None:
    check_time()
    block = read_block(folder, plan, place, entries, list(tags))
    return None if block is None else _Block(tags, list(tags), block.tallies)


def _tallies(folder: Folder, plan: Plan, shard: Shard) -> Tallies | None:
    check_time()
    return committed_tallies(folder, plan, shard)


def _check_listed(folder: Folder, plan: Plan, found: Container[Shard]) -> None:
    """Raise `DamagedTrials` if the manifest lists a file of the plan that is not among the committed ones.

    A file of fewer trials than the plan's is of an earlier stage of a run that grows, and not lost.
    """
    try:
        listed = {(file.path, file.first_trial, file.trials) for file in read_manifest(folder)}
    except (OSError, ValueError):
        return
    missing = (
        shard
        for shard in plan.shards()
        if shard not in found and (shard_path(shard), shard.first, shard.count) in listed
    )
    # One that was committed since the folder was listed is not lost.
    lost = next((shard_path(shard) for shard in missing if committed_tallies(folder, plan, shard) is None), None)
    if lost is not None:
        raise damaged(lost)


def damaged(path: str) -> DamagedTrials:
    """The error for a file that was committed before."""
    message = "the files of trials are damaged: brink verify lists the altered ones"
    return DamagedTrials(f"{message} ({path} is missing or damaged)")
