"""Workbooks for Excel: the numbers of the run, text that stays text, and what a sheet cannot hold."""

import io
from pathlib import Path

import openpyxl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import workbook
from api.workbook import MOST_CHARACTERS, MOST_ROWS, Sheet, write_workbook
from cluster.answers.registry import ask
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, issue, litigious
from tests.support.requests import SMALL_JOB
from tests.support.runs import STRATEGIES, small_plan
from tests.support.served import served

HOSTILE = ('=HYPERLINK("http://example.org","x")', "@SUM(1)", "+1", "-1", "http://example.org", "{=1}", "1e5", "<b>&")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a run of a scenario of hostile texts, called ``run``."""
    folder = tmp_path_factory.mktemp("workbook")
    own = changed(litigious(), strategies=STRATEGIES, title=HOSTILE[0], sender=HOSTILE[1], target=HOSTILE[2])
    own["issues"] = {"one": {**issue({"uniform": [0.3, 0.9]}, 0.1, 0.1), "title": HOSTILE[3]}}
    own["sources"] = {"target_win": HOSTILE[4]}
    (folder / "own.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
    brink("run", "own.yaml", "--trials", 3000, "--engine", "inline", "--out", "run", cwd=folder, status=0)
    return folder


def rows(book: openpyxl.Workbook, sheet: str) -> list[tuple]:
    return list(book[sheet].iter_rows(values_only=True))


def test_the_sheets_have_the_numbers_of_the_run(folder):
    done = brink("export", "run", "--xlsx", "a.xlsx", "--trials", 20, cwd=folder, status=0)
    assert "with the first 20 of 3,000 trials of each strategy" in done.stdout
    book = openpyxl.load_workbook(folder / "a.xlsx")
    assert book.sheetnames == ["About", "Probabilities", "Measures", "Over time", "Ranges", "Trials"]
    summary = ask(open_run(folder / "run"), "summary")
    found = {(row[0], row[2]): row[4:] for row in rows(book, "Probabilities")[1:]}
    for strategy, one in summary["strategies"].items():
        for name, estimate in (one["outcome"] | one["events"]).items():
            assert found[strategy, name] == pytest.approx(tuple(estimate.values()), nan_ok=True)
    means = {(row[0], row[1]): row[5] for row in rows(book, "Measures")[1:]}
    assert means["threaten", "export_gain"] == pytest.approx(
        summary["strategies"]["threaten"]["measures"]["export_gain"]["mean"]["estimate"]
    )
    trials = rows(book, "Trials")
    assert [row[:2] for row in trials[1:]] == [(name, k) for name in STRATEGIES for k in range(20)]
    stored = open_run(folder / "run")
    replayed = ask(stored, "replay", {"trial": 7, "strategy": "talk"})["result"]["end"]["outcome"]
    assert dict(zip(trials[0], trials[28], strict=True))["outcome"] == replayed


def test_the_tables_are_about_the_strategies_and_beliefs_that_are_asked_for(folder):
    options = ("--strategy", "talk", "--believe", "agreement = 0.5 under talk", "--trials", 5)
    brink("export", "run", "--xlsx", "c.xlsx", *options, cwd=folder, status=0)
    book = openpyxl.load_workbook(folder / "c.xlsx")
    for sheet in ("Probabilities", "Measures", "Over time", "Trials"):
        assert {row[0] for row in rows(book, sheet)[1:]} == {"talk"}
    agreement = next(row for row in rows(book, "Probabilities") if row[2] == "agreement")
    assert agreement[4] == pytest.approx(0.5)
    about = rows(book, "About")
    assert any(name == "belief" and "50.0 % of worlds" in value for name, value in about)
    assert any(name == "trials in this workbook" and "not weighted" in value for name, value in about)


def test_no_cell_is_a_formula_or_a_link(folder):
    brink("export", "run", "--xlsx", "b.xlsx", "--trials", 0, cwd=folder, status=0)
    book = openpyxl.load_workbook(folder / "b.xlsx")
    texts = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert "Trials" not in book.sheetnames
    assert {cell.data_type for cell in texts} <= {"s", "n", "b"}
    assert not any(cell.hyperlink for cell in texts)
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[4]} <= {cell.value for cell in texts}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=30), min_size=1, max_size=5))
def test_any_text_stays_that_text(tmp_path, texts):
    write_workbook(tmp_path / "x.xlsx", [Sheet("T", texts, [texts])])
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["T"]
    for row in sheet.iter_rows():
        for cell, text in zip(row, texts, strict=False):
            assert cell.data_type in ("s", "n")
            if text.isprintable() and text:
                assert cell.value == text


def test_numbers_are_numbers_and_what_excel_cannot_hold_is_text(tmp_path):
    values = (
        1.5,
        2**53,
        2**63 - 1,
        True,
        None,
        float("nan"),
        float("inf"),
        "a" * (MOST_CHARACTERS + 1),
        "\U0001f600" * 20_000,
    )
    write_workbook(tmp_path / "x.xlsx", [Sheet("T", ("x",), [[value] for value in values])])
    found = [row[0] for row in openpyxl.load_workbook(tmp_path / "x.xlsx")["T"].iter_rows(values_only=True)][1:]
    assert found[:7] == [1.5, 2**53, str(2**63 - 1), True, None, "nan", "inf"]
    assert found[7].endswith(" [cut: 32,768 characters]")
    assert found[8].endswith(" [cut: 20,000 characters]")
    assert all(len(text.encode("utf-16-le")) // 2 <= MOST_CHARACTERS for text in found[7:])


def test_more_rows_than_a_sheet_has_are_refused(folder, tmp_path, monkeypatch):
    most = MOST_ROWS // len(STRATEGIES)
    for count in (most + 1, -1, 10**12):
        refused = brink("export", "run", "--xlsx", tmp_path / "x.xlsx", "--trials", count, cwd=folder)
        assert_refused(refused, "--trials", f"must be from 0 to {most:,}")
    monkeypatch.setattr(workbook, "MOST_ROWS", 3)
    with pytest.raises(InvalidInput, match="a sheet of Excel has 3"):
        write_workbook(tmp_path / "x.xlsx", [Sheet("T", ("x",), [[k] for k in range(4)])])
    grouped = ("aggregate", "run", "--measure", "agreement", "--by", "outcome", "--by", "strategy")
    refused = brink(*grouped, "--out", tmp_path / "y.xlsx", cwd=folder)
    assert refused.returncode == 2
    assert "a sheet of Excel has" in refused.stderr
    assert not (tmp_path / "y.xlsx").exists()


def test_a_table_of_groups_is_a_workbook_too(folder):
    grouped = ("aggregate", "run", "--measure", "export_gain", "--by", "strategy", "--statistic", "mean")
    brink(*grouped, "--out", "table.xlsx", cwd=folder, status=0)
    found = rows(openpyxl.load_workbook(folder / "table.xlsx"), "Table")
    assert found[0][0] == "strategy"
    assert {row[0] for row in found[1:]} == set(STRATEGIES)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--xlsx", "x.xls"), "must end in .xlsx"),
        (("--xlsx", "there/x.xlsx"), "folder that exists"),
        (("--xlsx", "y.xlsx", "--given", "agreemnt"), "--given"),
    ],
)
def test_a_wrong_request_writes_no_file(folder, options, says):
    assert_refused(brink("export", "run", *options, cwd=folder), says)
    assert not list(folder.glob("?.xls"))
    assert not (folder / "y.xlsx").exists()


def test_a_run_for_indices_has_no_course_over_time(tmp_path):
    run(
        small_plan(26_624, None, design="saltelli", strategies=("threaten",)),
        tmp_path / "run",
        RunOptions(engine="inline"),
    )
    brink("export", tmp_path / "run", "--xlsx", tmp_path / "x.xlsx", status=0)
    assert "Over time" not in openpyxl.load_workbook(tmp_path / "x.xlsx", read_only=True).sheetnames


def test_the_service_gives_the_workbook_of_a_job(tmp_path):
    with served(tmp_path / "served") as service:
        job = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
        service.work()
        answer = service.ask("GET", f"/v1/jobs/{job}/export", params={"trials": 5, "given": "agreement"})
        one = {"trials": 2, "strategy": ["talk"], "believe": ["agreement = 0.5 under talk"]}
        narrowed = service.ask("GET", f"/v1/jobs/{job}/export", params=one)
        assert len(rows(openpyxl.load_workbook(io.BytesIO(narrowed.content)), "Trials")) == 1 + 2
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"] == 'attachment; filename="litigious.xlsx"'
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        assert len(rows(book, "Trials")) == 1 + 2 * 5
        assert service.ask("GET", f"/v1/jobs/{job}/export", params={"trials": -1}).status_code == 422
        accept = {"Accept": workbook.XLSX}
        table = service.ask("POST", f"/v1/jobs/{job}/aggregate", json={"measures": ["agreement"]}, headers=accept)
        assert (table.status_code, table.headers["content-type"]) == (200, workbook.XLSX)
