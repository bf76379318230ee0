"""``python -m benchmarks.shards``: what a run of a hundred thousand shards costs besides playing them.

The shards are made up: each has the same few rows, under its own trial numbers, so that committing them is the only
work. Then each part of a run that handles all shards is measured, with that many shards and with a tenth of them: the
seconds of CPU of this process, which do not depend on what else the machine does, and the requests to the store. A part
that takes ten times as long for ten times as many shards is linear. With ``--keep summary`` all but the first shards
are counts; with ``--store s3`` they are in a bucket of moto's server, a process of its own.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
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
from cluster.runs.block_writing import blocks_written, shards_of_blocks
from cluster.runs.options import RunOptions
from cluster.runs.reuse import copy_shards
from cluster.runs.run import begin, conclude, run
from cluster.runs.shard import writer_options
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from cluster.storage.concurrent import in_order
from cluster.storage.local import LocalFolder
from sim.model.kernel import simulate_strategies
from sim.sampling.chance import Chance
from sim.scenario.scenario import scenario_from_document
from sim.statistics.tallies import tally_replicates
from sim.statistics.trial_counts import count_trials
from tests.support.object_store import BUCKET, object_store

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


def commit_made_up(plan: Plan, folder: Folder) -> Iterator[ShardResult]:
    """Commit shards that all have the rows of the first trials of their strategy, without flushing them to the disk."""
    arrays = simulate_strategies(plan.scenario, plan.strategies, Chance(plan.seed, 0, ROWS), plan.design)
    tallies = {name: tally_document(tally_replicates(own, 1)) for name, own in arrays.items()}
    counts = {name: count_trials(plan.scenario, name, own, 1) for name, own in arrays.items()}
    options = writer_options(plan.scenario)

    def commit(shard: Shard) -> ShardResult:
        started = time.perf_counter()
        local = isinstance(folder, LocalFolder)
        path = Path(folder.address, shard_path(shard)) if local else folder.draft(".parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        said = file_metadata(plan, shard)
        if shard.reduced:
            size, digest = write_counts(path, counts[shard.strategy], tallies[shard.strategy], said)
        else:
            own = arrays[shard.strategy]
            table = own | {"trial": own["trial"] - own["trial"][0] + shard.first}
            schema = table_schema(plan.scenario, said)
            with HashedFile(path) as file, pq.ParquetWriter(file, schema, **options) as writer:
                writer.write_table(to_table(plan.scenario, schema, table))
                writer.add_key_value_metadata({"brink.tallies": tallies[shard.strategy]})
            size, digest = file.bytes, file.sha256
        if not local:
            folder.commit(path, shard_path(shard))
        return ShardResult(shard, describe(shard, size, digest), time.perf_counter() - started)

    yield from in_order(commit, plan.shards())


@contextmanager
def counted_requests() -> Iterator[Counter[str]]:
    """The requests to an object store within the block: one for each call, and one for each thousand listed objects."""
    made: Counter[str] = Counter()
    original = {name: getattr(obstore, name) for name in ("put", "get", "get_range", "head", "copy", "delete", "list")}

    def counted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "list":
                found = list(original[name](*arguments, **options))
                made[name] += max(1, -(-sum(map(len, found)) // 1000))
                return iter(found)
            made[name] += 1
            return original[name](*arguments, **options)

        return call

    for name in original:
        setattr(obstore, name, counted(name))
    try:
        yield made
    finally:
        for name, function in original.items():
            setattr(obstore, name, function)


def measure(shards: int, keep: Keep, root: str) -> dict[str, tuple[float, int]]:
    """Seconds of CPU and requests of each part of a run of so many shards in a folder."""
    plan, folder, other = many_shards(shards, keep), open_folder(f"{root}/run"), open_folder(f"{root}/other")
    begin(plan, folder)
    found: dict[str, tuple[float, int]] = {}

    def timed(name: str, part: Callable[[], object]) -> None:
        with counted_requests() as made:
            started = time.process_time()
            part()
            found[name] = time.process_time() - started, made.total()
        print(f"{name:40} {found[name][0]:10.2f} s {found[name][1]:10,} requests", flush=True)

    done = {}

    def play() -> None:
        done.update({result.shard: result.file for result in commit_made_up(plan, folder)})

    def write_blocks() -> None:
        with blocks_written(plan, folder, done, {}):
            pass

    def resume() -> None:
        stored = shards_of_blocks(plan, folder)
        committed_shards(folder, plan, [shard for shard in plan.shards() if shard not in stored])

    timed("commit made-up shards", play)
    timed("write their blocks", write_blocks)
    timed("list the folder", folder.entries)
    timed("find what is committed", resume)
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
    parser.add_argument("--small", type=int, help="the smaller number of shards (default: a tenth); 0 for none")
    parser.add_argument("--keep", choices=("all", "summary"), default="all")
    parser.add_argument("--store", choices=("local", "s3"), default="local")
    chosen = parser.parse_args()
    small = chosen.shards // 10 if chosen.small is None else chosen.small
    measured = []
    for shards in (small, chosen.shards):
        with (
            tempfile.TemporaryDirectory(prefix="brink-shards-") as scratch,
            object_store() if chosen.store == "s3" else nullcontext(),
        ):
            root = scratch if chosen.store == "local" else f"s3://{BUCKET}/shards"
            measured.append(measure(shards, chosen.keep, root) if shards else {})
    few, many = measured
    print(f"{'seconds of CPU for shards':34} {small:>10,} {chosen.shards:>10,} {'ratio':>7}")
    for name, (seconds, _) in many.items():
        before = few.get(name, (float("nan"), 0))[0]
        print(f"{name:34} {before:10.2f} {seconds:10.2f} {seconds / max(before, 1e-9):7.1f}")
    print(f"largest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
