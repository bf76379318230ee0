"""Pictures of answers as Altair charts; `api.chart_files` writes them."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar

import altair as alt

# Altair looks for pandas among the modules of the process, and fails where another thread has begun to import it.
import pandas  # noqa: F401
from altair.utils.schemapi import debug_mode

from api.leads import TOO_CLOSE, ordered_leads
from cluster.answers.entry import NET_GAIN
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS, TERMS
from sim.statistics.timeline import STATES

OUTCOME_COLOURS = ("#0b6e4f", "#3a9d76", "#7fc8a9", "#c5e4d4", "#b5443c", "#e3a857", "#9aa0a6")
"""One for each outcome, in the order of `sim.scenario.vocabulary.OUTCOME_TERMS`."""
POINT = "#0b6e4f"
NEUTRAL = "#9aa0a6"
STRATEGY_COLOURS = ("#0b6e4f", "#c9762a", "#3b6fb6", "#8a6bb0", "#b5443c", "#6d8a1f", "#4aa3b8", "#7a5a3a")
"""They differ in lightness too. With more strategies they repeat."""
_STATES = ("agreement", "threat_standing", "sanctions_standing", "withdrawn", "backed_down")
_COLOURS = ("#0b6e4f", "#e3a857", "#b5443c", "#8a6bb0", "#9aa0a6")
_LABELS = {state.name: state.label for state in STATES}


class _Rows:
    """A chart's rows, passed on as they are: Altair would copy and check each value of thousands of rows."""

    _schema: ClassVar = {"type": "array"}

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def to_dict(self, *_: object, **__: object) -> list[dict[str, Any]]:
        return self._rows


def chart_data(rows: list[dict[str, Any]]) -> alt.Data:
    """Rows as the data of a chart, which Altair does not check: that takes much longer than to draw it."""
    with debug_mode(False):
        return alt.Data(values=_Rows(rows))


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """A chart as a Vega-Lite document with its data. It is not checked against the schema: tests do that."""
    found: dict[str, Any] = chart.to_dict(validate=False)
    return found


def names_in_place(field: str) -> alt.Y:
    """Names down the left side in the order of the `place` of their rows.

    A list of names in order would change with the rows, and with it the specification.
    """
    order = alt.EncodingSortField("place", op="min")
    return alt.Y(f"{field}:N", title=None, sort=order, axis=alt.Axis(labelLimit=260))


def measure_title(measure: str) -> str:
    """A measure as the title of an axis: the usual one and those with a label in words, another as it was written."""
    if measure == NET_GAIN:
        return "sender's net gain, bn USD"
    term = TERMS.get(measure)
    return measure if term is None else f"{term.label}{'' if term.unit in ('', '1') else f', {term.unit}'}"


