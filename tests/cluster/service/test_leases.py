"""Whose turn it is, who gives way, and what becomes of a job after a transient failure."""

import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from cluster.service import jobs, leases
from tests.support.runs import small_plan

PLAN = small_plan()


@pytest.fixture
def database(database_url) -> Iterator[sa.Engine]:
    opened = jobs.open_database(database_url)
    yield opened
    opened.dispose()


def submitted(database: sa.Engine, owner: str, count: int = 1, **options: int) -> list[str]:
    return [jobs.submit(database, PLAN, owner=owner, **options).id for _ in range(count)]


def taken(database: sa.Engine, count: int = 100) -> list[str]:
    """The ids of jobs in the order in which runners take them, each runner keeping its job."""
    found = (leases.claim(database, f"runner-{k}", 60) for k in range(count))
    return [job.id for job in found if job is not None]


def test_owners_take_turns_however_many_jobs_one_submits(database):
    many, few = submitted(database, "anna", 4), submitted(database, "bela", 2)
    assert taken(database) == [many[0], few[0], many[1], few[1], many[2], many[3]]


def test_the_owner_who_has_waited_longest_comes_first(database):
    first, other = submitted(database, "anna", 2), submitted(database, "bela", 2)
    served = []
    for _ in range(4):
        job = leases.claim(database, "one", 60)
        served.append(job.id)
        leases.finish(database, job.id, "one", jobs.SUCCEEDED, 1)
    assert served == [first[0], other[0], first[1], other[1]]


def test_priority_ranks_jobs_of_one_owner_only(database):
    late = submitted(database, "bela")
    low, high = submitted(database, "anna"), submitted(database, "anna", priority=9)
    assert taken(database) == [*late, *high, *low]


def test_runners_that_choose_at_once_choose_different_owners(database):
    submitted(database, "anna", 6)
    submitted(database, "bela", 3)
    owners: list[str] = []
    start = threading.Barrier(6)

    def take(runner: str) -> None:
        start.wait()
        owners.append(leases.claim(database, runner, 60).owner)

    threads = [threading.Thread(target=take, args=(f"runner-{k}",)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(owners) == ["anna"] * 3 + ["bela"] * 3


def test_a_long_job_gives_way_to_another_owner_and_continues_afterwards(database):
    (long,) = submitted(database, "anna")
    job = leases.claim(database, "one", 60)
    assert not leases.gives_way(database, job)
    submitted(database, "anna")
    assert not leases.gives_way(database, job)
    (short,) = submitted(database, "bela")
    assert leases.gives_way(database, job)
    assert leases.give_back(database, long, "one", 3000)
    back = jobs.get(database, long)
    assert (back.state, back.trials_done, back.lease_owner) == (jobs.QUEUED, 3000, None)
    assert leases.claim(database, "one", 60).id == short
    leases.finish(database, short, "one", jobs.SUCCEEDED, 10_000)
    assert leases.claim(database, "one", 60).id == long


def test_a_job_gives_way_to_a_more_urgent_one_of_its_owner(database):
    submitted(database, "anna")
    job = leases.claim(database, "one", 60)
    (urgent,) = submitted(database, "anna", priority=1)
    assert leases.gives_way(database, job)
    leases.give_back(database, job.id, "one", 0)
    assert leases.claim(database, "one", 60).id == urgent


def test_with_two_runners_no_job_gives_way_to_an_owner_who_is_served_already(database):
    submitted(database, "anna")
    submitted(database, "bela", 2)
    job = leases.claim(database, "one", 60)
    assert leases.claim(database, "two", 60).owner == "bela"
    assert not leases.gives_way(database, job)


def test_a_cancelled_job_that_is_given_back_has_ended(database):
    for leave in (
        lambda job: leases.give_back(database, job, "one", 10),
        lambda job: leases.postpone(database, job, "one", "the disk is full", 60, 10),
    ):
        (job,) = submitted(database, "anna")
        leases.claim(database, "one", 60)
        jobs.request_cancel(database, job)
        assert leave(job)
        over = jobs.get(database, job)
        assert (over.state, over.trials_done) == (jobs.CANCELLED, 10)
        assert over.finished_at is not None


def test_a_job_that_fails_transiently_waits_ever_longer_and_continues(database):
    (job,) = submitted(database, "anna")
    leases.claim(database, "one", 60)
    assert leases.postpone(database, job, "one", "the disk is full", 60, 10)
    waits = jobs.get(database, job)
    assert (waits.state, waits.waiting) == (jobs.QUEUED, "the disk is full")
    assert leases.claim(database, "one", 60) is None
    pauses = [waits.not_before - waits.failing_since]
    for seconds in (4, 30, 4000):
        past(database, job, seconds)
        assert leases.claim(database, "one", 60).waiting == "the disk is full"
        leases.postpone(database, job, "one", "the disk is full", 1e6, 10)
        waits = jobs.get(database, job)
        pauses.append(waits.not_before - time.time())
    assert pauses == pytest.approx([1, 4, 34, leases.LONGEST_PAUSE], abs=3)
    past(database, job, 100)
    leases.claim(database, "one", 60)
    assert leases.renew(database, job, "one", 60, 10).waiting == "the disk is full"
    continued = leases.renew(database, job, "one", 60, 20)
    assert (continued.waiting, continued.failing_since) == (None, None)


def past(database: sa.Engine, job: str, seconds: float) -> None:
    """Move a job's transient failure into the past."""
    with database.begin() as connection:
        moved = {"failing_since": jobs.jobs.c.failing_since - seconds, "not_before": 0.0}
        connection.execute(jobs.jobs.update().where(jobs.jobs.c.id == job).values(moved))


def test_patience_ends_with_the_cause(database):
    (job,) = submitted(database, "anna")
    leases.claim(database, "one", 60)
    leases.postpone(database, job, "one", "the disk is full", 60, 10)
    past(database, job, 61)
    leases.claim(database, "one", 60)
    leases.postpone(database, job, "one", "shard 3: the disk is full", 60, 10)
    failed = jobs.get(database, job)
    assert (failed.state, failed.waiting, failed.lease_owner) == (jobs.FAILED, None, None)
    assert failed.error == "shard 3: the disk is full (for 61 s)"


def test_only_the_runner_that_holds_a_job_may_give_it_up(database):
    (job,) = submitted(database, "anna")
    leases.claim(database, "one", 60)
    assert not leases.give_back(database, job, "two", 5)
    assert not leases.postpone(database, job, "two", "the disk is full", 60, 5)
    assert not leases.finish(database, job, "two", jobs.FAILED, 5, "no")
    assert jobs.get(database, job).state == jobs.RUNNING


def test_only_jobs_that_repeat_a_finished_one_can_be_claimed(database):
    (first,) = submitted(database, "anna")
    leases.claim(database, "one", 60)
    leases.finish(database, first, "one", jobs.SUCCEEDED, 10_000)
    submitted(database, "bela")
    jobs.submit(database, small_plan(trials=6000), owner="anna")
    assert leases.claim(database, "one", 60, repeats_only=True) is None
    (repeated,) = submitted(database, "anna")
    assert leases.claim(database, "one", 60, repeats_only=True).id == repeated
