"""``brink rates``: how comparable threats of the past ended."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.commands.calibrate import pooled_note, rates_columns
from api.cli.options import AsJson, complete_scenario
from api.cli.output import console, heading, print_json
from api.figures import days_and_interval, share_and_interval
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from rich.console import Console


def rates(
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENARIO]",
            help="A scenario file or name: only its reference class, as known on its as_of.",
            show_default="all classes",
            autocompletion=complete_scenario,
        ),
    ] = None,
    known_on: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Only threats that had ended in the years before this day.",
            show_default="the scenario's as_of, or the whole record",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Brackets show counts and 95 % intervals; the source of the record is named below the table."""
    from api.cli.tables import print_table
    from api.shipped_scenarios import find_scenario
    from cluster.reference.rates import rates_document, scenario_rates

    day = _day(known_on)
    found = rates_document(day) if scenario is None else scenario_rates(find_scenario(scenario), day)
    if as_json:
        print_json(found)
        return
    out = console()
    when = f", as known on {found['known_on']}" if found["known_on"] else ""
    out.print(heading("How threats of trade sanctions ended", when))
    print_table(out, rates_columns(found["classes"], "class"))
    for one in found["classes"]:
        out.print(f"{one['class']}: {one['title']}.", style="dim")
    weights = {one["partition"] or "demand": one["prior_weight"] for one in found["classes"]}
    out.print(pooled_note(weights), style="dim")
    if found["records"]:
        print_table(out, rates_columns(found["records"], "record"))
    for one in found["records"]:
        out.print(f"{one['record']}: {one['title']}.", style="dim")
    _print_settled_by_week(out, found["classes"])
    _print_sanctions(out, found["sanctions"])
    for one in found["wto"]:
        share = one["estimate"]
        out.print(
            f"{one['title']}: {one['count']} of {one['of']}, {100 * share['estimate']:.0f} % "
            f"({100 * share['low']:.0f} to {100 * share['high']:.0f}), as counted on {one['counted_on']}."
        )
    if found["classes"] and not found["wto"] and scenario is None:
        out.print("Shares of disputes before the WTO had not been counted by then.", style="dim")
    out.print(f"Source: {found['source']}. In brackets: counts and 95 % intervals.", style="dim")


def _print_settled_by_week(out: "Console", classes: list[dict[str, Any]]) -> None:
    from api.cli.tables import Column, print_table

    weeks = list(classes[0]["agreed_by_week"])
    columns = [Column("", [one["class"] for one in classes])]
    columns += [
        Column(f"week {week}", [share_and_interval(one["agreed_by_week"][week]) for one in classes]) for week in weeks
    ]
    print_table(out, columns, title="Settled by a week from the first threat, pooled")


def _print_sanctions(out: "Console", found: dict[str, Any]) -> None:
    from api.cli.tables import Column, print_table

    rows = [one for one in found["after_weeks"] if one["known"]]
    if rows:
        columns = [
            Column("after", [f"{one['weeks']} weeks" for one in rows]),
            Column("sanctions", [str(one["known"]) for one in rows]),
        ]
        for name in rows[0]["counts"]:
            shares = [f"{one['counts'][name]}: {share_and_interval(one['rates'][name])}" for one in rows]
            columns.append(Column(name.replace("_", " "), shares))
        print_table(out, columns, title="What had become of sanctions that followed a threat")
    days = found["days"]
    if days is None:
        out.print("No sanctions that followed a threat had been imposed by then.", style="dim")
        return
    quartiles = ", ".join(
        f"{word} {days_and_interval(days['quartiles'][level])}"
        for level, word in (("0.25", "a quarter within"), ("0.5", "half within"), ("0.75", "three quarters within"))
    )
    out.print(f"Their length in days, {days['ended']} of {days['sanctions']} having ended: {quartiles}.")
    if days["observed_median"] is not None:
        out.print(
            f"Those in force are censored (Kaplan and Meier). Half of the {days['ended']} that had ended did so within "
            f"{days['observed_median']:.0f} days: the longest had not ended yet.",
            style="dim",
        )


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput((Fault("known_on", text, "must be a date, YYYY-MM-DD"),)) from None