def timeline_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.timeline` as lines with their bands, a panel a strategy.

    Of the states that are drawn those that the document has; if it has none of these, its first ones.
    """
    found = document["result"]
    states = [state for state in _STATES if state in found["states"]] or list(found["states"])[: len(_COLOURS)]
    places = [_place(found, week) for week in found["weeks"]]
    rows = [
        {
            "strategy": strategy,
            "week": place,
            "state": _LABELS[state],
            "probability": course["estimate"][k],
            "low": course["band_low"][k],
            "high": course["band_high"][k],
        }
        for strategy, one in found["strategies"].items()
        for state in states
        for course in (one["states"][state],)
        for k, place in enumerate(places)
    ]
    time = (
        alt.X("week:Q", title="week")
        if found["as_of"] is None
        else alt.X("week:T", title=None, axis=alt.Axis(format="%b %Y", labelAngle=0, tickCount=5))
    )
    share = alt.Axis(format="%", tickCount=5)
    base = alt.Chart().encode(
        x=time,
        color=alt.Color(
            "state:N",
            title=None,
            scale=alt.Scale(
                domain=[_LABELS[state] for state in states],
                range=[_COLOURS[_STATES.index(one) if one in _STATES else k] for k, one in enumerate(states)],
            ),
            legend=alt.Legend(orient="top", symbolOpacity=1.0),
        ),
    )
    bands = base.mark_area(opacity=0.3, interpolate="step-after").encode(
        y=alt.Y("low:Q", title=None, axis=share), y2="high:Q"
    )
    lines = base.mark_line(interpolate="step-after", strokeWidth=1.5).encode(
        y=alt.Y("probability:Q", title=None, axis=share, scale=alt.Scale(domain=[0, 1]))
    )
    title = f"{document['scenario']}: probability by week, with simultaneous 95 % bands" + (
        f", given {document['given']}" if document["given"] else ""
    )
    return (
        alt.layer(bands, lines, data=chart_data(rows))
        .properties(width=300, height=170)
        .facet(
            facet=alt.Facet("strategy:N", title=None, sort=list(found["strategies"])),
            columns=min(3, len(found["strategies"])),
            title=alt.Title(title, anchor="start"),
        )
    )


def _place(found: dict[str, Any], week: int) -> object:
    """A week by the day on which it is over, where the scenario says when it begins."""
    if found["as_of"] is None:
        return week
    return (date.fromisoformat(found["as_of"]) + timedelta(weeks=week)).isoformat()


def outcomes_chart(summary: dict[str, Any]) -> alt.TopLevelMixin:
    """The outcome shares of each strategy of a summary as stacked bars."""
    rows = [
        {"strategy": strategy, "outcome": outcome.label, "share": one["outcome"][outcome.name]["estimate"], "order": k}
        for strategy, one in summary["strategies"].items()
        for k, outcome in enumerate(OUTCOME_TERMS)
    ]
    return (
        alt.Chart(chart_data(rows))
        .mark_bar()
        .encode(
            y=alt.Y("strategy:N", title=None, sort=list(summary["strategies"]), axis=alt.Axis(labelLimit=260)),
            x=alt.X("share:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "outcome:N",
                title=None,
                scale=alt.Scale(domain=[outcome.label for outcome in OUTCOME_TERMS], range=list(OUTCOME_COLOURS)),
                legend=alt.Legend(orient="bottom", columns=2, labelLimit=300),
            ),
            order="order:Q",
        )
        .properties(width=520, height=alt.Step(26))
    )


def tornado_chart(document: dict[str, Any], most: int = 10) -> alt.TopLevelMixin:
    """A document of `cluster.answers.drivers`: the mean in each parameter's lowest and highest decile."""
    result = document["result"]
    known = [one for one in result["parameters"] if one.get("swing") and one["swing"]["estimate"] is not None]
    chosen = sorted(known, key=lambda one: -abs(one["swing"]["estimate"]))[:most]
    rows = [
        {"parameter": one["name"], "place": k, "end": label, "value": end["mean"]["estimate"]}
        for k, one in enumerate(chosen)
        for label, end in (("lowest decile", one["lowest_decile"]), ("highest decile", one["highest_decile"]))
    ]
    base = alt.Chart(chart_data(rows)).encode(y=names_in_place("parameter"))
    lines = base.mark_line(color="#9aa0a6", strokeWidth=2).encode(
        x=alt.X("value:Q", title=measure_title(result["measure"]), scale=alt.Scale(zero=False)), detail="parameter:N"
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="value:Q",
        color=alt.Color(
            "end:N",
            title="mean where the parameter is in its",
            scale=alt.Scale(domain=["lowest decile", "highest decile"], range=["#3b6fb6", "#c9762a"]),
            legend=alt.Legend(orient="bottom", titleLimit=400),
        ),
        shape=alt.Shape(
            "end:N", scale=alt.Scale(domain=["lowest decile", "highest decile"], range=["circle", "square"])
        ),
    )
    return (lines + points).properties(width=420, height=alt.Step(22))


def values_chart(document: dict[str, Any], most: int = 12) -> alt.TopLevelMixin:
    """A document of `cluster.answers.worth`: the value of learning each parameter or group, with its 95 % interval.

    The most valuable first, at most `most`; what would change no choice is left out.
    """
    result = document["result"]
    known = [one for one in (*result["groups"], *result["parameters"]) if one["value"]["estimate"] is not None]
    ordered = sorted(known, key=lambda one: -one["value"]["estimate"])[:most]
    # What changes no choice has a value of exactly 0.
    chosen = [one for one in ordered if one["value"]["estimate"]] or ordered
    rows = [{"learned": one["name"], "place": k, **one["value"]} for k, one in enumerate(chosen)]
    base = alt.Chart(chart_data(rows)).encode(y=names_in_place("learned"))
    title = [f"gain by learning it before the choice: {measure_title(result['measure'])},", "with its 95 % interval"]
    x = alt.X("estimate:Q", title=title, axis=alt.Axis(tickCount=5))
    bars = base.mark_bar(color=POINT, opacity=0.35).encode(x=x)
    intervals = base.mark_rule(color=POINT, strokeWidth=2).encode(x="low:Q", x2="high:Q")
    return (bars + intervals).properties(width=420, height=alt.Step(22))


def means_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.worth`: each strategy's mean of the measure with its 95 % interval."""
    result = document["result"]
    means = result["now"]["means"]
    ordered = sorted(means, key=lambda name: -means[name]["estimate"])
    rows = [{"strategy": name, "place": k, **means[name]} for k, name in enumerate(ordered)]
    base = alt.Chart(chart_data(rows)).encode(y=names_in_place("strategy"))
    # Upright strokes, since a circle hides an interval that is narrower than itself.
    points = base.mark_tick(color=POINT, thickness=2, size=14).encode(
        x=alt.X(
            "estimate:Q",
            title=f"mean: {measure_title(result['measure'])}, with its 95 % interval",
            axis=alt.Axis(tickCount=5),
            scale=alt.Scale(zero=False),
        )
    )
    bars = base.mark_rule(color=POINT, strokeWidth=6, opacity=0.35).encode(x="low:Q", x2="high:Q")
    return (bars + points).properties(width=420, height=alt.Step(24))


