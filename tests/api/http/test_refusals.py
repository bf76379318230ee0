"""What a refusal costs: no body is read without a key, and no body is built before its shape is bounded."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http import bodies
from api.http.app import create_app
from api.http.authentication import WITHOUT_KEY, needs_key
from api.http.bodies import MAX_BODY_DEPTH, MAX_BODY_NODES, check_json, check_shape
from api.http.limits import MAX_CLIENTS, WrongKeyLimit, network_of
from api.http.problems import MAX_FAULTS, Problem, problem_response
from cluster.service import jobs, keys
from cluster.service.settings import Settings
from tests.support.requests import PROBLEM, SMALL_JOB, UNKNOWN_JOB
from tests.support.scenario_faults import json_values
from tests.support.served import served
from tests.support.waiting import wait_until

HOSTILE = {
    "many lists": b"[" + b"[]," * 349_000 + b"0]",
    "half surrogate pairs": b"[" + rb'"\ud800",' * 116_000 + b"0]",
    "fewer half surrogate pairs": b"[" + rb'"\ud800",' * 40_000 + b"0]",
    "one key again and again": b"{" + b'"a":1,' * 150_000 + b'"a":1}',
    "many keys twice": b"{" + b",".join(b'"%d":1' % (n // 2) for n in range(20_000)) + b"}",
    "deep lists": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 200_000,
    "commas": b"," * 1_000_000,
    "ends": b"]" * 1_000_000,
    "colons": b":" * 1_000_000,
    "numbers": b"1 " * 500_000,
    "quotes": b'"' * 1_000_000,
    "escaped quotes": b'["' + rb"\"" * 500_000,
    "backslashes": b'["' + b"\\" * 999_999,
    "a long number": b"[" + b"9" * 1_000_000 + b"]",
    "a long key": b'{"' + b"k" * 1_000_000 + b'": "' + rb"\ud800" + b'"}',
    "another encoding": json.dumps({"a": ["\u2200" * 10] * 5}).encode("utf-16"),
}


@pytest.fixture
def wrong_keys_per_minute() -> float:
    return 1e6


@pytest.fixture
def app(tmp_path: Path, wrong_keys_per_minute: float) -> Iterator[FastAPI]:
    made = create_app(Settings(data_dir=tmp_path, auth="keys", wrong_keys_per_minute=wrong_keys_per_minute))
    made.state.database = jobs.open_database(made.state.settings.jobs_database)
    yield made
    made.state.database.dispose()


def request(app: FastAPI, method: str, path: str, key: str | None) -> int:
    """The status of a request whose body cannot be read: reading it fails the test."""

    async def receive() -> dict:
        raise AssertionError("the body was read")

    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"1000000")]
    headers += [(b"authorization", f"Bearer {key}".encode())] if key else []
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    asyncio.run(app({**scope, "server": ("127.0.0.1", 80), "client": ("192.0.2.1", 1)}, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize("key", [None, "none", f"brink_{'0' * 16}_{'0' * 64}"])
def test_without_a_valid_key_no_body_is_read(app, key):
    paths = {route.path for route in iter_route_contexts(app.routes) if needs_key(route.path)}
    assert len(paths) > 10
    for path in (*paths, "/v1/nothing", "/v2/jobs"):
        filled = re.sub(r"\{(\w+)(:path)?\}", lambda found: UNKNOWN_JOB if found[1] == "job_id" else "x", path)
        assert request(app, "POST", filled, key) == 401, path


@pytest.mark.parametrize("path", WITHOUT_KEY)
def test_where_no_key_is_needed_no_body_is_read(app, path):
    jobs.runner_seen(app.state.database, "test")
    assert request(app, "GET", path, None) in (200, 503)
    assert request(app, "POST", path, None) == 405


# One wrong key, and the next one after a thousand minutes.
@pytest.mark.parametrize("wrong_keys_per_minute", [0.001])
def test_wrong_keys_are_limited_by_address_before_they_are_looked_up(app, monkeypatch):
    looked_up = []
    find = keys.find
    monkeypatch.setattr(keys, "find", lambda database, text: looked_up.append(text) or find(database, text))
    valid, unused = (keys.create(app.state.database, "ann", keys.SCOPES)[1] for _ in range(2))
    guesses = [f"brink_{n:016x}_{n:064x}" for n in range(20)]

    def ask(key: str, address: str) -> httpx.Response:
        async def get() -> httpx.Response:
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get("/v1/parameters", headers={"Authorization": f"Bearer {key}"})

        return asyncio.run(get())

    assert ask(valid, "192.0.2.7").status_code == 200
    answers = [ask(guess, "192.0.2.7") for guess in guesses]
    assert [answer.status_code for answer in answers] == [401] + [429] * 19
    assert looked_up == [valid, guesses[0]]
    assert answers[1].headers["content-type"] == PROBLEM
    assert int(answers[1].headers["Retry-After"]) > 50_000
    # A key that was valid before is let in from the same address; others are not concerned.
    assert ask(valid, "192.0.2.7").status_code == 200
    assert ask(unused, "192.0.2.7").status_code == 429
    assert ask(unused, "192.0.2.8").status_code == 200
    assert ask("guess", "192.0.2.8").status_code == 401


def test_requests_beyond_the_rate_are_not_looked_up(tmp_path, monkeypatch):
    looked_up = []
    find = keys.find
    monkeypatch.setattr(keys, "find", lambda database, text: looked_up.append(text) or find(database, text))
    # Two requests at once, and the next one after a thousand seconds.
    with served(tmp_path, auth="keys", requests_per_second=0.001) as service:
        ann, bob = (service.key(owner, "read") for owner in ("ann", "bob"))
        found = [service.ask("GET", "/v1/parameters", ann).status_code for _ in range(20)]
        assert found.count(429) >= 18
        assert found[0] == 200
        assert len(looked_up) <= 2
        assert service.ask("GET", "/v1/parameters", bob).status_code == 200


def test_wrong_keys_of_a_minute_are_forgotten_after_it():
    now = [0.0]
    limit = WrongKeyLimit(60, clock=lambda: now[0])

    def guesses() -> int:
        for count in range(1000):
            try:
                limit.check("192.0.2.7", "guess")
            except Problem as problem:
                waits.append((problem.status, problem.headers["Retry-After"]))
                return count
            limit.wrong("192.0.2.7", "guess")
        return 1000

    waits: list[tuple[int, str]] = []
    assert guesses() == 60
    now[0] = 10.0
    assert guesses() == 10
    now[0] = 1000.0
    assert guesses() == 60
    assert waits == [(429, "1")] * 3
    for n in range(3 * MAX_CLIENTS):
        limit.wrong(f"client {n}", "guess")
        limit.valid(f"key {n}", "ann")
    assert len(limit._buckets._buckets) == len(limit._valid) == MAX_CLIENTS


def test_a_revoked_key_loses_its_exception():
    limit = WrongKeyLimit(1, clock=lambda: 0.0)
    limit.valid("key", "ann")
    limit.wrong("192.0.2.7", "guess")
    limit.check("192.0.2.7", "key")
    limit.wrong("192.0.2.7", "key")
    with pytest.raises(Problem):
        limit.check("192.0.2.7", "key")


def test_addresses_that_one_client_can_choose_among_count_as_one():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of(None) == network_of("") == "unknown"


def test_alive_while_hostile_bodies_are_checked_and_no_thread_and_no_database_is_free(app, monkeypatch):
    """Checks of bodies wait for the end of the test, all threads of the routes are taken, and there is no database."""
    end, begun = threading.Event(), threading.Semaphore(0)

    def never_done(_: bytes) -> None:
        begun.release()
        end.wait()

    monkeypatch.setattr(bodies, "check_json", never_done)
    headers = {"Authorization": f"Bearer {keys.create(app.state.database, 'ann', keys.SCOPES)[1]}"}

    async def attack() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            sent = [asyncio.create_task(client.post("/v1/jobs", json={}, headers=headers)) for _ in range(20)]
            await asyncio.to_thread(lambda: [begun.acquire() for _ in range(bodies.BODY_CHECKS)])
            app.state.database.dispose()
            del app.state.database
            threads = anyio.to_thread.current_default_thread_limiter()
            for _ in range(int(threads.available_tokens)):
                threads.acquire_on_behalf_of_nowait(object())
            status = (await client.get("/healthz")).status_code
            assert not any(one.done() for one in sent)
            for one in sent:
                one.cancel()
            end.set()
            await asyncio.gather(*sent, return_exceptions=True)
            return status

    database = app.state.database
    try:
        assert asyncio.run(attack()) == 200
    finally:
        app.state.database = database


def test_requests_for_readiness_at_the_same_time_share_one_check(app, monkeypatch):
    from api.http.routes import health

    begun, end = [], threading.Event()
    check = health.check_ready
    monkeypatch.setattr(health, "check_ready", lambda *given: begun.append(1) or (end.wait() and check(*given)))

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = [asyncio.create_task(client.get("/readyz")) for _ in range(50)]
            await asyncio.to_thread(wait_until, lambda: begun)
            end.set()
            return [(await one).status_code for one in asked]

    assert asyncio.run(ask()) == [503] * 50
    assert len(begun) == 1


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_refused_in_bounded_work_and_few_words(body, monkeypatch):
    visited = 0

    class Counting:
        def finditer(self, text: bytes) -> Iterator:
            nonlocal visited
            for match in tokens.finditer(text):
                visited += 1
                yield match

    tokens = bodies._TOKENS
    monkeypatch.setattr(bodies, "_TOKENS", Counting())
    with pytest.raises(Problem) as refused:
        check_json(body)
    assert refused.value.status in (400, 422)
    assert visited <= 3 * MAX_BODY_NODES + 2
    assert len(refused.value.faults) <= MAX_FAULTS + 1
    answer = problem_response(refused.value)
    assert len(json.loads(answer.body).get("errors", [])) <= MAX_FAULTS
    assert len(answer.body) < 100_000


def nodes(value: object) -> int:
    """The keys and values of a JSON value."""
    if isinstance(value, dict):
        return 1 + sum(1 + nodes(below) for below in value.values())
    return 1 + sum(map(nodes, value)) if isinstance(value, list) else 1


def levels(value: object) -> int:
    """The lists and objects inside each other."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max(map(levels, below), default=0)


