"""Notebook output: tables and charts of jobs, summaries and answers, as well-formed HTML with all text escaped."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from brink.answer import Answer
from brink.charts import Bar, axis_ticks, bar_chart
from brink.display import MOST_ROWS, answer_html, job_html

ESTIMATE = {"estimate": 0.25, "standard_error": 0.01, "low": 0.23, "high": 0.27}
NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False)
DOCUMENTS = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | NUMBERS | st.text() | st.just(ESTIMATE),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
        max_leaves=12,
    ),
    max_size=5,
)


def parsed(html: str) -> ET.Element:
    return ET.fromstring(f"<div>{html}</div>")


def texts(html: str) -> list[str]:
    return [text.strip() for text in parsed(html).itertext() if text.strip()]


def job(**changes) -> dict:
    return {
        "id": "a" * 32,
        "scenario": "example",
        "state": "running",
        "trials": 1000,
        "seed": 1,
        "design": "random",
        "strategies": ["threaten", "talk"],
        "progress": {"trials_done": 500, "trials_total": 2000},
        "error": None,
    } | changes


def test_a_job_shows_its_state_and_progress():
    shown = texts(job_html(job()))
    assert "running" in shown
    assert "500 of 2,000 trials" in shown
    assert "threaten, talk" in shown
    failed = texts(job_html(job(state="failed", error="no room on <disk>")))
    assert "no room on <disk>" in failed


def test_a_summary_shows_outcomes_by_strategy_with_a_bar_each():
    strategy = {
        "outcome": {"agreement": ESTIMATE, "sanctions": ESTIMATE},
        "events": {"filing": ESTIMATE},
        "measures": {"export_gain": {"mean": ESTIMATE, "quantiles": {"0.5": 1.0}}},
    }
    html = Answer(
        "summary", {"scenario": "x", "trials": 1000, "strategies": {"a": strategy, "b": strategy}}
    )._repr_html_()
    assert texts(html).count("0.25 (0.23 to 0.27)") == 2 * 4
    svg = parsed(html).find(".//{http://www.w3.org/2000/svg}svg")
    assert svg is not None
    assert len(svg.findall("{http://www.w3.org/2000/svg}rect")) == 4


def test_an_answer_shows_its_rows_as_a_table_and_a_chart():
    rows = [{"name": f"p{k}", "share": ESTIMATE, "rank": k} for k in range(MOST_ROWS + 5)]
    html = answer_html("drivers", {"measure": "export_gain", "mean": ESTIMATE, "parameters": rows})
    assert "p3" in texts(html)
    assert f"p{MOST_ROWS + 1}" not in texts(html)
    assert "and 5 more rows" in texts(html)
    assert "<svg" in html


@given(DOCUMENTS)
def test_every_document_becomes_well_formed_html_without_scripts(document):
    for name in ("summary", "drivers"):
        html = answer_html(name, document)
        # Control characters are no part of any markup.
        parsed("".join(c for c in html if c in "\t\n" or (c >= " " and c not in "\ufffe\uffff")))
        assert "<script" not in html


@given(NUMBERS, NUMBERS)
def test_the_ticks_of_an_axis_are_few_round_and_enclose_the_range(a, b):
    least, most = sorted((a, b))
    ticks = axis_ticks(least, most)
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(ticks)
    margin = 1e-9 * max(abs(least), abs(most), 1.0)
    assert ticks[0] <= least + margin
    assert ticks[-1] >= most - margin


def test_bars_without_a_value_are_left_out():
    assert bar_chart("none", [Bar("a", float("nan"))]) == ""
    assert bar_chart("some", [Bar("a", float("nan")), Bar("b", -2.0, -3.0, -1.0)]).count("<rect") == 1
