"""``brink parameters``: the catalogue of parameters."""

from api.cli.options import AsJson
from api.cli.output import console, print_json


def parameters(as_json: AsJson = False) -> None:
    """Each may be a number or a distribution in a scenario, and may be set by a strategy."""
    from api.catalogue import parameter_entries
    from api.cli.tables import Column, print_table

    found = parameter_entries()
    if as_json:
        print_json(found)
        return
    columns = [
        Column("parameter", [one["name"] for one in found]),
        Column("decided by", [one["decided_by"] for one in found], left=True),
        Column("unit", [one["unit"] for one in found], left=True),
        Column("domain", [one["domain"] for one in found], left=True),
        Column(
            "default", ["required" if one["default"] is None else f"{one['default']:g}" for one in found], left=True
        ),
        Column("meaning", [one["meaning"] for one in found], prose=True),
    ]
    groups = [one["group"] for one in found]
    headings = {k: group for k, group in enumerate(groups) if k == 0 or groups[k - 1] != group}
    print_table(console(), columns, headings=headings)
