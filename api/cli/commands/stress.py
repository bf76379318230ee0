"""``brink stress``: what was different in the worlds in which a bound was broken."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, Given, OneStrategy, RunFolder
from api.cli.output import heading
from api.cli.rendering import labels
from sim.scenario.vocabulary import DETAIL_TERMS, EVENT_TERMS, OUTCOME_TERMS

_SHOWN = 15
_LEVEL = 0.05
"""Parameters with a larger p-value are not shown."""
_HEIGHTS = "▁▂▃▄▅▆▇█"


def stress(
    run: RunFolder,
    bound: Annotated[
        str, typer.Option(metavar="CONDITION", help='What holds where the bound is broken, such as "sender_cost > 5".')
    ],
    strategy: OneStrategy = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Show how the trials in which a bound is broken differ from the others.

    Lists the parameters and events that differ, and trials to replay.
    """
    from api.cli.answering import answer

    request = {"bound": bound, "strategy": strategy, "given": given}
    answer(run, "stress", request, as_json=as_json, render=lambda out, found: print_stress(out, found, str(run)))


def print_stress(out: Console, document: dict, folder: str) -> None:
    """Print a document of `cluster.answers.stress`: parameters, events and outcomes inside and outside, trials."""
    found, method, strategy = document["result"], document["method"], document["strategies"][0]
    trials = found["trials"]
    title = f"Worlds in which {found['bound']} under {strategy}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    out.print(
        f"The bound is broken in {_percent(found['probability'])} of worlds: in {trials['broken']:,} of "
        f"{trials['asked']:,} trials."
    )
    out.print(_parameters(found["parameters"]))
    rest = len(found["parameters"]) - len(_differing(found["parameters"])[:_SHOWN])
    if rest:
        out.print(f"{rest} parameters differ less, or by no more than chance explains (p > {_LEVEL:g}).", style="dim")
    out.print(_shares("On the way", found["events"], labels((*EVENT_TERMS, *DETAIL_TERMS))))
    out.print(_shares("How it ends", found["outcome"], labels(OUTCOME_TERMS)))
    out.print("Read the story of a world in which it is broken, with brink replay:")
    for kind, label in (("nearest", "of the most ordinary parameters"), ("typical", "typical of where it is broken")):
        numbers = ", ".join(str(one["trial"]) for one in found["worlds"][kind])
        out.print(f"  {label}: trials {numbers}")
    first = found["worlds"]["typical"][0]["trial"]
    out.print(f"  brink replay {folder} --strategy {strategy} --trial {first}", soft_wrap=True)
    out.print(
        f"Shift: {method['shift']}. Distance: {method['distance']}. Picture: how much likelier than outside, from the "
        f"outside's lowest decile to its highest. {method['boxes']}. {method['errors']}.",
        style="dim",
    )


def _differing(parameters: list[dict]) -> list[dict]:
    return [one for one in parameters if one["p_value"] < _LEVEL]


def _parameters(parameters: list[dict]) -> Table:
    table = Table(title="Parameters that differ", title_justify="left", header_style="bold", show_edge=False)
    for label in ("", "broken: median (5 % to 95 %)", "kept: median (5 % to 95 %)", "unit", "shift", "distance"):
        table.add_column(label, justify="left" if label in ("", "unit") else "right")
    table.add_column("low to high", no_wrap=True)
    for one in _differing(parameters)[:_SHOWN]:
        shift = one["shift"]
        half = (shift["high"] - shift["low"]) / 2.0
        table.add_row(
            one["name"],
            _spread(one["inside"]),
            _spread(one["outside"]),
            one["unit"],
            f"{shift['estimate']:+.2f} ±{half:.2f}",
            f"{one['distance']:.2f}",
            _picture(one["by_decile"]),
        )
    return table


def _picture(by_decile: list[dict]) -> Text:
    """How many times likelier each part of the outside's distribution is inside, as heights."""
    lift = [part["inside"] / part["outside"] for part in by_decile]
    top = max(lift)
    heights = (_HEIGHTS[round(one / top * (len(_HEIGHTS) - 1))] for one in lift)
    return Text("".join(heights), style="cyan")


def _shares(title: str, rows: list[dict], labels: dict[str, str]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", show_edge=False)
    for label in ("", "broken", "kept", "difference in points"):
        table.add_column(label, justify="right" if label else "left")
    for one in rows:
        difference = one["difference"]
        half = 50.0 * (difference["high"] - difference["low"])
        clear = difference["low"] > 0.0 or difference["high"] < 0.0
        table.add_row(
            labels[one["name"]],
            _percent(one["inside"]),
            _percent(one["outside"]),
            f"{100 * difference['estimate']:+z.1f} ±{half:.1f}",
            style="" if clear else "dim",
        )
    return table


def _spread(distribution: dict) -> str:
    low, middle, high = (distribution["quantiles"][level] for level in ("0.05", "0.5", "0.95"))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _percent(share: dict) -> str:
    return f"{100 * share['estimate']:.1f} % ±{50 * (share['high'] - share['low']):.1f}"
