"""Tables of past threats: what is read, what is left out, and every fault with its row and column."""

import openpyxl
import pandas as pd
import pytest

from cluster.reference.episodes import read_episodes
from sim.faults import InvalidInput

TIES_COLUMNS = (
    *("caseid", "startyear", "startmonth", "startday", "endyear", "endmonth", "endday", "primarysender"),
    *("targetstate", "issue1", "issue2", "issue3", "threat", "bspecif", "scommit", "imposition"),
    *("sancimpositionstartyear", "sancimpositionstartmonth", "sancimpositionstartday", "finaloutcome"),
)
ROW = dict(
    zip(
        TIES_COLUMNS,
        [1, 1990, 3, 5, 1991, 6, 1, 2, 740, 13, None, None, 1, 2, 3, 0, None, None, None, 5],
        strict=True,
    )
)


def ties(path, *rows):
    pd.DataFrame([{**ROW, "caseid": k, **row} for k, row in enumerate(rows, 1)]).to_csv(path, index=False)
    return path


def faults(path):
    with pytest.raises(InvalidInput) as caught:
        read_episodes(path)
    return str(caught.value)


def test_ties_rows_are_read_by_their_columns_names(tmp_path):
    imposed = {"imposition": 1, "sancimpositionstartyear": 1990, "sancimpositionstartmonth": 5}
    table = read_episodes(
        ties(
            tmp_path / "t.csv",
            {},
            imposed | {"sancimpositionstartday": 1, "finaloutcome": 9, "targetstate": 710},
            {"finaloutcome": 4, "bspecif": 1, "scommit": 1},
            {"finaloutcome": None, "bspecif": None},
        )
    )
    assert table.kind == "TIES"
    assert [one.outcome for one in table.episodes] == ["settled", "imposed", "dropped", "open"]
    assert [one.specific for one in table.episodes] == [True, True, False, None]
    assert [one.commitment for one in table.episodes] == ["strong", "strong", "weak", "strong"]
    assert table.episodes[1].imposed_on is not None
    assert table.left_out == {}


def test_ties_rows_without_a_threat_before_an_imposition_are_left_out_and_counted(tmp_path):
    same_day = {"imposition": 1, "sancimpositionstartyear": 1990, "sancimpositionstartmonth": 3}
    table = read_episodes(
        ties(
            tmp_path / "t.csv",
            {},
            same_day | {"sancimpositionstartday": 5},
            same_day | {"sancimpositionstartday": 4},
            same_day | {"sancimpositionstartday": 6},
            {"finaloutcome": 8},
        )
    )
    assert [one.id for one in table.episodes] == ["1", "4"]
    assert sorted(table.left_out.values()) == [1, 2]


def test_rows_of_other_senders_issues_and_years_are_not_chosen(tmp_path):
    others = ({"primarysender": 200}, {"issue1": 5}, {"startyear": 1960}, {"threat": 0})
    table = read_episodes(ties(tmp_path / "t.csv", {}, *others, {"issue1": 5, "issue2": "7, 13"}))
    assert [one.id for one in table.episodes] == ["1", "6"]
    assert "has no threats of the sender 710" in _refusal(tmp_path / "t.csv", sender=710)


def _refusal(path, **chosen):
    with pytest.raises(InvalidInput) as caught:
        read_episodes(path, **chosen)
    return str(caught.value)


@pytest.mark.parametrize("name", ["bspecif", "finaloutcome"])
def test_a_ties_table_without_one_of_its_columns_is_refused_with_that_column(tmp_path, name):
    pd.DataFrame([{key: value for key, value in ROW.items() if key != name}]).to_csv(tmp_path / "t.csv", index=False)
    assert f"lacks the column {name}, which a TIES table has" in faults(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"bspecif": 3}, ":2:bspecif: must be one of the codes 1, 2, or empty (found '3')"),
        ({"scommit": 7}, ":2:scommit: must be one of the codes 1, 2, 3, or empty (found '7')"),
        ({"finaloutcome": 11}, ":2:finaloutcome: must be one of the codes 1, 2, 5, 3, 4, 6, 7, 8, 9, 10, or empty"),
        ({"finaloutcome": "x", "imposition": 1}, ":2:finaloutcome: must be a whole number or empty (found 'x')"),
        ({"startmonth": 13}, ":2:startday: is no day of a calendar, with the year 1990 and the month 13 (found '5')"),
        ({"endmonth": 2, "endday": 30}, ":2:endday: is no day of a calendar, with the year 1991 and the month 2"),
    ],
)
def test_an_impossible_code_of_ties_is_named_once_with_its_row_and_column(tmp_path, row, said):
    found = faults(ties(tmp_path / "t.csv", row))
    assert said in found
    assert len(found.splitlines()) == 1


