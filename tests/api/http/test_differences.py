"""Two jobs and two scenarios compared over HTTP, and by the client."""

from collections.abc import Iterator

import pytest

from tests.support.requests import SMALL_JOB, UNKNOWN_JOB
from tests.support.served import Served, served


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), auth="keys") as found:
        yield found


@pytest.fixture(scope="module")
def ann(service) -> dict[str, str]:
    return service.key("ann", "submit", "read")


@pytest.fixture(scope="module")
def pair(service, ann) -> tuple[str, str]:
    sent = [
        service.ask("POST", "/v1/jobs", ann, json=SMALL_JOB | more) for more in ({}, {"set": {"sanctioned_trade": 9}})
    ]
    service.work()
    return sent[0].json()["id"], sent[1].json()["id"]


def test_two_jobs_are_compared_trial_by_trial(service, ann, pair):
    answer = service.ask("GET", f"/v1/jobs/{pair[0]}/diff", ann, params={"with": pair[1], "strategy": "threaten"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["paired"]
    assert [one["field"] for one in found["inputs"]] == ["set.sanctioned_trade"]
    assert [one["first"] for one in found["strategies"]] == ["threaten"]
    turned = service.ask(
        "GET", f"/v1/jobs/{pair[1]}/diff", ann, params={"with": pair[0], "strategy": "threaten"}
    ).json()
    cost, back = (one["strategies"][0]["measures"]["target_cost"]["change"] for one in (found, turned))
    assert cost["estimate"] == pytest.approx(-back["estimate"])
    assert cost["estimate"] != 0.0


def test_a_job_of_another_owner_does_not_exist(service, ann, pair):
    bob = service.key("bob", "submit", "read")
    own = service.ask("POST", "/v1/jobs", bob, json=SMALL_JOB).json()["id"]
    service.work()
    for other in (pair[0], UNKNOWN_JOB, "../jobs"):
        refused = service.ask("GET", f"/v1/jobs/{own}/diff", bob, params={"with": other})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "with"
    assert service.ask("GET", f"/v1/jobs/{pair[0]}/diff", bob, params={"with": own}).status_code == 404
    assert service.ask("GET", f"/v1/jobs/{own}/diff", bob).status_code == 422


def test_two_scenarios_are_compared_field_by_field(service, ann):
    document = service.ask("GET", "/v1/scenarios/us-mexico-2019", ann).json()
    changed = {**document, "name": "mine", "parameters": {**document["parameters"], "target_win": 0.25}}
    assert service.ask("PUT", "/v1/scenarios/mine", ann, json=changed).status_code == 200
    for second in ("mine", changed):
        body = {"first": "us-mexico-2019", "second": second}
        found = service.ask("POST", "/v1/scenarios/diff", ann, json=body).json()["inputs"]
        assert [(one["field"], one["second"]) for one in found] == [("name", "mine"), ("parameters.target_win", 0.25)]
    refused = service.ask("POST", "/v1/scenarios/diff", ann, json={"first": "us-mexico-2019", "second": "no-such"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith("second")
