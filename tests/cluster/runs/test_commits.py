"""Files of a task on an object store."""

import threading
from itertools import islice

from cluster.results.result_folder import shard_path
from cluster.runs.shard import run_shards
from cluster.storage.address import open_folder
from cluster.storage.s3 import ObjectFolder
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import small_plan
from tests.support.waiting import HANG_SECONDS

PLAN = small_plan(trials=500, shard_trials=500)


def test_files_of_a_task_are_put_at_the_same_time_and_are_those_of_a_disk(tmp_path, monkeypatch):
    task = list(islice(PLAN.shards(), 2))
    begun, commit = threading.Barrier(len(task)), ObjectFolder.commit

    def commit_with_the_others(self: ObjectFolder, draft, name):
        begun.wait(HANG_SECONDS)
        commit(self, draft, name)

    monkeypatch.setattr(ObjectFolder, "commit", commit_with_the_others)
    local = open_folder(tmp_path)
    list(run_shards(PLAN, task, local))
    with object_store():
        store = open_folder(f"s3://{BUCKET}/run")
        assert [result.shard for result in run_shards(PLAN, task, store)] == task
        for shard in task:
            assert store.read(shard_path(shard)) == local.read(shard_path(shard))
