"""What holds for every answer of the registry: one document from Python, HTTP and the command line; refusals; forms."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.http.app import create_app
from brink import AsyncJob, Job
from cluster.answers.entry import Answer
from cluster.answers.registry import ANSWERS, ask, find_answer
from cluster.query.trials import NoTrialsYet, StoredRun, open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import begin, run
from cluster.service.settings import Settings
from cluster.storage.address import open_folder
from docs import answers as generated
from sim.faults import InvalidInput
from tests.support.answers import assert_same, plans_of_answers, served_run
from tests.support.command_line import brink

NAMES = [answer.name for answer in ANSWERS]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, StoredRun]:
    found = {}
    for name, plan in plans_of_answers().items():
        folder = tmp_path_factory.mktemp("runs") / name
        run(plan, folder, RunOptions(engine="inline"))
        found[name] = open_run(folder)
    return found


def run_for(answer: Answer, runs: Mapping[str, StoredRun]) -> StoredRun:
    return runs["random" if "random" in answer.designs else answer.designs[0]]


@pytest.fixture(scope="module")
def served(runs, tmp_path_factory):
    """A client and a job's address for each run."""
    clients = {name: served_run(one, tmp_path_factory.mktemp("served") / "data") for name, one in runs.items()}
    yield {run.folder.address: clients[name] for name, run in runs.items()}
    for client, _ in clients.values():
        client.app.state.database.dispose()


def send(client, job: str, answer: Answer, request: Mapping[str, Any]):
    if not answer.bare:
        return client.post(f"{job}/{answer.name}", json=request)
    return client.get(f"{job}/{answer.name}", params=dict(request))


def options(request: Mapping[str, Any]) -> list[str]:
    """A request as the options of its command."""
    singular = {"measures": "measure", "statistics": "statistic", "strategies": "strategy"}
    found: list[str] = []
    for field, value in request.items():
        for one in value if isinstance(value, list) else [value]:
            text = one
            if isinstance(one, dict):
                (way,) = one.keys() - {"value"}
                text = f"{one['value']}|{way}={one[way]}"
            found += [f"--{singular.get(field, field)}", str(text)]
    return found


SLOW = ("check", "worth", "drivers", "stress", "timeline")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]
)
def test_python_http_and_the_command_line_give_one_document(name, runs, served):
    answer = find_answer(name)
    found = run_for(answer, runs)
    client, job = served[found.folder.address]
    for example in answer.examples:
        expected = json.loads(json.dumps(ask(found, name, example), allow_nan=False))
        response = send(client, job, answer, example)
        assert response.status_code == 200, response.text
        assert_same(response.json(), expected)
    first = answer.examples[0]
    printed = brink(name, found.folder.address, *options(first), "--json", status=0)
    assert_same(json.loads(printed.stdout), json.loads(json.dumps(ask(found, name, first))))
    assert brink(name, found.folder.address, *options(first), status=0).stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_document_has_the_form_it_is_described_by(name, runs):
    answer = find_answer(name)
    found = run_for(answer, runs)
    document = ask(found, name, answer.examples[0])
    if answer.bare:
        answer.result.model_validate(document)
        return
    read = answer.document.model_validate(document)
    assert read.model_dump(by_alias=True, exclude_unset=True) == document
    assert (document["answer"], document["scenario"]) == (name, found.plan.scenario.name)
    assert document["run"] == {
        "trials": found.plan.trials,
        "seed": 1,
        "design": found.plan.design.name,
        "complete": True,
    }
    assert document["trials"]["played"] == found.plan.trials * len(document["strategies"])
    assert 0 < document["trials"]["used"] <= document["trials"]["played"]
    assert document["method"]
    with pytest.raises(ValueError, match="surprise"):
        answer.result.model_validate({**document["result"], "surprise": 1})


