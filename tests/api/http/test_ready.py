"""What the service says when something that it needs is not there."""

import socket

import pytest
import sqlalchemy as sa

from cluster.service.jobs import runner_seen
from tests.support.requests import SMALL_JOB
from tests.support.served import served


def ready(service) -> tuple[int, dict]:
    answer = service.ask("GET", "/readyz")
    return answer.status_code, answer.json()


def test_ready_with_a_runner(tmp_path):
    with served(tmp_path) as service:
        assert ready(service) == (503, {"status": "unavailable", "missing": ["no runner is alive"]})
        runner_seen(service.database, "test")
        assert ready(service) == (200, {"status": "ok", "missing": []})


def test_ready_with_the_ray_that_is_configured(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with served(tmp_path, ray_address=address) as service:
            runner_seen(service.database, "test")
            assert ready(service)[0] == 200
            listening.close()
            missing = ["the Ray of BRINK_RAY_ADDRESS cannot be reached"]
            assert ready(service) == (503, {"status": "unavailable", "missing": missing})


@pytest.mark.parametrize("url", ["postgresql+psycopg://brink:secret@127.0.0.1:1/brink", "sqlite:////nowhere/at/all"])
@pytest.mark.parametrize("auth", ["none", "keys"])
def test_a_database_that_does_not_answer_is_reported(tmp_path, url, auth):
    with served(tmp_path, auth=auth) as service:
        key = service.key("ann", "submit", "read", "admin")
        service.database.dispose()
        service.app.state.database = sa.create_engine(url)
        assert ready(service) == (503, {"status": "unavailable", "missing": ["the jobs database does not answer"]})
        job = "/v1/jobs/" + "0" * 32
        for method, path in (
            ("GET", "/v1/jobs"),
            ("GET", job),
            ("GET", f"{job}/events"),
            ("POST", f"{job}/cancel"),
            ("DELETE", job),
            ("POST", "/v1/jobs"),
            ("GET", "/metrics"),
        ):
            answer = service.ask(method, path, key, json=SMALL_JOB if path == "/v1/jobs" and method == "POST" else None)
            assert answer.status_code == 503, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["detail"] == "the jobs database does not answer; try again soon"


@pytest.mark.parametrize("auth", ["none", "keys"])
def test_lost_tables_are_a_failure_of_the_database(tmp_path, database_url, auth):
    """As before a restoration, and as a process of an earlier version finds tables that were renamed."""
    with served(tmp_path, auth=auth, database_url=database_url) as service:
        key = service.key("ann", "submit", "read", "admin")
        with service.database.begin() as connection:
            for name in ("jobs", "keys"):
                connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO lost_{name}")
        for method, path in (("GET", "/v1/jobs"), ("GET", "/v1/jobs/" + "0" * 32), ("GET", "/metrics")):
            answer = service.ask(method, path, key)
            assert (answer.status_code, answer.json()["detail"]) == (
                503,
                "the jobs database does not answer; try again soon",
            )
            assert int(answer.headers["Retry-After"]) > 0
