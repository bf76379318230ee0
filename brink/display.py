"""Jobs, summaries and answers as HTML for a notebook: tables and charts, without scripts, all text escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from brink.charts import Bar, bar_chart

MOST_ROWS = 30
MOST_BARS = 20
_DEEPEST = 2


def job_html(info: Mapping[str, Any]) -> str:
    """A job: what runs, how far it is, and what went wrong."""
    progress = info["progress"]
    done, total = progress["trials_done"], progress["trials_total"]
    facts = {name: info.get(name) for name in ("id", "scenario", "state", "trials", "seed", "design", "strategies")}
    rows = [(name, _text(value)) for name, value in facts.items() if value is not None]
    rows.append(("done", f"{done:,} of {total:,} trials"))
    if info.get("error"):
        rows.append(("error", str(info["error"])))
    share = done / max(total, 1)
    chart = bar_chart("share of trials done", [Bar("share of trials done", share)], least=0.0, most=1.0)
    return _table([], [list(row) for row in rows]) + chart


def answer_html(name: str, document: Mapping[str, Any]) -> str:
    """A summary or another answer."""
    shown = _summary(document) if name == "summary" else None
    result = document.get("result")
    if isinstance(result, Mapping):
        # What the answer found comes first, then what it is about.
        document = {**result, **{key: value for key, value in document.items() if key != "result"}}
    return shown or _document(document, 0)


def _summary(document: Mapping[str, Any]) -> str | None:
    """Outcomes, events and means by strategy; None for a document of another form."""
    strategies = document.get("strategies")
    if not isinstance(strategies, Mapping) or not all(
        isinstance(one, Mapping) and isinstance(one.get("outcome"), Mapping) for one in strategies.values()
    ):
        return None
    bars = [
        _bar(f"{outcome}, {strategy}", found["outcome"][outcome], k)
        for outcome in next(iter(strategies.values()))["outcome"]
        for k, (strategy, found) in enumerate(strategies.items())
        if is_estimate(found["outcome"].get(outcome))
    ]
    parts = [f"<p>{escape(_heading(document))}</p>", bar_chart("probability of each outcome", bars)]
    for part, title in (("outcome", "outcome"), ("events", "event"), ("measures", "mean of measure")):
        names = list(dict.fromkeys(name for one in strategies.values() for name in one.get(part, {})))
        rows = [[name, *(_cell(_mean(one.get(part, {}).get(name))) for one in strategies.values())] for name in names]
        if rows:
            parts.append(_table([title, *strategies], rows))
    return "".join(parts)


def _heading(document: Mapping[str, Any]) -> str:
    scenario, trials = document.get("scenario"), document.get("trials")
    counted = f"{trials:,} trials" if isinstance(trials, int) else ""
    return ", ".join(text for text in (str(scenario) if isinstance(scenario, str) else "", counted) if text)


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
    more = f"<p>and {len(rows) - MOST_ROWS:,} more rows</p>" if len(rows) > MOST_ROWS else ""
    drawn = bar_chart(name, _bars(rows[:MOST_BARS], columns)) if chart else ""
    return f"<p><b>{escape(name)}</b></p>{drawn}{_table(columns, cells)}{more}"


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


def is_estimate(value: object) -> bool:
    """Whether a value is an estimate with an interval."""
    return isinstance(value, Mapping) and {"estimate", "low", "high"} <= value.keys()


def _is_row(value: object) -> bool:
    return isinstance(value, Mapping) and not any(
        isinstance(one, list) or (isinstance(one, Mapping) and not is_estimate(one)) for one in value.values()
    )


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _mean(found: Any) -> Any:
    return found.get("mean", found) if isinstance(found, Mapping) else found


def _cell(value: object) -> str:
    if is_estimate(value):
        assert isinstance(value, Mapping)
        if value["estimate"] is None:
            return "not known"
        if value["low"] is None or value["high"] is None:
            return _text(value["estimate"])
        return f"{_text(value['estimate'])} ({_text(value['low'])} to {_text(value['high'])})"
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
