"""Forecasts of past disputes, played as jobs and scored together."""

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from tests.support.requests import SMALL_JOB, UNKNOWN_JOB
from tests.support.served import Served, served

CASES = {"us-mexico-2019": "five-to-twenty-five", "us-japan-autos-1995": "threaten-and-decide-then"}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def jobs(service) -> list[str]:
    ids = []
    for scenario in CASES:
        sent = service.ask("POST", "/v1/jobs", json={"scenario": scenario, "trials": 1000, "seed": 1})
        ids.append(sent.json()["id"])
    service.work()
    return ids


def test_scenarios_say_which_strategy_was_really_used(service):
    listed = {one["name"]: one["strategy_used"] for one in service.ask("GET", "/v1/scenarios").json()}
    assert {name: listed[name] for name in CASES} == CASES


def test_jobs_are_scored_together_as_each_is_alone(service, jobs):
    found = service.ask("GET", "/v1/backtest", params={"job": jobs})
    assert found.status_code == 200, found.text
    document = found.json()
    assert {one["scenario"]: one["strategy"] for one in document["scenarios"]} == CASES
    alone = [service.ask("POST", f"/v1/jobs/{job}/score", json={}).json()["result"] for job in jobs]
    scores = [one["class"]["brier"] for one in alone]
    assert [one["class"]["brier"] for one in document["scenarios"]] == scores
    assert document["mean"]["class"]["model"]["brier"]["estimate"] == pytest.approx(sum(scores) / len(scores))


def test_the_reliability_is_drawn(service, jobs):
    path = "/v1/backtest/charts/reliability"
    drawn = service.ask("GET", path, params={"job": jobs}, headers={"Accept": "image/svg+xml"})
    assert ElementTree.fromstring(drawn.text).tag.endswith("svg")
    refused = service.ask("GET", path, params={"job": jobs}, headers={"Accept": "text/html"})
    assert refused.status_code == 406


def test_what_cannot_be_scored_is_refused_with_its_field(service, jobs):
    plain = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
    for asked, message in (
        ([jobs[0], UNKNOWN_JOB], "there is no job"),
        ([jobs[0], jobs[0]], "earlier job in the list"),
        ([jobs[0], plain], "has no history"),
    ):
        refused = service.ask("GET", "/v1/backtest", params={"job": asked})
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert error["field"] == "job[1]"
        assert message in error["detail"]
    assert service.ask("GET", "/v1/backtest").status_code == 422
