"""The service as a client meets it: a real ``brink serve``, its runner, and a Ray of its own."""

import asyncio
import io
import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from api.http import bodies
from api.http.app import create_app
from cluster.query.trials import open_run
from cluster.results.result_folder import verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from cluster.service.settings import Settings
from tests.support.answers import document_of
from tests.support.processes import command_of, processes_with
from tests.support.requests import PROBLEM, SMALL_JOB
from tests.support.runs import digests
from tests.support.served import served
from tests.support.service_process import JOB, PLAN, ServiceProcess
from tests.support.waiting import HANG_SECONDS


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[ServiceProcess]:
    served = ServiceProcess(tmp_path_factory.mktemp("service") / "data", BRINK_ENGINE="inline")
    yield served
    served.stop()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return digests(folder)


def test_the_cost_of_a_job_is_estimated_before_it_is_submitted(tmp_path):
    with served(tmp_path) as service:
        cost = service.ask("POST", "/v1/estimate", json=SMALL_JOB | {"trials": 20_000}).json()
        assert (cost["rows"], cost["shards"], cost["engine"], cost["at_most"]) == (40_000, 2, "inline", False)
        # The summary at the end is computed in two threads.
        assert 0 < cost["core_seconds"] / 2 < cost["wall_seconds"] <= cost["core_seconds"]
        assert service.ask("GET", "/v1/jobs").json()["jobs"] == []
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"trials": 20_000}).json()
        service.work()
        stored = jobs.get(service.database, job["id"]).bytes
        assert cost["bytes"] == pytest.approx(stored, rel=0.06)
        for wrong in ({"trials": 0}, {"strategies": ["wait"]}, {"scenario": "nowhere"}):
            refused = [service.ask("POST", f"/v1/{path}", json=SMALL_JOB | wrong) for path in ("estimate", "jobs")]
            assert [one.status_code for one in refused] == [422, 422]
            assert refused[0].json() == refused[1].json()


@pytest.mark.slow
def test_a_job_runs_on_ray_from_end_to_end(tmp_path, undisturbed):
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="ray", BRINK_WORKERS="2")
    try:
        job = service.submit()
        # An idle runner may have taken it before the answer was made.
        assert job["state"] in ("queued", "running")
        done = service.ended(job["id"])
        assert (done["state"], done["error"]) == ("succeeded", None)
        assert done["progress"] == {"trials_done": 600_000, "trials_total": 600_000}
        assert digests(tmp_path / "data" / "jobs" / job["id"]) == undisturbed
    finally:
        service.stop()
    assert left_over(service) == []


def left_over(service: ServiceProcess) -> list[str]:
    """Processes that the service started and that are still there."""
    return [" ".join(command_of(one)) for one in processes_with("BRINK_DATA_DIR", str(service.folder))]


@pytest.fixture(scope="module")
def finished(service) -> dict:
    return service.ended(service.submit(trials=5000)["id"])


def test_the_summary_is_that_of_the_result_folder(service, finished):
    summary = service.client.get(f"/v1/jobs/{finished['id']}/summary").json()
    assert summary["trials"] == 5000
    assert summary["complete"]
    assert summary == json.loads((service.folder / "jobs" / finished["id"] / "summary.json").read_text())


def test_the_scenario_is_that_of_the_result_folder_and_there_before_it(service, finished):
    here = service.client.get(f"/v1/jobs/{finished['id']}/scenario").json()
    assert here == service.client.get(f"/v1/jobs/{finished['id']}/files/scenario.json").json()
    document = here | {"title": "Another dispute"}
    queued = service.client.post("/v1/jobs", json={"scenario": document, "trials": 50_000_000}).json()["id"]
    assert service.client.get(f"/v1/jobs/{queued}/scenario").json() == document
    assert service.client.delete(f"/v1/jobs/{queued}").status_code == 204


