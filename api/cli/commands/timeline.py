"""``brink timeline``: where the dispute stands in each week, under each strategy."""

from functools import partial
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RayOfAnswer, RunFolder, Strategies
from api.cli.output import heading, print_assumptions
from api.cli.tables import Bars, Column, print_table
from api.figures import percent

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
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("timeline")] = None,
    as_json: AsJson = False,
) -> None:
    """The states are agreement, threat, sanctions and retreat."""
    from api.cli.answering import answer

    request = {"strategies": strategy, "given": given, "believe": believe}
    answer(run, "timeline", request, as_json=as_json, charts=chart, ray_address=ray_address, render=print_timeline)


def print_timeline(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.timeline`: a table for each strategy, states down and some weeks across."""
    found = document["result"]
    horizon = len(found["weeks"])
    shown = [*[week for week in _SHOWN if week < horizon][-9:], horizon]
    given = f", given {document['given']}" if document["given"] else ""
    out.print(heading(f"{document['scenario']}: probability of each state by week, %{given}"))
    print_evidence(out, document.get("evidence"))
    widest = 0.0
    for strategy, one in found["strategies"].items():
        courses = {label: one["states"][state] for state, label in _LABELS.items()}
        happened = {label: course for label, course in courses.items() if any(course["estimate"])}
        estimates = [course["estimate"] for course in happened.values()]
        for course in courses.values():
            widest = max([widest, *((h - w) / 2 for w, h in zip(course["low"], course["high"], strict=True))])
        columns: list[Column | Bars] = [
            Column(strategy, list(happened)),
            Bars(f"weeks 1 to {horizon}", partial(_sparklines, estimates), _COURSE // 2, _COURSE),
            *(Column(str(week), [_percentage(shares[week - 1]) for shares in estimates]) for week in shown),
        ]
        print_table(out, columns)
        never = [label for label in courses if label not in happened]
        if never:
            out.print(f"In no trial: {'; '.join(never)}.", style="dim")
        out.print()
    print_assumptions(out, document)
    out.print(
        "States hold at the end of a week, retaliation during it. No week's 95 % interval is wider than "
        f"±{100 * widest:.2f} percentage points; --json has them, and bands that hold for all weeks together. 0: in no "
        "trial.",
        style="dim",
    )


def _percentage(share: float) -> str:
    return percent(100.0 * share, 1) if share else "0"


def _sparklines(courses: list[list[float]], width: int) -> list[Text]:
    return [Text(sparkline(shares, width)) for shares in courses]


def sparkline(shares: list[float], most: int = _COURSE) -> str:
    """Shares by week as a line of bars, at most `most` of them."""
    count = min(most, len(shares))
    picked = [shares[round((k + 1) * len(shares) / count) - 1] for k in range(count)]
    return "".join(_BARS[0 if share == 0 else 1 + min(7, int(share * 8))] for share in picked)
