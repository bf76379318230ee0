"""The service's description of itself: its examples work when pasted, and hostile requests meet what it promises.

Schemathesis makes requests from the OpenAPI document, valid ones and others, and checks the answers against it.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from api.http.app import create_app
from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs, keys, leases
from cluster.service.settings import Settings
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import document, issue
from tests.support.served import NO_TIME_LIMITS

load_all_checks()
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in create_app(Settings()).openapi()["paths"].items()
    for method in methods
]
REQUESTS = 4
"""Of each operation, that Schemathesis makes."""
SUPPRESSED = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
"""Schemathesis makes requests of any size, and leaves out those that do not fit the schema, or do."""
# A schema cannot say that a strategy or a column must be the run's own; such requests are refused with a 422.
UNCHECKED = ("positive_data_acceptance",)
VALIDATE = "POST /v1/scenarios/validate"
"""Answers a wrong document with its faults, and does not refuse it."""
# A request that was given a real job and key may have lost what was wrong with it.
UNCHECKED_MENDED = (*UNCHECKED, "negative_data_rejection", "missing_required_header")


@dataclass(frozen=True)
class Service:
    """An application with a job that has succeeded and a key, and how one is let in."""

    app: FastAPI
    job: str
    key: str
    headers: dict[str, str]


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> dict[str, Any]:
    """Runs played once: of a shipped scenario, and of a design for indices."""
    scenario = shipped_scenario("us-mexico-2019")
    small = scenario_from_document(
        document(
            {"access": issue({"uniform": [0.3, 0.9]}, 0.02, {"uniform": [0.0, 0.1]})},
            {"threat_probability": {"uniform": [0, 1]}, "full_access": {"uniform": [5, 10]}},
            horizon_weeks=20,
        )
    )
    folder = tmp_path_factory.mktemp("played")
    plans = {
        "usual": make_plan(scenario, trials=4000, seed=1),
        "saltelli": make_plan(small, trials=6 * 1024, seed=1, design="saltelli"),
    }
    for name, plan in plans.items():
        run(plan, folder / name, RunOptions(engine="inline"))
    return {name: (plan, folder / name) for name, plan in plans.items()}


def service_of(played: dict[str, Any], folder: Path, *, auth: str, which: str = "usual") -> Service:
    app = create_app(Settings(data_dir=folder, auth=auth, **NO_TIME_LIMITS))
    Path(app.state.settings.results.address).mkdir(parents=True)
    app.state.database = jobs.open_database(app.state.settings.jobs_database)
    plan, results = played[which]
    key, text = keys.create(app.state.database, "local", keys.SCOPES)
    headers = {"Authorization": f"Bearer {text}"} if auth == "keys" else {}
    jobs.runner_seen(app.state.database, "a runner")
    job = jobs.submit(app.state.database, plan)
    leases.claim(app.state.database, "a runner", 3600.0)
    assert leases.finish(app.state.database, job.id, "a runner", jobs.SUCCEEDED, plan.trials * len(plan.strategies))
    (Path(app.state.settings.results.address) / job.id).symlink_to(results)
    return Service(app, job.id, key.id, headers)


@pytest.mark.slow
def test_every_example_works_when_pasted(played, tmp_path):
    services = {
        which: service_of(played, tmp_path / which, auth="none", which=which) for which in ("usual", "saltelli")
    }
    described = services["usual"].app.openapi()
    assert described["openapi"].startswith("3.1")
    promised = schemathesis.openapi.from_dict(described)
    tried = []

    async def paste(path: str, body: object) -> httpx.Response:
        service = services["saltelli" if path.endswith("indices") else "usual"]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://localhost") as client:
            named = path.replace("{job_id}", service.job).replace("{key_id}", service.key)
            return await client.post(named, json=body)

    for path, methods in described["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        schema = content["schema"]
        named = described["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
        examples = named.get("examples", [])
        assert examples, f"{path} has no example"
        for example in examples:
            answer = asyncio.run(paste(path, example))
            assert answer.is_success, f"{path} {example}: {answer.text}"
            form = methods["post"]["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            assert set(form) == {"$ref"}, f"{path} does not say what it answers"
            promised[path]["POST"].validate_response(answer)
            tried.append(path)
    assert len(tried) > 10


def test_every_reference_of_the_document_resolves():
    for auth in ("none", "keys"):
        described = create_app(Settings(auth=auth)).openapi()
        text = json.dumps(described)
        references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
        assert references
        for reference in references:
            found = described
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
        assert ("securitySchemes" in described["components"]) == (auth == "keys")


def test_no_setting_but_keys_changes_the_document(monkeypatch):
    """The document is made once for all applications of a process."""
    provider = {
        "oidc_issuer": "http://127.0.0.1:9",
        "oidc_client_id": "brink",
        "oidc_groups": {"analysts": ["submit", "read"]},
    }
    expected = create_app(Settings(auth="keys")).openapi()
    for changed in ({"cors_origins": ["https://a.example"]}, provider):
        monkeypatch.setattr("api.http.openapi._texts", {})
        assert create_app(Settings(auth="keys", **changed)).openapi() == expected


@pytest.fixture(scope="module", params=["none", "keys"])
def service(request, played, tmp_path_factory) -> Iterator[Service]:
    made = service_of(played, tmp_path_factory.mktemp("service") / "data", auth=request.param)
    yield made
    made.app.state.database.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_responses_to_hostile_requests_conform_to_the_document(service, operation):
    async def on_loopback(scope, receive, send):
        await service.app({**scope, "server": ("127.0.0.1", 80)}, receive, send)

    schema = schemathesis.openapi.from_asgi("/openapi.json", on_loopback, headers={"Host": "localhost"})
    method, path = operation.split(" ")
    found = schema[path][method]
    known = "{job_id}" in path and method != "DELETE"

    @settings(max_examples=REQUESTS, suppress_health_check=SUPPRESSED)
    @given(
        case=st.one_of(*(found.as_strategy(generation_mode=mode) for mode in GenerationMode)),
        own=st.booleans(),
    )
    def meets(case, own):
        if own and known:
            case.path_parameters["job_id"] = service.job
        left_out = UNCHECKED_MENDED if service.headers or (own and known) or operation == VALIDATE else UNCHECKED
        case.call_and_validate(
            headers={**service.headers, "Host": "localhost"},
            excluded_checks=[check for check in CHECKS.get_all() if check.__name__ in left_out],
        )

    meets()