def test_a_date_of_ties_with_an_unknown_part_is_not_known(tmp_path):
    (found,) = read_episodes(ties(tmp_path / "t.csv", {"startday": "?"})).episodes
    assert found.began is None


def test_an_excel_file_is_read_as_the_same_csv(tmp_path):
    path = ties(tmp_path / "t.csv", {}, {"finaloutcome": 3})
    book = openpyxl.Workbook()
    for row in [
        TIES_COLUMNS,
        *pd.read_csv(path).astype(object).where(lambda cells: cells.notna(), None).values.tolist(),
    ]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    assert read_episodes(tmp_path / "t.xlsx").episodes == read_episodes(path).episodes


def test_a_table_of_the_user_is_read(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "target,began,outcome,imposed_on,ended_on,specific,commitment\n"
        "Japan,1995-05-16,settled,,1995-06-28,yes,strong\n"
        "EC,1999-03-03,Imposed,1999-04-19,2001-07-01,no,\n"
        "China,2018-04-03,open,,,,weak\n"
    )
    table = read_episodes(path)
    assert [one.outcome for one in table.episodes] == ["settled", "imposed", "open"]
    assert table.episodes[0].ended_on.isoformat() == "1995-06-28"
    assert table.watched_until.isoformat() == "2018-04-03"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Japan,16.5.1995,settled,,", ":2:began: must be a date YYYY-MM-DD or empty (found '16.5.1995')"),
        ("Japan,1995-05-16,agreed,,", ":2:outcome: must be one of settled, imposed, dropped, open (found 'agreed')"),
        (",1995-05-16,settled,,", ":2:target: is required"),
        ("Japan,1995-05-16,,,", ":2:outcome: is required"),
        ("Japan,1995-05-16,imposed,1995-01-01,", ":2:imposed_on: must not lie before the threat (1995-05-16)"),
        ("Japan,1995-05-16,imposed,1995-06-01,1995-05-20", ":2:ended_on: must not lie before the imposition (1995-06"),
        ("Japan,1995-05-16,settled,1995-06-01,", ":2:imposed_on: goes with the outcome imposed, not settled"),
    ],
)
def test_a_fault_names_its_row_and_column(tmp_path, row, said):
    path = tmp_path / "own.csv"
    path.write_text(f"target,began,outcome,imposed_on,ended_on\n{row}\n")
    assert said in faults(path)


def test_all_faults_are_listed_and_many_are_counted(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("target,began,outcome\n" + "Japan,soon,settled\n" * 50)
    assert len(faults(path).splitlines()) == 21
    assert "has 30 more faults" in faults(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"x", "must be a .csv, .xls or .xlsx file"),
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", b"target,began,outcome\n", "has no rows"),
        ("a.csv", b"who,when\nJapan,1995\n", "lacks the columns target, began, outcome"),
        ("a.csv", b"target;began;outcome\nJapan;;open\n", "has cells separated by semicolons"),
        ("a.csv", b"target\tbegan\toutcome\nJapan\t\topen\n", "has cells separated by tabs"),
        ("a.csv", b"target,began,Target,outcome\nJapan,,US,open\n", ":1:table: has the column target more than once"),
        ("a.csv", b"target,began,outcome\n\nEC,,open,,x\n", ":3:table: stands in column 5, which has no name"),
        ("a.csv", b'target,began,outcome\n"EC,,open\n', ":2:table: cannot be read as a table: unexpected end of data"),
        ("a.csv", b"target,began,outcome,mood\nJapan,,open,bad\n", "has the unknown column mood"),
        ("a.csv", "target,began,outcome\nJap\xe4n,,open\n".encode("latin-1"), "is not UTF-8 text"),
        ("a.xls", b"not a workbook", "cannot be read as a table"),
        ("a.xlsx", b"PK\x03\x04broken", "cannot be read as a table"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in faults(tmp_path / name)
    assert "is not a readable file" in faults(tmp_path / "missing.csv")
