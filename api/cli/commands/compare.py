"""``brink compare``: strategies on the same trials: differences, regret, and which one leads by parameter."""

from collections.abc import Sequence
from functools import partial
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
from api.figures import amount, negated, share_with_error, signed
from api.leads import SHOWN_PARTS, TOO_CLOSE, LeadPart, lead_parts, leads_text, ordered_leads
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS

_BAR = 40
_SHOWN_LEADS = 5
_MAIN = (
    "agreement",
    "sanctions",
    "agreement_week",
    "market_access",
    "sanctions_weeks",
    "export_gain",
    "sender_cost",
    "target_cost",
)
"""Differences that are printed without --all, with those of the measures of choice."""


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
    everything: Annotated[
        bool,
        typer.Option("--all", help="Print every difference, how often each does better than each, every parameter."),
    ] = False,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("regret", "leads")] = None,
    as_json: AsJson = False,
) -> None:
    """Differences are taken trial by trial, since all strategies have the same parameters and the same chance."""
    from api.cli.answering import answer

    request = {"strategies": strategy, "measures": measure, "given": given, "believe": believe}
    render = partial(print_comparison, everything=everything)
    answer(run, "compare", request, as_json=as_json, charts=chart, ray_address=ray_address, render=render)


def print_comparison(out: Console, document: dict[str, Any], *, everything: bool = False) -> None:
    """Print a document of `cluster.answers.compare`: the answer, each choice, and differences from the first strategy.

    Without `everything` only the main differences and the parameters on which the choice depends most.
    """
    found = document["result"]
    reference, *others = document["strategies"]
    title = f"{document['scenario']}: {len(others) + 1} strategies in the same {found['trials']['compared']:,} trials"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    _print_answer(out, found)
    left_out = []
    for choice in found["choices"]:
        left_out += _print_choice(out, document["strategies"], found["pairs"], choice, everything=everything)
    left_out += _print_differences(out, found, reference, others, everything=everything)
    if found["set_by_strategies"] and not everything:
        left_out.append("the parameters that a compared strategy sets")
    elif found["set_by_strategies"]:
        set_by = "; ".join(f"{name} ({', '.join(by)})" for name, by in found["set_by_strategies"].items())
        out.print(f"Not a belief here, since a compared strategy sets it: {set_by}.", style="dim")
    print_assumptions(out, document)
    more = f"--all prints also {_listed(left_out)}. " if left_out else ""
    out.print(f"{more}--json has every pair, and how intervals are computed.", style="dim")


def _listed(parts: list[str]) -> str:
    *others, last = dict.fromkeys(parts)
    return f"{', '.join(others)} and {last}" if others else last


def _print_answer(out: Console, found: dict[str, Any]) -> None:
    """Which strategy is best by the first measure of choice, how sure that is, and which beliefs would change it."""
    from api.sentences import belief_sentences, choice_sentences, dependence_sentence

    for sentence in (*choice_sentences(found), dependence_sentence(found)):
        if sentence:
            out.print(sentence)
    for belief in belief_sentences(found):
        out.print(f"- {belief}")


def _print_differences(
    out: Console, found: dict[str, Any], reference: str, others: list[str], *, everything: bool
) -> list[str]:
    """Each strategy less the first one, by answer; what is left out, in words."""
    against = {one["second"]: one for one in found["pairs"] if one["first"] == reference}
    rows: list[tuple[str, str, list[Text]]] = [
        (key, label, [_less(against[other][kind][key], 100.0, 1) for other in others])
        for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS))
        for key, label in labels(terms).items()
    ]
    shares = {key for key, _, _ in rows}
    main = {*_MAIN, *(choice["measure"] for choice in found["choices"])}
    for key in next(iter(against.values()))["measures"]:
        label, factor, digits = measure_scale(key)
        rows.append((key, label, [_less(against[other]["measures"][key], factor, digits) for other in others]))
    differing = [row for row in rows if not all(map(_is_same, row[2]))]
    shown = [row for row in differing if everything or row[0] in main]
    out.print()
    if shown:
        columns = [Column("", [label for _, label, _ in shown])]
        columns += [Column(other, [cells[k] for _, _, cells in shown]) for k, other in enumerate(others)]
        first_measure = sum(key in shares for key, _, _ in shown)
        headings = {0: "Probability, percentage points"} if first_measure else {}
        if first_measure < len(shown):
            headings[first_measure] = "Mean"
        print_table(out, columns, title=f"Difference from {reference}", gap=1, headings=headings)
    same = [label for key, label, cells in rows if all(map(_is_same, cells)) and (everything or key in main)]
    if same:
        out.print(f"The same in every trial, or not known in any: {'; '.join(same)}.")
    if shown:
        out.print(
            f"Each column is that strategy less {reference}, ± half the 95 % interval, ~ where the interval contains "
            "0; 0: the same in every trial; -: not known.",
            style="dim",
        )
    hidden = len(differing) - len(shown)
    return [f"{hidden} more difference{'s' * (hidden > 1)}"] if hidden else []


