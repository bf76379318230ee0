"""``brink scenarios``: the shipped scenarios."""

from typing import Annotated

import typer

from api.cli.options import AsJson, complete_scenario
from api.cli.output import console, print_json


def scenarios(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Print this scenario instead, to start one of your own from.",
            show_default=False,
            autocompletion=complete_scenario,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Any command that takes a SCENARIO takes one of these names.

    With a NAME the text of that scenario is printed: brink scenarios NAME > own.yaml.
    """
    if name is not None:
        _print_scenario(name, as_json)
        return
    from api.catalogue import scenario_entries
    from api.cli.tables import Column, print_table

    found = scenario_entries()
    if as_json:
        print_json(found)
        return
    columns = [
        Column("name", [one["name"] for one in found]),
        Column("as of", [str(one["as_of"] or "-") for one in found], left=True),
        Column("title", [one["title"] for one in found], prose=True),
        Column("strategies", [", ".join(one["strategies"]) for one in found], prose=True),
    ]
    print_table(console(), columns)


def _print_scenario(name: str, as_json: bool) -> None:
    from api.shipped_scenarios import shipped_scenario, shipped_text

    if as_json:
        from sim.scenario.scenario import scenario_document

        print_json(scenario_document(shipped_scenario(name)))
    else:
        print(shipped_text(name), end="")
