"""Shards, from their plan to their committed files: the same here, in a Ray task, and on another machine."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import (
    TALLIES_KEY,
    HashedFile,
    ShardResult,
    describe,
    file_metadata,
    shard_path,
    tally_document,
)
from cluster.results.shard_counts import write_counts
from cluster.results.trial_table import table_columns, table_schema, to_table
from cluster.runs.options import Stop, never
from cluster.storage.base import Folder
from cluster.storage.concurrent import in_order
from cluster.storage.s3 import ObjectFolder
from sim.model.kernel import simulate_strategies
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario
from sim.statistics.tallies import NO_TRIALS, merge_replicates, tally_replicates
from sim.statistics.trial_counts import Counts, count_trials, merge_counts

ROW_GROUP = 131_072
"""Trials that are simulated and written at a time. This bounds a worker's memory for any size of shard."""
_MERGED_AT_ONCE = 8
"""Blocks of trials whose counts are merged at a time."""


def writer_options(scenario: Scenario) -> dict[str, Any]:
    """How a scenario's columns are encoded, as `benchmarks/parquet.py` found best.

    Drawn floats do not repeat and hardly compress, so they have no dictionaries and no compression. Their ranges are
    the same in all row groups, so that statistics would not let a reader skip any. What repeats is small enough with a
    dictionary alone.
    """
    columns = table_columns(scenario)
    repeating = [column.name for column in columns if column.kind in ("int16", "category", "bool")]
    return {
        "use_dictionary": repeating,
        "compression": "none",
        "write_statistics": [column.name for column in columns if column.kind != "float32"],
        "write_batch_size": ROW_GROUP,
    }


def run_shards(plan: Plan, shards: Sequence[Shard], folder: Folder, should_stop: Stop = never) -> Iterator[ShardResult]:
    """Play shards of the same trials under several strategies, and commit them: one after the other to a disk, and
    at the same time to an object store.

    Points and chance that the strategies share are drawn once. Playing shards again, one by one or together, gives the
    same files, byte for byte. When the run should stop, shards that are not committed yet are discarded.
    """
    started = time.perf_counter()
    drafts = [folder.draft(Path(shard_path(shard)).suffix) for shard in shards]
    try:
        files = _play(plan, shards, drafts, should_stop)
        playing = (time.perf_counter() - started) / len(shards)
        # An object store takes its time for each file.
        at_once = len(shards) if isinstance(folder, ObjectFolder) else 1

        def commit(one: tuple[Shard, Path, tuple[int, str]]) -> ShardResult:
            shard, draft, file = one
            begun = time.perf_counter()
            folder.commit(draft, shard_path(shard))
            return ShardResult(shard, describe(shard, *file), playing + (time.perf_counter() - begun) / at_once)

        ready = zip(shards, drafts, files, strict=False)
        commits = map(commit, ready) if at_once == 1 else in_order(commit, ready, at_once)
        while not should_stop() and (result := next(commits, None)) is not None:
            yield result
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _play(plan: Plan, shards: Sequence[Shard], drafts: Sequence[Path], should_stop: Stop) -> list[tuple[int, str]]:
    """Play shards into drafts. Returns the size and SHA-256 of each, or nothing if the run should stop."""
    return (_reduce if shards[0].reduced else _write_rows)(plan, shards, drafts, should_stop)


def _write_rows(
    plan: Plan, shards: Sequence[Shard], drafts: Sequence[Path], should_stop: Stop
) -> list[tuple[int, str]]:
    scenario = plan.scenario
    replicates = plan.design.replicates(scenario)
    tallies = {shard.strategy: (NO_TRIALS,) * replicates for shard in shards}
    schemas = {shard.strategy: table_schema(scenario, file_metadata(plan, shard)) for shard in shards}
    with ExitStack() as opened:
        files = [opened.enter_context(HashedFile(draft)) for draft in drafts]
        writers = {
            strategy: opened.enter_context(pq.ParquetWriter(file, schema, **writer_options(scenario)))
            for file, (strategy, schema) in zip(files, schemas.items(), strict=True)
        }
        for chance in _blocks(plan, shards[0]):
            if should_stop():
                return []
            tables = simulate_strategies(scenario, tuple(writers), chance, plan.design)
            for strategy, writer in writers.items():
                arrays = tables.pop(strategy)
                tallies[strategy] = merge_replicates(tallies[strategy], tally_replicates(arrays, replicates))
                writer.write_table(to_table(scenario, schemas[strategy], arrays), row_group_size=ROW_GROUP)
        for strategy, writer in writers.items():
            writer.add_key_value_metadata({TALLIES_KEY: tally_document(tallies[strategy])})
    return [(file.bytes, file.sha256) for file in files]


def _reduce(plan: Plan, shards: Sequence[Shard], drafts: Sequence[Path], should_stop: Stop) -> list[tuple[int, str]]:
    scenario = plan.scenario
    replicates = plan.design.replicates(scenario)
    tallies = {shard.strategy: (NO_TRIALS,) * replicates for shard in shards}
    counts: dict[str, list[dict[str, Counts]]] = {shard.strategy: [] for shard in shards}
    for chance in _blocks(plan, shards[0]):
        if should_stop():
            return []
        tables = simulate_strategies(scenario, tuple(counts), chance, plan.design)
        for strategy, held in counts.items():
            arrays = tables.pop(strategy)
            tallies[strategy] = merge_replicates(tallies[strategy], tally_replicates(arrays, replicates))
            held.append(count_trials(scenario, strategy, arrays, replicates))
            if len(held) == _MERGED_AT_ONCE:
                held[:] = [merge_counts(held)]
    files = []
    for shard, draft in zip(shards, drafts, strict=True):
        merged, own = merge_counts(counts.pop(shard.strategy)), tally_document(tallies[shard.strategy])
        files.append(write_counts(draft, merged, own, file_metadata(plan, shard)))
    return files


def _blocks(plan: Plan, shard: Shard) -> Iterator[Chance]:
    """The chance of a shard's trials, at most `ROW_GROUP` at a time."""
    stop = shard.first + shard.count
    for start in range(shard.first, stop, ROW_GROUP):
        yield Chance(plan.seed, start, min(ROW_GROUP, stop - start))