def _is_same(cell: Text) -> bool:
    return cell.plain in ("0", "-")


def _less(found: dict[str, Any], factor: float, digits: int) -> Text:
    """The second strategy's value less the first's."""
    difference = found["difference"]
    if difference["standard_error"] is None:
        return Text("-")
    if found["equal"]["estimate"] == 1.0:
        return Text("0", style="dim")
    text = signed(negated(difference), factor, digits)
    return Text(text, style="dim" if text.startswith("~") or text.endswith("?") else "")


def _print_choice(
    out: Console, strategies: list[str], pairs: list[dict[str, Any]], choice: dict[str, Any], *, everything: bool
) -> list[str]:
    """Regret by a measure, and on what the choice by it depends; what is left out, in words."""
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
        return []
    regret = dict(sorted(choice["regret"].items(), key=lambda one: one[1]["mean"]["estimate"]))
    _print_regret(out, regret)
    left_out = []
    if everything:
        _print_duels(out, strategies, pairs, name)
    elif len(strategies) > 2:
        left_out.append("how often each strategy does better than each other")
    return left_out + _print_leads(out, strategies, choice["leads"], next(iter(regret)), everything=everything)


def _print_regret(out: Console, regret: dict[str, Any]) -> None:
    columns = [
        Column("", list(regret)),
        Column("mean", [amount(one["mean"], significant=2) for one in regret.values()]),
    ]
    for level, label in (("0.5", "median"), ("0.9", "90 % quantile"), ("0.95", "95 % quantile")):
        found = [one["quantiles"].get(level) for one in regret.values()]
        columns.append(Column(label, ["–" if one is None else f"{one['estimate']:z.3g}" for one in found]))
    for label, key in (("is best", "best"), ("is best alone", "best_alone")):
        columns.append(Column(label, [share_with_error(one[key]) for one in regret.values()]))
    print_table(out, columns, title="Regret: below the best strategy in the same trial")


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


def _print_leads(
    out: Console, strategies: list[str], leads: list[dict[str, Any]], best: str, *, everything: bool
) -> list[str]:
    """The strategies that lead over the range of each parameter; what is left out, in words."""
    parts = {one["name"]: lead_parts(one) for one in ordered_leads(leads, best)}
    units = {one["name"]: one["unit"] for one in leads}
    changing = [name for name, own in parts.items() if len(own) > 1]
    shown = changing if everything else changing[:_SHOWN_LEADS]
    most = None if everything else SHOWN_PARTS
    if shown:
        letters = dict(zip(strategies, _letters(len(strategies)), strict=True))
        columns: list[Column | Bars] = [
            Column("", shown),
            Bars("low to high", lambda width: [_bar(parts[name], letters, width) for name in shown], 20, _BAR),
            Column("ranges", [f"{leads_text(parts[name], best, most)} ({units[name]})" for name in shown], prose=True),
        ]
        print_table(out, columns, title="Which strategy leads, by what you believe")
        if out.is_terminal:
            legend = ", ".join(f"{letter} {strategy}" for strategy, letter in letters.items())
            out.print(f"{legend}, · {TOO_CLOSE}. The bar's width is a parameter's trials, not its values.", style="dim")
    steady: dict[str | None, list[str]] = {}
    for name, own in parts.items():
        if len(own) == 1:
            steady.setdefault(own[0].leader, []).append(name)
    for leader, names in steady.items():
        whom = f"It is {TOO_CLOSE}" if leader is None else f"{leader} leads"
        out.print(f"{whom} over the whole range of {some_names(names)}.")
    hidden = len(changing) - len(shown)
    return [f"{hidden} more parameter{'s' * (hidden > 1)} over whose range the lead changes"] if hidden else []


def _bar(parts: Sequence[LeadPart], letters: dict[str, str], width: int) -> Text:
    text, done = "", 0.0
    for part in parts:
        done += part.share
        text = text.ljust(round(done * width), letters[part.leader] if part.leader else "·")
    return Text(text, style="cyan")


def _letters(count: int) -> list[str]:
    return [ascii_uppercase[k] if count <= len(ascii_uppercase) else f"{k + 1}" for k in range(count)]
