"""``brink worth``: the value of learning parameters before a strategy is chosen."""

from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RunFolder, Strategies, measure_option
from api.cli.output import heading, print_assumptions, some_names
from api.cli.rendering import bars
from api.cli.tables import Bars, Column, print_table
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
    answer(run, "worth", request, as_json=as_json, charts=chart, render=print_worth)


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
    found, method = document["result"], document["method"]
    title = f"Value of information, choosing by {found['measure']}"
    out.print(heading(title, f", given {document['given']}" if document["given"] else ""))
    print_evidence(out, document.get("evidence"))
    trials = found["trials"]
    if trials["unknown"]:
        out.print(
            f"{trials['unknown']:,} of {trials['read']:,} trials have no value under some strategy and are left out.",
            style="dim",
        )
    _print_now(out, found["now"])
    out.print(
        f"Knowing everything in advance, including chance, would be worth {_plus_minus(found['everything'])}: no "
        "parameter is worth more."
    )
    rows = [*found["groups"], *found["parameters"]]
    shown = [one for one in rows if _found(one)]
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
        f"Value: {method['value']}. Promised: {method['promised']}. "
        f"{trials['known']:,} trials, {trials['groups']:,} for groups. {method['errors']}.",
        style="dim",
    )


def _print_values(out: Console, shown: list[dict[str, Any]]) -> None:
    parts = [max(0.0, min(1.0, one["share_of_everything"] or 0.0)) for one in shown]
    columns: list[Column | Bars] = [
        Column("", [_name(one) for one in shown]),
        Column("value", [_plus_minus(one["value"]) for one in shown]),
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


def _print_now(out: Console, now: dict[str, Any]) -> None:
    best = now["best"]
    out.print(f"Knowing nothing more, {best} is best: {_plus_minus(now['means'][best])} on average.")
    name, nearest = min(now["others"].items(), key=lambda one: one[1]["short_by"]["estimate"])
    doubt = " That is too close to call." if (nearest["short_by"]["low"] or 0.0) <= 0.0 else ""
    out.print(
        f"Next is {name}, lower by {_plus_minus(nearest['short_by'])}, though better in "
        f"{100 * nearest['better_in']['estimate']:.0f} % of the trials.{doubt}"
    )


def _found(one: dict[str, Any]) -> bool:
    return one["value"]["low"] is not None and one["value"]["low"] > 0.0


def _taken(one: dict[str, Any]) -> list[tuple[str, float]]:
    parts = [(name, part) for name, part in one["chosen"].items() if part >= _TAKEN]
    return sorted(parts, key=lambda part: -part[1])


def _plus_minus(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return "-" if found["estimate"] is None else f"{found['estimate']:z.3g} ±?"
    return f"{found['estimate']:z.3g} ±{(found['high'] - found['low']) / 2.0:.2g}"