def events_chart(summary: dict[str, Any]) -> alt.TopLevelMixin:
    """The probability of each event of a summary with its 95 % interval, a panel an event and a line a strategy.

    Events that happen under no strategy are left out.
    """
    rows = [
        {"strategy": strategy, "event": event.label, **one["events"][event.name]}
        for event in EVENT_TERMS
        if any(one["events"][event.name]["estimate"] for one in summary["strategies"].values())
        for strategy, one in summary["strategies"].items()
    ]
    base = alt.Chart().encode(
        y=alt.Y("strategy:N", title=None, sort=list(summary["strategies"]), axis=alt.Axis(labelLimit=200))
    )
    share = alt.X("estimate:Q", title=None, axis=alt.Axis(format="%", tickCount=3), scale=alt.Scale(domain=[0, 1]))
    intervals = base.mark_rule(color=POINT, strokeWidth=2).encode(x=alt.X("low:Q", title=None), x2="high:Q")
    points = base.mark_point(filled=True, size=45, color=POINT, opacity=1).encode(x=share)
    return (
        alt.layer(intervals, points, data=chart_data(rows))
        .properties(width=150, height=alt.Step(16))
        .facet(
            facet=alt.Facet("event:N", title=None, sort=list(dict.fromkeys(row["event"] for row in rows))), columns=3
        )
    )


