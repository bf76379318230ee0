"""Who gets in, and to what: keys, scopes, and other people's jobs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from api.http.app import create_app
from api.http.guards import HEADERS
from api.web.pages import is_page
from cluster.service import jobs as job_store
from cluster.service import keys, leases
from cluster.service.jobs import jobs, open_database
from cluster.service.settings import Settings
from tests.support.command_line import brink
from tests.support.requests import PROBLEM, SMALL_JOB, UNKNOWN_JOB
from tests.support.served import Served, served
from tests.support.service_process import ServiceProcess
from tests.support.waiting import wait_until

OPEN = {"/openapi.json", "/healthz", "/readyz"}


def routes() -> list[tuple[str, str]]:
    """Every route of the service but the pages, which have no data; the one that deletes the job last."""
    app = create_app(Settings(data_dir="unused"))
    found = [
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in sorted(route.methods or ())
        if method != "HEAD" and not is_page(route.path)
    ]
    return sorted(found, key=lambda one: (one[0] == "DELETE", one[1]))


JOB_ROUTES = [(method, path) for method, path in routes() if "{job_id}" in path]


def test_the_routes_are_found():
    assert len(JOB_ROUTES) > 10
    assert {path for _, path in routes() if not path.startswith("/v1/")} >= OPEN


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("served"), auth="keys", requests_per_second=1e6, wrong_keys_per_minute=1e6
    ) as found:
        yield found


@pytest.fixture(scope="module")
def ann(service) -> dict[str, str]:
    return service.key("ann", "submit", "read")


@pytest.fixture(scope="module")
def bob(service) -> dict[str, str]:
    return service.key("bob", "submit", "read")


@pytest.fixture
def anns_job(service, ann) -> str:
    answer = service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB)
    assert answer.status_code == 202, answer.text
    service.work()
    return answer.json()["id"]


def filled(path: str, job_id: str) -> str:
    """A route's path for a job."""
    return path.replace(":path", "").format(
        job_id=job_id, path="summary.json", name="us-japan-autos-1995", key_id="0" * 16
    )


def test_jobs_of_other_owners_are_not_found_by_any_route(service, ann, bob, anns_job):
    for method, path in JOB_ROUTES:
        body = {"json": {}} if method == "POST" else {}
        theirs = service.ask(method, filled(path, anns_job), bob, **body)
        none = service.ask(method, filled(path, UNKNOWN_JOB), bob, **body)
        assert (theirs.status_code, none.status_code) == (404, 404), path
        assert theirs.text.replace(anns_job, UNKNOWN_JOB) == none.text, path
        headers = [
            {name: value for name, value in answer.headers.items() if name != "content-length"}
            for answer in (theirs, none)
        ]
        assert headers[0] == headers[1], path
    for method, path in JOB_ROUTES:
        body = {"json": {}} if method == "POST" else {}
        own = service.ask(method, filled(path, anns_job), ann, **body)
        assert own.status_code in (200, 202, 204, 422), (path, own.text)


def test_a_list_contains_only_the_jobs_of_the_owner(service, ann, bob, anns_job):
    bobs = service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB).json()["id"]
    mine = [job["id"] for job in service.ask("GET", "/v1/jobs", bob).json()["jobs"]]
    assert bobs in mine
    assert anns_job not in mine
    page = service.ask("GET", "/v1/jobs", ann, params={"limit": 1}).json()
    assert page["jobs"][0]["id"] == anns_job
    token = page["next_page_token"]
    if token:
        stolen = service.ask("GET", "/v1/jobs", bob, params={"page_token": token}).json()["jobs"]
        assert {job["id"] for job in stolen} <= set(mine)


def test_a_page_token_does_not_show_jobs_of_other_owners(service, bob, anns_job):
    for _ in range(2):
        service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB)
    first = service.ask("GET", "/v1/jobs", bob, params={"limit": 1}).json()
    rest = service.ask("GET", "/v1/jobs", bob, params={"page_token": first["next_page_token"]}).json()
    assert anns_job not in {job["id"] for job in rest["jobs"]}


