"""Several runner processes on one PostgreSQL: each kill loses nothing but time, and none keeps the others waiting."""

import contextlib
import os
import subprocess
from pathlib import Path

import psutil
import pytest

from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from tests.support.command_line import BRINK
from tests.support.runs import digests, small_plan
from tests.support.waiting import HANG_SECONDS, wait_until

LONG = small_plan(trials=150_000, shard_trials=5_000)
SHORT = small_plan(trials=2_000)


class Runners:
    """Runner processes on one database and one folder of results."""

    def __init__(self, folder: Path, url: str, count: int, **settings: str) -> None:
        given = {"BRINK_DATA_DIR": str(folder), "BRINK_DATABASE_URL": url, "BRINK_ENGINE": "inline"}
        self.environment = os.environ | given | {"BRINK_LEASE_SECONDS": "3"} | settings
        self.folder, self.database = folder, jobs.open_database(url)
        self.log = (folder.parent / "runners.log").open("ab")
        self.processes = [self.start() for _ in range(count)]

    def start(self) -> subprocess.Popen:
        return subprocess.Popen([BRINK, "runner"], env=self.environment, stdout=self.log, stderr=self.log)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(HANG_SECONDS)
        self.log.close()
        self.database.dispose()

    def until(self, job_id: str, condition) -> jobs.Job:
        """The job once the condition holds of it."""
        return wait_until(lambda: (job := jobs.get(self.database, job_id)) and condition(job) and job)


def holder(keeper: subprocess.Popen) -> psutil.Process | None:
    """The runner that a ``brink runner`` keeps going."""
    return next(iter(psutil.Process(keeper.pid).children()), None)


def process_of(lease_owner: str) -> int:
    return int(lease_owner.split("-")[-2])


@pytest.mark.slow
def test_killed_runners_jobs_are_finished_by_the_others(tmp_path, postgres_url):
    run(LONG, tmp_path / "undisturbed", RunOptions(engine="inline"))
    runners = Runners(tmp_path / "data", postgres_url, 2)
    try:
        job = jobs.submit(runners.database, LONG)
        working = runners.until(job.id, lambda one: one.state == jobs.RUNNING and one.trials_done > 0)
        (keeper,) = (one for one in runners.processes if holder(one).pid == process_of(working.lease_owner))
        killed = holder(keeper)
        killed.kill()
        taken = runners.until(job.id, lambda one: one.lease_owner != working.lease_owner)
        assert taken.state in (jobs.RUNNING, jobs.SUCCEEDED)
        done = runners.until(job.id, lambda one: one.ended)
        assert (done.state, done.trials_done) == (jobs.SUCCEEDED, 300_000)
        folder = tmp_path / "data" / "jobs" / job.id
        assert digests(folder) == digests(tmp_path / "undisturbed")
        assert verify(folder) == []
        # Its keeper has started another runner in the killed one's place.
        runners.until(job.id, lambda one: holder(keeper) not in (None, killed))
    finally:
        runners.stop()


def test_one_runner_lets_a_short_job_pass_a_long_one(tmp_path, postgres_url):
    runners = Runners(tmp_path / "data", postgres_url, 1, BRINK_SLICE_SECONDS="0.5")
    try:
        long = jobs.submit(runners.database, small_plan(trials=5_000_000, shard_trials=5_000), owner="anna")
        runners.until(long.id, lambda one: one.trials_done > 0)
        short = jobs.submit(runners.database, SHORT, owner="bela")
        assert runners.until(short.id, lambda one: one.ended).state == jobs.SUCCEEDED
        back = runners.until(long.id, lambda one: one.state == jobs.RUNNING)
        further = runners.until(long.id, lambda one: one.trials_done > back.trials_done)
        assert further.state == jobs.RUNNING
        jobs.request_cancel(runners.database, long.id)
        left = runners.until(long.id, lambda one: one.ended)
        assert left.state == jobs.CANCELLED
        folder = tmp_path / "data" / "jobs" / long.id
        assert verify(folder)[0] == "manifest.json: lists only a part of the run, which was stopped before its end"
        with contextlib.suppress(FileNotFoundError):
            assert list((folder / ".work").iterdir()) == []
    finally:
        runners.stop()
