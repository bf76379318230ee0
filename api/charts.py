"""Pictures of answers, drawn by Altair and written by vl-convert: nothing is loaded from elsewhere."""

from datetime import date, timedelta
from pathlib import Path

import altair as alt

from sim.faults import Fault, InvalidInput
from sim.statistics.timeline import STATES

FORMATS = (".svg", ".png")
_STATES = ("agreement", "threat_standing", "sanctions_standing", "withdrawn", "backed_down")
_COLOURS = ("#0b6e4f", "#e3a857", "#b5443c", "#8a6bb0", "#9aa0a6")
_LABELS = {state.name: state.label for state in STATES}


def check_chart_file(path: Path) -> None:
    """Raise `InvalidInput` unless a chart can be written to a file of that name."""
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput((Fault("chart", str(path), f"must end in {' or '.join(FORMATS)}"),))
    if not path.absolute().parent.is_dir():
        raise InvalidInput((Fault("chart", str(path), "must be in a folder that exists"),))


def write_chart(chart: alt.TopLevelMixin, path: Path) -> None:
    """Write a chart as SVG or PNG, by its file's name. Raises `InvalidInput` for another one."""
    check_chart_file(path)
    chart.save(str(path), format="svg" if path.suffix.lower() == ".svg" else "png", scale_factor=2.0)


def timeline_chart(document: dict) -> alt.TopLevelMixin:
    """A document of `cluster.answers.timeline` as lines with their bands, a panel a strategy."""
    found = document["result"]
    rows = [
        {
            "strategy": strategy,
            "week": _place(found, week),
            "state": _LABELS[state],
            "probability": course["estimate"][k],
            "low": course["band_low"][k],
            "high": course["band_high"][k],
        }
        for strategy, one in found["strategies"].items()
        for state in _STATES
        for course in (one["states"][state],)
        for k, week in enumerate(found["weeks"])
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
            scale=alt.Scale(domain=[_LABELS[state] for state in _STATES], range=list(_COLOURS)),
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
        alt.layer(bands, lines, data=alt.Data(values=rows))
        .properties(width=300, height=170)
        .facet(
            facet=alt.Facet("strategy:N", title=None, sort=list(found["strategies"])),
            columns=min(3, len(found["strategies"])),
            title=alt.Title(title, anchor="start"),
        )
    )


def _place(found: dict, week: int) -> object:
    """A week by the day on which it is over, where the scenario says when it begins."""
    if found["as_of"] is None:
        return week
    return (date.fromisoformat(found["as_of"]) + timedelta(weeks=week)).isoformat()
