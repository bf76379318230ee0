"""``brink discover``: the boxes of parameters in which an outcome is likely."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import AsJson, Given, OneStrategy, RunFolder
from api.cli.output import heading


def discover(
    run: RunFolder,
    outcome: Annotated[
        str, typer.Option(metavar="CONDITION", help='The outcome to look for, such as "sanctions_standing".')
    ],
    strategy: OneStrategy = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Find the ranges of parameters in which an outcome is likely.

    The ranges are found on half of the trials and measured on the others.
    """
    from api.cli.answering import answer

    request = {"outcome": outcome, "strategy": strategy, "given": given}
    answer(run, "discover", request, as_json=as_json, render=print_boxes)


def print_boxes(out: Console, document: dict) -> None:
    """Print a document of `cluster.answers.discover`: a row a restriction, a section a box."""
    found, notes = document["result"], document["method"]
    trials = found["trials"]
    title = f"Where {found['outcome']} is likely under {document['strategies'][0]}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    out.print(
        f"Probability over all {_percent(found['probability'])}. Found on {trials['finding']:,} trials, measured on "
        f"{trials['measuring']:,} others, of trials {trials['first']:,} to {trials['last']:,}."
    )
    if found["reason"]:
        out.print(f"No box: {found['reason']}.")
        return
    table = _table("box", "coverage with those above", "density with those above")
    for number, box in enumerate(found["boxes"], 1):
        before = box["with_those_before"]
        table.add_row(str(number), *_measures(box), _percent(before["coverage"]), _percent(before["density"]))
        table.add_section()
    out.print(table)
    out.print("\nTrade-off between coverage and density, by steps of the first box's peeling")
    steps = _table("step")
    for number, box in enumerate(found["trade_off"], 1):
        steps.add_row(str(number), *_measures(box))
    out.print(steps)
    out.print(
        "Density: the outcome's probability in the box. Lift: how many times that over all. Coverage: the share of "
        f"its cases in the box. Mass: the share of all trials in it. {notes['boxes']}. "
        f"Trade-off: {notes['trade_off']}. {notes['errors']}.",
        style="dim",
    )


def _table(first: str, *last: str) -> Table:
    table = Table(header_style="bold", show_edge=False, pad_edge=False)
    table.add_column(first)
    table.add_column("where", overflow="fold")
    for label in ("density", "lift", "coverage", "mass", *last):
        table.add_column(label, justify="right")
    return table


def _measures(box: dict) -> tuple[str, ...]:
    where = "\n".join(_range(one) for one in box["restrictions"])
    lift = "-" if box["lift"] is None else f"{box['lift']:.2f}"
    return where, _percent(box["density"]), lift, _percent(box["coverage"]), _percent(box["mass"])


def _range(one: dict) -> str:
    low, high = one["above"], one["up_to"]
    if low is None:
        bounds = f"up to {high:.3g}"
    elif high is None:
        bounds = f"above {low:.3g}"
    else:
        bounds = f"{low:.3g} to {high:.3g}"
    without = "" if one["density_without"] is None else f" (without it {100 * one['density_without']:.1f} %)"
    return f"{one['name']} {bounds} {one['unit']}{without}"


def _percent(share: dict) -> str:
    if share["estimate"] is None:
        return "-"
    return f"{100 * share['estimate']:.1f} % ±{50 * (share['high'] - share['low']):.1f}"
