"""One shard, from its plan to its committed file: the same here, in a Ray task, and on another machine."""

import time
from typing import Any

import pyarrow.parquet as pq

from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import ShardResult, describe, file_metadata, new_file, shard_path, tally_document
from cluster.results.trial_table import table_columns, table_schema, to_table
from cluster.storage.base import Folder
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import NO_TRIALS, merge_replicates, tally_replicates

ROW_GROUP = 65_536
"""Trials simulated and written at a time, which bounds a worker's memory whatever the shard's size."""


def writer_options(scenario: Scenario) -> dict[str, Any]:
    """How a scenario's columns are encoded, as `benchmarks/parquet.py` found best.

    Drawn floats do not repeat and hardly compress: dictionaries and compression would cost time for nothing.
    """
    columns = table_columns(scenario)
    repeating = [column.name for column in columns if column.kind in ("int16", "category", "bool")]
    return {
        "use_dictionary": repeating,
        "compression": {column.name: "zstd" if column.name in repeating else "none" for column in columns},
    }


def run_shard(plan: Plan, shard: Shard, folder: Folder) -> ShardResult:
    """Play a shard's trials and commit them. Doing it again gives the same file, byte for byte."""
    started = time.perf_counter()
    schema = table_schema(plan.scenario, file_metadata(plan, shard))
    replicates = plan.design.replicates(plan.scenario)
    tallies = (NO_TRIALS,) * replicates
    with new_file(folder, shard_path(shard)) as draft:
        with pq.ParquetWriter(draft, schema, **writer_options(plan.scenario)) as writer:
            for first in range(shard.first, shard.first + shard.count, ROW_GROUP):
                count = min(ROW_GROUP, shard.first + shard.count - first)
                arrays = simulate(plan.scenario, shard.strategy, Chance(plan.seed, first, count), plan.design)
                tallies = merge_replicates(tallies, tally_replicates(arrays, replicates))
                writer.write_table(to_table(plan.scenario, schema, arrays), row_group_size=ROW_GROUP)
            writer.add_key_value_metadata({"brink.tallies": tally_document(tallies)})
        with draft.open("rb") as written:
            file = describe(shard, written)
    return ShardResult(shard, file, time.perf_counter() - started)