@pytest.mark.parametrize("name", NAMES)
def test_a_condition_is_shown_as_it_was_understood(name, runs):
    answer = find_answer(name)
    if "given" not in answer.request.model_fields:
        pytest.skip("takes no condition")
    found = ask(runs["random"], name, {**answer.examples[0], "given": "( credibility>0.1 )"})
    assert found["given"] == "(credibility > 0.1)"


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_a_request_does_not_have_is_named(name, runs, served):
    answer = find_answer(name)
    found = run_for(answer, runs)
    with pytest.raises(InvalidInput, match=f"surprise: is not a field of {name}; there are ") as refused:
        ask(found, name, {**answer.examples[0], "surprise": 1})
    assert refused.value.faults[0].path == ("surprise",)
    if not answer.bare:
        client, job = served[found.folder.address]
        response = client.post(f"{job}/{name}", json={**answer.examples[0], "surprise": 1})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/surprise")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_without_committed_trials_is_refused(name, runs, tmp_path):
    answer = find_answer(name)
    plan = run_for(answer, runs).plan
    begin(plan, open_folder(tmp_path / "run"))
    early = StoredRun(plan, open_folder(tmp_path / "run"))
    with pytest.raises(NoTrialsYet, match="has no committed trials yet"):
        ask(early, name, answer.examples[0])
    client, job = served_run(early, tmp_path / "data", committed=False)
    response = send(client, job, answer, answer.examples[0])
    assert (response.status_code, response.headers["content-type"]) == (409, "application/problem+json")
    assert str(tmp_path) not in response.text
    client.app.state.database.dispose()


@pytest.mark.parametrize("name", [answer.name for answer in ANSWERS if not answer.bare])
def test_bodies_may_be_empty_if_all_fields_are_optional_and_must_be_json_otherwise(name, runs, served):
    answer = find_answer(name)
    client, job = served[run_for(answer, runs).folder.address]
    empty = client.post(f"{job}/{name}")
    required = [field for field, one in answer.request.model_fields.items() if one.is_required()]
    assert empty.status_code == (422 if required else 200), empty.text
    if required:
        assert [one["field"] for one in empty.json()["errors"]] == required
    text = json.dumps(answer.examples[0])
    for headers in ({}, {"Content-Type": "text/plain"}):
        refused = client.post(f"{job}/{name}", content=text, headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (415, "Content-Type")
    for body in ("[]", "3", "null"):
        refused = client.post(f"{job}/{name}", content=body, headers={"Content-Type": "application/json"})
        assert refused.status_code == 422


def test_the_description_of_the_service_has_every_answer():
    described = create_app(Settings()).openapi()
    schemas = described["components"]["schemas"]
    for answer in ANSWERS:
        path = described["paths"][f"/v1/jobs/{{job_id}}/{answer.name}"]
        operation = path["get" if answer.bare else "post"]
        form = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        if answer.bare:
            assert form == answer.result.__name__
            continue
        assert form == f"{answer.result.__name__}Document"
        assert schemas[form]["properties"]["result"]["$ref"].endswith(f"/{answer.result.__name__}")
        body = operation["requestBody"]
        request = schemas[body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        assert request["examples"] == [json.loads(json.dumps(one)) for one in answer.examples]
        assert request.get("required", []) == [
            field for field, one in answer.request.model_fields.items() if one.is_required()
        ]
        assert body["required"] == bool(request.get("required"))


@pytest.mark.parametrize("kind", [Job, AsyncJob])
def test_the_client_has_a_method_for_every_answer(kind):
    for answer in ANSWERS:
        method = getattr(kind, answer.name)
        arguments = inspect.signature(method.flow).parameters
        expected = {
            "strategy" if answer.bare and name == "strategies" else name
            for name in answer.request.model_fields
            if name != "believe" or answer.cannot_weigh is None
        }
        assert expected <= arguments.keys(), answer.name


def test_files_generated_from_the_registry_are_current():
    assert generated.CLIENT.read_text(encoding="utf-8") == generated.client_methods(), "run `make reference`"
    assert generated.PAGE.read_text(encoding="utf-8") == generated.page(), "run `make reference`"


def test_every_answer_has_a_module_of_its_own_and_a_command():
    folder = Path(inspect.getfile(ask)).parent
    for answer in ANSWERS:
        assert (folder / f"{answer.name}.py").is_file()
        assert (folder.parent.parent / "api" / "cli" / "commands" / f"{answer.name}.py").is_file()
