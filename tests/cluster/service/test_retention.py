"""What is removed, and that nothing else is."""

import time
from pathlib import Path

import pytest

from cluster.service import jobs, leases
from cluster.service.retention import apply_retention, overdue, remove_job, sweep
from cluster.storage.address import open_folder
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import small_plan

PLAN = small_plan(trials=1000)
DAY = 86_400.0


@pytest.fixture
def database(tmp_path):
    return jobs.open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")


def ended(database, days_ago: float, stored: int = 0, state: str = jobs.SUCCEEDED) -> str:
    """A job that ended so long ago, and what its results take up."""
    job = jobs.submit(database, PLAN)
    leases.claim(database, "runner", 60)
    leases.finish(database, job.id, "runner", state, 10, stored=stored)
    with database.begin() as connection:
        change = jobs.jobs.update().where(jobs.jobs.c.id == job.id)
        connection.execute(change.values(finished_at=time.time() - days_ago * DAY))
    return job.id


def due(database, days: float | None, stored: int | None) -> list[str]:
    return [job.id for job in overdue(database, days, stored)]


def test_nothing_is_overdue_unless_a_limit_is_set(database):
    ended(database, 1000, 10**15)
    assert due(database, None, None) == []


def test_age_counts_from_a_jobs_end(database):
    old, older = ended(database, 31, state=jobs.FAILED), ended(database, 300, state=jobs.CANCELLED)
    ended(database, 29)
    assert due(database, 30, None) == [older, old]


def test_the_oldest_go_until_the_rest_has_room(database):
    first, second, third = ended(database, 3, 50), ended(database, 2, 50), ended(database, 1, 50)
    assert due(database, None, 150) == []
    assert due(database, None, 149) == [first]
    assert due(database, None, 99) == [first, second]
    assert due(database, None, 0) == [first, second, third]


def test_jobs_that_have_not_ended_stay(database):
    jobs.submit(database, PLAN)
    running = jobs.submit(database, PLAN)
    leases.claim(database, "runner", 60)
    leases.claim(database, "runner", 60)
    leases.renew(database, running.id, "runner", 60, 5, 1000)
    old = ended(database, 2, 10)
    assert due(database, 0.0001, 10) == [old]


def test_a_sweep_removes_folders_without_a_job_and_no_others(database, tmp_path):
    with object_store():
        for results in (open_folder(tmp_path / "jobs"), open_folder(f"s3://{BUCKET}/jobs")):
            known, gone = jobs.submit(database, PLAN).id, jobs.submit(database, PLAN).id
            for name in (known, gone, "notes"):
                folder = results.within(name)
                draft = folder.draft(".json")
                draft.write_text("{}")
                folder.commit(draft, "trials/run.json")
            jobs.delete(database, gone)
            assert sweep(database, results) == [gone]
            assert results.subfolders() == sorted([known, "notes"])
            assert sweep(database, results) == []


def test_house_keeping_deletes_what_is_overdue_with_its_results(database, tmp_path):
    results = open_folder(tmp_path / "jobs")
    old, young = ended(database, 40), ended(database, 1)
    for job in (old, young):
        (tmp_path / "jobs" / job).mkdir(parents=True)
    apply_retention(database, results, 30, None)
    assert jobs.get(database, old) is None
    assert jobs.get(database, young) is not None
    assert [path.name for path in Path(tmp_path / "jobs").iterdir()] == [young]


def test_a_job_is_forgotten_even_where_its_results_cannot_be_removed(database, tmp_path):
    job = jobs.get(database, ended(database, 1))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / job.id).write_text("a file where a folder should be")
    remove_job(database, open_folder(tmp_path / "jobs"), job)
    assert jobs.get(database, job.id) is None
