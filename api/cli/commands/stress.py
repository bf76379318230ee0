"""``brink stress``: how the trials in which a bound is broken differ from the others."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, OneStrategy, RayOfAnswer, RunFolder
from api.cli.output import heading
from api.cli.rendering import labels
from api.cli.tables import Bars, Column, print_table
from api.figures import share_with_error, signed
from sim.scenario.vocabulary import DETAIL_TERMS, EVENT_TERMS, OUTCOME_TERMS

_SHOWN = 15
_LEVEL = 0.05
"""Parameters with a larger p-value are not shown."""
_PICTURE = "Picture: how much likelier than outside, from the outside's lowest decile to its highest. "
_HEIGHTS = "▁▂▃▄▅▆▇█"


def stress(
    run: RunFolder,
    bound: Annotated[
        str, typer.Option(metavar="CONDITION", help='What holds where the bound is broken, such as "sender_cost > 5".')
    ],
    strategy: OneStrategy = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("shifts")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists the parameters and events that differ, and trials to replay."""
    from api.cli.answering import answer

    request = {"bound": bound, "strategy": strategy, "given": given, "believe": believe}
    answer(
        run,
        "stress",
        request,
        as_json=as_json,
        charts=chart,
        ray_address=ray_address,
        render=lambda out, found: print_stress(out, found, str(run)),
    )


def print_stress(out: Console, document: dict[str, Any], folder: str) -> None:
    """Print a document of `cluster.answers.stress`: parameters, events and outcomes inside and outside, trials."""
    found, method, strategy = document["result"], document["method"], document["strategies"][0]
    trials = found["trials"]
    title = f"Trials under {strategy} in which this holds: {found['bound']}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    out.print(
        f"The bound is broken in {share_with_error(found['probability'])} of the trials: in {trials['broken']:,} of "
        f"{trials['asked']:,}."
    )
    _print_parameters(out, found["parameters"])
    rest = len(found["parameters"]) - len(_differing(found["parameters"])[:_SHOWN])
    if rest:
        out.print(f"{rest} parameters differ less, or by no more than chance explains (p > {_LEVEL:g}).", style="dim")
    _print_shares(out, "On the way", found["events"], labels((*EVENT_TERMS, *DETAIL_TERMS)))
    _print_shares(out, "How it ends", found["outcome"], labels(OUTCOME_TERMS))
    out.print("Read the story of a trial in which it is broken, with brink replay:")
    for kind, label in (("nearest", "of the most ordinary parameters"), ("typical", "typical of where it is broken")):
        numbers = ", ".join(str(one["trial"]) for one in found["worlds"][kind])
        out.print(f"  {label}: trials {numbers}")
    first = found["worlds"]["typical"][0]["trial"]
    out.print(f"  brink replay {folder} --strategy {strategy} --trial {first}", soft_wrap=True)
    picture = _PICTURE if out.is_terminal else ""
    out.print(
        f"Shift: {method['shift']}. Distance: {method['distance']}. {picture}{method['boxes']}. "
        "--json says how intervals are computed.",
        style="dim",
    )


def _differing(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in parameters if one["p_value"] < _LEVEL]


def _print_parameters(out: Console, parameters: list[dict[str, Any]]) -> None:
    shown = _differing(parameters)[:_SHOWN]
    if not shown:
        return
    columns: list[Column | Bars] = [
        Column("", [one["name"] for one in shown]),
        Column("broken: median (5 % to 95 %)", [_spread(one["inside"]) for one in shown]),
        Column("kept: median (5 % to 95 %)", [_spread(one["outside"]) for one in shown]),
        Column("shift", [_shift(one["shift"]) for one in shown]),
        Column("distance", [f"{one['distance']:.2f}" for one in shown]),
        Bars("low to high", lambda _: [_picture(one["by_decile"]) for one in shown], 11, 11),
        Column("unit", [one["unit"] for one in shown], left=True),
    ]
    print_table(out, columns, title="Parameters that differ")


def _shift(shift: dict[str, Any]) -> str:
    return f"{shift['estimate']:+.2f} ±{(shift['high'] - shift['low']) / 2.0:.2f}"


def _picture(by_decile: list[dict[str, Any]]) -> Text:
    """How many times likelier each part of the outside's distribution is inside, as heights."""
    lift = [part["inside"] / part["outside"] for part in by_decile]
    top = max(lift)
    heights = (_HEIGHTS[round(one / top * (len(_HEIGHTS) - 1))] for one in lift)
    return Text("".join(heights), style="cyan")


def _print_shares(out: Console, title: str, rows: list[dict[str, Any]], labels: dict[str, str]) -> None:
    happened = [one for one in rows if one["inside"]["estimate"] or one["outside"]["estimate"]]
    columns = [
        Column(title, [labels[one["name"]] for one in happened]),
        Column("broken", [share_with_error(one["inside"]) for one in happened]),
        Column("kept", [share_with_error(one["outside"]) for one in happened]),
        Column("difference, percentage points", [_difference(one["difference"]) for one in happened]),
    ]
    print_table(out, columns)
    never = [labels[one["name"]] for one in rows if one not in happened]
    if never:
        out.print(f"In no trial: {'; '.join(never)}.", style="dim")


def _difference(difference: dict[str, Any]) -> Text:
    text = signed(difference, 100.0, space=" ")
    return Text(text, style="dim" if text.startswith("~") else "")


def _spread(distribution: dict[str, Any]) -> str:
    low, middle, high = (distribution["quantiles"][level] for level in ("0.05", "0.5", "0.95"))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"
