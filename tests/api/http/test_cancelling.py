"""An answer that nobody waits for any more is not computed to its end, and leaves its place to others."""

import threading

import pytest

from api.http import answer_cache
from cluster.answers.registry import ask
from cluster.query.session import QueryCancelled, cancelled_by, check_time
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from tests.support.requests import SMALL_JOB
from tests.support.runs import small_plan
from tests.support.served import served
from tests.support.waiting import wait_until


@pytest.mark.parametrize("answer", ["summary", "compare", "timeline", "aggregate"])
def test_a_cancelled_answer_ends(tmp_path, answer):
    run(small_plan(), tmp_path / "run", RunOptions(engine="inline"))
    stored = open_run(tmp_path / "run")
    request = {"measures": ["export_gain"]} if answer == "aggregate" else {"given": "agreement_week > 2"}
    gone = threading.Event()
    with cancelled_by(gone):
        ask(stored, answer, request)
        gone.set()
        with pytest.raises(QueryCancelled):
            ask(stored, answer, request)
    ask(stored, answer, request)


def test_a_client_that_goes_away_cancels_its_answer(tmp_path, monkeypatch):
    with served(tmp_path, answers=1) as service:
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
        service.work()
        path = f"/v1/jobs/{job}/timeline"
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }
        sent: list[dict] = []

        async def ask_and_go() -> None:
            messages = iter([{"type": "http.request", "body": b"{}", "more_body": False}])

            async def receive() -> dict:
                return next(messages, {"type": "http.disconnect"})

            async def send(message: dict) -> None:
                sent.append(message)

            await service.app(scope, receive, send)

        with monkeypatch.context() as patched:
            # It computes until it is cancelled, however quick the machine is.
            patched.setattr(answer_cache, "ask", lambda *_, **__: wait_until(check_time))
            service.client.portal.call(ask_and_go)
        assert sent[0]["status"] == 503
        # The only place for answers is free again.
        assert service.ask("POST", path, json={}).status_code == 200
