"""Results are removed only by the database to which their store belongs."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from cluster.results.result_folder import verify
from cluster.service import jobs, leases, store_identity
from cluster.service.backup import back_up
from cluster.service.metrics import counts
from cluster.service.restore import restore
from cluster.service.retention import apply_retention
from cluster.service.runner import work_job
from cluster.service.settings import Settings
from cluster.service.store_identity import IDENTITY_FILE, OTHER, UNKNOWN, belong_together, mismatch
from cluster.storage.base import Folder
from cluster.storage.local import LocalFolder
from sim.faults import InvalidInput
from tests.support.object_store import BUCKET, object_store
from tests.support.runs import small_plan
from tests.support.storage_tests import put

PLAN = small_plan(trials=1000)


@pytest.fixture(params=["local", "s3"])
def settings(request, tmp_path) -> Iterator[Settings]:
    """Those of a service without its database: results in a folder, and in a bucket."""
    if request.param == "local":
        yield Settings(data_dir=tmp_path / "data", engine="inline")
    else:
        with object_store():
            yield Settings(data_dir=tmp_path / "data", engine="inline", store_url=f"s3://{BUCKET}/results")


@pytest.fixture
def results(settings) -> Folder:
    return settings.results


@pytest.fixture
def database(tmp_path) -> Iterator[sa.Engine]:
    made = jobs.open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield made
    made.dispose()


@pytest.fixture
def empty(tmp_path) -> Iterator[sa.Engine]:
    """A new database in place of the lost one."""
    made = jobs.open_database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    yield made
    made.dispose()


def played(database: sa.Engine, settings: Settings) -> jobs.Job:
    """A job that a runner has played."""
    job = jobs.submit(database, PLAN)
    work_job(database, leases.claim(database, "runner", 60), "runner", settings, threading.Event())
    assert jobs.get(database, job.id).state == jobs.SUCCEEDED
    return job


def cleaned_up(database: sa.Engine, results: Folder, times: int = 3) -> list[str]:
    """The result folders that are left after the runners have looked several times."""
    without_job: frozenset[str] = frozenset()
    for _ in range(times):
        without_job = apply_retention(database, results, None, None, without_job)
    return results.subfolders()


def upgraded(database: sa.Engine) -> None:
    """Make a database as it is after an upgrade from a version without identities: jobs came before the identity."""
    with database.begin() as connection:
        connection.execute(store_identity.store_identity.update().values(made_at=time.time() + 60.0))


def test_an_empty_database_beside_a_full_store_removes_nothing_and_its_jobs_are_played(database, empty, settings):
    results = settings.results
    kept = [played(database, settings).id for _ in range(2)]
    assert cleaned_up(empty, results) == sorted(kept)
    assert store_identity.known(empty).mismatch == OTHER
    assert counts(empty).store_mismatch
    own = played(empty, settings)
    assert cleaned_up(empty, results) == sorted([*kept, own.id])
    assert not counts(database).store_mismatch
    assert cleaned_up(database, results) == sorted(kept), "the store belongs to the first database all the time"


def test_the_same_without_an_identity_in_the_store_removes_nothing_even_after_jobs_of_the_empty_database(
    database, empty, settings
):
    """As if the service was never started since the upgrade: an upgraded database alone adopts the store."""
    results = settings.results
    kept = played(database, settings).id
    results.remove(IDENTITY_FILE)
    assert cleaned_up(empty, results) == [kept]
    assert store_identity.known(empty).mismatch == UNKNOWN
    own = played(empty, settings)
    assert cleaned_up(empty, results) == sorted([kept, own.id])
    assert store_identity.of_store(results) is None
    upgraded(database)
    assert mismatch(database, results) is None
    assert cleaned_up(empty, results) == sorted([kept, own.id])
    assert store_identity.known(empty).mismatch == OTHER


def test_an_upgraded_installation_adopts_its_store_and_removes_what_deleted_jobs_left(database, results):
    job = jobs.submit(database, PLAN)
    left = "0" * 32
    for name in (job.id, left):
        put(results.within(name), "run.json", b"{}")
    upgraded(database)
    assert cleaned_up(database, results) == [job.id]
    assert belong_together(database, results)


def test_a_migration_from_a_version_without_identities_adopts(tmp_path, database_url):
    """Of either kind of database: the job is recorded by the earlier version's tables."""
    database = jobs.open_database(database_url, "0009")
    job = jobs.submit(database, PLAN)
    results = LocalFolder(tmp_path / "results")
    for name in (job.id, "0" * 32):
        put(results.within(name), "run.json", b"{}")
    database.dispose()
    database = jobs.open_database(database_url)
    assert cleaned_up(database, results) == [job.id]
    assert belong_together(database, results)
    database.dispose()


def test_a_store_in_which_every_result_is_known_is_claimed_again(database, settings):
    """As after its results were copied elsewhere without the identity."""
    job = played(database, settings)
    settings.results.remove(IDENTITY_FILE)
    assert mismatch(database, settings.results) is None
    assert cleaned_up(database, settings.results) == [job.id]


