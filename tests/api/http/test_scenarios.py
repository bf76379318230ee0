"""Scenarios over HTTP: those that are shipped, those that people keep, and what is believed of their parameters."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import yaml

from api.shipped_scenarios import shipped_names, shipped_scenario
from cluster.service import scenarios as kept
from sim.scenario.scenario import read_scenario, scenario_document
from tests.support.served import Served, served

SHIPPED = "us-japan-autos-1995"
OWN = scenario_document(shipped_scenario(SHIPPED)) | {"name": "mine", "title": "Mine"}


@pytest.fixture
def service(tmp_path) -> Iterator[Served]:
    with served(tmp_path, auth="keys") as found:
        yield found


def test_a_kept_scenario_is_its_owners(service):
    ann, bob = service.key("ann", "submit", "read"), service.key("bob", "submit", "read")
    kept_now = service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN)
    assert (kept_now.status_code, kept_now.json()) == (200, OWN)
    assert service.ask("GET", "/v1/scenarios/mine", ann).json() == OWN
    assert service.ask("GET", "/v1/scenarios/mine", bob).status_code == 404
    own = [one for one in service.ask("GET", "/v1/scenarios", ann).json() if one["own"]]
    assert [(one["name"], one["title"]) for one in own] == [("mine", "Mine")]
    assert {one["name"] for one in service.ask("GET", "/v1/scenarios", bob).json()} == set(shipped_names())
    assert service.ask("DELETE", "/v1/scenarios/mine", bob).status_code == 404
    assert service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN | {"title": "Changed"}).json()["title"] == "Changed"
    assert service.ask("DELETE", "/v1/scenarios/mine", ann).status_code == 204
    assert service.ask("GET", "/v1/scenarios/mine", ann).status_code == 404


def test_a_kept_scenario_is_named_as_a_shipped_one_is(service):
    ann, bob = service.key("ann", "submit", "read"), service.key("bob", "submit", "read")
    service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN)
    request = {"scenario": "mine", "trials": 1000, "seed": 1}
    job = service.ask("POST", "/v1/jobs", ann, json=request).json()
    assert (job["scenario"], job["strategies"]) == ("mine", list(OWN["strategies"]))
    assert service.ask("GET", f"/v1/jobs/{job['id']}/scenario", ann).json() == OWN
    assert service.ask("POST", "/v1/estimate", ann, json=request).json()["scenario"] == "mine"
    assert service.ask("GET", "/v1/rates", ann, params={"scenario": "mine"}).json()["scenario"] == "mine"
    # The job keeps the scenario as it was when the job was submitted.
    service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN | {"title": "Changed"})
    assert service.ask("GET", f"/v1/jobs/{job['id']}/scenario", ann).json() == OWN
    for path in ("/v1/jobs", "/v1/estimate"):
        refused = service.ask("POST", path, bob, json=request)
        (fault,) = refused.json()["errors"]
        assert (refused.status_code, fault["pointer"]) == (422, "/scenario")
        assert (
            "is neither one of your own scenarios nor a shipped one; shipped are eu-us-steel-2003," in fault["detail"]
        )
    # A version of the service that allows less finds a kept scenario that it does not allow.
    kept.keep(service.database, "ann", "mine", OWN | {"horizon_weeks": 0})
    refused = service.ask("POST", "/v1/jobs", ann, json=request)
    (fault,) = refused.json()["errors"]
    assert (refused.status_code, fault["pointer"]) == (422, "/scenario")
    assert "is kept, but is no longer a valid scenario: horizon_weeks" in fault["detail"]


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_no_name_that_a_database_cannot_hold_is_looked_up(tmp_path, database, request):
    url = {"database_url": str(request.getfixturevalue("postgres_url"))} if database == "PostgreSQL" else {}
    with served(tmp_path, auth="keys", **url) as service:
        ann = service.key("ann", "submit", "read", "admin")
        for method, path in (
            ("GET", "/v1/scenarios/a%00b"),
            ("DELETE", "/v1/scenarios/a%00b"),
            ("PUT", "/v1/scenarios/a%00b"),
            ("POST", "/v1/keys/a%00b/revoke"),
            ("POST", "/v1/keys/a%00b/rotate"),
            ("GET", "/v1/jobs/a%00b"),
        ):
            assert service.ask(method, path, ann).status_code == 404, path
        assert service.ask("GET", "/v1/rates?scenario=a%00b", ann).status_code == 422
        for name in (r"a\u0000b", r"a\ud800b", r"\u0000"):
            for path, body in (
                ("/v1/jobs", f'{{"scenario": "{name}"}}'),
                ("/v1/estimate", f'{{"scenario": "{name}"}}'),
                ("/v1/scenarios/diff", f'{{"first": "{name}", "second": "{SHIPPED}"}}'),
            ):
                sent = service.ask("POST", path, ann, content=body, headers={"Content-Type": "application/json"})
                assert sent.status_code == 422, (path, name)


def test_what_cannot_be_kept_is_refused_with_its_field(service):
    ann, reads = service.key("ann", "submit", "read"), service.key("ann", "read")
    for name, document, field in (
        (SHIPPED, OWN | {"name": SHIPPED}, "name"),
        ("other", OWN, "name"),
        ("mine", OWN | {"horizon_weeks": -1}, "horizon_weeks"),
    ):
        refused = service.ask("PUT", f"/v1/scenarios/{name}", ann, json=document)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert service.ask("PUT", "/v1/scenarios/mine", reads, json=OWN).status_code == 403


def test_a_kept_scenario_is_replaced_only_as_its_request_expects(service):
    ann = service.key("ann", "submit", "read")

    def put(title: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN | {"title": title}, headers=named)
        found = service.ask("GET", "/v1/scenarios/mine", ann)
        if sent.status_code == 200:
            assert (sent.headers["ETag"], found.json()["title"]) == (found.headers["ETag"], title)
        return sent.status_code

    assert put("None to match", If_Match="*") == 412
    assert service.ask("GET", "/v1/scenarios/mine", ann).status_code == 404
    assert put("First", If_None_Match="*") == 200
    first = service.ask("GET", "/v1/scenarios/mine", ann).headers["ETag"]
    assert put("Not in its place", If_None_Match="*") == 412
    assert put("Second", If_Match=first) == 200
    assert put("Another had changed it", If_Match=first) == 412
    assert service.ask("GET", "/v1/scenarios/mine", ann).json()["title"] == "Second"
    assert put("Without a condition") == 200
    assert put("First", If_Match='"other", *') == 412
    assert service.ask("GET", f"/v1/scenarios/{SHIPPED}", ann).headers["ETag"] != first


def test_so_many_scenarios_are_kept_and_no_more(service, monkeypatch):
    monkeypatch.setattr(kept, "MAX_SCENARIOS", 1)
    ann = service.key("ann", "submit", "read")
    assert service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN).status_code == 200
    assert service.ask("PUT", "/v1/scenarios/mine", ann, json=OWN).status_code == 200
    refused = service.ask("PUT", "/v1/scenarios/more", ann, json=OWN | {"name": "more"})
    assert (refused.status_code, "delete some" in refused.text) == (422, True)


def test_yaml_of_a_scenario_is_the_same_scenario(service):
    ann = service.key("ann", "read")
    text = service.ask("POST", "/v1/scenarios/yaml", ann, json=OWN).json()["yaml"]
    assert scenario_document(read_scenario(text, "a.yaml")) == OWN
    sent = service.ask(
        "POST", "/v1/scenarios/validate", ann, content=text.encode(), headers={"Content-Type": "application/yaml"}
    )
    assert sent.json()["scenario"] == json.loads(json.dumps(yaml.safe_load(text)))


def test_what_strategies_set_has_its_densities(service):
    document = OWN | {"set": {"target_win": {"uniform": [0, 0.5]}}}
    found = service.ask("POST", "/v1/scenarios/ranges", service.key("ann", "read"), json=document).json()
    assert {
        name: {key: one["distribution"] for key, one in sets.items()} for name, sets in found["strategies"].items()
    } == (OWN["strategies"])
    for one in (*found["set"].values(), *(one for sets in found["strategies"].values() for one in sets.values())):
        assert (one["density"] is None) == isinstance(one["distribution"], int | float)


QUICK = ("us-japan-autos-1995", "us-eu-2025")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in shipped_names()]
)
def test_densities_are_probabilities_of_the_cells(service, name):
    scenario = shipped_scenario(name)
    found = service.ask(
        "POST", "/v1/scenarios/ranges", service.key("ann", "read"), json=scenario_document(scenario)
    ).json()["parameters"]
    assert [one["name"] for one in found] == list(scenario.base)
    assert {one["name"] for one in found if one["density"]} <= set(scenario.uncertain)
    for one in found:
        density = one["density"]
        if density is None:
            continue
        assert 0.99 < sum(density["shares"]) < 1.0 + 1e-9
        distribution = scenario.base[one["name"]]
        edges = np.linspace(density["low"], density["high"], len(density["shares"]) + 1)
        below = distribution.cdf(edges[1:])
        assert np.allclose(np.cumsum(density["shares"]) + below[0] - density["shares"][0], below, atol=1e-9)
        assert density["quantiles"]["0.5"] == pytest.approx(float(distribution.quantile(np.array([0.5]))[0]))
