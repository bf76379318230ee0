"""Pictures of where outcomes lie: what marks a broken bound, boxes of parameters, and a forecast beside the past."""

from typing import Any

import altair as alt

from api.charts import NEUTRAL, POINT, STRATEGY_COLOURS, chart_data, names_in_place

EVERYWHERE = "all trials"
_PANELS = {"density": "happens in", "coverage": "part of all cases", "mass": "part of the trials"}


def shifts_chart(document: dict[str, Any], most: int = 12) -> alt.TopLevelMixin:
    """A document of `cluster.answers.stress`: how far each parameter's mean is shifted where the bound is broken."""
    chosen = document["result"]["parameters"][:most]
    known = [one for one in chosen if one["shift"]["estimate"] is not None]
    rows = [{"parameter": one["name"], "place": k, **one["shift"]} for k, one in enumerate(known)]
    base = alt.Chart(chart_data(rows)).encode(y=names_in_place("parameter"))
    x = alt.X("estimate:Q", title="shift of the mean where the bound is broken, in standard deviations")
    bars = base.mark_bar(color=POINT, opacity=0.35).encode(x=x)
    intervals = base.mark_rule(color=POINT, strokeWidth=2).encode(x="low:Q", x2="high:Q")
    return (bars + intervals).properties(width=420, height=alt.Step(22))


def boxes_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.discover`: density, coverage and mass of each box, and the overall probability."""
    result = document["result"]
    rows = [{"box": EVERYWHERE, "panel": _PANELS["density"], **result["probability"]}] + [
        {"box": f"box {k}", "panel": title, **box[name]}
        for k, box in enumerate(result["boxes"], 1)
        for name, title in _PANELS.items()
    ]
    boxes = list(dict.fromkeys(row["box"] for row in rows))
    base = alt.Chart().encode(
        y=alt.Y("box:N", title=None, sort=boxes, axis=alt.Axis(labelLimit=120)),
        color=alt.condition(alt.datum.box == EVERYWHERE, alt.value(NEUTRAL), alt.value(POINT)),
    )
    share = alt.X("estimate:Q", title=None, axis=alt.Axis(format="%", tickCount=3), scale=alt.Scale(domain=[0, 1]))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(x=share)
    intervals = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=None), x2="high:Q")
    return (
        alt.layer(intervals, points, data=chart_data(rows))
        .properties(width=150, height=alt.Step(22))
        .facet(facet=alt.Facet("panel:N", title=None, sort=list(_PANELS.values())), columns=3)
    )


def past_chart(document: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.check`: each share of the forecast above that of past threats, with intervals."""
    whose = {"forecast": "forecast", "class": "past threats"}
    rows = [
        {"what": one["label"], "whose": label, **one[name]}
        for one in document["result"]["compared"]
        for name, label in whose.items()
        if one[name]["estimate"] is not None
    ]
    labels = list(dict.fromkeys(row["what"] for row in rows))
    colours = alt.Scale(domain=list(whose.values()), range=[POINT, STRATEGY_COLOURS[1]])
    base = alt.Chart(chart_data(rows)).encode(
        y=alt.Y("what:N", title=None, sort=labels, axis=alt.Axis(labelLimit=260)),
        yOffset=alt.YOffset("whose:N", sort=list(whose.values())),
        color=alt.Color("whose:N", title=None, scale=colours, legend=alt.Legend(orient="bottom")),
    )
    share = alt.X("estimate:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=share,
        shape=alt.Shape(
            "whose:N", title=None, scale=alt.Scale(domain=list(whose.values()), range=["circle", "square"])
        ),
    )
    intervals = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    return (intervals + points).properties(width=420, height=alt.Step(14))


def reliability_chart(found: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.answers.backtest`: how often events happened, by their forecasts, with 95 % intervals.

    On the diagonal forecasts are reliable.
    """
    rows = [
        {"forecast": one["mean_forecast"], "events": one["forecasts"], **one["frequency"]}
        for one in found["calibration"]["bins"]
        if one["forecasts"]
    ]
    return _reliability(rows, "events").properties(width=320, height=320)


def class_reliability_chart(found: dict[str, Any]) -> alt.TopLevelMixin:
    """A document of `cluster.reference.calibration`: how often threats ended so, by their forecasts, a panel an ending.

    The forecasts are those of the class rates in the test that leaves out each target.
    """
    panels = [
        _reliability(
            [{"forecast": one["forecast"], "threats": one["episodes"], **one["happened"]} for one in bands], "threats"
        ).properties(width=220, height=220, title=ending)
        for ending, bands in found["reliability"].items()
        if bands
    ]
    return alt.hconcat(*panels)


def _reliability(rows: list[dict[str, Any]], counted: str) -> alt.LayerChart:
    """Points of forecast and frequency with 95 % intervals, whose size shows how many are `counted`."""
    axis, scale = alt.Axis(format="%", tickCount=5), alt.Scale(domain=[0, 1])
    forecast = alt.X("forecast:Q", title="mean forecast", axis=axis, scale=scale)
    ends = [{"forecast": 0, "estimate": 0}, {"forecast": 1, "estimate": 1}]
    diagonal = (
        alt.Chart(chart_data(ends))
        .mark_line(color=NEUTRAL, strokeDash=[5, 4])
        .encode(x=forecast, y=alt.Y("estimate:Q", title="happened", axis=axis, scale=scale))
    )
    base = alt.Chart(chart_data(rows)).encode(x=forecast)
    intervals = base.mark_rule(color=POINT, strokeWidth=2).encode(y=alt.Y("low:Q", title="happened"), y2="high:Q")
    points = base.mark_point(filled=True, color=POINT, opacity=1).encode(
        y=alt.Y("estimate:Q", title="happened"),
        size=alt.Size(
            f"{counted}:Q", title=counted, scale=alt.Scale(range=[30, 200]), legend=alt.Legend(orient="bottom")
        ),
    )
    layers: alt.LayerChart = diagonal + intervals + points
    return layers
