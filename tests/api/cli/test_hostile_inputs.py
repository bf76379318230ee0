"""Texts that mean harm: to SQL, paths, shells, templates, headers, YAML and parsers. None is more than a text."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from sim.faults import InvalidInput
from sim.scenario.expressions import MAX_OPERATIONS
from sim.scenario.scenario import read_scenario
from tests.support.requests import PROBLEM, SMALL_JOB, UNKNOWN_JOB
from tests.support.served import Served, served

pytestmark = pytest.mark.slow
JSON = {"Content-Type": "application/json"}
HOSTILE = [
    "' OR 1=1 --",
    '"; DROP TABLE jobs; --',
    "export_gain FROM read_text('/etc/passwd') --",
    "../../../../etc/passwd",
    "strategy=../..",
    "..%2f..%2fjobs.sqlite",
    "/etc/passwd",
    "file:///etc/passwd",
    "s3://bucket/key",
    "\x00",
    "a\x00b",
    "\r\nX-Injected: 1\r\n\r\n",
    "$(id)`id`;id|id",
    "{{7*7}}${7*7}%s%n",
    "!!python/object/apply:os.system ['id']",
    "\u202e\ufeff\U0001d49c",
    "\ud800",
    "A" * 100_000,
    "(" * 900 + "1" + ")" * 900,
    "not " * 400 + "threat",
    "1+" * 999 + "1",
    "-" * 1999 + "1",
    "1e999",
    "9" * 1999,
    "nan",
    "1/0",
    "export_gain in (" + ",".join("1" * 90) + ")",
    "outcome == '''",
]
NAMES = [ascii(text)[:40] for text in HOSTILE]


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("hostile")) as found:
        yield found


@pytest.fixture(scope="module")
def job(service) -> str:
    found = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
    service.work()
    return found


def post(service: Served, path: str, body: object, **headers: str):
    return service.ask("POST", path, content=json.dumps(body), headers=JSON | headers)


def harmless(answer, *statuses: int) -> None:
    """The answer is one of those, a problem if it is an error, and carries nobody's headers."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:500])
    assert "x-injected" not in answer.headers
    assert b"root:" not in answer.content
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("text", HOSTILE, ids=NAMES)
def test_hostile_texts_as_expressions_and_names_in_answers(service, job, text):
    questions: dict[str, list[dict]] = {
        "typical": [{"measure": text}, {"given": text}, {"strategy": text}],
        "discover": [{"outcome": text}, {"outcome": "threat", "given": text}],
        "replay": [{"trial": 1, "strategy": text}],
        "timeline": [{"given": text}, {"strategies": [text]}],
        "worth": [{"groups": {text: ["deadline_weeks"]}}, {"groups": {"x": [text]}}],
        "aggregate": [
            {"measures": [text]},
            {"measures": {text: "export_gain"}},
            {"measures": ["export_gain"], "by": [text]},
            {"measures": ["export_gain"], "by": [{"value": "outcome", "name": text}]},
            {"measures": ["export_gain"], "statistics": [text]},
            {"measures": ["export_gain"], "given": text},
        ],
    }
    for name, bodies in questions.items():
        for body in bodies:
            harmless(post(service, f"/v1/jobs/{job}/{name}", body), 200, 422)
    if len(text) < 3000:
        given = quote(text.encode("utf-8", "surrogatepass"), safe="")
        harmless(service.ask("GET", f"/v1/jobs/{job}/summary?given={given}"), 200, 422)


@pytest.mark.parametrize("text", HOSTILE, ids=NAMES)
def test_hostile_texts_in_a_path_or_a_query(service, job, text):
    quoted = quote(text.encode("utf-8", "surrogatepass"), safe="")
    if len(quoted) > 50_000:
        quoted = quoted[:50_000]
    for method, path in (
        ("GET", f"/v1/jobs/{quoted}"),
        ("DELETE", f"/v1/jobs/{quoted}"),
        ("GET", f"/v1/jobs/{job}/files/{quoted}"),
        ("GET", f"/v1/jobs/{job}/files/trials/strategy={quoted}/part-00000.parquet"),
        ("GET", f"/v1/scenarios/{quoted}"),
        ("GET", f"/v1/jobs?page_token={quoted}"),
        ("GET", f"/v1/jobs?limit={quoted}"),
    ):
        harmless(service.ask(method, path), 404, 405, 422)


