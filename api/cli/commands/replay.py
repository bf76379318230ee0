"""``brink replay``: one trial of a stored run, week by week."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from api.cli.charting import Charts, chart_option
from api.cli.options import AsJson, OneStrategy, RunFolder, whole_number
from api.cli.output import heading
from api.cli.tables import Bars, Column, print_table, wrap

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

_DRAWS = 8
"""Drawn values shown."""
_HEIGHTS = " ▁▂▃▄▅▆▇█"
_PICTURE = 72
"""The largest width of the picture of the positions, in characters."""

Trial = Annotated[int, typer.Option("--trial", parser=whole_number, metavar="N", help="The trial's number, from 0.")]


def replay(
    run: RunFolder,
    trial: Trial,
    strategy: OneStrategy = None,
    chart: Annotated[Charts, chart_option("positions")] = None,
    as_json: AsJson = False,
) -> None:
    """The exit status is 1 if the replayed trial does not equal the stored one."""
    from api.cli.answering import answer
    from cluster.query.trials import open_run

    found = open_run(run)

    def render(out: Console, document: dict[str, Any]) -> None:
        _print_story(out, found.plan.scenario, document["result"])

    request = {"trial": trial, "strategy": strategy}
    document = answer(found, "replay", request, as_json=as_json, charts=chart, render=render)
    check = document["result"]["check"]
    if check["equal"] is False:
        _say_differences(check)
        raise typer.Exit(1)


def _print_story(out: Console, scenario: "Scenario", replayed: dict[str, Any]) -> None:
    from sim.model.narrative import week_name

    out.print(heading(replayed["title"], f": trial {replayed['trial']:,} under {replayed['strategy']}"))
    _print_draws(out, replayed)
    for passage in replayed["story"]:
        first, last = passage["first_week"], passage["last_week"]
        sessions = ", ".join(f"{kind} session" for kind in passage["sessions"]) if first == last else ""
        name = week_name(scenario, first) if first == last else f"weeks {first} to {last}"
        title = Text(f"\n{name[:1].upper()}{name[1:]}", style="bold" if passage["events"] else "dim")
        out.print(title.append(f"  {sessions}" if sessions else "", style="dim"))
        for sentence in passage["sentences"]:
            out.print(Text(f"  {sentence}", style="" if passage["events"] else "dim"))
    out.print(Text("\nHow far apart the sides stood", style="bold"))
    for line in _picture(replayed, out.width) if out.is_terminal else _gaps(replayed, out.width):
        out.print(line, no_wrap=True, overflow="ignore", crop=False)
    _print_totals(out, replayed)
    _print_endings(out, replayed)
    if replayed["check"]["equal"] is None:
        out.print("The run keeps no row of this trial with which it could be compared.", style="dim")
    elif replayed["check"]["equal"]:
        out.print(
            f"The replayed row equals the stored row in all {replayed['check']['columns']} columns, and so do the "
            f"rows under {len(replayed['check']['strategies'])} strategies.",
            style="dim",
        )


def _print_draws(out: Console, replayed: dict[str, Any]) -> None:
    """The drawn values that had an effect and are farthest from the middle of their ranges."""
    played = [draw for draw in replayed["draws"] if draw["played_a_part"]]
    played.sort(key=lambda draw: -abs(draw["share_below"] - 0.5))
    if not played:
        return
    shown = played[:_DRAWS]
    columns: list[Column | Bars] = [
        Column("", [draw["parameter"] for draw in shown]),
        Column("", [f"{draw['value']:.3g} {'' if draw['unit'] == '1' else draw['unit']}" for draw in shown], left=True),
        Column("share of its range below", [f"{100 * draw['share_below']:3.0f} %" for draw in shown]),
        Bars("", lambda _: [Text(_place(draw["share_below"])) for draw in shown], 10, 10),
    ]
    print_table(out, columns, title="How this trial differs from others")


def _place(share: float) -> str:
    """The position of a value in its range, as a picture."""
    at = min(int(share * 10), 9)
    return "─" * at + "●" + "─" * (9 - at)


def _gaps(replayed: dict[str, Any], width: int) -> list[Text]:
    """For each issue a line: how far apart the sides were at first, and how it ended."""
    lines = []
    for issue in replayed["positions"].values():
        text = f"{issue['title']}: {_percent(issue['sender'][0] - issue['target'][0])} apart at first, {_end(issue)}"
        lines += [Text("  " * (1 + (k > 0)) + line) for k, line in enumerate(wrap(text, width - 4))]
    return lines


def _end(issue: dict[str, Any]) -> str:
    if issue["settled"] is not None:
        return f"settled at {_percent(issue['settled'])} of the demand"
    return f"open, {_percent(issue['sender'][-1] - issue['target'][-1])} apart"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _picture(replayed: dict[str, Any], width: int) -> list[Text]:
    """For each issue a line of bars, the gap between the sides at the end of each week; below them the events.

    Beside the bars stand the issue's title and its end, on a line of their own where the width is too small.
    """
    weeks = len(next(iter(replayed["positions"].values()))["sender"])
    titles = max(cell_len(issue["title"]) for issue in replayed["positions"].values())
    ends = max(len(_end(issue)) for issue in replayed["positions"].values())
    beside = width >= titles + ends + min(_PICTURE, weeks) + 6
    every = -(-weeks // min(_PICTURE, width - 4))
    shown = [min(week + every - 1, weeks - 1) for week in range(0, weeks, every)]
    lines = []
    for issue in replayed["positions"].values():
        gap = [issue["sender"][week] - issue["target"][week] for week in shown]
        bars = Text("".join(_HEIGHTS[max(1, round(8 * one))] if one > 1e-6 else "_" for one in gap), style="cyan")
        if beside:
            space = " " * (titles - cell_len(issue["title"]))
            lines.append(Text.assemble(f"  {issue['title']}{space}  ", bars, (f"  {_end(issue)}", "dim")))
        else:
            lines += [Text(f"  {line}", style="dim") for line in wrap(f"{issue['title']}: {_end(issue)}", width - 2)]
            lines.append(Text.assemble("  ", bars))
    marks = [" "] * len(shown)
    for event in (event for passage in replayed["story"] for event in passage["events"]):
        # A breach comes after the last week of the talks.
        if event["kind"] in _MARKS and event["week"] // every < len(marks):
            marks[event["week"] // every] = _MARKS[event["kind"]]
    seen = [f"{mark} {kind.replace('_', ' ')}" for kind, mark in _MARKS.items() if mark in marks]
    step = "a column a week" if every == 1 else f"a column every {every} weeks"
    lines.append(Text(f"  {' ' * (titles + 2) * beside}{''.join(marks)}".rstrip(), style="dim"))
    return [*lines, *(Text(f"  {line}", style="dim") for line in wrap(", ".join([step, *seen]), width - 2))]


_MARKS = {
    "sanctioned": "S",
    "tranche": "s",
    "talks_lapsed": "L",
    "announced": "!",
    "extended": "+",
    "backed_down": "<",
    "imposed": "S",
    "tired": "W",
    "complied": "C",
    "ruled": "R",
    "agreed": "A",
}


def _print_totals(out: Console, replayed: dict[str, Any]) -> None:
    end = replayed["end"]
    totals = [
        ("weeks of sanctions", "sanctions_weeks", "d"),
        (f"cost to {replayed['sender']}, bn USD", "sender_cost", "z.2f"),
        (f"cost to {replayed['target']}, bn USD", "target_cost", "z.2f"),
        ("export gain by the horizon, bn USD", "export_gain", "z.2f"),
        ("balance, change in bn USD a year", "balance_change", "z.2f"),
    ]
    shown = "; ".join(f"{label}: {end[column]:{form}}" for label, column, form in totals)
    out.print(heading("\nIn all", f"  {shown}"))


def _print_endings(out: Console, replayed: dict[str, Any]) -> None:
    out.print()
    for name, found in replayed["strategies"].items():
        label = f"Under {name}" if name == replayed["strategy"] else f"The same parameters and chance under {name}"
        out.print(Text(f"{label}: {found['ending']}."))


def _say_differences(check: dict[str, Any]) -> None:
    for found in check["differences"]:
        where = f"{found['strategy']}: {found['column'] or 'file'}"
        print(f"{where}: stored {found['stored']!r}, played {found['played']!r}", file=sys.stderr)
    versions = "; ".join(
        f"{name} {one['run']} there, {one['here']} here" for name, one in check["other_versions"].items()
    )
    why = (
        f"the run was made with other versions ({versions})" if versions else "the file was altered (see brink verify)"
    )
    print(f"the trial as played does not end as stored: {why}", file=sys.stderr)
