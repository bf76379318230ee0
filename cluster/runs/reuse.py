"""Reuse of shards from earlier runs: trials are addressed, so that runs of the same scenario and seed share them.

A file is hard-linked, or copied by the object store: either run may be deleted without affecting the other.
"""

from collections.abc import Iterable
from functools import partial

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import (
    RUN,
    SUMMARY,
    Committed,
    listed_files,
    read_json,
    read_manifest,
    shard_path,
    write_manifest,
)
from cluster.results.shard_blocks import block_path, has_blocks, places
from cluster.storage.base import Folder
from cluster.storage.concurrent import in_order


def copy_shards(plan: Plan, folder: Folder, donors: Iterable[Folder]) -> bool:
    """Copy missing shards of a run from the donors whose manifests list them, and summary and blocks of the same run.

    Returns whether the summary was copied.

    The run's manifest then lists them as the donor's did, so that the run compares each file with its SHA-256 and
    plays files that differ again. Donors that cannot be read are skipped, and so are those played by another kernel
    or other versions of the libraries, whose last bits might differ.
    """
    held = {entry.name for entry in folder.entries()}
    wanted = {shard_path(shard): shard for shard in plan.shards() if shard_path(shard) not in held}
    taken: list[Committed] = []
    summarized = False
    for donor in donors:
        if not wanted:
            break
        try:
            listed = read_manifest(donor) if _versions(donor) == _versions(folder) else []
        except (OSError, ValueError):
            continue
        fitting = [entry for entry in listed if entry.path in wanted and _same(entry, wanted[entry.path])]
        adopted = in_order(partial(_copy, folder, donor), [entry.path for entry in fitting])
        for entry, done in zip(fitting, adopted, strict=True):
            if done:
                taken.append(entry)
                wanted.pop(entry.path, None)
        summarized = not wanted and _copy_derived(plan, folder, donor)
    if taken:
        write_manifest(folder, [*listed_files(folder).values(), *taken], complete=False)
    return summarized


def _copy_derived(plan: Plan, folder: Folder, donor: Folder) -> bool:
    """Copy what a donor derived from its shards, if it is of the same run. Returns whether its summary was copied."""
    try:
        if read_json(donor, RUN) != read_json(folder, RUN):
            return False
    except (OSError, ValueError):
        return False
    if has_blocks(plan):
        # A block whose files got other tags by being copied does not count.
        for _ in in_order(partial(_copy, folder, donor), map(block_path, places(plan))):
            pass
    return _copy(folder, donor, SUMMARY)


def _same(entry: Committed, shard: Shard) -> bool:
    return (entry.first_trial, entry.trials) == (shard.first, shard.count)


def _copy(folder: Folder, donor: Folder, path: str) -> bool:
    try:
        return folder.copy_from(donor, path)
    except OSError:
        # If the error matters, playing the shard will show it.
        return False


def _versions(folder: Folder) -> object:
    recorded = read_json(folder, RUN)
    return (recorded.get("kernel_version", 1), recorded.get("versions")) if isinstance(recorded, dict) else None
