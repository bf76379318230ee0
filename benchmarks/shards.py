"""``python -m benchmarks.shards``: what a run of a hundred thousand shards costs besides playing them.

The shards are made up: each has the same few rows, under its own trial numbers, so that committing them is the only
work. Then each part of a run that handles all shards is timed, with that many shards and with a tenth of them. A part
that takes ten times as long for ten times as many shards is linear. With ``--keep summary`` all but the first shards
are counts.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from benchmarks.scale import SCENARIO
from cluster.answers.summary import summarize
from cluster.query.memory_cache import MemoryCache
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import Keep, Plan, Shard, make_plan
from cluster.results.result_folder import (
    HashedFile,
    ShardResult,
    committed_shards,
    describe,
    file_metadata,
    read_manifest,
    shard_path,
    tally_document,
    verify,
    write_manifest,
)
from cluster.results.shard_counts import write_counts
from cluster.results.trial_table import table_schema, to_table
from cluster.runs.options import Progress, RunOptions
from cluster.runs.reuse import copy_shards
from cluster.runs.run import begin, conclude, run
from cluster.runs.shard import writer_options
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from sim.model.kernel import simulate_strategies
from sim.sampling.chance import Chance
from sim.scenario.scenario import scenario_from_document
from sim.statistics.tallies import tally_replicates
from sim.statistics.trial_counts import count_trials

SHARDS = 100_000
ROWS = 8
"""Rows of a made-up shard."""
COLUMN_BYTES = 256 << 20
"""What a web process keeps in memory by default."""


def many_shards(shards: int, keep: Keep) -> Plan:
    """A plan of two strategies with so many shards of `ROWS` trials."""
    scenario = scenario_from_document(SCENARIO)
    plan = make_plan(scenario, trials=shards // 2 * ROWS, seed=1, shard_trials=ROWS)
    return plan if keep == "all" else replace(plan, kept_trials=ROWS)


def commit_made_up(plan: Plan, shards: Iterator[Shard], folder: Folder) -> Iterator[ShardResult]:
    """Commit shards that all have the rows of the first trials of their strategy, without flushing them to the disk."""
    arrays = simulate_strategies(plan.scenario, plan.strategies, Chance(plan.seed, 0, ROWS), plan.design)
    tallies = {name: tally_document(tally_replicates(own, 1)) for name, own in arrays.items()}
    counts = {name: count_trials(plan.scenario, name, own, 1) for name, own in arrays.items()}
    options = writer_options(plan.scenario)
    for shard in shards:
        started = time.perf_counter()
        path = Path(folder.address, shard_path(shard))
        path.parent.mkdir(parents=True, exist_ok=True)
        if shard.reduced:
            said = file_metadata(plan, shard)
            size, digest = write_counts(path, counts[shard.strategy], tallies[shard.strategy], said)
            yield ShardResult(shard, describe(shard, size, digest), time.perf_counter() - started)
            continue
        own = arrays[shard.strategy]
        table = own | {"trial": own["trial"] - own["trial"][0] + shard.first}
        schema = table_schema(plan.scenario, file_metadata(plan, shard))
        with HashedFile(path) as file, pq.ParquetWriter(file, schema, **options) as writer:
            writer.write_table(to_table(plan.scenario, schema, table))
            writer.add_key_value_metadata({"brink.tallies": tallies[shard.strategy]})
        entry = describe(shard, file.bytes, file.sha256)
        yield ShardResult(shard, entry, time.perf_counter() - started)


def measure(shards: int, keep: Keep, scratch: Path) -> dict[str, float]:
    """Seconds of each part of a run of so many shards."""
    plan, folder, other = many_shards(shards, keep), open_folder(scratch / "run"), open_folder(scratch / "other")
    begin(plan, folder)
    found: dict[str, float] = {}

    def timed(name: str, part: Callable[[], object]) -> None:
        started = time.perf_counter()
        part()
        found[name] = time.perf_counter() - started

    done = {}

    def play() -> None:
        progress = Progress(0, plan.trials * 2, 0, plan.shard_count, 0)
        for result in commit_made_up(plan, plan.shards(), folder):
            done[result.shard] = result.file
            progress = progress.after(result)

    timed("commit made-up shards", play)
    timed("list the folder", folder.entries)
    timed("find committed shards", lambda: committed_shards(folder, plan))
    memory: MemoryCache[Any] = MemoryCache(COLUMN_BYTES)
    timed("read all tallies", lambda: StoredRun(plan, folder, memory).tallies(plan.strategies[0]))
    timed("read them again, from memory", lambda: StoredRun(plan, folder, memory).tallies(plan.strategies[0]))
    timed("summary of a running job", lambda: summarize(StoredRun(plan, folder, memory)))
    timed("the same again, from memory", lambda: summarize(StoredRun(plan, folder, memory)))
    timed("write the manifest", lambda: write_manifest(folder, list(done.values()), complete=True))
    timed("read the manifest", lambda: read_manifest(folder))
    timed("summary at the end", lambda: conclude(plan, folder))
    timed("open the finished run", lambda: open_run(folder.address))
    timed("the same run again", lambda: run(plan, folder.address, RunOptions(engine="inline")))
    timed("verify", lambda: verify(folder.address))
    begin(plan, other)
    timed("reuse all shards", lambda: copy_shards(plan, other, [folder]))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__)
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--small", type=int, help="the smaller number of shards (default: a tenth)")
    parser.add_argument("--keep", choices=("all", "summary"), default="all")
    chosen = parser.parse_args()
    small = chosen.small or chosen.shards // 10
    measured = []
    for shards in (small, chosen.shards):
        with tempfile.TemporaryDirectory(prefix="brink-shards-") as scratch:
            measured.append(measure(shards, chosen.keep, Path(scratch)))
    few, many = measured
    ratio = chosen.shards / small
    print(f"{'seconds for shards':28} {small:>10,} {chosen.shards:>10,} {'ratio':>7}   (linear: {ratio:.0f})")
    for name, seconds in many.items():
        print(f"{name:28} {few[name]:10.2f} {seconds:10.2f} {seconds / max(few[name], 1e-9):7.1f}")
    print(f"memory of this process at the end: {psutil.Process().memory_info().rss / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