def test_owners_may_use_the_same_idempotency_key(service, ann, bob):
    headers = {"Idempotency-Key": '"the same"'}
    first = service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB, headers=headers).json()["id"]
    other = service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB | {"seed": 4}, headers=headers)
    assert other.status_code == 202
    assert other.json()["id"] != first
    assert service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB, headers=headers).json()["id"] == first


def test_an_administrator_sees_and_cancels_the_jobs_of_all_owners(service, anns_job):
    admin = service.key("root", "admin")
    assert anns_job in {job["id"] for job in service.ask("GET", "/v1/jobs", admin).json()["jobs"]}
    assert service.ask("GET", f"/v1/jobs/{anns_job}/summary", admin).status_code == 200
    assert service.ask("DELETE", f"/v1/jobs/{anns_job}", admin).status_code == 204


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Basic YTpi", "Bearer brink_0_0", "Bearer \xff"])
def test_without_a_key_only_health_is_answered(service, anns_job, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for method, path in routes():
        body = {"json": {}} if method == "POST" else {}
        answer = service.client.request(method, filled(path, anns_job), headers=headers, **body)
        if path in OPEN:
            assert answer.status_code in (200, 503)
            continue
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM), path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_scope_allows_what_it_names(service, ann, anns_job):
    reads, submits = service.key("ann", "read"), service.key("ann", "submit")
    submitting = {
        ("POST", "/v1/jobs"),
        ("POST", "/v1/estimate"),
        ("POST", "/v1/jobs/{job_id}/cancel"),
        ("DELETE", "/v1/jobs/{job_id}"),
    }
    for method, path in routes():
        if path in OPEN:
            continue
        lacking = reads if (method, path) in submitting else submits
        answer = service.ask(method, filled(path, anns_job), lacking, json={} if method == "POST" else None)
        assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM), path
        assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
    assert service.ask("GET", f"/v1/jobs/{anns_job}", reads).status_code == 200
    assert service.ask("POST", "/v1/jobs", submits, json=SMALL_JOB).status_code == 202
    assert service.ask("POST", f"/v1/jobs/{anns_job}/cancel", submits).status_code == 202


def test_a_revoked_key_is_refused(service):
    key = service.key("carl", "read")
    assert service.ask("GET", "/v1/jobs", key).status_code == 200
    keys.revoke(service.database, key["Authorization"].split("_")[1])
    assert service.ask("GET", "/v1/jobs", key).status_code == 401


def test_the_description_names_keys_and_refusals(service):
    document = service.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for one in methods.values():
            if path.startswith("/v1/"):
                assert one["security"] == [{"key": []}]
                assert {"401", "403", "429"} <= set(one["responses"])


def test_requests_a_second_are_limited_for_each_owner(tmp_path):
    """A request in two hours: however busy the machine is, no second one is allowed while the test lasts."""
    with served(tmp_path, auth="keys", requests_per_second=1 / 7200) as service:
        ann, again, bob = service.key("ann", "read"), service.key("ann", "read"), service.key("bob", "read")
        assert service.ask("GET", "/v1/parameters", ann).status_code == 200
        for key in (ann, again):
            refused = service.ask("GET", "/v1/parameters", key)
            assert (refused.status_code, refused.headers["content-type"]) == (429, PROBLEM)
            assert 0 < int(refused.headers["Retry-After"]) <= 7200
        assert service.ask("GET", "/v1/parameters", bob).status_code == 200


def test_jobs_that_wait_are_limited_for_each_owner_and_for_all(tmp_path):
    with served(tmp_path, auth="keys", max_queued=2, max_queue=3) as service:
        ann, bob = service.key("ann", "submit"), service.key("bob", "submit")
        keyed = {"Idempotency-Key": "k"}
        first = service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB, headers=keyed)
        assert service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB).status_code == 202
        refused = service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB)
        assert (refused.status_code, refused.headers["content-type"]) == (429, PROBLEM)
        assert int(refused.headers["Retry-After"]) > 0
        assert service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB, headers=keyed).json() == first.json()
        assert service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB).status_code == 202
        full = service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB)
        assert (full.status_code, full.headers["content-type"]) == (503, PROBLEM)
        assert int(full.headers["Retry-After"]) > 0
        service.ask("POST", f"/v1/jobs/{first.json()['id']}/cancel", ann)
        assert service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB).status_code == 202


