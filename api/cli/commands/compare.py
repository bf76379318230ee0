"""``brink compare``: strategies on the same trials, pair by pair; regret; and who leads as a function of belief."""

from string import ascii_uppercase
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, Given, RunFolder, Strategies
from api.cli.output import heading, print_assumptions, some_names
from api.cli.rendering import labels, measure_scale
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS

_BAR = 40


def compare(
    run: RunFolder,
    strategy: Strategies = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPRESSION",
            help='A number of each trial, more being better, such as "export_gain - sender_cost"; may be repeated.',
            show_default="export_gain - sender_cost, and the measures of the summary",
        ),
    ] = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies on the same trials: differences, regret, and which one leads where.

    Differences are taken trial by trial, since all strategies have the same parameters and the same chance.
    """
    from api.cli.answering import answer

    request = {"strategies": strategy, "measures": measure, "given": given}
    answer(run, "compare", request, as_json=as_json, render=print_comparison)


def print_comparison(out: Console, document: dict) -> None:
    """Print a document of `cluster.answers.compare`: the others compared with the first strategy, then each choice."""
    found = document["result"]
    reference, *others = document["strategies"]
    title = f"{document['scenario']}: {len(others) + 1} strategies in the same {found['trials']['compared']:,} trials"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    out.print(_differences(found["pairs"], reference, others))
    out.print(
        f"Each column: that strategy less {reference}, shares in points, with half the 95 % interval; grey "
        "where the interval holds 0.",
        style="dim",
    )
    for choice in found["choices"]:
        _print_choice(out, document["strategies"], found["pairs"], choice)
    if found["set_by_strategies"]:
        set_by = "; ".join(f"{name} ({', '.join(by)})" for name, by in found["set_by_strategies"].items())
        out.print(f"Not a belief here, since set by a strategy compared: {set_by}.", style="dim")
    print_assumptions(out, document)
    out.print(f"{document['method']['errors']}. --json has every pair.", style="dim")


def _differences(pairs: list[dict], reference: str, others: list[str]) -> Table:
    against = {one["second"]: one for one in pairs if one["first"] == reference}
    table = Table(title=f"Against {reference}", title_justify="left", header_style="bold", show_edge=False)
    table.add_column("")
    for other in others:
        table.add_column(other, justify="right", overflow="fold")
    for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS)):
        for key, label in labels(terms).items():
            table.add_row(label, *(_less(against[other][kind][key], 100.0, 1) for other in others))
        table.add_section()
    for key in next(iter(against.values()))["measures"]:
        label, factor, digits = measure_scale(key)
        table.add_row(label, *(_less(against[other]["measures"][key], factor, digits) for other in others))
    return table


def _less(found: dict, factor: float, digits: int) -> Text:
    """The second strategy's value less the first's."""
    difference = found["difference"]
    if difference["standard_error"] is None:
        return Text("-")
    if difference["low"] is None:
        return Text(f"{-factor * difference['estimate']:+z.{max(digits, 1)}f} ±?", style="dim")
    half = factor * (difference["high"] - difference["low"]) / 2.0
    clear = difference["low"] > 0.0 or difference["high"] < 0.0
    digits = max(digits, 1)
    return Text(f"{-factor * difference['estimate']:+z.{digits}f} ±{half:.{digits + 1}f}", style="" if clear else "dim")


def _print_choice(out: Console, strategies: list[str], pairs: list[dict], choice: dict) -> None:
    name = choice["measure"]
    out.print(heading(f"\nIf you want {name} to be high"))
    if choice["unknown"]:
        out.print(
            f"Of {choice['trials'] + choice['unknown']:,} trials {choice['trials']:,} know it under every strategy; "
            "the rest is left out.",
            style="dim",
        )
    if not choice["regret"]:
        out.print("No trial knows it under every strategy.")
        return
    out.print(_regret(choice["regret"]))
    out.print(_duels(strategies, pairs, name))
    _print_leads(out, strategies, choice["leads"])


def _regret(regret: dict) -> Table:
    table = Table(title="Regret: short of the best in the same world", title_justify="left", show_edge=False)
    for label in ("", "mean", "half stay below", "9 in 10", "19 in 20", "is best", "alone"):
        table.add_column(label, justify="right" if label else "left")
    for strategy, one in regret.items():
        table.add_row(
            strategy,
            f"{one['mean']['estimate']:z.3g} ±{_half(one['mean'])}",
            *(f"{quantile['estimate']:z.3g}" for quantile in one["quantiles"].values()),
            *(
                f"{100 * one[key]['estimate']:.1f} % ±{50 * (one[key]['high'] - one[key]['low']):.1f}"
                for key in ("best", "best_alone")
            ),
        )
    return table


def _duels(strategies: list[str], pairs: list[dict], measure: str) -> Table:
    """How often the strategy of a row does better than that of a column in the same world."""
    shares: dict[tuple[str, str], float | None] = {}
    for one in pairs:
        own = one["measures"][measure]
        shares[one["first"], one["second"]] = own["higher"]["estimate"]
        shares[one["second"], one["first"]] = own["lower"]["estimate"]
    table = Table(title="Does better than", title_justify="left", show_edge=False)
    for label in ("", *strategies):
        table.add_column(label, justify="right" if label else "left", overflow="fold")
    for row in strategies:
        cells = (shares.get((row, column)) for column in strategies)
        table.add_row(row, *("" if share is None else f"{100 * share:.1f} %" for share in cells))
    return table


def _print_leads(out: Console, strategies: list[str], leads: list[dict]) -> None:
    letters = dict(zip(strategies, _letters(len(strategies)), strict=True))
    steady = [one for one in leads if len(one["ranges"]) == 1]
    table = Table(title="Who leads, if you believe", title_justify="left", show_edge=False)
    table.add_column("")
    table.add_column("low to high", no_wrap=True)
    table.add_column("ranges", overflow="fold")
    for one in leads:
        if one not in steady:
            ranges = "; ".join(_range(part, letters) for part in one["ranges"])
            table.add_row(one["name"], _bar(one["ranges"], letters), f"{ranges} ({one['unit']})")
    if len(steady) < len(leads):
        out.print(table)
    for ahead in dict.fromkeys(tuple(one["ranges"][0]["ahead"]) for one in steady):
        names = some_names([one["name"] for one in steady if tuple(one["ranges"][0]["ahead"]) == ahead])
        whom = f"{ahead[0]} leads" if len(ahead) == 1 else f"It is too close to call between {' and '.join(ahead)}"
        out.print(f"{whom} over the whole range of {names}.")
    legend = ", ".join(f"{letter} {strategy}" for strategy, letter in letters.items())
    out.print(f"{legend}; · too close to call. The bar's width is a parameter's trials, not its values.", style="dim")


def _bar(ranges: list[dict], letters: dict[str, str]) -> Text:
    cells = sum(part["cells"] for part in ranges)
    text, done = "", 0
    for part in ranges:
        done += part["cells"]
        text = text.ljust(round(done * _BAR / cells), letters[part["leads"]] if part["leads"] else "·")
    return Text(text, style="cyan")


def _range(part: dict, letters: dict[str, str]) -> str:
    who = letters[part["leads"]] if part["leads"] else " or ".join(letters[name] for name in part["ahead"])
    return f"{who} {part['low']:.3g} to {part['high']:.3g}"


def _letters(count: int) -> list[str]:
    return [ascii_uppercase[k] if count <= len(ascii_uppercase) else f"{k + 1}" for k in range(count)]


def _half(estimate: dict) -> str:
    """Half the interval, "?" where the estimate has none since all trials agree."""
    return "?" if estimate["low"] is None else f"{(estimate['high'] - estimate['low']) / 2.0:.2g}"
