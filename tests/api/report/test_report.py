"""The report of a run: what it says, that it loads nothing, and that no text becomes markup."""

import re
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from api.figures import amount, share
from api.sentences import belief_sentences, choice_sentences, dependence_sentence
from cluster.answers.registry import ask
from cluster.query.trials import open_run
from cluster.results.plan import Plan, make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import Scenario, scenario_from_document
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, litigious
from tests.support.runs import STRATEGIES, small_plan

HOSTILE = '<script>alert(1)</script> & "quotes" \U0001f600'


class Page(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def _plan(scenario: Scenario) -> Plan:
    return make_plan(scenario, trials=3000, seed=3)


def page_of(folder, tmp_path, *options) -> Page:
    found = brink("report", folder, "--out", tmp_path / "r.html", *options)
    assert found.returncode == 0, found.stderr
    return Page((tmp_path / "r.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    scenario = scenario_from_document(
        changed(litigious(), strategies=STRATEGIES, title=HOSTILE, sender=HOSTILE, sources={"target_win": HOSTILE})
    )
    folder = tmp_path_factory.mktemp("report") / "run"
    run(_plan(scenario), folder, RunOptions(engine="inline"))
    return folder


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory) -> Page:
    return page_of(folder, tmp_path_factory.mktemp("page"))


def test_a_report_loads_nothing_and_runs_nothing(page):
    assert not {"script", "link", "iframe", "img", "object", "embed", "form", "base"} & set(page.tags)
    loading = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert [value for value in loading if not (value or "").startswith("#")] == []
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "svg" in page.tags


def test_texts_of_the_scenario_are_shown_as_they_are(page):
    assert page.text.count(HOSTILE) >= 3


def test_the_numbers_are_those_of_the_answers(folder, page):
    document = ask(open_run(folder), "worth", {})
    now = document["result"]["now"]
    assert amount(now["means"][now["best"]], " bn USD") in page.text
    for one in ask(open_run(folder), "summary", {})["strategies"].values():
        assert share(one["events"]["agreement"]) in page.text


def test_its_sentences_are_those_of_the_comparison(folder, page):
    compared = ask(open_run(folder), "compare", {})["result"]
    text = " ".join(page.text.split())
    for sentence in (*choice_sentences(compared), dependence_sentence(compared), *belief_sentences(compared)):
        assert sentence in text
    assert "In no trial: " in text
    assert "0: in no trial, so that its probability is under" in text


def test_a_report_can_be_restricted_by_a_condition(folder, tmp_path):
    page = page_of(folder, tmp_path, "--given", "target_win > 0.4")
    assert "(target_win > 0.4)" in page.text


def test_a_run_of_one_strategy_has_no_comparison(tmp_path):
    scenario = scenario_from_document(changed(litigious(), strategies={"only": {}}))
    run(_plan(scenario), tmp_path / "run", RunOptions(engine="inline"))
    page = page_of(tmp_path / "run", tmp_path)
    assert "How the strategies differ" not in page.text
    assert "What it depends on" in page.text


def test_a_measure_is_named_as_it_was_written(folder, tmp_path):
    page = page_of(folder, tmp_path, "--measure", "-target_cost")
    assert re.search(r"By -target_cost, ", page.text)


def test_files_that_cannot_be_written_are_refused(folder, tmp_path):
    assert_refused(brink("report", folder, "--out", tmp_path / "r.txt"), "--out", "must end in .html")
    assert_refused(brink("report", folder, "--out", tmp_path / "no" / "r.html"), "--out", "a folder that exists")
    assert_refused(brink("report", tmp_path / "nothing", "--out", tmp_path / "r.html"), "must be a run's result folder")


def test_a_report_of_weighted_trials_says_what_is_believed(folder, tmp_path):
    text = " ".join(page_of(folder, tmp_path, "--believe", "sanctions = 0.5").text.split())
    assert "Believed: sanctions under threaten in 50.0 % of worlds instead of" in text
    assert "The trials are weighted by Jeffrey's rule: an effective number of" in text


def test_a_report_on_one_strategy_of_several_names_it_and_no_other(folder, tmp_path):
    chosen, *others = STRATEGIES
    page = page_of(folder, tmp_path, "--strategy", chosen)
    assert f"Under {chosen}, an agreement" in page.text
    assert "How the strategies differ" not in page.text
    assert not any(re.search(rf"\b{other}\b", page.text) for other in others)
    refused = brink("report", folder, "--out", tmp_path / "none.html", "--strategy", "nobody")
    assert_refused(refused, "--strategy", "is not a strategy of this run")


def test_a_report_says_what_is_from_kept_rows_alone(tmp_path):
    plan = replace(small_plan(trials=3000, shard_trials=1000), kept_trials=1000)
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    brink("report", tmp_path / "run", "--out", tmp_path / "r.html", status=0)
    page = Page((tmp_path / "r.html").read_text())
    assert "is from the rows of the first 1,000 of 3,000 trials of each strategy" in " ".join(page.text.split())


def inside(pdf: bytes) -> bytes:
    """The objects of a PDF, their streams decompressed."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    found = [pdf]
    for stream in streams:
        try:
            found.append(zlib.decompress(stream))
        except zlib.error:
            found.append(stream)
    return b"\n".join(found)


@pytest.mark.slow
def test_a_report_as_pdf_has_vector_charts_and_refers_to_nothing(folder, tmp_path):
    done = brink("report", folder, "--out", tmp_path / "r.pdf", status=0)
    assert done.stderr == ""
    pdf = (tmp_path / "r.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    objects = inside(pdf)
    assert len(re.findall(rb"/Type /Page\b", objects)) >= 3
    for word in (b"/Subtype /Image", b"/URI", b"/JavaScript", b"/Launch", b"/EmbeddedFile"):
        assert word not in objects
    assert b"/FontFile" in objects


def test_without_pango_a_pdf_is_refused_at_once(folder, tmp_path, monkeypatch):
    (tmp_path / "lacking" / "weasyprint").mkdir(parents=True)
    (tmp_path / "lacking" / "weasyprint" / "__init__.py").write_text("raise OSError('cannot load library pango')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path / "lacking")
    refused = brink("report", folder, "--out", tmp_path / "r.pdf", status=1)
    assert "a PDF needs the library Pango" in refused.stderr
    assert not (tmp_path / "r.pdf").exists()