def test_a_repeated_request_of_the_same_instant_takes_one_place(tmp_path, monkeypatch):
    with served(tmp_path, auth="keys", max_queued=1) as service:
        ann = service.key("ann", "submit") | {"Idempotency-Key": "k"}
        looked = []
        by_key = job_store.by_key
        monkeypatch.setattr(job_store, "by_key", lambda *given: looked.append(by_key(*given)) or looked[-1])
        with ThreadPoolExecutor(8) as pool:
            # All have looked for the key before the first is recorded.
            with service.app.state.submitting:
                asked = [pool.submit(service.ask, "POST", "/v1/jobs", ann, json=SMALL_JOB) for _ in range(8)]
                wait_until(lambda: len(looked) == 8)
                assert looked == [None] * 8
            answers = [each.result() for each in asked]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1


def test_the_job_of_highest_priority_of_an_owner_is_played_first(tmp_path):
    with served(tmp_path) as service:
        sent = [service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"priority": p}).json() for p in (-10, 0, 10)]
        assert [job["priority"] for job in sent] == [-10, 0, 10]
        taken = [leases.claim(service.database, "test", 60) for _ in sent]
        assert [job and job.id for job in taken] == [job["id"] for job in reversed(sent)]
        for wrong in (11, -11, 0.5, "high"):
            refused = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"priority": wrong})
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/priority")


def test_bytes_stored_are_limited_for_each_owner(tmp_path):
    with served(tmp_path, auth="keys", max_stored_bytes=1000) as service:
        ann, bob = service.key("ann", "submit", "read"), service.key("bob", "submit")
        assert service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB).status_code == 202
        with service.database.begin() as connection:
            connection.execute(jobs.update().values(bytes=1000))
        refused = service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB)
        assert (refused.status_code, "delete" in refused.json()["detail"]) == (429, True)
        assert service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB).status_code == 202


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.2", "[::2]:80", "localhost@evil"]
)
def test_the_name_of_another_host_is_refused(service, host):
    answer = service.client.get("/v1/jobs", headers={"Host": host})
    assert (answer.status_code, answer.headers["content-type"]) == (421, PROBLEM)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_the_names_of_loopback_are_accepted(service, host):
    assert service.client.get("/v1/jobs", headers={"Host": host}).status_code == 401


def test_hosts_of_the_settings_are_accepted(tmp_path):
    with served(tmp_path, auth="keys", allowed_hosts="brink.example, b.example") as service:
        statuses = {
            host: service.client.get("/v1/jobs", headers={"Host": host}).status_code
            for host in ("brink.example", "b.example:443", "c.example")
        }
    assert statuses == {"brink.example": 401, "b.example:443": 401, "c.example": 421}


def test_without_keys_only_loopback_is_answered_however_the_service_was_started(tmp_path):
    with served(tmp_path, allowed_hosts="*") as service:
        assert service.client.get("/v1/jobs").status_code == 200
        remote = service.client.get("http://192.0.2.1/v1/jobs")
        assert (remote.status_code, remote.headers["content-type"]) == (403, PROBLEM)