def test_a_replay_is_that_of_the_result_folder(service, finished):
    base = f"/v1/jobs/{finished['id']}"
    folder = service.folder / "jobs" / finished["id"]
    answered = service.client.post(f"{base}/replay", json={"trial": 3, "strategy": "talk"})
    assert answered.status_code == 200
    assert answered.json() == document_of("replay", open_run(folder), trial=3, strategy="talk")
    typical = service.client.post(f"{base}/typical", json={"measure": "export_gain - sender_cost"})
    assert typical.status_code == 200
    for one in typical.json()["result"]["typical"]:
        replayed = service.client.post(f"{base}/replay", json=one["replay"]).json()["result"]
        assert replayed["end"]["outcome"] == one["outcome"]


@pytest.mark.parametrize(
    ("answer", "body", "pointer"),
    [
        ("replay", {"trial": 5000}, "/trial"),
        ("replay", {"trial": 1.5}, "/trial"),
        ("replay", {}, "/trial"),
        ("replay", {"trial": 1, "strategy": "bluff"}, "/strategy"),
        ("replay", {"trial": 1, "seed": 2}, "/seed"),
        ("typical", {"given": "no_such > 1"}, "/given"),
        ("typical", {"measure": "outcome"}, "/measure"),
    ],
)
def test_trials_that_cannot_be_replayed_are_refused(service, finished, answer, body, pointer):
    refused = service.client.post(f"/v1/jobs/{finished['id']}/{answer}", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)


