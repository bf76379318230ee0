"""What is removed, and that nothing else is."""

import time
from collections.abc import Iterator

import pytest

from cluster.service import jobs, leases
from cluster.service.retention import apply_retention, folders_without_job, overdue, remove_job
from cluster.service.runner import work_job
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import small_plan
from tests.support.storage_tests import put
from tests.support.working import Working

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


def test_the_oldest_jobs_are_overdue_until_the_others_have_room(database):
    first, second, third = ended(database, 3, 50), ended(database, 2, 50), ended(database, 1, 50)
    assert due(database, None, 150) == []
    assert due(database, None, 149) == [first]
    assert due(database, None, 99) == [first, second]
    assert due(database, None, 0) == [first, second, third]


def test_jobs_that_have_not_ended_are_never_overdue(database):
    jobs.submit(database, PLAN)
    running = jobs.submit(database, PLAN)
    leases.claim(database, "runner", 60)
    leases.claim(database, "runner", 60)
    leases.renew(database, running.id, "runner", 60, 5, 1000)
    old = ended(database, 2, 10)
    assert due(database, 0.0001, 10) == [old]


@pytest.fixture(params=["local", "s3"])
def store_url(request) -> Iterator[str | None]:
    """Where results are: the settings' `store_url`, unset for the file system."""
    if request.param == "local":
        yield None
    else:
        with object_store():
            yield f"s3://{BUCKET}/retention"


@pytest.fixture
def results(store_url, tmp_path) -> Folder:
    return open_folder(store_url or tmp_path / "jobs")


def test_folders_without_a_job_and_no_others_are_removed_when_found_twice(database, results):
    assert apply_retention(database, results, None, None, frozenset()) == frozenset()
    known, gone = jobs.submit(database, PLAN).id, jobs.submit(database, PLAN).id
    for name in (known, gone, "notes"):
        put(results.within(name), "trials/run.json", b"{}")
    jobs.delete(database, gone)
    assert folders_without_job(database, results) == [gone]
    found = apply_retention(database, results, None, None, frozenset())
    assert found == {gone}
    assert results.subfolders() == sorted([known, gone, "notes"])
    assert apply_retention(database, results, None, None, found) == frozenset()
    assert results.subfolders() == sorted([known, "notes"])


@pytest.mark.parametrize(
    ("state", "lease_seconds", "remain"),
    [("queued", None, False), ("running", 60.0, True), ("running", -1.0, False), ("cancelled", 60.0, False)],
)
def test_results_are_removed_at_once_unless_a_runner_holds_the_job(database, results, state, lease_seconds, remain):
    job = jobs.submit(database, PLAN)
    put(results.within(job.id), "run.json", b"{}")
    if lease_seconds is not None:
        leases.claim(database, "runner", lease_seconds)
    if state == "cancelled":
        leases.finish(database, job.id, "runner", jobs.CANCELLED, 10)
    remove_job(database, results, job)
    assert jobs.get(database, job.id) is None
    assert results.subfolders() == ([job.id] if remain else [])


class DeletesWhilePlayed:
    """A runner's `ending`: it deletes a job once some of it is committed, and from then on watches its folder."""

    def __init__(self, working: Working, job: jobs.Job) -> None:
        self.working, self.job, self.deleted = working, job, False
        self.files_since: list[int] = []

    def is_set(self) -> bool:
        folder = self.working.results.within(self.job.id)
        files = len(folder.entries())
        if self.deleted:
            self.files_since.append(files)
        elif files > 2:
            remove_job(self.working.database, self.working.results, self.job)
            self.deleted = True
            self.files_since.append(len(folder.entries()))
        return False


def test_the_runner_of_a_deleted_job_stops_and_removes_its_results_once(store_url, tmp_path):
    working = Working(tmp_path / "data", store_url=store_url, lease_seconds=2)
    job = jobs.submit(working.database, small_plan(trials=40_000_000, shard_trials=2000))
    taken = leases.claim(working.database, "runner", 60)
    deletes = DeletesWhilePlayed(working, job)
    work_job(working.database, taken, "runner", working.settings, deletes)
    # Nothing was removed while the runner could still write, and nothing is left now that it cannot.
    assert deletes.files_since == sorted(deletes.files_since)
    assert deletes.files_since[0] > 2
    assert working.results.within(job.id).entries() == []
    assert working.results.subfolders() == []
    working.database.dispose()


def test_a_runner_that_lost_a_job_long_ago_cannot_restore_its_folder(tmp_path):
    working = Working(tmp_path / "data", lease_seconds=2)
    job = jobs.submit(working.database, small_plan(trials=40_000_000, shard_trials=2000))
    slow = leases.claim(working.database, "slow", 60)
    folder = working.folder(job)

    class LosesTheJob:
        """A runner's `ending`: the job is taken over, cancelled and deleted, while this runner plays on."""

        lost, seen_since = False, False

        def is_set(self) -> bool:
            if self.lost:
                self.seen_since = self.seen_since or folder.exists()
            elif folder.exists() and any(folder.rglob("*.parquet")):
                with working.database.begin() as connection:
                    connection.execute(jobs.jobs.update().values(lease_expires=0.0))
                assert leases.claim(working.database, "other", 60).id == job.id
                leases.finish(working.database, job.id, "other", jobs.CANCELLED, 2000)
                remove_job(working.database, working.results, job)
                self.lost = True
            return False

    losing = LosesTheJob()
    work_job(working.database, slow, "slow", working.settings, losing)
    assert losing.lost
    assert not losing.seen_since
    assert not folder.exists()
    working.database.dispose()


def test_overdue_jobs_are_deleted_with_their_results(database, tmp_path):
    results = open_folder(tmp_path / "jobs")
    old, young = ended(database, 40), ended(database, 1)
    for job in (old, young):
        (tmp_path / "jobs" / job).mkdir(parents=True)
    apply_retention(database, results, 30, None, frozenset())
    assert jobs.get(database, old) is None
    assert jobs.get(database, young) is not None
    assert results.subfolders() == [young]


def test_a_job_is_deleted_even_if_its_results_cannot_be_removed(database, tmp_path):
    job = jobs.get(database, ended(database, 1))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / job.id).write_text("a file where a folder should be")
    remove_job(database, open_folder(tmp_path / "jobs"), job)
    assert jobs.get(database, job.id) is None