def test_pages_of_other_origins_may_not_call(service, tmp_path):
    preflight = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    refused = service.client.options("/v1/jobs", headers=preflight)
    assert "access-control-allow-origin" not in refused.headers
    with served(tmp_path, auth="keys", cors_origins="https://page.example") as opened:
        allowed = opened.client.options("/v1/jobs", headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == "https://page.example"
        other = opened.client.options("/v1/jobs", headers=preflight | {"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers
        answer = opened.client.get("/v1/jobs", headers={"Origin": "https://page.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
        answer = opened.client.get("/v1/jobs/a%00b", headers={"Origin": "https://page.example"})
        assert answer.status_code == 404
        assert answer.headers["access-control-allow-origin"] == "https://page.example"


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/v1/nothing", "/openapi.json"])
def test_every_response_has_the_security_headers(service, path):
    answer = service.client.get(path)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_an_unexpected_error_has_the_security_headers_and_no_details(tmp_path):
    with served(tmp_path) as service:
        with service.database.begin() as connection:
            connection.exec_driver_sql("DROP TABLE jobs")
        answer = service.client.get("/v1/jobs")
        assert answer.status_code >= 500
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "table" not in answer.text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_a_service_beyond_loopback_does_not_start_without_keys(tmp_path, host):
    settings = {"BRINK_DATA_DIR": str(tmp_path / "data"), "BRINK_AUTH": "none"}
    found = brink("serve", "--host", host, "--port", "0", environment=settings, status=2)
    (line,) = found.stderr.splitlines()
    assert "BRINK_AUTH=keys" in line
    assert not (tmp_path / "data").exists()


def test_an_answer_of_a_queued_job_does_not_name_the_folder(tmp_path):
    with served(tmp_path) as service:
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
        bodies: dict[str, dict] = {"drivers": {}, "discover": {"outcome": "sanctions"}, "typical": {}, "score": {}}
        for answer, body in bodies.items():
            early = service.ask("POST", f"/v1/jobs/{job}/{answer}", json=body)
            assert (early.status_code, early.json()["errors"][0]["field"]) == (409, "run")
            assert str(tmp_path) not in early.text


def test_no_secret_is_logged_or_shown(tmp_path):
    """Neither a database's password nor an object store's, nor a key right or wrong, is in a log or an error."""
    password, access, secret = "pass-c0ffee", "access-c0ffee", "secret-c0ffee"
    environment = {
        "BRINK_DATA_DIR": str(tmp_path / "data"),
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    unreachable = f"postgresql+psycopg://brink:{password}@127.0.0.1:1/brink"
    for settings in (
        {"BRINK_DATABASE_URL": unreachable},
        {"BRINK_DATABASE_URL": f"postgresql+psycopg://brink:{password}@[bad/brink"},
        {"BRINK_STORE_URL": f"s3://{access}:{secret}@bucket/prefix"},
        {"BRINK_MAX_TRIALS": "many", "BRINK_DATABASE_URL": unreachable},
    ):
        found = brink("serve", "--port", "0", "--no-runner", environment=environment | settings)
        assert found.returncode != 0, settings
        assert len(found.stderr.splitlines()) == len(settings) - (len(settings) > 1), (settings, found.stderr)
        for word in (password, access, secret):
            assert word not in found.stdout + found.stderr, settings
    assert password not in repr(Settings(database_url=unreachable))


def test_the_log_of_a_service_contains_no_key(tmp_path):
    data = tmp_path / "data"
    key, text = keys.create(open_database(f"sqlite:///{_made(data) / 'jobs.sqlite'}"), "ann", ["read", "submit"])
    service = ServiceProcess(data, BRINK_AUTH="keys", BRINK_ENGINE="inline")
    try:
        wrong = text[:-4] + "0000"
        for sent, status in ((text, 200), (wrong, 401)):
            answer = service.client.get("/v1/jobs", headers={"Authorization": f"Bearer {sent}"})
            assert answer.status_code == status
            assert sent not in answer.text
        assert service.client.get("/v1/jobs", params={"key": text}).status_code == 401
    finally:
        service.stop()
    log = (tmp_path / "service.log").read_text()
    assert "GET /v1/jobs" in log
    for sent in (text, wrong):
        assert sent.split("_")[2][:20] not in log
    held = b"".join(path.read_bytes() for path in data.glob("jobs.sqlite*"))
    assert key.id.encode() in held
    assert text.split("_")[2].encode() not in held


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