def test_files_come_whole_and_in_ranges(service, finished):
    base = f"/v1/jobs/{finished['id']}/files"
    listed = {file["path"]: file["bytes"] for file in service.client.get(base).json()["files"]}
    assert {"manifest.json", "run.json", "scenario.json", "summary.json"} <= set(listed)
    path = "trials/strategy=talk/part-00000.parquet"
    whole = service.client.get(f"{base}/{path}")
    assert len(whole.content) == listed[path]
    assert pq.read_table(io.BytesIO(whole.content)).num_rows == 5000
    part = service.client.get(f"{base}/{path}", headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert part.headers["Content-Range"] == f"bytes 4-11/{listed[path]}"
    beyond = service.client.get(f"{base}/{path}", headers={"Range": f"bytes={listed[path] + 5}-"})
    assert beyond.status_code == 416
    etag = whole.headers["ETag"]
    assert service.client.get(f"{base}/{path}", headers={"If-None-Match": etag}).status_code == 304
    assert service.client.get(f"{base}/{path}", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["../jobs.sqlite", "..%2F..%2Fjobs.sqlite", "%2Fetc%2Fpasswd", "trials", "none.json", ".work/x"],
)
def test_no_path_leads_out_of_the_folder(service, finished, path):
    answer = service.client.get(f"/v1/jobs/{finished['id']}/files/{path}")
    assert answer.status_code in (404, 405)
    assert b"SQLite" not in answer.content


@pytest.mark.slow
def test_a_killed_runner_loses_nothing(service, undisturbed):
    job = service.submit()
    service.begun(job["id"])
    killed = service.runner
    killed.kill()
    done = service.ended(job["id"])
    assert done["state"] == "succeeded"
    assert service.runner.pid != killed.pid
    assert digests(service.folder / "jobs" / job["id"]) == undisturbed
    assert verify(service.folder / "jobs" / job["id"]) == []


@pytest.mark.slow
def test_a_restarted_service_continues_the_job(tmp_path, undisturbed):
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline")
    try:
        job = service.submit()
        service.begun(job["id"])
        service.kill()
        service.start()
        assert service.ended(job["id"])["state"] == "succeeded"
        assert digests(service.folder / "jobs" / job["id"]) == undisturbed
    finally:
        service.stop()


def test_a_running_job_is_answered_from_what_is_committed_and_can_be_cancelled(service):
    job = service.submit(trials=50_000_000)
    service.begun(job["id"])
    early = service.client.get(f"/v1/jobs/{job['id']}/summary").json()
    assert not early["complete"]
    assert 0 < early["strategies"]["threaten"]["trials"] < 50_000_000
    assert service.client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    done = service.ended(job["id"])
    assert done["state"] == "cancelled"
    assert 0 < done["progress"]["trials_done"] < done["progress"]["trials_total"]
    assert service.client.get(f"/v1/jobs/{job['id']}/summary").json()["strategies"]["threaten"]["trials"] > 0
    again = service.client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (again.status_code, again.json()["state"]) == (202, "cancelled")


@pytest.mark.parametrize("running", [False, True])
def test_a_deleted_job_leaves_nothing(service, running):
    job = service.submit(trials=50_000_000 if running else 1000)
    if running:
        service.begun(job["id"])
    else:
        service.ended(job["id"])
    assert service.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert service.client.get(f"/v1/jobs/{job['id']}").status_code == 404
    folder = service.folder / "jobs" / job["id"]
    service.until(lambda: not folder.exists())
    # A new run, not a repeated one: it is played after the runner has left the deleted job.
    following = service.submit(trials=1000, seed=7 + running)["id"]
    service.until(lambda: folder.exists() or service.job(following)["state"] == "succeeded")
    assert not folder.exists()


def events(service: ServiceProcess, job_id: str, after: str | None = None) -> list[dict]:
    headers = {"Last-Event-ID": after} if after else {}
    found, current = [], {}
    with service.client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=HANG_SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            field, _, value = line.partition(":")
            if not line and current:
                found.append(current)
                current = {}
            elif field:
                current[field] = value.strip()
    return found


def test_events_report_progress_and_resume(service):
    job = service.submit(trials=400_000)
    seen = events(service, job["id"])
    assert seen[-1]["event"] == "succeeded"
    ids = [int(event["id"]) for event in seen]
    assert ids == sorted(set(ids))
    done = [json.loads(event["data"])["progress"]["trials_done"] for event in seen]
    assert done == sorted(done)
    assert done[-1] == 800_000
    rest = events(service, job["id"], after=str(ids[-1] - 1))
    assert [int(event["id"]) for event in rest] == [ids[-1]]
    assert events(service, job["id"], after=str(ids[-1])) == []


def test_a_repeated_request_is_one_job(service):
    request = JOB | {"trials": 1000, "seed": 99}
    headers = {"Idempotency-Key": '"a-key"'}
    first, second = (
        service.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": key}) for key in ('"a-key"', "a-key")
    )
    assert first.json()["id"] == second.json()["id"]
    other = service.client.post("/v1/jobs", json=request | {"seed": 98}, headers=headers)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.text


@pytest.mark.parametrize("key", ["", '""', '"open', 'a"b', '"a", "b"', '"k";x=1', "two words", '"' + "x" * 256 + '"'])
def test_a_malformed_key_is_refused(service, key):
    answer = service.client.post("/v1/jobs", json=JOB | {"trials": 1000}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_jobs_are_listed_by_pages(service):
    made = [service.submit(trials=1000)["id"] for _ in range(5)]
    seen: list[str] = []
    token: str | None = None
    while True:
        page = service.client.get("/v1/jobs", params={"limit": 2} | ({"page_token": token} if token else {})).json()
        seen += [job["id"] for job in page["jobs"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "pointer"),
    [
        ("POST", "/v1/jobs", {"trials": 10}, 422, "/scenario"),
        ("POST", "/v1/jobs", {"scenario": "none"}, 422, "/scenario"),
        ("POST", "/v1/jobs", JOB | {"trials": 0}, 422, "/trials"),
        ("POST", "/v1/jobs", JOB | {"trials": "many"}, 422, "/trials"),
        ("POST", "/v1/jobs", JOB | {"trials": 10**10}, 422, "/trials"),
        ("POST", "/v1/jobs", JOB | {"seed": 2**63}, 422, "/seed"),
        ("POST", "/v1/jobs", JOB | {"design": "halton"}, 422, "/design"),
        ("POST", "/v1/jobs", JOB | {"strategies": ["surrender"]}, 422, "/strategies"),
        ("POST", "/v1/jobs", JOB | {"colour": "red"}, 422, "/colour"),
        ("POST", "/v1/jobs", {"scenario": {"schema": 1, "horizon_weeks": 0}}, 422, "/scenario/horizon_weeks"),
        ("GET", "/v1/jobs/none", None, 404, None),
        ("GET", "/v1/jobs?page_token=x", None, 422, "/page_token"),
        ("GET", "/v1/jobs?limit=0", None, 422, "/limit"),
        ("DELETE", "/v1/jobs/none", None, 404, None),
        ("GET", "/v1/scenarios/none", None, 404, None),
        ("GET", "/v1/nothing", None, 404, None),
        ("PUT", "/v1/jobs", {}, 405, None),
    ],
)
def test_errors_are_problems_that_name_the_field(service, method, path, body, status, pointer):
    answer = service.client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    if pointer:
        assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"scenario": NaN}', b""])
def test_bodies_that_are_not_json_are_refused(service, body):
    answer = service.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ('"title": "T"', '"title": "T", "title": "U"', "/scenario/title"),
        ('"title": "T"', r'"title": "\ud800"', "/scenario/title"),
        ('"title": "T"', '"title": "\ud800"', "/scenario/title"),
        ('"title": "T"', r'"\ud800": "T"', r"/scenario/\ud800"),
        ('"title": "T"', '"a/b~c.d": "T"', "/scenario/a~1b~0c.d"),
        ('"a":', r'"\ud800":', r"/scenario/issues/\ud800"),
        ("0.5", "1e999", "/scenario/issues/a/gap"),
        ("0.5", "9" * 400, "/scenario/issues/a/gap"),
        ("0.5", "9" * 5000, "/scenario/issues/a/gap"),
        ("0.5", '{"quantiles": {"0": 0.1, "0.05": "x", "1": 0.2}}', "/scenario/issues/a/gap/quantiles/0.05"),
        ("0.5", '{"a":' * 900 + "1" + "}" * 900, "/scenario/issues/a/gap" + "/a" * 20),
        ("0.5", "[" * 100_000 + "]" * 100_000, "/scenario/issues/a/gap" + "/0" * 20),
        ('"title": "T"', '"parameters": []', "/scenario/parameters"),
        ('"title": "T"', '"strategies": {"x": {"issues.b.gap": 1}}', "/scenario/strategies/x/issues.b.gap"),
        ('"title": "T"', '"k' + "k" * 500_000 + '": 1', "/scenario/" + "k" * 80),
    ],
)
def test_odd_bodies_are_faults_with_pointers(service, old, new, pointer):
    scenario = (
        '{"schema": 1, "name": "ok", "title": "T", "issues": '
        '{"a": {"weight": 1, "gap": 0.5, "sender_concession": 0.1, "target_concession": 0.1}}}'
    )
    body = f'{{"trials": 10, "scenario": {scenario.replace(old, new)}}}'.encode("utf-8", "surrogatepass")
    answer = service.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), answer.text[:500]
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert len(answer.content) < 3000


