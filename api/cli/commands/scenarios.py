"""``brink scenarios``: the shipped scenarios."""

from api.cli.options import AsJson
from api.cli.output import console, print_json


def scenarios(as_json: AsJson = False) -> None:
    """Any command that takes a SCENARIO takes one of these names."""
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
