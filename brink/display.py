"""Jobs, summaries and answers as HTML for a notebook: tables and charts, without scripts, all text escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, isfinite, log10
from typing import Any

from brink.charts import Bar, bar_chart
from brink.tables import is_estimate, known_tables, rows_at

MOST_ROWS = 20
MOST_BARS = 20
_DEEPEST = 2
_MOST_DIGITS = 6


def job_html(info: Mapping[str, Any]) -> str:
    """A job: what runs, how far it is, and what went wrong."""
    progress = info["progress"]
    done, total = progress["trials_done"], progress["trials_total"]
    facts = {name: info.get(name) for name in ("id", "scenario", "state", "trials", "seed", "design", "strategies")}
    rows = [
        (name, str(value) if name == "seed" else _text(value)) for name, value in facts.items() if value is not None
    ]
    rows.append(("done", f"{done:,} of {total:,} trials"))
    if info.get("error"):
        rows.append(("error", str(info["error"])))
    bar = f'<progress max="1" value="{done / max(total, 1):.4f}"></progress>'
    return _table([], [list(row) for row in rows]) + bar


def answer_html(name: str, document: Mapping[str, Any], picture: str = "") -> str:
    """A summary or another answer: what it is about, its chart, its tables, the first one open.

    `picture` is the chart as SVG; without one there are bars of the first table's estimates.
    """
    tables = {
        table: rows for table, path in known_tables(name, document).items() if (rows := list(rows_at(document, path)))
    }
    if not tables:
        return _whole(document)
    parts = [f"<p>{escape(_heading(name, document))}</p>", *_sentences(document)]
    for k, (table, rows) in enumerate(tables.items()):
        shown = [{**keys, **{key: one for key, one in row.items() if key not in keys}} for keys, row in rows]
        wide = _across([keys for keys, _ in rows], shown) if len(rows[0][0]) == 2 else None
        made = _table(*wide) if wide else _rows_table(shown)
        if not k:
            parts.append(f'<div style="overflow-x:auto">{picture}</div>' if picture else _bar_chart(table, shown))
        opened = "" if k else ' open=""'
        parts.append(f"<details{opened}><summary>{escape(table)}</summary>{made}</details>")
    return "".join(parts)


def _heading(name: str, document: Mapping[str, Any]) -> str:
    """What an answer is about in a line."""
    scenario, given = document.get("scenario"), document.get("given")
    strategies = document.get("strategies")
    parts = [name, *([scenario] if isinstance(scenario, str) else [])]
    if isinstance(document.get("trials"), int):
        parts.append(f"{document['trials']:,} trials")
    if isinstance(strategies, list) and all(isinstance(one, str) for one in strategies):
        parts.append(", ".join(strategies))
    return "; ".join(parts) + (f"; given {given}" if isinstance(given, str) else "")


def _sentences(document: Mapping[str, Any]) -> list[str]:
    found = document.get("sentences")
    return [f"<p>{escape(one)}</p>" for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _across(
    keys: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]] | None:
    """Estimates by two keys as a table, the first key across; None where rows are no estimates or means of one."""
    first, second = keys[0]
    values = {}
    for key, row in zip(keys, rows, strict=True):
        own = {name: one for name, one in row.items() if name not in key}
        found = own["mean"] if {"mean", "quantiles"} <= own.keys() and "best" not in own else own
        if not is_estimate(found):
            return None
        values[str(key[first]), str(key[second])] = _cell(found)
    across, down = (list(dict.fromkeys(str(key[name]) for key in keys)) for name in (first, second))
    return [second, *across], [[one, *(values.get((other, one), "") for other in across)] for one in down[:MOST_ROWS]]


def _rows_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the fields that are texts, numbers or estimates."""
    columns = [
        column
        for column in dict.fromkeys(column for row in rows for column in row)
        if not any(_is_nested(row.get(column)) for row in rows)
        and any(row.get(column) not in (None, "", []) for row in rows)
    ]
    cells = [[_cell(row.get(column)) for column in columns] for row in rows[:MOST_ROWS]]
    return _table(columns, cells) + _more(rows)