@pytest.mark.parametrize("scenario", ["null", "3", "[]", r'"\ud800"'])
def test_a_scenario_of_the_wrong_type_is_refused_with_its_pointer(service, scenario):
    body = f'{{"scenario": {scenario}}}'
    answer = service.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/scenario"}


def test_a_body_too_large_is_refused(service):
    answer = service.client.post("/v1/jobs", content=b" " * (2 << 20), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)


def test_a_body_that_is_slow_or_incomplete_is_refused(tmp_path, monkeypatch):
    whole = json.dumps(JOB).encode()
    app = create_app(Settings(data_dir=tmp_path))
    app.state.database = jobs.open_database(app.state.settings.jobs_database)

    async def sent(last: str) -> list[dict]:
        messages: list[dict] = [{"type": "http.request", "body": whole, "more_body": True}]
        answered: list[dict] = []

        async def receive() -> dict:
            if not messages and last == "nothing":
                await asyncio.Event().wait()
            return messages.pop() if messages else {"type": last}

        async def send(message: dict) -> None:
            answered.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/jobs", "headers": headers, "query_string": b""}
        await app(scope | {"server": ("127.0.0.1", 80)}, receive, send)
        return answered

    with monkeypatch.context() as impatient:
        impatient.setattr(bodies, "BODY_SECONDS", 0.1)
        start, body = asyncio.run(sent("nothing"))
    assert (start["status"], json.loads(body["body"])["status"]) == (408, 408)
    assert (b"connection", b"close") in start["headers"]
    assert asyncio.run(sent("http.disconnect")) == []
    assert jobs.newest(app.state.database, 1) == []
    app.state.database.dispose()


