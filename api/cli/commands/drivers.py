"""``brink drivers``: which parameters a measure depends on, how strongly, and how much of it is chance."""

from collections.abc import Iterable
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, OneStrategy, RayOfAnswer, RunFolder, measure_option
from api.cli.output import heading
from api.cli.rendering import bars
from api.cli.tables import Bars, Column, print_table
from api.figures import amount

SHOWN = 20
"""Parameters in a table; the document has them all."""
_TORNADO = 40


def drivers(
    run: RunFolder,
    measure: Annotated[str | None, measure_option()] = None,
    strategy: OneStrategy = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("tornado")] = None,
    as_json: AsJson = False,
) -> None:
    """Prints indices from the stored trials, and a tornado chart."""
    from api.cli.answering import answer

    request = {"strategy": strategy, "measure": measure, "given": given, "believe": believe}
    answer(run, "drivers", request, as_json=as_json, charts=chart, ray_address=ray_address, render=print_drivers)


def print_drivers(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.drivers`: shares of the variance, indices, and a tornado."""
    found = document["result"]
    trials = found["trials"]
    title = f"What drives {found['measure']} under {document['strategies'][0]}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    missing = trials["null"] + trials["infinite"]
    out.print(
        f"Trials {trials['first']:,} to {trials['last']:,}: {trials['known']:,} of {trials['read']:,} have a value"
        + (f" ({trials['null']:,} null, {trials['infinite']:,} infinite)." if missing else ".")
    )
    mean = found["mean"]["estimate"]
    out.print(f"Mean {mean:.4g}, standard deviation {found['standard_deviation']:.4g}.")
    if found["reason"]:
        out.print(f"No index: {found['reason']}.")
        return
    _print_variance(out, found["variance"])
    _reasons(out, found["variance"])
    _print_indices(out, found)
    _print_tornado(out, found, mean)
    _groups(out, found)
    out.print(
        "First-order index: the share of the variance that the parameter explains by itself. PAWN: how far the whole "
        f"distribution moves with it, on {trials['pawn']:,} trials, from 0 to 1; what is not above the noise may have "
        "no influence. Those of a correlated parameter include the effect of the parameters it is correlated with, and "
        "must not be added up. --json says how each is computed.",
        style="dim",
    )


def _print_variance(out: Console, shares: dict[str, Any]) -> None:
    rows = {
        "What you do not know (all parameters)": shares["parameters"],
        "- each parameter alone, summed": shares["alone"],
        "- parameters together (interactions)": shares["interactions"],
        "Chance": shares["chance"],
    }
    print_table(
        out, [Column("", list(rows)), *_share_columns("share", rows.values())], title="Where its variance comes from"
    )


def _reasons(out: Console, shares: dict[str, Any]) -> None:
    for reason in filter(None, (shares["reason"], shares["alone"].get("reason"))):
        out.print(f"Not everything is known: {reason}.", style="dim")


def _print_indices(out: Console, found: dict[str, Any]) -> None:
    noise = found["pawn_noise"]["maximum"]
    shown = found["parameters"][:SHOWN]
    columns = [
        Column("", [one["name"] for one in shown]),
        *_share_columns("first-order index", [one["first_order"] for one in shown]),
        Column("PAWN median", [_distance(one["pawn"], "median") for one in shown]),
        Column(f"PAWN maximum (noise to {noise:.3f})", [_distance(one["pawn"], "maximum") for one in shown]),
    ]
    if any(one["correlated_with"] for one in shown):
        columns.append(Column("correlated with", [_partners(one) for one in shown], prose=True))
    print_table(out, columns, title="Which parameters")
    if len(found["parameters"]) > SHOWN:
        out.print(f"And {len(found['parameters']) - SHOWN} more, with smaller indices.", style="dim")


def _partners(one: dict[str, Any]) -> str:
    return ", ".join(f"{other['name']} ({other['spearman']:+.2f})" for other in one["correlated_with"])


def _share_columns(title: str, shares: Iterable[dict[str, Any]]) -> list[Column | Bars]:
    """Shares with half their intervals, and their bars."""
    known = list(shares)
    return [Column(title, [_share(share) for share in known]), bars("", [share["estimate"] for share in known])]


def _groups(out: Console, found: dict[str, Any]) -> None:
    for group in found["groups"]:
        out.print(f"Jointly {' and '.join(group['parameters'])}, which are correlated: {_share(group['first_order'])}")


def _print_tornado(out: Console, found: dict[str, Any], mean: float) -> None:
    """Each parameter's mean in its lowest decile and in its highest, with a bar between them, longest first."""
    swung = [one for one in found["parameters"] if one["swing"]["estimate"] is not None]
    swung.sort(key=lambda one: -abs(one["swing"]["estimate"]))
    ends = [one[decile]["mean"]["estimate"] for one in swung for decile in ("lowest_decile", "highest_decile")]
    low, high = min([mean, *ends]), max([mean, *ends])
    shown = swung[:SHOWN]
    columns: list[Column | Bars] = [
        Column("", [one["name"] for one in shown]),
        Column("in its lowest decile", [amount(one["lowest_decile"]["mean"], significant=2) for one in shown]),
        Bars(
            "░ lowest, █ highest decile",
            lambda width: [_bar(one, mean, low, high, width) for one in shown],
            len("░ lowest, █ highest decile"),
            _TORNADO,
        ),
        Column("in its highest decile", [amount(one["highest_decile"]["mean"], significant=2) for one in shown]),
        Column("difference", [amount(one["swing"], significant=2) for one in shown]),
    ]
    print_table(out, columns, title="Tornado: the mean at the ends of each parameter's range")


def _bar(one: dict[str, Any], mean: float, low: float, high: float, width: int) -> Text:
    def place(value: float) -> int:
        return round((value - low) / (high - low) * (width - 1)) if high > low else 0

    cells = [" "] * width
    for decile, mark in (("lowest_decile", "░"), ("highest_decile", "█")):
        value = one[decile]["mean"]["estimate"]
        for k in range(min(place(value), place(mean)), max(place(value), place(mean)) + 1):
            cells[k] = mark
    cells[place(mean)] = "│"
    return Text("".join(cells), style="cyan")


def _share(share: dict[str, Any]) -> str:
    if share["estimate"] is None:
        return "-"
    return f"{100 * share['estimate']:z.1f} % ±{50 * (share['high'] - share['low']):.1f}"


def _distance(distances: dict[str, Any] | None, statistic: str) -> Text:
    if distances is None:
        return Text("-")
    found = distances[statistic]
    text = f"{found['estimate']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    return Text(text, style="" if distances["above_noise"] else "dim")