def _is_nested(value: object) -> bool:
    return (isinstance(value, Mapping) and not is_estimate(value)) or (
        isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value)
    )


def _more(rows: Sequence[object]) -> str:
    return f"<p>and {len(rows) - MOST_ROWS:,} more rows</p>" if len(rows) > MOST_ROWS else ""


def _bar_chart(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return bar_chart(title, _bars(rows[:MOST_BARS], list(dict.fromkeys(column for row in rows for column in row))))


def _whole(document: Mapping[str, Any]) -> str:
    """An answer of a form that is not known here."""
    result = document.get("result")
    if isinstance(result, Mapping):
        # What the answer found comes first, then what it is about.
        document = {**result, **{key: value for key, value in document.items() if key != "result"}}
    return _document(document, 0)


def _document(document: Mapping[str, Any], depth: int) -> str:
    """Single values in one table, each list of rows in another with a chart of the first, the rest below a heading."""
    facts, parts, charted = [], [], depth > 0
    for name, value in document.items():
        if isinstance(value, Mapping) and not is_estimate(value):
            if value and all(_is_row(one) for one in value.values()):
                rows = [{name: key, **one} for key, one in value.items()]
                parts.append(_rows(name, rows, chart=not charted))
                charted = True
            elif value:
                parts.append(_below(name, value, depth))
        elif _is_rows(value):
            parts.append(_rows(name, value, chart=not charted))
            charted = True
        else:
            facts.append([name, _cell(value)])
    return (_table([], facts) if facts else "") + "".join(parts)


def _below(name: str, value: Mapping[str, Any], depth: int) -> str:
    if depth >= _DEEPEST:
        return _table([], [[name, _text(value)]])
    return f"<details><summary>{escape(name)}</summary>{_document(value, depth + 1)}</details>"


def _rows(name: str, rows: Sequence[Mapping[str, Any]], *, chart: bool) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows[:MOST_ROWS]]
    return f"<p><b>{escape(name)}</b></p>{_bar_chart(name, rows) if chart else ''}{_table(columns, cells)}{_more(rows)}"


def _bars(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[Bar]:
    """A bar for each row's first estimate, named by the row's texts."""
    measured = next((column for column in columns if any(is_estimate(row.get(column)) for row in rows)), None)
    if measured is None and not any(is_estimate(row) for row in rows):
        return []
    bars = []
    for row in rows:
        found = row if measured is None else row.get(measured)
        if is_estimate(found):
            label = ", ".join(value for value in row.values() if isinstance(value, str))
            bars.append(_bar(label, found, 0))
    return bars


def _bar(label: str, found: Any, colour: int) -> Bar:
    value = found["estimate"]
    return Bar(label, float("nan") if value is None else value, found.get("low"), found.get("high"), colour)


def _is_row(value: object) -> bool:
    return isinstance(value, Mapping) and not any(
        isinstance(one, list) or (isinstance(one, Mapping) and not is_estimate(one)) for one in value.values()
    )


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _cell(value: object) -> str:
    if is_estimate(value):
        assert isinstance(value, Mapping)
        if value["estimate"] is None:
            return "not known"
        numbers = [value["estimate"], value["low"], value["high"]]
        if not all(isinstance(one, int | float) and isfinite(one) for one in numbers):
            return _text(value["estimate"])
        # As many digits as the interval supports.
        half = abs(value["high"] - value["low"]) / 2
        digits = min(max(0, -floor(log10(half))), _MOST_DIGITS) if half > 0 else None
        estimate, low, high = (_text(one) if digits is None or not one else f"{one:,.{digits}f}" for one in numbers)
        return f"{estimate} ({low} to {high})"
    return _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_cell(one)}" for name, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_cell(one) for one in value)
    return str(value)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
