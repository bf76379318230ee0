"""``brink compare``: strategies on the same trials: differences, regret, and which one leads by parameter."""

from string import ascii_uppercase
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RayOfAnswer, RunFolder, Strategies
from api.cli.output import heading, print_assumptions, some_names
from api.cli.rendering import labels, measure_scale
from api.cli.tables import Bars, Column, print_table
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS

_BAR = 40


def compare(
    run: RunFolder,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPRESSION",
            help='A number of each trial, more being better, such as "export_gain - sender_cost"; may be repeated.',
            show_default="the scenario's choice, else export_gain - sender_cost, and the measures of the summary",
        ),
    ] = None,
    strategy: Strategies = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("regret", "leads")] = None,
    as_json: AsJson = False,
) -> None:
    """Differences are taken trial by trial, since all strategies have the same parameters and the same chance."""
    from api.cli.answering import answer

    request = {"strategies": strategy, "measures": measure, "given": given, "believe": believe}
    answer(run, "compare", request, as_json=as_json, charts=chart, ray_address=ray_address, render=print_comparison)


def print_comparison(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.compare`: the answer, differences from the first strategy, each choice."""
    found = document["result"]
    reference, *others = document["strategies"]
    title = f"{document['scenario']}: {len(others) + 1} strategies in the same {found['trials']['compared']:,} trials"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    _print_answer(out, found)
    _print_differences(out, found["pairs"], reference, others)
    for choice in found["choices"]:
        _print_choice(out, document["strategies"], found["pairs"], choice)
    if found["set_by_strategies"]:
        set_by = "; ".join(f"{name} ({', '.join(by)})" for name, by in found["set_by_strategies"].items())
        out.print(f"Not a belief here, since a compared strategy sets it: {set_by}.", style="dim")
    print_assumptions(out, document)
    out.print(f"{document['method']['errors']}. --json has every pair.", style="dim")


def _print_answer(out: Console, found: dict[str, Any]) -> None:
    """Which strategy is best by the first measure of choice, how sure that is, and which beliefs would change it."""
    from api.sentences import belief_sentences, choice_sentences

    for sentence in choice_sentences(found):
        out.print(sentence)
    beliefs = belief_sentences(found)
    if beliefs:
        out.print("The best strategy depends on these beliefs:")
        for belief in beliefs:
            out.print(f"- {belief}")
    elif found["choices"][0]["leads"]:
        out.print("No single parameter, over its whole range, makes another strategy clearly better.")


def _print_differences(out: Console, pairs: list[dict[str, Any]], reference: str, others: list[str]) -> None:
    against = {one["second"]: one for one in pairs if one["first"] == reference}
    rows = [
        (label, [_less(against[other][kind][key], 100.0, 1) for other in others])
        for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS))
        for key, label in labels(terms).items()
    ]
    shares = len(rows)
    for key in next(iter(against.values()))["measures"]:
        label, factor, digits = measure_scale(key)
        rows.append((label, [_less(against[other]["measures"][key], factor, digits) for other in others]))
    shown = [(label, cells, k < shares) for k, (label, cells) in enumerate(rows) if not all(map(_is_same, cells))]
    columns = [Column("", [label for label, _, _ in shown])]
    columns += [Column(other, [cells[k] for _, cells, _ in shown]) for k, other in enumerate(others)]
    first_measure = sum(share for _, _, share in shown)
    out.print()
    print_table(
        out,
        columns,
        title=f"Difference from {reference}",
        gap=1,
        headings={0: "Probability, percentage points", first_measure: "Mean"},
    )
    same = [label for label, cells in rows if all(map(_is_same, cells))]
    if same:
        out.print(f"The same in every trial, or not known in any: {'; '.join(same)}.")
    out.print(
        f"Each column is that strategy less {reference}, ± half the 95 % interval, ~ where the interval contains 0; "
        "0: the same in every trial; -: not known.",
        style="dim",
    )


def _is_same(cell: Text) -> bool:
    return cell.plain in ("0", "-")


def _less(found: dict[str, Any], factor: float, digits: int) -> Text:
    """The second strategy's value less the first's."""
    difference = found["difference"]
    if difference["standard_error"] is None:
        return Text("-")
    if found["equal"]["estimate"] == 1.0:
        return Text("0", style="dim")
    if difference["low"] is None:
        return Text(f"{-factor * difference['estimate']:+z.{max(digits, 1)}f}±?", style="dim")
    half = factor * (difference["high"] - difference["low"]) / 2.0
    clear = difference["low"] > 0.0 or difference["high"] < 0.0
    digits = max(digits, 1) if half >= 0.05 else max(digits, 2) if half >= 0.005 else 3
    text = f"{-factor * difference['estimate']:+z.{digits}f}±{half:.{digits}f}"
    return Text(text if clear else f"~{text}", style="" if clear else "dim")


def _print_choice(out: Console, strategies: list[str], pairs: list[dict[str, Any]], choice: dict[str, Any]) -> None:
    name = choice["measure"]
    out.print(heading(f"\nBy {name}, more being better"))
    if choice["unknown"]:
        out.print(
            f"Of {choice['trials'] + choice['unknown']:,} trials, {choice['trials']:,} have a value under every one. "
            "The others are left out.",
            style="dim",
        )
    if not choice["regret"]:
        out.print("No trial has a value under every strategy.")
        return
    _print_regret(out, choice["regret"])
    _print_duels(out, strategies, pairs, name)
    _print_leads(out, strategies, choice["leads"])


def _print_regret(out: Console, regret: dict[str, Any]) -> None:
    columns = [
        Column("", list(regret)),
        Column("mean", [f"{one['mean']['estimate']:z.3g} ±{_half(one['mean'])}" for one in regret.values()]),
    ]
    for k, label in enumerate(("median", "90 % quantile", "95 % quantile")):
        columns.append(
            Column(label, [f"{list(one['quantiles'].values())[k]['estimate']:z.3g}" for one in regret.values()])
        )
    for label, key in (("is best", "best"), ("is best alone", "best_alone")):
        columns.append(Column(label, [_share(one[key]) for one in regret.values()]))
    print_table(out, columns, title="Regret: below the best strategy in the same trial")


def _share(found: dict[str, Any]) -> str:
    return f"{100 * found['estimate']:.1f} % ±{50 * (found['high'] - found['low']):.1f}"


def _print_duels(out: Console, strategies: list[str], pairs: list[dict[str, Any]], measure: str) -> None:
    """The share of trials in which the strategy of a row does better than that of a column."""
    shares: dict[tuple[str, str], float | None] = {}
    for one in pairs:
        own = one["measures"][measure]
        shares[one["first"], one["second"]] = own["higher"]["estimate"]
        shares[one["second"], one["first"]] = own["lower"]["estimate"]
    columns = [Column("", strategies)]
    for column in strategies:
        found = [shares.get((row, column)) for row in strategies]
        columns.append(Column(column, ["" if share is None else f"{100 * share:.1f}" for share in found]))
    print_table(out, columns, title="Does better than, % of the same trials", gap=1)


def _print_leads(out: Console, strategies: list[str], leads: list[dict[str, Any]]) -> None:
    letters = dict(zip(strategies, _letters(len(strategies)), strict=True))
    steady = [one for one in leads if len(one["ranges"]) == 1]
    changing = [one for one in leads if len(one["ranges"]) > 1]
    if changing:
        columns: list[Column | Bars] = [
            Column("", [one["name"] for one in changing]),
            Bars("low to high", lambda width: [_bar(one["ranges"], letters, width) for one in changing], 20, _BAR),
            Column("ranges", [_ranges(one, letters) for one in changing], prose=True),
        ]
        print_table(out, columns, title="Which strategy leads, by what you believe")
        legend = ", ".join(f"{letter} {strategy}" for strategy, letter in letters.items())
        bar = (
            " · too close to call. The bar's width is a parameter's trials, not its values." if out.is_terminal else ""
        )
        out.print(f"{legend}.{bar}", style="dim")
    for ahead in dict.fromkeys(tuple(one["ranges"][0]["ahead"]) for one in steady):
        names = some_names([one["name"] for one in steady if tuple(one["ranges"][0]["ahead"]) == ahead])
        whom = f"{ahead[0]} leads" if len(ahead) == 1 else f"It is too close to call between {' and '.join(ahead)}"
        out.print(f"{whom} over the whole range of {names}.")


def _ranges(one: dict[str, Any], letters: dict[str, str]) -> str:
    return f"{'; '.join(_range(part, letters) for part in one['ranges'])} ({one['unit']})"


def _bar(ranges: list[dict[str, Any]], letters: dict[str, str], width: int) -> Text:
    cells = sum(part["cells"] for part in ranges)
    text, done = "", 0
    for part in ranges:
        done += part["cells"]
        text = text.ljust(round(done * width / cells), letters[part["leads"]] if part["leads"] else "·")
    return Text(text, style="cyan")


def _range(part: dict[str, Any], letters: dict[str, str]) -> str:
    who = letters[part["leads"]] if part["leads"] else " or ".join(letters[name] for name in part["ahead"])
    return f"{who} {part['low']:.3g} to {part['high']:.3g}"


def _letters(count: int) -> list[str]:
    return [ascii_uppercase[k] if count <= len(ascii_uppercase) else f"{k + 1}" for k in range(count)]


def _half(estimate: dict[str, Any]) -> str:
    """Half the interval, "?" where the estimate has none because all trials are equal."""
    return "?" if estimate["low"] is None else f"{(estimate['high'] - estimate['low']) / 2.0:.2g}"
