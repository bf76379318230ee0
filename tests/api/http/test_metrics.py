"""What Prometheus gets: jobs from the database, requests by their route's template, and to whom."""

import asyncio

import httpx

from api.http.app import create_app
from cluster.service import jobs, keys
from cluster.service.settings import Settings
from tests.support.prometheus import samples
from tests.support.runs import small_plan


def asked(app, *paths: str, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return [await client.get(path, headers=headers) for path in paths]

    return asyncio.run(ask())


def test_jobs_and_requests_are_counted(tmp_path):
    app = create_app(Settings(data_dir=tmp_path))
    app.state.database = jobs.open_database(app.state.settings.jobs_database)
    waiting = jobs.submit(app.state.database, small_plan())
    jobs.request_cancel(app.state.database, jobs.submit(app.state.database, small_plan()).id)
    *_, answer = asked(app, f"/v1/jobs/{waiting.id}", "/v1/jobs/" + "0" * 32, "/v1/nothing/at/all", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["brink_jobs", ("state", "queued")] == 1
    assert found["brink_jobs", ("state", "cancelled")] == 1
    assert found["brink_jobs", ("state", "running")] == 0
    assert 0 < found["brink_queue_age_seconds",] < 60
    count = "brink_http_request_duration_seconds_count"
    for route, status in (("/v1/jobs/{job_id}", "200"), ("/v1/jobs/{job_id}", "404"), ("none", "404")):
        assert found[count, ("method", "GET"), ("route", route), ("status", status)] == 1
    assert waiting.id not in answer.text
    app.state.database.dispose()


def test_with_keys_only_administrators_may_read_metrics(tmp_path):
    app = create_app(Settings(data_dir=tmp_path, auth="keys"))
    app.state.database = jobs.open_database(app.state.settings.jobs_database)
    statuses = []
    for scopes in ((), (keys.READ, keys.SUBMIT), (keys.ADMIN,)):
        headers = {"Authorization": f"Bearer {keys.create(app.state.database, 'a', scopes)[1]}"} if scopes else None
        statuses += [answer.status_code for answer in asked(app, "/metrics", headers=headers)]
    assert statuses == [401, 403, 200]
    app.state.database.dispose()
