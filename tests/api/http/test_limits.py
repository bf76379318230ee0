"""Limits for one user: requests a second, slots for answers, and a question's time, memory and files."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import httpx
import pytest
from fastapi.routing import iter_route_contexts

from api.http import limits
from api.http.app import create_app
from api.http.limits import AnswerSlots, RequestLimit
from api.http.problems import Problem
from api.http.routes.common import known_run
from cluster.query.session import QueryLimit, open_duckdb, time_limit
from cluster.service.settings import Settings
from cluster.storage.local import LocalFolder
from tests.support.requests import SMALL_JOB
from tests.support.served import served
from tests.support.waiting import wait_until

ENDLESS = "SELECT sum(hash(a + b)) FROM range(10000000) x(a), range(10000000) y(b)"


def test_a_rate_allows_a_burst_and_then_so_many_a_second():
    now = [0.0]
    rate = RequestLimit(5.0, clock=lambda: now[0])

    def taken(owner: str, times: int) -> int:
        problems = []
        for _ in range(times):
            try:
                rate.take(owner)
            except Problem as problem:
                problems.append((problem.status, int(problem.headers["Retry-After"]) >= 1))
        assert set(problems) <= {(429, True)}
        return times - len(problems)

    assert taken("ann", 100) == 10
    assert taken("bob", 3) == 3
    now[0] = 1.0
    assert taken("ann", 100) == 5
    now[0] = 1000.0
    assert taken("ann", 100) == 10


def test_a_rate_below_one_a_second_says_how_long_to_wait():
    rate = RequestLimit(0.1, clock=lambda: 0.0)
    rate.take("ann")
    with pytest.raises(Problem) as refused:
        rate.take("ann")
    assert refused.value.headers["Retry-After"] == "10"


def test_answers_have_slots_in_all_and_for_each_owner(monkeypatch):
    monkeypatch.setattr(limits, "SLOT_WAIT_SECONDS", 0.05)

    async def scenario() -> list[str]:
        slots = AnswerSlots(3, 2)
        happened = []
        async with slots.slot("ann"), slots.slot("ann"):
            for owner in ("ann", "bob"):
                try:
                    async with slots.slot(owner):
                        happened.append(f"{owner} has a slot")
                except Problem as problem:
                    happened.append(f"{owner} {problem.status} {problem.headers['Retry-After']}")
            async with slots.slot("bob"):
                try:
                    async with slots.slot("carl"):
                        happened.append("carl has a slot")
                except Problem as problem:
                    happened.append(f"carl {problem.status}")
        async with slots.slot("ann"), slots.slot("ann"), slots.slot("carl"):
            happened.append("all are free again")
        return happened

    assert asyncio.run(scenario()) == ["ann 503 10", "bob has a slot", "carl 503", "all are free again"]


def test_event_streams_are_limited_for_each_owner_until_they_end(tmp_path):
    with served(tmp_path, auth="keys", streams=1) as service:
        ann, bob = (service.key(owner, "read", "submit") for owner in ("ann", "bob"))
        jobs = {}
        for key in (ann, bob):
            jobs[key["Authorization"]] = service.ask("POST", "/v1/jobs", key, json=SMALL_JOB).json()["id"]

        def watched(key: dict[str, str]) -> httpx.Response:
            return service.ask("GET", f"/v1/jobs/{jobs[key['Authorization']]}/events", key)

        with ThreadPoolExecutor() as pool:
            first = pool.submit(watched, ann)
            wait_until(lambda: service.app.state.streams._open)
            refused = watched(ann)
            assert (refused.status_code, int(refused.headers["Retry-After"])) == (429, limits.RETRY_SECONDS)
            service.work()
            assert [one.status_code for one in (first.result(), watched(bob), watched(ann))] == [200, 200, 200]


def test_a_query_ends_after_its_time_limit():
    with pytest.raises(QueryLimit, match="longer"), time_limit(0.5), open_duckdb() as database:
        database.execute(ENDLESS).fetchall()
    with pytest.raises(QueryLimit), time_limit(0.0), open_duckdb():
        pass
    with open_duckdb() as database:
        assert database.execute("SELECT 1").fetchall() == [(1,)]


def test_a_time_limit_does_not_apply_to_other_threads():
    ended = []

    def unlimited() -> None:
        with open_duckdb() as database:
            ended.append(database.execute("SELECT count(*) FROM range(1000)").fetchone())

    with time_limit(0.0):
        thread = threading.Thread(target=unlimited)
        thread.start()
        thread.join()
    assert ended == [(1000,)]


def test_a_query_reads_only_files_of_the_run_and_cannot_lift_its_limits(tmp_path: Path):
    inside, outside = tmp_path / "run", tmp_path / "other"
    for folder in (inside, outside):
        folder.mkdir()
        duckdb.sql("SELECT 7 AS x").write_parquet(str(folder / "a.parquet"))
    with open_duckdb(LocalFolder(inside)) as database:
        assert database.execute("SELECT x FROM committed(?)", [["a.parquet"]]).fetchall() == [(7,)]
        for forbidden in (
            f"SELECT * FROM read_parquet('{outside / 'a.parquet'}')",
            "SELECT * FROM committed(['../../other/a.parquet'])",
            "SELECT * FROM committed(['../folder/../../other/a.parquet'])",
            f"SELECT * FROM read_parquet('{inside}/../other/a.parquet')",
            "SELECT * FROM read_text('/etc/passwd')",
            f"COPY (SELECT 1) TO '{outside / 'b.csv'}'",
            "ATTACH '/tmp/x.duckdb'",
            "INSTALL httpfs",
            "SET memory_limit = '100GB'",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(forbidden)
    assert not (outside / "b.csv").exists()


def test_every_answer_takes_a_slot_and_has_a_time_limit():
    app = create_app(Settings(data_dir="unused"))
    without = [
        route.path
        for route in iter_route_contexts(app.routes)
        if "{job_id}" in route.path and "POST" in route.methods and not route.path.endswith("/cancel")
        if known_run not in calls(route.dependant)
    ]
    assert without == [], "a route that answers from a run takes it as api.http.routes.common.KnownRun"


def calls(dependant) -> list:
    """What a route depends on, at any depth."""
    return [dependant.call, *(call for below in dependant.dependencies for call in calls(below))]


ANSWERS: dict[str, dict] = {
    "aggregate": {"measures": ["export_gain"]},
    "compare": {},
    "discover": {"outcome": "sanctions"},
    "drivers": {},
    "replay": {"trial": 1},
    "score": {},
    "summary": {"given": "threat"},
    "timeline": {},
    "typical": {},
}


@pytest.mark.parametrize("limit", [{"query_seconds": 1e-6}, {"answers": 1}])
def test_quick_answers_are_limited_too(tmp_path, monkeypatch, limit):
    """No answer is given in no time, and none while all slots are taken."""
    monkeypatch.setattr(limits, "SLOT_WAIT_SECONDS", 0.05)
    with served(tmp_path, **limit) as service:
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"scenario": "us-mexico-2019"}).json()["id"]
        service.work()
        if "answers" in limit:
            service.client.portal.call(service.app.state.answer_slots._total.acquire)
        for name, body in ANSWERS.items():
            path = f"/v1/jobs/{job}/{name}"
            answer = (
                service.ask("GET", path, params=body) if name == "summary" else service.ask("POST", path, json=body)
            )
            if "answers" in limit:
                assert (answer.status_code, "Retry-After" in answer.headers) == (503, True), name
            else:
                assert (answer.status_code, "longer" in answer.text) == (422, True), (name, answer.text)
        assert service.ask("GET", f"/v1/jobs/{job}/summary").status_code == 200
