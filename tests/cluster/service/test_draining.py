"""Runners that are asked to drain: they finish or hand back their job, take no more, and say so. Real processes."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from cluster.service import draining, jobs, leases
from cluster.service.audit import recorded
from cluster.service.draining import DRAINED, Intake, ask_to_drain, undrained
from tests.support.command_line import BRINK, assert_refused, brink
from tests.support.runs import small_plan
from tests.support.waiting import HANG_SECONDS, wait_until

SHORT = small_plan(trials=2_000)


@pytest.fixture
def database(database_url) -> Iterator[sa.Engine]:
    opened = jobs.open_database(database_url)
    yield opened
    opened.dispose()


def test_a_runner_takes_no_job_once_it_is_asked_and_is_drained_once_it_holds_none(database):
    jobs.runner_seen(database, "one")
    intake = Intake(database, "one")
    for _ in range(2):
        jobs.submit(database, SHORT)
    held = intake.claim("one", 60.0, repeats_only=False)
    repeated = leases.claim(database, draining.repeats_holder("one"), 60.0)
    assert ask_to_drain(database, 60.0) == ["one"]
    intake.follow(jobs.runner_seen(database, "one"))
    assert (intake.claim("one", 60.0, repeats_only=False), intake.hands_back) == (None, False)
    leases.finish(database, held.id, "one", jobs.SUCCEEDED, 0)
    intake.report()
    assert undrained(database, ["one"], 60.0) == ["one"], "it holds a job that repeats an earlier one"
    leases.finish(database, repeated.id, draining.repeats_holder("one"), jobs.SUCCEEDED, 0)
    intake.report()
    assert undrained(database, ["one"], 60.0) == []
    assert jobs.runner_seen(database, "one") == DRAINED
    assert ask_to_drain(database, 60.0, hand_back=True) == ["one"], "one that is drained stays so"
    assert undrained(database, ["one"], 60.0) == []


def test_a_runner_that_died_is_not_waited_for(database):
    jobs.runner_seen(database, "dead")
    with database.begin() as connection:
        connection.execute(jobs.runners.update().values(seen_at=0.0))
    jobs.runner_seen(database, "alive")
    assert ask_to_drain(database, 60.0) == ["alive"]
    assert undrained(database, ["alive", "dead"], 60.0) == ["alive"]


@contextmanager
def runner_process(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    with log.open("ab") as written:
        process = subprocess.Popen([BRINK, "runner"], env=os.environ | environment, stdout=written, stderr=written)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("hand_back", [False, True])
def test_a_drained_runner_leaves_its_job_and_another_takes_the_next(tmp_path, hand_back):
    data = tmp_path / "data"
    data.mkdir()
    settings = {"BRINK_DATA_DIR": str(data), "BRINK_ENGINE": "inline", "BRINK_LEASE_SECONDS": "60"}
    database = jobs.open_database(f"sqlite:///{data / 'jobs.sqlite'}")
    # One that would take hours is handed back; one of seconds is finished.
    trials = 50_000_000 if hand_back else 60_000
    job = jobs.submit(database, small_plan(trials=trials, shard_trials=5_000))

    def found(job_id: str) -> jobs.Job:
        return jobs.get(database, job_id)

    with runner_process(settings, tmp_path / "one.log"):
        wait_until(lambda: found(job.id).trials_done > 0)
        first = found(job.id).lease_owner
        brink("runner", "--drain", *(["--hand-back"] if hand_back else []), environment=settings, status=0)
        left = found(job.id)
        assert left.lease_owner is None
        assert left.state == (jobs.QUEUED if hand_back else jobs.SUCCEEDED)
        assert left.trials_done > 0
        second = jobs.submit(database, SHORT, priority=10)
        with runner_process(settings, tmp_path / "two.log"):
            wait_until(lambda: found(second.id).ended)
            assert found(second.id).state == jobs.SUCCEEDED
            if hand_back:
                taken = wait_until(lambda: (one := found(job.id)).state == jobs.RUNNING and one)
                assert taken.lease_owner not in (None, first)
        log = (tmp_path / "one.log").read_text()
        assert "runner is drained" in log
        assert second.id not in log, "the drained runner took no more jobs"
    assert recorded(database, 1, action="drain")[0].detail.startswith("1 runners")
    database.dispose()


def test_draining_without_runners_and_a_hand_back_without_draining(tmp_path):
    settings = {"BRINK_DATA_DIR": str(tmp_path)}
    assert brink("runner", "--drain", environment=settings, status=0).stdout == "no runner is alive\n"
    assert_refused(brink("runner", "--hand-back", environment=settings), "--hand-back", "needs --drain")
