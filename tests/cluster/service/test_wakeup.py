"""An idle runner learns of a new job without waiting for its next look."""

import threading

import sqlalchemy as sa

from cluster.service import jobs, runner
from cluster.service.settings import Settings
from cluster.service.wakeup import watch_for_jobs
from tests.support.runs import small_plan
from tests.support.waiting import HANG_SECONDS, wait_until

PLAN = small_plan(trials=100)


class Watched:
    """A thread that watches a database, and the times that it woke."""

    def __init__(self, url: str) -> None:
        self.database = jobs.open_database(url)
        self.woken, self.ending = threading.Semaphore(0), threading.Event()
        self.thread = threading.Thread(target=watch_for_jobs, args=(self.database, self.woken.release, self.ending))
        self.thread.start()

    def wait(self) -> bool:
        return self.woken.acquire(timeout=HANG_SECONDS)

    def settle(self) -> None:
        """Forget the wakeup with which every watch begins."""
        assert self.wait()

    def stop(self) -> None:
        self.ending.set()
        self.thread.join()
        self.database.dispose()


def test_each_submission_wakes_the_runner(database_url):
    watched, submitting = Watched(database_url), jobs.open_database(database_url)
    try:
        watched.settle()
        for _ in range(3):
            jobs.submit(submitting, PLAN)
            assert watched.wait()
    finally:
        watched.stop()
        submitting.dispose()


def test_the_end_of_the_watch_wakes_the_runner(database_url):
    watched = Watched(database_url)
    watched.settle()
    watched.stop()
    assert watched.wait()


def test_a_watch_that_is_cut_off_reconnects(postgres_url, postgres_server):
    watched, submitting = Watched(postgres_url), jobs.open_database(postgres_url)
    try:
        watched.settle()
        with sa.create_engine(postgres_server, poolclass=sa.NullPool).connect() as admin:
            listening = sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND query LIKE 'LISTEN%'"
            )
            assert len(admin.execute(listening, {"name": sa.make_url(postgres_url).database}).all()) == 1
        # It wakes once it listens again, for jobs that came meanwhile.
        assert watched.wait()
        jobs.submit(submitting, PLAN)
        assert watched.wait()
    finally:
        watched.stop()
        submitting.dispose()


def test_a_runner_is_woken_by_a_job(database_url, tmp_path, monkeypatch):
    """The runner's own look would come after the test's longest wait."""
    monkeypatch.setattr(runner, "IDLE_SECONDS", 2 * HANG_SECONDS)
    settings = Settings(data_dir=tmp_path, database_url=database_url, engine="inline")
    submitting, ending = jobs.open_database(database_url), threading.Event()
    working = threading.Thread(target=runner.work, args=(settings, ending))
    working.start()
    try:
        wait_until(lambda: jobs.last_runner_sign(submitting))
        for seed in range(3):
            job = jobs.submit(submitting, small_plan(trials=100, seed=seed))
            wait_until(lambda job=job: jobs.get(submitting, job.id).state == jobs.SUCCEEDED)
    finally:
        ending.set()
        working.join()
        submitting.dispose()
