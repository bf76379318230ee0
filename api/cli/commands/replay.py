"""``brink replay``: one trial of a stored run, week by week."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, OneStrategy, RunFolder, whole_number
from api.cli.output import heading

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

_DRAWS = 8
"""Drawn values shown."""
_HEIGHTS = " ▁▂▃▄▅▆▇█"
_PICTURE = 72
"""Characters across the picture of the positions at most."""

Trial = Annotated[int, typer.Option("--trial", parser=whole_number, metavar="N", help="The trial's number, from 0.")]


def replay(run: RunFolder, trial: Trial, strategy: OneStrategy = None, as_json: AsJson = False) -> None:
    """Replay one trial of a stored run week by week.

    The exit status is 1 if the replayed trial does not equal the stored one.
    """
    from api.cli.answering import answer
    from cluster.query.trials import open_run

    found = open_run(run)

    def render(out: Console, document: dict) -> None:
        _print_story(out, found.plan.scenario, document["result"])

    document = answer(found, "replay", {"trial": trial, "strategy": strategy}, as_json=as_json, render=render)
    check = document["result"]["check"]
    if not check["equal"]:
        _say_differences(check)
        raise typer.Exit(1)


def _print_story(out: Console, scenario: "Scenario", replayed: dict) -> None:
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
    for line in _picture(replayed):
        out.print(line, no_wrap=True, crop=False)
    _print_totals(out, replayed)
    _print_endings(out, replayed)
    if replayed["check"]["equal"]:
        out.print(
            f"The story's end equals the stored row in each of {replayed['check']['columns']} columns, and so do the "
            f"endings under {len(replayed['check']['strategies'])} strategies.",
            style="dim",
        )


def _print_draws(out: Console, replayed: dict) -> None:
    """The draws that played a part and lie farthest from the middle of their ranges."""
    played = [draw for draw in replayed["draws"] if draw["played_a_part"]]
    played.sort(key=lambda draw: -abs(draw["share_below"] - 0.5))
    if not played:
        return
    table = Table("What marks this world out", "", "share of its range below", show_edge=False, pad_edge=False)
    for draw in played[:_DRAWS]:
        value = f"{draw['value']:.3g} {'' if draw['unit'] == '1' else draw['unit']}"
        table.add_row(draw["parameter"], value, f"{100 * draw['share_below']:3.0f} % {_place(draw['share_below'])}")
    out.print(table)


def _place(share: float) -> str:
    """Where in a range a share of it lies, as a picture."""
    at = min(int(share * 10), 9)
    return "─" * at + "●" + "─" * (9 - at)


def _picture(replayed: dict) -> list[Text]:
    """For each issue a line of bars, the gap between the sides at the end of each week; below them the events."""
    weeks = len(next(iter(replayed["positions"].values()))["sender"])
    every = -(-weeks // _PICTURE)
    shown = [min(week + every - 1, weeks - 1) for week in range(0, weeks, every)]
    width = max(len(issue["title"]) for issue in replayed["positions"].values())
    lines = []
    for issue in replayed["positions"].values():
        gap = [issue["sender"][week] - issue["target"][week] for week in shown]
        bars = "".join(_HEIGHTS[max(1, round(8 * one))] if one > 1e-6 else "_" for one in gap)
        end = f"open, {100 * gap[-1]:.0f} % apart"
        if issue["settled"] is not None:
            end = f"settled at {100 * issue['settled']:.0f} % of the demand"
        line = Text(f"  {issue['title']:<{width}}  ")
        line.append(bars, style="cyan")
        lines.append(line.append(f"  {end}", style="dim"))
    marks = [" "] * len(shown)
    for event in (event for passage in replayed["story"] for event in passage["events"]):
        # A breach comes after the last week of the talks.
        if event["kind"] in _MARKS and event["week"] // every < len(marks):
            marks[event["week"] // every] = _MARKS[event["kind"]]
    seen = [f"{mark} {kind.replace('_', ' ')}" for kind, mark in _MARKS.items() if mark in marks]
    step = "a column a week" if every == 1 else f"a column every {every} weeks"
    lines.append(Text(f"  {'':<{width}}  {''.join(marks)}  {', '.join([step, *seen])}", style="dim"))
    return lines


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


def _print_totals(out: Console, replayed: dict) -> None:
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


def _print_endings(out: Console, replayed: dict) -> None:
    out.print()
    for name, found in replayed["strategies"].items():
        label = f"Under {name}" if name == replayed["strategy"] else f"The same world under {name}"
        out.print(Text(f"{label}: {found['ending']}."))


def _say_differences(check: dict) -> None:
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