def test_a_store_of_another_database_is_not_claimed_even_while_it_is_empty(database, empty, results):
    assert mismatch(database, results) is None
    assert mismatch(empty, results) == OTHER
    assert belong_together(database, results)


def test_first_starters_agree_on_one_identity(tmp_path, results):
    """Several processes of each of two services that are given the same empty store."""
    databases = [jobs.open_database(f"sqlite:///{tmp_path / name}.sqlite") for name in ("one", "two")]
    begin = threading.Barrier(8)

    def start(number: int) -> tuple[int, str | None]:
        begin.wait()
        return number % 2, mismatch(databases[number % 2], results)

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(start, range(8)))
    for database in databases:
        database.dispose()
    assert found in ({(0, None), (1, OTHER)}, {(0, OTHER), (1, None)})


def replaced_by(database: sa.Engine, empty: sa.Engine) -> Callable[[], None]:
    """What lets an empty database answer in place of another one, as a restart of the server on an empty disk does."""

    def replace() -> None:
        database.dispose()
        path, other = (Path(one.url.database) for one in (database, empty))
        empty.dispose()
        for stale in path.parent.glob(f"{path.name}-*"):
            stale.unlink()
        shutil.copy(other, path)

    return replace


def test_a_database_that_is_replaced_between_the_checks_removes_nothing(database, empty, settings, monkeypatch):
    kept = played(database, settings).id
    replace = replaced_by(database, empty)
    listing = store_identity.result_folders

    def disturbed(results: Folder) -> list[str]:
        # After the first check has passed, and before the jobs are read.
        replace()
        return listing(results)

    monkeypatch.setattr("cluster.service.retention.result_folders", disturbed)
    assert apply_retention(database, settings.results, None, None, frozenset({kept})) == frozenset()
    assert settings.results.subfolders() == [kept]
    assert jobs.get(database, kept) is None


def test_a_job_that_a_new_database_does_not_know_keeps_what_it_has_committed(database, empty, settings):
    """Its runner stops, as for a deleted job, but removes nothing."""
    job = jobs.submit(database, small_plan(trials=40_000_000, shard_trials=2000))
    taken = leases.claim(database, "runner", 60)
    replace, folder = replaced_by(database, empty), settings.results.within(job.id)

    class Replaces(threading.Event):
        """A runner's `ending`: the database is replaced once something is committed."""

        replaced = False

        def is_set(self) -> bool:
            if not self.replaced and len(folder.entries()) > 2:
                replace()
                self.replaced = True
            return False

    work_job(database, taken, "runner", settings, Replaces())
    assert jobs.get(database, job.id) is None
    assert len(folder.entries()) > 2
    assert cleaned_up(database, settings.results) == [job.id]


def test_a_restoration_adopts_the_store_and_the_lost_database_removes_nothing_if_it_returns(
    database, empty, settings, tmp_path
):
    job, saved = played(database, settings), LocalFolder(tmp_path / "saved")
    back_up(database.url, settings.results, saved)
    later = played(database, settings)
    assert cleaned_up(empty, settings.results) == sorted([job.id, later.id])
    restore(saved, empty.url, settings.results, keep_results=True)
    assert not counts(empty).store_mismatch
    # What came after the backup has no job now; the page for operators says so.
    assert cleaned_up(empty, settings.results) == [job.id]
    assert verify(settings.results.within(job.id).address) == []
    own = played(empty, settings)
    assert cleaned_up(database, settings.results) == sorted([job.id, own.id])
    assert store_identity.known(database).mismatch == OTHER


def test_nothing_is_removed_by_a_runner_that_comes_during_a_restoration(database, empty, settings, tmp_path):
    job, saved = played(database, settings), LocalFolder(tmp_path / "saved")
    back_up(database.url, settings.results, saved)
    # The new database had the store while it was empty.
    settings.results.remove_all()
    assert mismatch(empty, settings.results) is None
    looked: list[list[str]] = []

    def come(done: int, of: int) -> None:
        if done == of:
            jobs.runner_seen(empty, "runner")
            looked.append(cleaned_up(empty, settings.results))

    with pytest.raises(InvalidInput, match="a runner works with"):
        restore(saved, empty.url, settings.results, on_progress=come)
    assert looked == [[job.id]]
    with empty.begin() as connection:
        connection.execute(jobs.runners.delete())
    restore(saved, empty.url, settings.results, keep_results=True)
    assert cleaned_up(empty, settings.results) == [job.id]
    assert belong_together(empty, settings.results)


def test_an_identity_that_cannot_be_read_stops_no_job(database, tmp_path):
    settings = Settings(data_dir=tmp_path / "data", engine="inline")
    path = Path(settings.results.address) / IDENTITY_FILE
    path.mkdir(parents=True)
    played(database, settings)
    with pytest.raises(OSError, match="directory"):
        apply_retention(database, settings.results, None, None, frozenset())
