"""Files of a task on an object store."""

import tempfile
import threading
from itertools import islice
from pathlib import Path

import pytest

from cluster.results.result_folder import committed_shards, shard_path
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


@pytest.mark.parametrize("failing", range(2))
def test_a_put_that_fails_ends_the_task_and_leaves_whole_files_and_no_drafts(tmp_path, monkeypatch, failing):
    task = list(islice(PLAN.shards(), 2))
    commit = ObjectFolder.commit

    def commit_but_one(self: ObjectFolder, draft, name):
        if name == shard_path(task[failing]):
            raise ConnectionError("the store does not answer")
        commit(self, draft, name)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with object_store():
        store = open_folder(f"s3://{BUCKET}/run")
        with monkeypatch.context() as patched:
            patched.setattr(ObjectFolder, "commit", commit_but_one)
            with pytest.raises(ConnectionError, match="does not answer"):
                list(run_shards(PLAN, task, store))
        assert [path for path in Path(tmp_path).rglob("*") if path.is_file()] == []
        assert set(committed_shards(store, PLAN, task)) <= {task[1 - failing]}
        assert [result.shard for result in run_shards(PLAN, task, store)] == task
        assert set(committed_shards(store, PLAN, task)) == set(task)
