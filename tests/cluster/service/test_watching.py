"""What runners report: counters in the database, lines in the log, and events across a restart."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from cluster.service import jobs, leases
from cluster.service.counters import (
    COUNTERS,
    LEASE_LOSSES,
    SHARD_SECONDS,
    SHARDS,
    TRIALS_COUNTED,
    PendingCounts,
    read_counters,
)
from cluster.service.runner import work_job
from tests.support.prometheus import samples
from tests.support.runs import small_plan
from tests.support.served import served
from tests.support.service_process import ServiceProcess
from tests.support.working import Working


def test_runners_that_count_at_once_lose_nothing(database_url):
    database = jobs.open_database(database_url)
    assert read_counters(database) == dict.fromkeys(COUNTERS, 0.0)

    def count(_: int) -> None:
        tally = PendingCounts()
        for _ in range(10):
            tally.count(trials=1000, shards=1, shard_seconds=0.25)
            tally.add_to(database)
        tally.add_to(database)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert read_counters(database) == {TRIALS_COUNTED: 40_000, SHARDS: 40, SHARD_SECONDS: 10.0, LEASE_LOSSES: 0}
    database.dispose()


def test_counts_that_could_not_be_added_are_added_later(tmp_path):
    database = jobs.open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}", "0003")
    tally = PendingCounts()
    tally.count(shards=2)
    with pytest.raises(sa.exc.OperationalError):
        tally.add_to(database)
    database.dispose()
    database = jobs.open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    tally.count(shards=1)
    tally.add_to(database)
    assert read_counters(database)[SHARDS] == 3
    database.dispose()


def test_the_metrics_count_what_was_computed_and_not_what_was_taken_over(tmp_path):
    with served(tmp_path) as service:
        for trials, computed, shards in ((2000, 4000, 4), (3000, 6000, 6)):
            jobs.submit(service.database, small_plan(trials=trials))
            service.work()
            found = samples(service.ask("GET", "/metrics").text)
            assert found["brink_trials_computed_total",] == computed
            assert found["brink_shard_seconds_count",] == shards
            assert 0 < found["brink_shard_seconds_sum",] < 600
            assert found["brink_lease_losses_total",] == 0


@pytest.mark.parametrize(("loses", "losses"), [("lease", 1), ("job", 0)])
def test_a_lost_lease_is_counted_and_a_deleted_job_is_not(tmp_path, loses, losses):
    working = Working(tmp_path / "data")
    jobs.submit(working.database, small_plan(trials=1000))
    job = leases.claim(working.database, "slow", 0.0)
    if loses == "lease":
        assert leases.claim(working.database, "other", 60).id == job.id
    else:
        jobs.delete(working.database, job.id)
    work_job(working.database, job, "slow", working.settings, threading.Event())
    assert read_counters(working.database)[LEASE_LOSSES] == losses
    working.database.dispose()


@pytest.mark.slow
def test_events_continue_after_a_restart_and_the_log_names_job_and_shard(tmp_path):
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline")
    try:
        job = service.submit(trials=600_000)["id"]
        seen = [*_events(service, job, most=3)]
        service.kill()
        service.start()
        rest = _events(service, job, after=seen[-1]["id"])
        again = _events(service, job)
        assert _events(service, job, after=str(int(rest[-1]["id"]) + 5)) == again
    finally:
        service.stop()
    ids = [int(event["id"]) for event in seen + rest]
    assert ids == sorted(set(ids))
    assert [event["id"] for event in again] == [rest[-1]["id"]]
    assert rest[-1]["event"] == "succeeded"
    done = [json.loads(event["data"])["progress"]["trials_done"] for event in seen + rest]
    assert done == sorted(done)
    assert done[-1] == 1_200_000

    lines = [json.loads(line) for line in (tmp_path / "service.log").read_text().splitlines()]
    assert all({"timestamp", "level", "logger", "event"} <= set(line) for line in lines)
    work = [line for line in lines if line["logger"] == "brink.runner" and line["event"] != "runner is ready"]
    assert all(line["job_id"] == job and line["runner"] for line in work)
    shards = {(line["strategy"], line["shard"]) for line in work if line["event"] == "shard committed"}
    assert {strategy for strategy, _ in shards} == {"talk", "threaten"}
    assert work[-1]["became"] == "succeeded"
    requests = [(line["event"], line["status"]) for line in lines if line["logger"] == "uvicorn.access"]
    assert ("POST /v1/jobs", 202) in requests


def _events(service: ServiceProcess, job: str, after: str | None = None, most: int = 1_000) -> list[dict[str, str]]:
    """The events of a job's stream, at most so many."""
    found: list[dict[str, str]] = []
    headers = {"Last-Event-ID": after} if after else {}
    with service.client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as answer:
        current: dict[str, str] = {}
        for line in answer.iter_lines():
            if match := re.fullmatch(r"(id|event|data): (.*)", line):
                current[match[1]] = match[2]
            elif not line and current:
                found.append(current)
                current = {}
                if len(found) == most:
                    break
    return found
