"""Jobs and their leases: who may take, renew and end a job, and what becomes of it when a runner falls silent."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from cluster.results.plan import make_plan, plan_document, plan_from_document
from cluster.service import jobs, leases
from tests.support.runs import small_plan
from tests.support.waiting import wait_until

PLAN = small_plan()


@pytest.fixture
def database(database_url) -> Iterator[sa.Engine]:
    opened = jobs.open_database(database_url)
    yield opened
    opened.dispose()


def test_a_job_records_its_plan(database):
    for plan in (PLAN, small_plan(design="latin_hypercube", strategies=("talk",), seed=2**63 - 1)):
        assert jobs.get(database, jobs.submit(database, plan).id).plan == plan


def test_the_oldest_job_is_claimed_first_and_by_one_runner_only(database):
    first, second = jobs.submit(database, PLAN), jobs.submit(database, PLAN)
    assert leases.claim(database, "a", 60).id == first.id
    assert leases.claim(database, "b", 60).id == second.id
    assert leases.claim(database, "c", 60) is None


def test_many_runners_claim_each_job_once(database):
    submitted = {jobs.submit(database, PLAN).id for _ in range(12)}
    taken: list[str] = []

    def take(owner: str) -> None:
        while job := leases.claim(database, owner, 60):
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(f"runner-{k}",)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(submitted)


def test_a_silent_runners_job_is_taken_over(database):
    job = jobs.submit(database, PLAN)
    leases.claim(database, "silent", 0.05)
    taken = wait_until(lambda: leases.claim(database, "next", 60))
    assert taken.id == job.id
    assert leases.renew(database, job.id, "silent", 60, 100) is None
    assert not leases.finish(database, job.id, "silent", jobs.SUCCEEDED, 100)
    assert leases.renew(database, job.id, "next", 60, 300).trials_done == 300
    assert leases.finish(database, job.id, "next", jobs.SUCCEEDED, 10_000)
    assert jobs.get(database, job.id).state == jobs.SUCCEEDED


def test_a_job_given_back_is_free_at_once(database):
    job = jobs.submit(database, PLAN)
    leases.claim(database, "leaving", 600)
    assert leases.give_back(database, job.id, "leaving", 0)
    assert leases.claim(database, "next", 60).id == job.id


def test_an_ended_job_stays_as_it_is(database):
    job = jobs.submit(database, PLAN)
    leases.claim(database, "a", 60)
    leases.finish(database, job.id, "a", jobs.FAILED, 10, "the disk is full")
    assert jobs.request_cancel(database, job.id).state == jobs.FAILED
    assert leases.claim(database, "b", 60) is None
    assert not leases.finish(database, job.id, "a", jobs.SUCCEEDED, 10)
    assert jobs.get(database, job.id).error == "the disk is full"


def test_cancelling_a_queued_and_a_running_job(database):
    waiting, running = jobs.submit(database, PLAN), jobs.submit(database, PLAN)
    assert jobs.request_cancel(database, waiting.id).state == jobs.CANCELLED
    assert leases.claim(database, "a", 60).id == running.id
    asked = jobs.request_cancel(database, running.id)
    assert (asked.state, asked.cancel_requested) == (jobs.RUNNING, True)
    assert leases.renew(database, running.id, "a", 60, 5).cancel_requested
    assert jobs.request_cancel(database, "unknown") is None


def test_a_key_stands_for_one_job(database):
    made: list[str] = []

    def submit() -> None:
        made.append(jobs.submit(database, PLAN, key="k", request_sha256="x").id)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_owners_may_use_the_same_key(database):
    mine = jobs.submit(database, PLAN, owner="anna", key="k")
    theirs = jobs.submit(database, PLAN, owner="bela", key="k")
    assert mine.id != theirs.id
    assert jobs.by_key(database, "k", "bela").id == theirs.id
    assert jobs.submit(database, PLAN, owner="anna", key="k").id == mine.id


def test_an_owner_sees_only_their_own_jobs(database):
    mine, theirs = (jobs.submit(database, PLAN, owner=owner) for owner in ("anna", "bela"))
    assert jobs.get(database, mine.id, "anna") == jobs.get(database, mine.id) == mine
    assert jobs.get(database, mine.id, "bela") is None
    assert [job.id for job in jobs.newest(database, 10, owner="bela")] == [theirs.id]
    assert [job.id for job in jobs.newest(database, 10)] == [theirs.id, mine.id]


def test_a_database_of_the_first_version_is_brought_up_to_date(database_url):
    jobs.open_database(database_url, "0001").dispose()
    columns = "id, state, request, scenario, trials_done, trials_total, created_at, cancel_requested, change"
    with sa.create_engine(database_url).begin() as old:
        for key in ("one", "two"):
            old.execute(
                sa.text(
                    f"INSERT INTO jobs ({columns}, idempotency_key)"
                    " VALUES (:key, 'queued', '{}', 'x', 0, 10, 1.5, false, 1, :key)"
                ),
                {"key": key},
            )
    database = jobs.open_database(database_url)
    assert jobs.get(database, "one", jobs.LOCAL).idempotency_key == "one"
    assert jobs.submit(database, PLAN, owner="anna", key="two").id != "two"
    with pytest.raises(sa.exc.IntegrityError), database.begin() as connection:
        connection.execute(jobs.jobs.update().values(idempotency_key="same", owner="anna"))


def test_pages_hold_each_job_once(database):
    made = [jobs.submit(database, PLAN).id for _ in range(7)]
    seen: list[str] = []
    before = None
    while page := jobs.newest(database, 3, before):
        seen += [job.id for job in page]
        before = (page[-1].created_at, page[-1].id)
    assert seen == made[::-1]


def test_a_list_of_jobs_leaves_their_scenarios_in_the_database(database):
    job = jobs.submit(database, PLAN, precision={"agreement": 0.1})
    (listed,) = jobs.newest(database, 10)
    whole = json.loads(job.request)
    assert json.loads(listed.request) == {name: value for name, value in whole.items() if name != "scenario"}
    assert len(listed.request) < 1000 < len(job.request)
    assert replace(listed, request=job.request) == job


def test_a_watched_job_is_looked_at_without_its_row(database):
    job = jobs.submit(database, PLAN)
    assert jobs.standing(database, job.id) == (job.change, jobs.QUEUED)
    jobs.request_cancel(database, job.id)
    assert jobs.standing(database, job.id) == (job.change + 1, jobs.CANCELLED)
    jobs.delete(database, job.id)
    assert jobs.standing(database, job.id) is None


def test_changes_are_counted(database):
    job = jobs.submit(database, PLAN)
    changes = [job.change]
    leases.claim(database, "a", 60)
    for done in (0, 0, 500, 500, 900):
        leases.renew(database, job.id, "a", 60, done)
        changes.append(jobs.get(database, job.id).change)
    leases.finish(database, job.id, "a", jobs.SUCCEEDED, 1000)
    changes.append(jobs.get(database, job.id).change)
    assert changes == [1, 2, 2, 3, 3, 4, 5]


def test_two_processes_may_open_a_new_database_at_once(database_url):
    errors: list[Exception] = []

    def open_it() -> None:
        try:
            jobs.open_database(database_url).dispose()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_request_is_plain_json():
    request = json.loads(json.dumps(plan_document(PLAN)))
    assert plan_from_document(PLAN.scenario, request) == PLAN
    assert make_plan(PLAN.scenario, trials=5000, seed=11, shard_trials=1000) == PLAN
