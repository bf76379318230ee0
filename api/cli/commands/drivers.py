"""``brink drivers``: which parameters a measure depends on, how far, and how much of it is chance."""

from typing import Annotated

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, Given, OneStrategy, RunFolder, measure_option
from api.cli.output import heading

SHOWN = 20
"""Parameters in a table; the document has them all."""
_BAR = 10
_TORNADO = 40


def drivers(
    run: RunFolder,
    strategy: OneStrategy = None,
    measure: Annotated[str | None, measure_option()] = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Show which parameters drive a measure, and how much of it is chance.

    Prints indices from the stored trials, and a tornado chart.
    """
    from api.cli.answering import answer

    request = {"strategy": strategy, "measure": measure, "given": given}
    answer(run, "drivers", request, as_json=as_json, render=print_drivers)


def print_drivers(out: Console, document: dict) -> None:
    """Print a document of `cluster.answers.drivers`: shares of the variance, indices, and a tornado."""
    found, method = document["result"], document["method"]
    trials = found["trials"]
    title = f"What drives {found['measure']} under {document['strategies'][0]}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    missing = trials["null"] + trials["infinite"]
    out.print(
        f"Trials {trials['first']:,} to {trials['last']:,}: {trials['known']:,} of {trials['read']:,} know the measure"
        + (f" ({trials['null']:,} null, {trials['infinite']:,} infinite)." if missing else ".")
    )
    mean = found["mean"]["estimate"]
    out.print(f"Mean {mean:.4g}, standard deviation {found['standard_deviation']:.4g}.")
    if found["reason"]:
        out.print(f"No index: {found['reason']}.")
        return
    out.print(_variance(found["variance"]))
    _reasons(out, found["variance"])
    out.print(_indices(found))
    out.print(_tornado(found, mean))
    _groups(out, found)
    out.print(
        f"First-order: {method['first_order']}. PAWN on {trials['pawn']:,} trials: "
        f"{method['pawn']}. {method['correlated']}.",
        style="dim",
    )


def _variance(shares: dict) -> Table:
    table = Table(title="Where its variance comes from", title_justify="left", show_header=False, show_edge=False)
    for label, key in (
        ("What you do not know (all parameters)", "parameters"),
        ("  each parameter alone, summed", "alone"),
        ("  parameters together (interactions)", "interactions"),
        ("Chance", "chance"),
    ):
        table.add_row(label, _share(shares[key]))
    return table


def _reasons(out: Console, shares: dict) -> None:
    for reason in filter(None, (shares["reason"], shares["alone"].get("reason"))):
        out.print(f"Not all is known: {reason}.", style="dim")


def _indices(found: dict) -> Table:
    noise = found["pawn_noise"]["maximum"]
    table = Table(title="Which parameters", title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    table.add_column("")
    table.add_column("first-order index", justify="right")
    table.add_column("PAWN median", justify="right")
    table.add_column(f"PAWN maximum (noise to {noise:.3f})", justify="right")
    table.add_column("correlated with", overflow="fold")
    for one in found["parameters"][:SHOWN]:
        median, maximum = (_distance(one["pawn"], statistic) for statistic in ("median", "maximum"))
        partners = ", ".join(f"{other['name']} ({other['spearman']:+.2f})" for other in one["correlated_with"])
        table.add_row(one["name"], _share(one["first_order"]), median, maximum, partners)
    hidden = len(found["parameters"]) - SHOWN
    if hidden > 0:
        table.add_row(f"and {hidden} more, with smaller indices", style="dim")
    return table


def _groups(out: Console, found: dict) -> None:
    for group in found["groups"]:
        out.print(
            Text(f"Jointly {' and '.join(group['parameters'])}, which are correlated: ").append_text(
                _share(group["first_order"])
            )
        )


def _tornado(found: dict, mean: float) -> Table:
    """Each parameter's bar from the mean in its lowest decile to that in its highest, longest first."""
    swung = [one for one in found["parameters"] if one["swing"]["estimate"] is not None]
    swung.sort(key=lambda one: -abs(one["swing"]["estimate"]))
    table = Table(title="Tornado", title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    for label in ("", "in its lowest decile", "░ lowest, █ highest decile", "in its highest decile", "difference"):
        table.add_column(label, justify="left" if label[:1] in ("", "░") else "right")
    ends = [one[decile]["mean"]["estimate"] for one in swung for decile in ("lowest_decile", "highest_decile")]
    low, high = min([mean, *ends]), max([mean, *ends])
    for one in swung[:SHOWN]:
        first, last = (one[decile]["mean"] for decile in ("lowest_decile", "highest_decile"))
        table.add_row(
            one["name"],
            _plus_minus(first),
            _bar(first["estimate"], last["estimate"], mean, low, high),
            _plus_minus(last),
            _plus_minus(one["swing"]),
        )
    return table


def _bar(first: float, last: float, mean: float, low: float, high: float) -> Text:
    def place(value: float) -> int:
        return round((value - low) / (high - low) * (_TORNADO - 1)) if high > low else 0

    cells = [" "] * _TORNADO
    for value, mark in ((first, "░"), (last, "█")):
        for k in range(min(place(value), place(mean)), max(place(value), place(mean)) + 1):
            cells[k] = mark
    cells[place(mean)] = "│"
    return Text("".join(cells), style="cyan")


def _share(share: dict) -> Text:
    if share["estimate"] is None:
        return Text("-")
    half = (share["high"] - share["low"]) / 2.0
    filled = min(_BAR, max(0, round(share["estimate"] * _BAR)))
    text = Text(f"{100 * share['estimate']:z.1f} % ±{100 * half:4.1f} ")
    return text.append("█" * filled + "·" * (_BAR - filled), style="cyan")


def _distance(distances: dict | None, statistic: str) -> Text:
    if distances is None:
        return Text("-")
    found = distances[statistic]
    text = f"{found['estimate']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    return Text(text, style="" if distances["above_noise"] else "dim")


def _plus_minus(found: dict) -> str:
    if found["low"] is None:
        return "-" if found["estimate"] is None else f"{found['estimate']:z.4g} ±?"
    return f"{found['estimate']:z.4g} ±{(found['high'] - found['low']) / 2.0:.2g}"
