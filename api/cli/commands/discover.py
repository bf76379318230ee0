"""``brink discover``: the boxes of parameters in which an outcome is likely."""

from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, OneStrategy, RunFolder
from api.cli.output import heading
from api.cli.tables import Column, print_table


def discover(
    run: RunFolder,
    outcome: Annotated[
        str, typer.Option(metavar="CONDITION", help='The outcome to look for, such as "sanctions_standing".')
    ],
    strategy: OneStrategy = None,
    given: Given = None,
    believe: Believe = None,
    chart: Annotated[Charts, chart_option("boxes")] = None,
    as_json: AsJson = False,
) -> None:
    """The ranges are found on half of the trials and measured on the others."""
    from api.cli.answering import answer

    request = {"outcome": outcome, "strategy": strategy, "given": given, "believe": believe}
    answer(run, "discover", request, as_json=as_json, charts=chart, render=print_boxes)


def print_boxes(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.discover`: a row for each restriction, a section for each box."""
    found, notes = document["result"], document["method"]
    trials = found["trials"]
    title = f"Where {found['outcome']} is likely under {document['strategies'][0]}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    out.print(
        f"Overall probability {_percent(found['probability'])}. Found on {trials['finding']:,} trials, measured on "
        f"{trials['measuring']:,} others, of trials {trials['first']:,} to {trials['last']:,}."
    )
    if found["reason"]:
        out.print(f"No box: {found['reason']}.")
        return
    boxes = found["boxes"]
    before = [box["with_those_before"] for box in boxes]
    together = [
        Column("coverage with those above", [_percent(one["coverage"]) for one in before]),
        Column("density with those above", [_percent(one["density"]) for one in before]),
    ]
    print_table(out, _columns("box", boxes, *together))
    out.print()
    title = "Trade-off between coverage and density, by steps of the first box's peeling"
    print_table(out, _columns("step", found["trade_off"]), title=title)
    out.print(
        "Density: the outcome's probability in the box. Lift: density divided by the overall probability. Coverage: "
        f"the share of its cases in the box. Mass: the share of all trials in it. {notes['boxes']}. Trade-off: "
        f"{notes['trade_off']}. {notes['errors']}.",
        style="dim",
    )


def _columns(first: str, boxes: list[dict[str, Any]], *last: Column) -> list[Column]:
    return [
        Column(first, [str(number) for number in range(1, len(boxes) + 1)]),
        Column("density", [_percent(box["density"]) for box in boxes]),
        Column("lift", ["-" if box["lift"] is None else f"{box['lift']:.2f}" for box in boxes]),
        Column("coverage", [_percent(box["coverage"]) for box in boxes]),
        Column("mass", [_percent(box["mass"]) for box in boxes]),
        *last,
        Column("where", ["\n".join(map(_range, box["restrictions"])) for box in boxes], prose=True),
    ]


def _range(one: dict[str, Any]) -> str:
    low, high = one["above"], one["up_to"]
    if low is None:
        bounds = f"up to {high:.3g}"
    elif high is None:
        bounds = f"above {low:.3g}"
    else:
        bounds = f"{low:.3g} to {high:.3g}"
    without = "" if one["density_without"] is None else f" (without it {100 * one['density_without']:.1f} %)"
    return f"{one['name']} {bounds} {one['unit']}{without}"


def _percent(share: dict[str, Any]) -> str:
    if share["estimate"] is None:
        return "-"
    return f"{100 * share['estimate']:.1f} % ±{50 * (share['high'] - share['low']):.1f}"
