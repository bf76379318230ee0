"""``brink timeline``: where the dispute stands in each week, under each strategy."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import AsJson, Given, RunFolder, Strategies
from api.cli.output import console, heading

_COURSE = 40
_BARS = " ▁▂▃▄▅▆▇█"
_SHOWN = (1, 2, 4, 8, 12, 16, 26, 39, 52, 78, 104, 156, 208, 260, 390, 520)
_LABELS = {
    "agreement": "Agreement, by then",
    "threat": "Sanctions announced, by then",
    "complaint": "WTO complaint, by then",
    "quiet": "No threat yet",
    "threat_standing": "Threat standing",
    "sanctions_standing": "Sanctions standing",
    "backed_down": "Sender backed down",
    "withdrawn": "Sanctions withdrawn",
    "retaliation_in_force": "Retaliation in force",
    "lapsed": "Talks lapsed, not resumed",
    "breached": "Agreement breached, by then",
}


def timeline(
    run: RunFolder,
    strategy: Strategies = None,
    given: Given = None,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it too, as .svg or .png.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how likely each state of the dispute is in each week.

    The states are agreement, threat, sanctions and retreat.
    """
    from api.cli.answering import answer

    if chart is not None:
        from api.charts import check_chart_file, timeline_chart, write_chart

        check_chart_file(chart)
    document = answer(run, "timeline", {"strategies": strategy, "given": given}, as_json=as_json, render=print_timeline)
    if chart is not None:
        write_chart(timeline_chart(document), chart)
        if not as_json:
            console().print(f"Chart: {chart}")


def print_timeline(out: Console, document: dict) -> None:
    """Print a document of `cluster.answers.timeline`: a table a strategy, states down and some weeks across."""
    found = document["result"]
    horizon = len(found["weeks"])
    shown = [*[week for week in _SHOWN if week < horizon][-9:], horizon]
    given = f", given {document['given']}" if document["given"] else ""
    out.print(heading(f"{document['scenario']}: probability of each state by week, %{given}"))
    widest = 0.0
    for strategy, one in found["strategies"].items():
        table = Table(header_style="bold", show_edge=False, pad_edge=False)
        table.add_column(strategy, min_width=max(map(len, _LABELS.values())))
        table.add_column(f"weeks 1 to {horizon}", no_wrap=True)
        for week in shown:
            table.add_column(str(week), justify="right")
        for state, label in _LABELS.items():
            course = one["states"][state]
            numbers = [course["estimate"][week - 1] for week in shown]
            widest = max([widest, *((h - w) / 2 for w, h in zip(course["low"], course["high"], strict=True))])
            table.add_row(label, sparkline(course["estimate"]), *(f"{100 * number:.1f}" for number in numbers))
        out.print(table)
        out.print()
    out.print(
        f"States hold at the end of a week, retaliation during it. No interval is wider than ±{100 * widest:.2f} "
        f"points. {document['method']['errors']}.",
        style="dim",
    )


def sparkline(shares: list[float]) -> str:
    """A course of shares as a line of bars, at most `_COURSE` of them."""
    count = min(_COURSE, len(shares))
    picked = [shares[round((k + 1) * len(shares) / count) - 1] for k in range(count)]
    return "".join(_BARS[0 if share == 0 else 1 + min(7, int(share * 8))] for share in picked)
