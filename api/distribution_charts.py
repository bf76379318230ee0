"""Pictures of a measure's distribution, from its counts in bins: as bars, and cumulated."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import altair as alt

from api.charts import OUTCOME_COLOURS, POINT, STRATEGY_COLOURS, chart_data
from sim.faults import Fault, InvalidInput
from sim.scenario.vocabulary import OUTCOME_TERMS

DASHES = ([1, 0], [6, 3], [2, 2])
"""Lines of one colour differ by their dashes."""
_LABELS = {term.name: term.label for term in OUTCOME_TERMS}


@dataclass(frozen=True)
class _Binned:
    """Counts of trials in bins of a measure, by strategy and perhaps by outcome; `played` counts all of a strategy's.

    `rows` leave out trials that do not know the measure.
    """

    title: str
    low: str
    high: str
    by_outcome: bool
    played: dict[str, int]
    rows: list[dict[str, Any]]


def distribution_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """Histograms: a document of `cluster.answers.aggregate` by strategy, perhaps outcome, and bins of a measure.

    A panel a strategy; a bar's height is its share of the strategy's trials. Bars of several outcomes stand on each
    other. Raises `InvalidInput` for other groups.
    """
    binned = _binned(document)
    bars = list(_bars(binned))
    base = alt.Chart(chart_data(bars)).encode(
        x=alt.X("low:Q", title=binned.title, axis=alt.Axis(tickCount=5)),
        x2="high:Q",
        y=alt.Y("from:Q", title=None, axis=alt.Axis(format="%", tickCount=3)),
        y2="to:Q",
    )
    if binned.by_outcome:
        chart = base.mark_bar().encode(color=_outcome_colours(bars))
    else:
        chart = base.mark_bar(color=POINT, opacity=0.7)
    return _panels(chart, document["strategies"])


def cumulative_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """The same document cumulated: the share of trials with at most that value.

    A line for each strategy, which ends at the share of its trials that know the measure; with outcomes a panel a
    strategy and a line for each outcome, as a share of the outcome's trials. Raises `InvalidInput` for other groups.
    """
    binned = _binned(document)
    points = list(_points(binned))
    base = alt.Chart(chart_data(points)).mark_line(strokeWidth=2)
    x = alt.X("value:Q", title=binned.title, axis=alt.Axis(tickCount=5))
    y = alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    if binned.by_outcome:
        seen = {point["outcome"] for point in points}
        outcomes = [label for label in _LABELS.values() if label in seen]
        return _panels(base.encode(x=x, y=y, **_lines("outcome", outcomes)), document["strategies"])
    return base.encode(x=x, y=y, **_lines("strategy", document["strategies"])).properties(width=420, height=240)


def _binned(document: dict[str, Any]) -> _Binned:
    columns = document["result"]["columns"]
    names = [column["name"] for column in columns]
    low = next((name for name in names if name.endswith(".low")), None)
    by_outcome = names[1:2] == ["outcome"]
    if low is None or names[0] != "strategy" or names.index(low) != 1 + by_outcome:
        message = "must be strategy, outcome if wanted, and one value in bins, so that the rows are those of histograms"
        raise InvalidInput((Fault("by", None, message),))
    measure = low.removesuffix(".low")
    unit = next(column["unit"] for column in columns if column["name"] == low)
    played = dict.fromkeys(document["strategies"], 0)
    for row in document["result"]["rows"]:
        played[row["strategy"]] += row["trials"]
    known = [row for row in document["result"]["rows"] if row[low] is not None and row[f"{measure}.high"] is not None]
    title = measure if unit in ("", "1") else f"{measure}, {unit}"
    return _Binned(title, low, f"{measure}.high", by_outcome, played, known)


def _bars(binned: _Binned) -> Iterator[dict[str, Any]]:
    """A bar for each row; those of the same bin stand on each other, in the order of the rows."""
    tops: dict[tuple[str, float], float] = {}
    for row in binned.rows:
        place = row["strategy"], row[binned.low]
        bottom = tops.get(place, 0.0)
        tops[place] = bottom + row["trials"] / binned.played[row["strategy"]]
        bar = {"strategy": row["strategy"], "low": row[binned.low], "high": row[binned.high]}
        outcome = {"outcome": _LABELS[row["outcome"]]} if binned.by_outcome else {}
        yield {**bar, "from": bottom, "to": tops[place], **outcome}


def _points(binned: _Binned) -> Iterator[dict[str, Any]]:
    """The ends of each bin on each line, from 0 at the lowest value. A line is level between bins with trials."""
    for (strategy, outcome), found in groupby(binned.rows, lambda row: (row["strategy"], row.get("outcome"))):
        rows = list(found)
        name = {"strategy": strategy, **({"outcome": _LABELS[outcome]} if binned.by_outcome else {})}
        total = sum(row["trials"] for row in rows) if binned.by_outcome else binned.played[strategy]
        below = 0
        for row in rows:
            yield {**name, "value": row[binned.low], "share": below / total}
            below += row["trials"]
            yield {**name, "value": row[binned.high], "share": below / total}


def _lines(field: str, names: list[str]) -> dict[str, Any]:
    """The colour and the dashes of each line, by a field. The pale colours of outcomes are too faint for lines."""
    colours = [STRATEGY_COLOURS[k % len(STRATEGY_COLOURS)] for k in range(len(names))]
    dashes = [DASHES[k // len(STRATEGY_COLOURS) % len(DASHES)] for k in range(len(names))]
    legend = alt.Legend(orient="bottom", columns=3, labelLimit=260)
    return {
        "color": alt.Color(f"{field}:N", title=None, scale=alt.Scale(domain=names, range=colours), legend=legend),
        "strokeDash": alt.StrokeDash(f"{field}:N", title=None, scale=alt.Scale(domain=names, range=dashes)),
    }


def _outcome_colours(rows: list[dict[str, Any]]) -> alt.Color:
    """The colours of the outcomes that occur, in the order of the vocabulary."""
    seen = {row["outcome"] for row in rows}
    pairs = zip(OUTCOME_TERMS, OUTCOME_COLOURS, strict=True)
    shown = [(term.label, colour) for term, colour in pairs if term.label in seen]
    scale = alt.Scale(domain=[label for label, _ in shown], range=[colour for _, colour in shown])
    return alt.Color(
        "outcome:N", title=None, scale=scale, legend=alt.Legend(orient="bottom", columns=2, labelLimit=300)
    )


def _panels(chart: alt.Chart, strategies: list[str]) -> alt.TopLevelMixin:
    return chart.properties(width=240, height=110).facet(
        facet=alt.Facet("strategy:N", title=None, sort=strategies), columns=min(3, len(strategies))
    )