@pytest.mark.parametrize("text", HOSTILE, ids=NAMES)
def test_hostile_texts_in_a_scenario(service, text):
    scenario = SMALL_JOB["scenario"]
    for part in (
        text,
        {text: text},
        scenario | {"name": text},
        scenario | {"title": text},
        scenario | {"strategies": {text: {}}},
        scenario | {"strategies": {"x": {text: text}}},
        scenario | {"issues": {text: scenario["issues"][next(iter(scenario["issues"]))]}},
        scenario | {"sources": {text: text}},
    ):
        if isinstance(part, dict):
            harmless(post(service, "/v1/scenarios/validate", part), 200, 422)
        answer = post(service, "/v1/jobs", SMALL_JOB | {"scenario": part})
        harmless(answer, 202, 422)
        if answer.status_code == 202:
            one = answer.json()["id"]
            service.work()
            assert service.ask("GET", f"/v1/jobs/{one}").json()["state"] == "succeeded"
            assert service.ask("DELETE", f"/v1/jobs/{one}").status_code == 204
    for body in (SMALL_JOB | {"strategies": [text]}, SMALL_JOB | {"design": text}, SMALL_JOB | {text: 1}):
        harmless(post(service, "/v1/jobs", body), 422)


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) < 3000], ids=lambda text: ascii(text)[:40])
def test_hostile_texts_in_a_header(service, job, text):
    value = text.encode("latin-1", "replace")
    for name, path in (
        ("Last-Event-ID", f"/v1/jobs/{job}/events"),
        ("If-None-Match", f"/v1/jobs/{job}/files/summary.json"),
        ("If-Range", f"/v1/jobs/{job}/files/summary.json"),
        ("Range", f"/v1/jobs/{job}/files/summary.json"),
        ("Accept", f"/v1/jobs/{job}"),
        ("Authorization", f"/v1/jobs/{job}"),
    ):
        harmless(service.ask("GET", path, headers={name: value}), 200, 304, 416, 422)
    submitted = service.ask("POST", "/v1/jobs", json=SMALL_JOB, headers={"Idempotency-Key": value})
    harmless(submitted, 202, 400, 422)
    harmless(service.ask("GET", "/v1/jobs", headers={"Host": value}), 421)


@pytest.mark.parametrize(
    "scenario", ["/etc/passwd", "configs/scenarios/us-mexico-2019.yaml", "s3://bucket/key", "./x.yaml"]
)
def test_a_scenario_is_given_or_named_and_no_file_is_opened(service, tmp_path, scenario):
    refused = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"scenario": scenario})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/scenario")
    assert "is neither one of your own scenarios nor a shipped one" in refused.text


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch /tmp/brink-pwned']",
        "name: !!python/name:os.system",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "name: !include /etc/passwd",
    ],
)
def test_yaml_is_data_and_nothing_else(text):
    with pytest.raises(InvalidInput):
        read_scenario(text, "hostile.yaml")


def test_an_expression_is_bounded(service, job):
    longest = "+".join(["1"] * (MAX_OPERATIONS + 1))
    assert post(service, f"/v1/jobs/{job}/typical", {"measure": longest}).status_code == 200
    assert post(service, f"/v1/jobs/{job}/typical", {"measure": longest + "+1"}).status_code == 422


@pytest.mark.parametrize("job_id", ["\x00", "0" * 31 + "\x00", UNKNOWN_JOB[:-1] + "'", "ä" * 32])
def test_an_odd_id_is_no_job_on_any_database(database_url, tmp_path, job_id):
    with served(tmp_path, database_url=database_url) as service:
        quoted = quote(job_id.encode())
        assert service.ask("GET", f"/v1/jobs/{quoted}").status_code == 404
        token = base64.urlsafe_b64encode(json.dumps([1.0, job_id]).encode()).decode()
        assert service.ask("GET", "/v1/jobs", params={"page_token": token}).status_code == 422