@given(value=json_values, indent=st.none() | st.integers(0, 3), plain=st.booleans())
@settings(max_examples=300)
def test_the_shape_of_any_json_is_that_of_its_value(value, indent, plain):
    assert check_shape(json.dumps(value, indent=indent, ensure_ascii=plain).encode("utf-8", "surrogatepass")) == nodes(
        value
    )


@given(
    path=st.lists(st.text(max_size=5) | st.integers(0, 3), min_size=1, max_size=MAX_BODY_DEPTH + 3),
    value=json_values,
)
@settings(max_examples=300)
def test_levels_are_limited_at_the_place_where_they_are_too_many(path, value):
    document: object = value
    for part in reversed(path):
        document = {"other": 1, part: document} if isinstance(part, str) else [2] * part + [document]
    text = json.dumps(document).encode()
    if levels(document) <= MAX_BODY_DEPTH:
        check_shape(text)
        return
    with pytest.raises(Problem) as refused:
        check_shape(text)
    (fault,) = refused.value.faults
    assert len(fault.path) == MAX_BODY_DEPTH
    assert list(fault.path[: len(path)]) == path[:MAX_BODY_DEPTH]


def test_faults_that_pydantic_and_the_scenario_find_are_limited_too(tmp_path):
    wrong = {
        "/v1/jobs": {**SMALL_JOB, "strategies": [1] * 40_000},
        "/v1/scenarios/validate": {**SMALL_JOB["scenario"], **{f"x{n}": n for n in range(20_000)}},
    }
    with served(tmp_path) as service:
        for path, body in wrong.items():
            answer = service.ask("POST", path, json=body)
            assert 1 <= len(answer.json()["errors"]) <= MAX_FAULTS, path
            assert len(answer.content) < 200_000


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/scenarios/validate"])
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_body_that_is_not_declared_as_json_is_refused_with_the_missing_header(tmp_path, path, kind):
    with served(tmp_path) as service:
        headers = {} if kind is None else {"Content-Type": kind}
        answer = service.ask("POST", path, content=json.dumps(SMALL_JOB), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)
    assert answer.json()["errors"][0]["field"] == "Content-Type"
    assert "application/json" in answer.json()["errors"][0]["detail"]
