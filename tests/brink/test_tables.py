"""Answers as tables and charts: the documents of the service itself, row by row."""

import json
import sys

import pandas as pd
import pytest

from api.chart_catalogue import CHARTS as DRAWN
from api.shipped_scenarios import shipped_scenario
from brink.answer import Answer
from brink.chart import CHARTS, Chart, chart_name
from brink.errors import BrinkError
from brink.tables import TABLES, flat
from cluster.answers.diff import diff
from cluster.answers.registry import ANSWERS, ask
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import document, issue

ESTIMATE = {"estimate": 0.25, "standard_error": 0.01, "low": 0.23, "high": 0.27}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, StoredRun]:
    """A run of a real dispute, whose history is known, and one of the saltelli design."""
    small = scenario_from_document(
        document({"access": issue({"uniform": [0.3, 0.9]}, 0.02, 0.05)}, {"full_access": {"uniform": [5, 10]}})
    )
    plans = {
        "random": make_plan(shipped_scenario("us-mexico-2019"), trials=3000, seed=1),
        "saltelli": make_plan(small, trials=4 * 8 * 256, seed=1, design="saltelli"),
    }
    found = {}
    for name, plan in plans.items():
        folder = tmp_path_factory.mktemp("tables") / name
        run(plan, folder, RunOptions(engine="inline"))
        found[name] = open_run(folder)
    return found


@pytest.fixture(scope="module")
def answers(runs) -> dict[str, Answer]:
    found = {}
    for answer in ANSWERS:
        stored = runs["random" if "random" in answer.designs else answer.designs[0]]
        found[answer.name] = Answer(answer.name, json.loads(json.dumps(ask(stored, answer.name, answer.examples[0]))))
    found["diff"] = Answer("diff", diff(runs["random"], runs["random"]).model_dump())
    return found


def test_every_answer_and_no_other_has_tables(answers):
    assert TABLES.keys() == answers.keys()


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_made_of_the_documents_rows(answers, name):
    answer = answers[name]
    assert answer.document == dict(answer)
    assert type(answer.document) is dict
    for table in TABLES[name]:
        frame = answer.table(table)
        assert isinstance(frame, pd.DataFrame)
        # A run does not differ from itself, no group is known everywhere, and an outcome may have no box.
        if (name, table) not in (("diff", "inputs"), ("discover", "boxes"), ("discover", "trade_off")):
            assert len(frame), table
        assert len(set(frame.columns)) == len(frame.columns)
    assert answer.table().equals(answer.table(next(iter(TABLES[name]))))
    with pytest.raises(BrinkError, match=f"{name} has no table nothing; there are {', '.join(TABLES[name])}"):
        answer.table("nothing")


def test_the_numbers_are_those_of_the_document(answers):
    summary = answers["summary"]
    frame = summary.table("measures").set_index(["strategy", "measure"])
    for strategy, one in summary["strategies"].items():
        for name, measure in one["measures"].items():
            row = frame.loc[strategy, name]
            known = {key: float("nan") if value is None else value for key, value in measure["mean"].items()}
            assert row["mean"] == pytest.approx(known["estimate"], nan_ok=True)
            assert row["mean.low"] == pytest.approx(known["low"], nan_ok=True)
    timeline = answers["timeline"]
    course = timeline.table().query("strategy == 'keep-talking' and state == 'agreement'")
    assert list(course["number"]) == timeline["result"]["weeks"]
    expected = timeline["result"]["strategies"]["keep-talking"]["states"]["agreement"]["estimate"]
    assert list(course["estimate"]) == expected


def test_an_answer_that_the_client_does_not_know_has_its_lists_of_rows():
    later = Answer("later", {"result": {"note": "x", "parts": [{"name": "a", "share": ESTIMATE}]}})
    assert later.table().to_dict("records") == [
        {"name": "a", "share": 0.25, "share.standard_error": 0.01, "share.low": 0.23, "share.high": 0.27}
    ]
    assert Answer("later", {"answer": "later", "mean": ESTIMATE}).table()["mean"].tolist() == [0.25]
    assert flat({"a": {"b": {"c": 1}}, "d": [1]}) == {"a.b.c": 1, "d": [1]}


def test_the_client_knows_the_charts_of_every_answer():
    names = {chart.answer.name: tuple(c.name for c in DRAWN if c.answer is chart.answer) for chart in DRAWN}
    assert dict(CHARTS) == names
    assert chart_name("compare", None) == "regret"
    for answer, name, says in (("score", None, "has no chart"), ("compare", "tornado", "there are regret, leads")):
        with pytest.raises(BrinkError, match=says):
            chart_name(answer, name)


def test_a_chart_shows_itself_and_is_saved(answers, tmp_path, monkeypatch):
    drawn = next(one for one in DRAWN if one.name == "outcomes").draw(answers["summary"].document)
    chart = Chart("outcomes", drawn.to_dict(), "<svg></svg>")
    bundle = chart._repr_mimebundle_()
    assert "vega-lite/v6" in bundle["application/vnd.vegalite.v6+json"]["$schema"]
    assert bundle["image/svg+xml"] == "<svg></svg>"
    assert chart.save(tmp_path / "x.svg").read_text() == "<svg></svg>"
    with pytest.raises(BrinkError, match=r"must end in \.svg"):
        chart.save(tmp_path / "x.png")
    assert chart.altair().to_dict()["mark"] == drawn.to_dict()["mark"]
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(BrinkError, match="pip install altair"):
        chart.altair()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BrinkError, match="pip install pandas"):
        answers["summary"].table()


def test_an_answer_without_a_job_says_that_it_cannot_be_drawn():
    with pytest.raises(BrinkError, match="belongs to no job"):
        Answer("summary", {}).chart()