def regret_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.compare`: each strategy's mean regret by the first measure, with its interval."""
    choice = document["result"]["choices"][0]
    means = {name: one["mean"] for name, one in choice["regret"].items()}
    ordered = sorted(means, key=lambda name: means[name]["estimate"])
    rows = [{"strategy": name, "place": k, **means[name]} for k, name in enumerate(ordered)]
    base = alt.Chart(chart_data(rows)).encode(y=names_in_place("strategy"))
    bars = base.mark_bar(color=POINT, opacity=0.35).encode(
        x=alt.X(
            "estimate:Q",
            title=f"mean regret: {measure_title(choice['measure'])}, with its 95 % interval",
            axis=alt.Axis(tickCount=5),
        )
    )
    intervals = base.mark_rule(color=POINT, strokeWidth=2).encode(x="low:Q", x2="high:Q")
    return (bars + intervals).properties(width=420, height=alt.Step(24))


def leads_chart(document: dict[str, Any], most: int = 8) -> alt.TopLevelMixin:
    """A document of `cluster.answers.compare`: which strategy leads over each parameter's range, from its lowest trial
    to its highest; first the parameters on which the choice depends most.
    """
    choice = document["result"]["choices"][0]
    means = {name: one["mean"]["estimate"] for name, one in choice["regret"].items()}
    chosen = ordered_leads(choice["leads"], min(means, key=lambda name: means[name]))[:most] if means else []
    rows = []
    for place, one in enumerate(chosen):
        below = 0.0
        for part in one["ranges"]:
            leads = part["leads"] or TOO_CLOSE
            span = f"{part['low']:.3g} to {part['high']:.3g} {one['unit']}"
            ends = {"from": below, "to": below + part["share"]}
            rows.append({"parameter": one["name"], "place": place, **ends, "leads": leads, "range": span})
            below += part["share"]
    strategies = [*document["strategies"], TOO_CLOSE]
    shown = [name for name in strategies if any(row["leads"] == name for row in rows)]
    colours = [NEUTRAL if name == TOO_CLOSE else STRATEGY_COLOURS[k % 8] for k, name in enumerate(strategies)]
    return (
        alt.Chart(chart_data(rows))
        .mark_bar(stroke="#fff", strokeWidth=0.5)
        .encode(
            y=names_in_place("parameter"),
            x=alt.X(
                "from:Q",
                title="part of the parameter's range, by share of the trials",
                axis=alt.Axis(format="%", tickCount=5),
                scale=alt.Scale(domain=[0, 1]),
            ),
            x2="to:Q",
            color=alt.Color(
                "leads:N",
                title="best on average",
                scale=alt.Scale(domain=shown, range=[colours[strategies.index(name)] for name in shown]),
                legend=alt.Legend(orient="bottom", columns=3, labelLimit=260),
            ),
            tooltip=["parameter:N", "range:N", "leads:N"],
        )
        .properties(width=420, height=alt.Step(24))
    )


def positions_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.replay`: what each side asks and offers on each issue, week by week."""
    result = document["result"]
    rows = [
        {"issue": issue["title"], "week": week, "side": result[side], "level": level}
        for issue in result["positions"].values()
        for side in ("sender", "target")
        for week, level in enumerate(issue[side])
    ]
    sides = [result["sender"], result["target"]]
    return (
        alt.Chart(chart_data(rows))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("week:Q", title="week", axis=alt.Axis(tickMinStep=1, tickCount=6)),
            y=alt.Y("level:Q", title=None, axis=alt.Axis(format="%", tickCount=3), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "side:N",
                title=None,
                scale=alt.Scale(domain=sides, range=["#3b6fb6", "#c9762a"]),
                legend=alt.Legend(orient="top"),
            ),
            strokeDash=alt.StrokeDash("side:N", scale=alt.Scale(domain=sides, range=[[1, 0], [5, 3]]), title=None),
        )
        .properties(width=240, height=110)
        .facet(
            facet=alt.Facet("issue:N", title=None, sort=[one["title"] for one in result["positions"].values()]),
            columns=3,
        )
    )


def convergence_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.convergence`: the estimate with its interval, and half the interval, by trials."""
    result = document["result"]
    rows = [
        {
            "strategy": name,
            "trials": after,
            "estimate": one["estimate"][k],
            "low": one["low"][k],
            "high": one["high"][k],
            "half": (one["high"][k] - one["low"][k]) / 2.0,
        }
        for name, one in result["strategies"].items()
        for k, after in enumerate(result["after"])
        if one["low"][k] is not None and one["high"][k] is not None
    ]
    names = list(result["strategies"])
    base = alt.Chart(chart_data(rows)).encode(
        x=alt.X(
            "trials:Q", title="trials", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format="~s", tickCount=6)
        ),
        color=alt.Color(
            "strategy:N",
            title=None,
            scale=alt.Scale(domain=names, range=[STRATEGY_COLOURS[k % 8] for k in range(len(names))]),
            legend=alt.Legend(orient="bottom", columns=2, labelLimit=260, symbolOpacity=1.0),
        ),
    )
    zero = alt.Scale(zero=False)
    bands = base.mark_area(opacity=0.2).encode(
        y=alt.Y("low:Q", title=measure_title(result["measure"]), scale=zero), y2="high:Q"
    )
    lines = base.mark_line(point=True).encode(y=alt.Y("estimate:Q", title=measure_title(result["measure"]), scale=zero))
    errors = (
        base.transform_filter("datum.half > 0")
        .mark_line(point=True)
        .encode(y=alt.Y("half:Q", title="half of the 95 % interval", scale=alt.Scale(type="log")))
    )
    return alt.hconcat((bands + lines).properties(width=280, height=220), errors.properties(width=280, height=220))


def densities_chart(ranges: Sequence[Mapping[str, Any]]) -> alt.TopLevelMixin:
    """The uncertain parameters of `api.ranges.ranges_document`: the density over the range of each, a panel each."""
    rows = []
    for one in ranges:
        density = one["density"]
        if density is None:
            continue
        unit = "" if one["unit"] in ("", "1") else f", {one['unit']}"
        width = (density["high"] - density["low"]) / len(density["shares"])
        for k, share in enumerate(density["shares"]):
            low = density["low"] + k * width
            rows.append({"parameter": f"{one['name']}{unit}", "low": low, "high": low + width, "share": share})
    return (
        alt.Chart(chart_data(rows))
        .mark_bar(color=POINT, opacity=0.7)
        .encode(
            x=alt.X("low:Q", title=None, axis=alt.Axis(tickCount=4)),
            x2="high:Q",
            y=alt.Y("share:Q", title=None, axis=None),
            y2=alt.Y2Datum(0),
            tooltip=["parameter:N", "low:Q", "high:Q", alt.Tooltip("share:Q", format=".2%")],
        )
        .properties(width=180, height=60)
        .facet(
            facet=alt.Facet("parameter:N", title=None, sort=list(dict.fromkeys(row["parameter"] for row in rows))),
            columns=3,
        )
        .resolve_scale(x="independent", y="independent")
    )
