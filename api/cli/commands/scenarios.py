"""``brink scenarios``: the shipped scenarios."""

from api.cli.options import AsJson
from api.cli.output import console, print_json


def scenarios(as_json: AsJson = False) -> None:
    """List the shipped scenarios."""
    from rich.table import Table

    from api.catalogue import scenario_entries

    found = scenario_entries()
    if as_json:
        print_json(found)
        return
    table = Table("name", "as of", "title", "strategies", show_edge=False, pad_edge=False)
    for one in found:
        table.add_row(one["name"], one["as_of"] or "-", one["title"], ", ".join(one["strategies"]))
    console().print(table)
