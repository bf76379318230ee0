"""Charts and sentences made of a job's answers, as any client gets them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from xml.etree import ElementTree

import altair
import pytest

from api.chart_catalogue import CHARTS
from api.sentences import belief_sentences, dependence_sentence
from tests.support.requests import SMALL_JOB
from tests.support.served import Served, served

VEGA_LITE = "application/vnd.vegalite.v6+json"
REQUESTS = {chart.name: chart.examples[0] for chart in CHARTS}
EXAMPLES = [
    # The schema takes ten seconds to agree with a chart of so many layers.
    pytest.param(chart.name, example, id=chart.name, marks=[pytest.mark.slow] if chart.name == "timeline" else [])
    for chart in CHARTS
    for example in chart.examples
]


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def job(service) -> str:
    sent = service.ask("POST", "/v1/jobs", json=SMALL_JOB | {"scenario": "us-japan-autos-1995", "trials": 4000})
    assert sent.status_code == 202, sent.text
    service.work()
    return sent.json()["id"]


def draw(service: Served, job: str, name: str, accept: str, **request: object):
    body = {**REQUESTS.get(name, {}), **request}
    return service.ask("POST", f"/v1/jobs/{job}/charts/{name}", json=body, headers={"Accept": accept})


@pytest.mark.parametrize(("name", "request_"), EXAMPLES)
def test_a_chart_is_a_specification_of_vega_lite(service, job, name, request_):
    answer = draw(service, job, name, VEGA_LITE, **request_)
    assert (answer.status_code, answer.headers["content-type"]) == (200, VEGA_LITE), answer.text
    assert "vega-lite/v6" in answer.json()["$schema"]
    # The service does not check what it draws against the schema of Vega-Lite: this does.
    altair.Chart.from_dict(answer.json(), validate=True)
    # The specification holds its data: whoever draws it loads nothing.
    assert '"url"' not in answer.text


def test_a_chart_is_a_picture_for_who_asks_for_one(service, job):
    picture = draw(service, job, "outcomes", "image/svg+xml")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert ElementTree.fromstring(picture.text).tag.endswith("svg")
    assert draw(service, job, "outcomes", "image/png").content.startswith(b"\x89PNG")
    assert draw(service, job, "outcomes", "text/html").status_code == 406


ALL_AND_BY_OUTCOME = {"all": ("strategy",), "by outcome": ("strategy", "outcome")}


def binned(measure: str, *keys: str) -> dict:
    by = [*keys, {"value": measure, "bins": 12}]
    return {"measures": [measure], "statistics": ["count"], "by": by}


def test_bars_of_outcomes_stand_on_each_other_as_high_as_those_of_all_trials(service, job):
    asked = {name: binned("export_gain", *keys) for name, keys in ALL_AND_BY_OUTCOME.items()}
    bars = {
        name: draw(service, job, "distribution", VEGA_LITE, **one).json()["data"]["values"]
        for name, one in asked.items()
    }
    tops: dict[tuple[str, float], float] = {}
    for bar in bars["by outcome"]:
        place = bar["strategy"], bar["low"]
        assert bar["from"] == pytest.approx(tops.get(place, 0.0))
        tops[place] = bar["to"]
    assert tops == pytest.approx({(bar["strategy"], bar["low"]): bar["to"] for bar in bars["all"]})


@pytest.mark.parametrize("keys", ALL_AND_BY_OUTCOME.values(), ids=ALL_AND_BY_OUTCOME)
def test_a_cumulative_line_rises_to_the_share_that_knows_the_measure(service, job, keys):
    points = draw(service, job, "cumulative", VEGA_LITE, **binned("agreement_week", *keys)).json()["data"]["values"]
    summary = service.ask("GET", f"/v1/jobs/{job}/summary").json()["strategies"]
    lines: dict[tuple[str, ...], list[dict]] = {}
    for point in points:
        lines.setdefault(tuple(point[key] for key in keys), []).append(point)
    for (strategy, *outcome), line in lines.items():
        for name in ("value", "share"):
            assert [point[name] for point in line] == sorted(point[name] for point in line)
        known = 1.0 if outcome else summary[strategy]["events"]["agreement"]["estimate"]
        assert (line[0]["share"], line[-1]["share"]) == (0.0, pytest.approx(known))


def test_a_chart_answers_for_the_trials_that_agree(service, job):
    all_trials = draw(service, job, "outcomes", VEGA_LITE).json()
    agreeing = draw(service, job, "outcomes", VEGA_LITE, given="agreement").json()
    assert all_trials != agreeing
    rows = agreeing["data"]["values"]
    assert sum(row["share"] for row in rows if row["outcome"].startswith("No agreement")) == 0


@pytest.mark.parametrize(
    ("name", "request_", "field"),
    [
        ("outcomes", {"given": "nonsense"}, "given"),
        ("outcomes", {"extra": 1}, "extra"),
        ("distribution", {"by": ["strategy"]}, "by"),
        ("cumulative", {"by": ["outcome", {"value": "export_gain", "bins": 5}]}, "by"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_its_field(service, job, name, request_, field):
    refused = draw(service, job, name, VEGA_LITE, **request_)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


def test_findings_are_sentences_about_the_best_strategy(service, job):
    found = service.ask("POST", f"/v1/jobs/{job}/findings", json={}).json()
    compared = service.ask("POST", f"/v1/jobs/{job}/compare", json={}).json()["result"]["choices"][0]["regret"]
    assert found["best"] == min(compared, key=lambda name: compared[name]["mean"]["estimate"])
    assert found["best"] in found["sentences"][0]
    whole = service.ask("POST", f"/v1/jobs/{job}/compare", json={}).json()["result"]
    assert found["sentences"][-1] == dependence_sentence(whole)
    assert found["beliefs"] == belief_sentences(whole)
    fewer = service.ask("POST", f"/v1/jobs/{job}/compare", json={"sampled": 1000}).json()["result"]
    first = service.ask("POST", f"/v1/jobs/{job}/findings", json={"sampled": 1000}).json()
    assert first["sentences"] == [*found["sentences"][:-1], dependence_sentence(fewer)]
    assert first["beliefs"] == belief_sentences(fewer)
    given = service.ask(
        "POST", f"/v1/jobs/{job}/findings", json={"given": "agreement", "measure": "export_gain"}
    ).json()
    assert given["measure"] == "export_gain"
    assert any("an agreement within 104 weeks comes in all of the trials" in said for said in given["sentences"])


def test_terms_name_what_documents_hold(service, job):
    terms = service.ask("GET", "/v1/terms").json()
    one = next(iter(service.ask("GET", f"/v1/jobs/{job}/summary").json()["strategies"].values()))
    assert {term["name"] for term in terms if term["kind"] == "outcome"} == set(one["outcome"])
    assert {term["name"] for term in terms if term["kind"] == "event"} == set(one["events"])


def test_a_report_is_one_page_that_runs_nothing(service, job):
    answer = service.ask("GET", f"/v1/jobs/{job}/report", params={"given": "credibility > 0.5"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "credibility &gt; 0.5" in answer.text
    assert "<script" not in answer.text


def test_a_report_is_about_the_strategies_and_beliefs_that_are_asked_for(service, job):
    name, one = next(iter(service.ask("GET", f"/v1/jobs/{job}/summary").json()["strategies"].items()))
    believed = one["events"]["agreement"]["estimate"] + 0.01
    asked = {"strategy": name, "believe": f"agreement = {believed:.3f} under {name}"}
    answer = service.ask("GET", f"/v1/jobs/{job}/report", params=asked)
    assert answer.status_code == 200, answer.text
    said = re.search(r"Believed: agreement.*? in ([\d.]+) % of worlds instead of", " ".join(answer.text.split()))
    assert said
    assert float(said[1]) == pytest.approx(100 * believed, abs=0.2)
    assert "of\neach of 1 strategy" in answer.text
    assert "How the strategies differ" not in answer.text
    for wrong in ({"strategy": "nobody"}, {"believe": "agreement"}):
        assert service.ask("GET", f"/v1/jobs/{job}/report", params=wrong).status_code == 422


def test_findings_weight_the_trials_by_beliefs(service, job):
    found = service.ask("POST", f"/v1/jobs/{job}/findings", json={"believe": ["agreement = 0.5"]})
    assert found.status_code == 200, found.text
    evidence = found.json()["evidence"]
    assert all(1 <= one["effective_trials"] <= 4000 for one in evidence.values())


def test_the_densities_of_a_scenario_that_is_sent_are_drawn(service):
    scenario = service.ask("GET", "/v1/scenarios/us-mexico-2019").json()
    drawn = service.ask("POST", "/v1/scenarios/densities", json=scenario, headers={"Accept": "image/svg+xml"})
    assert (drawn.status_code, drawn.headers["content-type"]) == (200, "image/svg+xml")
    assert "follow_through" in drawn.text
    wrong = service.ask("POST", "/v1/scenarios/densities", json={**scenario, "horizon_weeks": 0})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "horizon_weeks"


@pytest.mark.slow
def test_a_report_is_a_pdf_for_who_asks_for_one(service, job):
    answer = service.ask("GET", f"/v1/jobs/{job}/report", headers={"Accept": "application/pdf"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["content-disposition"] == 'attachment; filename="us-japan-autos-1995.pdf"'
    assert service.ask("GET", f"/v1/jobs/{job}/report", headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("module", sorted({chart.module for chart in CHARTS} | {"api.report.page"}))
def test_pandas_is_there_before_a_chart_is_drawn(module):
    # Altair fails if it looks for pandas while another thread, such as that of another request, is importing it.
    asked = f"import sys, {module}; sys.exit('pandas' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
