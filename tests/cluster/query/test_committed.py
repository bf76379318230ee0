"""What a process remembers of committed shards, as a run grows."""

from dataclasses import replace

import pytest

from cluster.query.memory_cache import MemoryCache
from cluster.query.session import QueryLimit, time_limit
from cluster.query.trials import StoredRun
from cluster.results.result_folder import MANIFEST, read_json, write_json
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.storage.address import open_folder
from tests.support.runs import small_plan

PLAN = small_plan(trials=300, shard_trials=1000)
GROWN = replace(PLAN, trials=800)
"""Its shards have more trials than those that are committed: a stage of a run to a precision."""


@pytest.mark.parametrize("complete", [True, False])
def test_a_run_that_was_read_before_it_grew_has_none_of_the_larger_shards(tmp_path, complete):
    run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    folder = open_folder(tmp_path / "run")
    write_json(folder, MANIFEST, {**read_json(folder, MANIFEST), "complete": complete})
    memory: MemoryCache = MemoryCache(1 << 24)
    before = StoredRun(PLAN, folder, memory)
    assert sum(shard.count for shard in before.committed) == 600
    assert sum(tally.trials for strategy in PLAN.strategies for tally in before.tallies(strategy)) == 600
    # The runner has recorded the larger plan, and committed nothing of it yet.
    assert StoredRun(GROWN, folder, memory).committed == StoredRun(GROWN, folder).committed == []
    run(GROWN, tmp_path / "grown", RunOptions(engine="inline"))
    after = StoredRun(GROWN, open_folder(tmp_path / "grown"), memory)
    assert sum(shard.count for shard in after.committed) == 1600


def test_reading_what_is_committed_ends_with_the_time_limit(tmp_path):
    run(PLAN, tmp_path / "run", RunOptions(engine="inline"))
    folder = open_folder(tmp_path / "run")
    folder.remove(MANIFEST)
    with time_limit(0.0), pytest.raises(QueryLimit):
        assert StoredRun(PLAN, folder).committed
