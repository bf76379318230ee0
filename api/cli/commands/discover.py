"""``brink discover``: the boxes of parameters in which an outcome is likely."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, OneStrategy, RayOfAnswer, RunFolder
from api.cli.output import heading
from api.cli.tables import Column, print_table
from api.figures import share_with_error

_SHOWN_STEPS = 5


def discover(
    run: RunFolder,
    outcome: Annotated[
        str, typer.Option(metavar="CONDITION", help='The outcome to look for, such as "sanctions_standing".')
    ],
    strategy: OneStrategy = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("boxes")] = None,
    as_json: AsJson = False,
) -> None:
    """The ranges are found on half of the trials and measured on the others."""
    from api.cli.answering import answer

    request = {"outcome": outcome, "strategy": strategy, "given": given, "believe": believe}
    answer(run, "discover", request, as_json=as_json, charts=chart, ray_address=ray_address, render=print_boxes)


def print_boxes(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.discover`: a row for each restriction, a section for each box."""
    found = document["result"]
    trials = found["trials"]
    title = f"Where “{found['outcome']}” is likely under {document['strategies'][0]}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    out.print(
        f"It happens in {share_with_error(found['probability'])} of the {trials['measuring']:,} trials on which boxes "
        f"are measured; they are found on {trials['finding']:,} others."
    )
    if found["reason"]:
        out.print(f"No box: {found['reason']}.")
        return
    boxes = found["boxes"]
    before = [box["with_those_before"] for box in boxes]
    together = [
        Column("coverage with those above", [share_with_error(one["coverage"]) for one in before]),
        Column("density with those above", [share_with_error(one["density"]) for one in before]),
    ]
    print_table(out, _columns("box", [str(k) for k in range(1, len(boxes) + 1)], boxes, _range, *together))
    steps = found["trade_off"]
    shown = _spread(len(steps))
    if shown:
        out.print()
        title = "Trade-off between coverage and density, by steps of the first box's peeling"
        numbers = [str(k + 1) for k in shown]
        print_table(out, _columns("step", numbers, [steps[k] for k in shown], _bounds), title=title)
    if len(shown) < len(steps):
        out.print(f"{len(shown)} of {len(steps)} steps; --json has them all.", style="dim")
    out.print(
        "Density: the outcome's probability in the box, and without one of its ranges. Lift: density divided by the "
        "overall probability. Coverage: the share of the outcome's cases in the box. Mass: the share of all trials in "
        "it. Boxes are found by patient rule induction (PRIM); --json says how.",
        style="dim",
    )


def _spread(count: int) -> list[int]:
    """Some of so many steps, from the first to the last."""
    if count <= _SHOWN_STEPS:
        return list(range(count))
    return [round(k * (count - 1) / (_SHOWN_STEPS - 1)) for k in range(_SHOWN_STEPS)]


def _columns(
    first: str,
    numbers: list[str],
    boxes: list[dict[str, Any]],
    describe: Callable[[dict[str, Any]], str],
    *last: Column,
) -> list[Column]:
    return [
        Column(first, numbers),
        Column("density", [share_with_error(box["density"]) for box in boxes]),
        Column("lift", ["-" if box["lift"] is None else f"{box['lift']:.2f}" for box in boxes]),
        Column("coverage", [share_with_error(box["coverage"]) for box in boxes]),
        Column("mass", [share_with_error(box["mass"]) for box in boxes]),
        *last,
        Column("where", ["\n".join(map(describe, box["restrictions"])) for box in boxes], prose=True),
    ]


def _bounds(one: dict[str, Any]) -> str:
    """A parameter and its range."""
    low, high = one["above"], one["up_to"]
    if low is None:
        bounds = f"up to {high:.3g}"
    elif high is None:
        bounds = f"above {low:.3g}"
    else:
        bounds = f"{low:.3g} to {high:.3g}"
    return f"{one['name']} {bounds}"


def _range(one: dict[str, Any]) -> str:
    """A parameter and its range with its unit, and the box's density without it."""
    without = "" if one["density_without"] is None else f"; without it {100 * one['density_without']:.1f} %"
    return f"{_bounds(one)} ({one['unit']}{without})"