def test_the_catalogue(service):
    names = [scenario["name"] for scenario in service.client.get("/v1/scenarios").json()]
    assert "us-japan-autos-1995" in names
    shipped = service.client.get("/v1/scenarios/us-japan-autos-1995").json()
    assert shipped["schema"] == 1
    valid = service.client.post("/v1/scenarios/validate", json=shipped).json()
    assert valid == {"valid": True, "errors": [], "warnings": [], "scenario": shipped}
    high = shipped | {"parameters": shipped["parameters"] | {"tariff_rate": 25}}
    warned = service.client.post("/v1/scenarios/validate", json=high).json()
    assert (warned["valid"], [one["pointer"] for one in warned["warnings"]]) == (True, ["/parameters/tariff_rate"])
    bad = service.client.post("/v1/scenarios/validate", json=shipped | {"horizon_weeks": 0}).json()
    assert not bad["valid"]
    assert bad["errors"][0]["pointer"] == "/horizon_weeks"
    parameters = {known["name"]: known for known in service.client.get("/v1/parameters").json()}
    assert parameters["deadline_weeks"]["default"] == 6
    assert parameters["target_win"]["decided_by"] == "court"
    assert service.client.get("/healthz").json()["status"] == "ok"
    assert service.client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_a_shipped_scenario_is_run_by_its_name(service):
    job = service.submit(scenario="us-japan-autos-1995", trials=1000)
    assert service.ended(job["id"])["state"] == "succeeded"
    summary = service.client.get(f"/v1/jobs/{job['id']}/summary").json()
    assert set(summary["strategies"]) >= {"bluff", "keep-talking"}


def test_a_job_is_scored_against_its_history(service, finished):
    job = service.ended(service.submit(scenario="us-mexico-2019", trials=2000)["id"])
    answer = service.client.post(f"/v1/jobs/{job['id']}/score", json={})
    assert answer.status_code == 200, answer.text
    assert answer.json() == document_of("score", open_run(service.folder / "jobs" / job["id"]))
    other = service.client.post(f"/v1/jobs/{job['id']}/score", json={"strategy": "keep-talking"}).json()
    assert other["strategies"] == ["keep-talking"]
    for wrong, body, field in ((job, {"strategi": "x"}, "strategi"), (finished, {}, "history")):
        refused = service.client.post(f"/v1/jobs/{wrong['id']}/score", json=body)
        assert (refused.status_code, refused.headers["content-type"]) == (422, PROBLEM)
        assert field in refused.json()["errors"][0]["field"]


def test_a_job_carries_the_warnings_of_its_scenario(tmp_path):
    """The same that validation and the summary give; none for a scenario without probable mistakes."""
    scenario = {**JOB["scenario"], "parameters": {**JOB["scenario"]["parameters"], "tariff_rate": 25.0}}
    with served(tmp_path) as service:
        job = service.ask("POST", "/v1/jobs", json={**JOB, "scenario": scenario, "trials": 100}).json()
        validated = service.ask("POST", "/v1/scenarios/validate", json=scenario).json()["warnings"]
        service.work()
        path = f"/v1/jobs/{job['id']}"
        summary = service.ask("GET", f"{path}/summary").json()["warnings"]
        assert job["warnings"] == service.ask("GET", path).json()["warnings"] == summary
        assert [warning["field"] for warning in summary] == [warning["field"] for warning in validated]
        assert "parameters.tariff_rate" in [warning["field"] for warning in summary]
        without = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()
        assert without["warnings"] == []


def test_a_job_that_waits_says_how_many_are_before_it(tmp_path):
    with served(tmp_path) as one:
        ids = [one.ask("POST", "/v1/jobs", json=SMALL_JOB | {"seed": seed}).json()["id"] for seed in (1, 2)]
        urgent = one.ask("POST", "/v1/jobs", json=SMALL_JOB | {"priority": 5}).json()["id"]
        order = [urgent, *ids]
        assert [one.ask("GET", f"/v1/jobs/{job}").json()["ahead"] for job in order] == [0, 1, 2]
        listed = {job["id"]: job["ahead"] for job in one.ask("GET", "/v1/jobs").json()["jobs"]}
        assert listed == {job: place for place, job in enumerate(order)}
        one.work()
        assert one.ask("GET", f"/v1/jobs/{urgent}").json()["ahead"] is None
