"""``brink parameters``: the catalogue of parameters."""

from api.cli.options import AsJson
from api.cli.output import console, print_json


def parameters(as_json: AsJson = False) -> None:
    """List the parameters with who decides them, their units, domains and neutral defaults."""
    from rich.table import Table

    from api.catalogue import parameter_entries

    found = parameter_entries()
    if as_json:
        print_json(found)
        return
    table = Table(
        "group", "parameter", "decided by", "unit", "domain", "default", "meaning", show_edge=False, pad_edge=False
    )
    for one in found:
        default = "required" if one["default"] is None else f"{one['default']:g}"
        table.add_row(one["group"], one["name"], one["decided_by"], one["unit"], one["domain"], default, one["meaning"])
    console().print(table)
