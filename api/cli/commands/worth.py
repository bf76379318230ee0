"""``brink worth``: the value of learning parameters before a strategy is chosen."""

from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RayOfAnswer, RunFolder, Strategies, measure_option
from api.cli.output import heading, print_assumptions, some_names
from api.cli.rendering import bars
from api.cli.tables import Bars, Column, print_table
from api.figures import amount
from sim.faults import Fault, InvalidInput

_SHOWN = 20
_TAKEN = 0.005
"""A strategy chosen in a smaller share of trials is not shown."""


def worth(
    run: RunFolder,
    measure: Annotated[str | None, measure_option("The number to choose a strategy by, more being better")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=P1,P2", help="Parameters that would be learned together; may be repeated."),
    ] = None,
    strategy: Strategies = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("values", "means")] = None,
    as_json: AsJson = False,
) -> None:
    """The value is the expected gain from choosing a strategy after learning it (expected value of partial perfect
    information), with its error.
    """
    from api.cli.answering import answer

    request = {
        "measure": measure,
        "groups": _groups(group or []),
        "strategies": strategy,
        "given": given,
        "believe": believe,
    }
    answer(run, "worth", request, as_json=as_json, charts=chart, ray_address=ray_address, render=print_worth)


def _groups(texts: list[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, sign, members = text.partition("=")
        if not sign or name.strip() in groups:
            raise InvalidInput((Fault("groups", text, "must be name=parameter,parameter with a name of its own"),))
        groups[name.strip()] = [member.strip() for member in members.split(",") if member.strip()]
    return groups


def print_worth(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.worth`: the choice as it stands, then what learning would add."""
    # Sentences need the answers, which the help of the command does not.
    from api.sentences import worth_learning

    found = document["result"]
    title = f"Value of information, choosing by {found['measure']}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    trials = found["trials"]
    if trials["unknown"]:
        out.print(
            f"{trials['unknown']:,} of {trials['read']:,} trials have no value under some strategy and are left out.",
            style="dim",
        )
    _print_answer(out, found)
    rows = [*found["groups"], *found["parameters"]]
    shown = [one for kind in ("groups", "parameters") for one in worth_learning(found, kind)]
    if shown:
        _print_values(out, shown[:_SHOWN])
    if len(shown) > _SHOWN:
        out.print(f"And {len(shown) - _SHOWN} more, worth less.", style="dim")
    rest = [one["name"] for one in rows if one not in shown]
    if rest:
        out.print(f"No value was found for {some_names(rest)}: the choice would hardly ever change.")
    if found["set_by_strategies"]:
        set_by = "; ".join(f"{name} ({', '.join(by)})" for name, by in found["set_by_strategies"].items())
        out.print(f"Nothing to learn, since a compared strategy sets it: {set_by}.", style="dim")
    print_assumptions(out, document)
    out.print(
        "Value: the expected value of partial perfect information (EVPPI), of choices made on other trials than those "
        "on which they are valued. Promised: the same on the trials on which they were made, which is too high; if it "
        f"is far above the value, more trials would help. {trials['known']:,} trials, {trials['groups']:,} for groups; "
        "--json says how each is computed.",
        style="dim",
    )


def _print_values(out: Console, shown: list[dict[str, Any]]) -> None:
    parts = [max(0.0, min(1.0, one["share_of_everything"] or 0.0)) for one in shown]
    columns: list[Column | Bars] = [
        Column("", [_name(one) for one in shown]),
        Column("value", [amount(one["value"], significant=2) for one in shown]),
        Column("promised", [f"{one['promised']:.3g}" if "promised" in one else "-" for one in shown]),
        Column("of everything", [f"{100 * (one['share_of_everything'] or 0.0):.0f} %" for one in shown]),
        bars("", parts),
        Column("then you would choose", [_choices(one) for one in shown], prose=True),
    ]
    print_table(out, columns, title="Value of learning")


def _name(one: dict[str, Any]) -> str:
    return one["name"] if "parameters" not in one else f"{one['name']} ({len(one['parameters'])} parameters)"


def _choices(one: dict[str, Any]) -> str:
    return ", ".join(f"{name} {100 * part:.0f} %" for name, part in _taken(one))


def _print_answer(out: Console, found: dict[str, Any]) -> None:
    """The choice without learning, and what learning everything and the best single parameter would add."""
    from api.sentences import best_by, learning_sentence, unit_of

    now, unit = found["now"], unit_of(found["measure"])
    best = now["best"]
    second, nearest = min(now["others"].items(), key=lambda one: one[1]["short_by"]["estimate"])
    out.print(best_by(found["measure"], [best], second, len(now["means"]), nearest["short_by"]))
    out.print(f"{best} has {amount(now['means'][best], unit)} on average.")
    out.print(
        f"Learning everything before the choice, chance too, would be worth {amount(found['everything'], unit)}: no "
        "parameter is worth more."
    )
    out.print(learning_sentence(found))


def _taken(one: dict[str, Any]) -> list[tuple[str, float]]:
    parts = [(name, part) for name, part in one["chosen"].items() if part >= _TAKEN]
    return sorted(parts, key=lambda part: -part[1])
