"""``--set``: parameters that the user sets to a number or a distribution under every strategy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sim.scenario.scenario import Scenario

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a parameter under every strategy, to a number or to a distribution such as '{uniform: [0.5, 1]}'; "
        "may be repeated. The trials are played anew with the same chance.",
        show_default="nothing",
    ),
]


def set_parameters(scenario: "Scenario", texts: Sequence[str]) -> "Scenario":
    """The scenario with the parameters that a user set. Raises `InvalidInput`."""
    from sim.faults import Fault, InvalidInput, decimal_comma
    from sim.scenario.scenario import intervene
    from sim.scenario.yaml_lines import read_yaml

    values: dict[str, object] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name or not value.strip():
            raise InvalidInput((Fault("set", text, "must be a name and a value, such as target_win=0.9"),))
        if name in values:
            raise InvalidInput((Fault("set", name, "is set more than once"),))
        if not any(bracket in value for bracket in "{[") and (message := decimal_comma(value)):
            raise InvalidInput((Fault(f"set.{name}", value, message),))
        try:
            document, _, faults = read_yaml(f"value: {value}", "--set")
        except InvalidInput as error:
            document, faults = None, error.faults
        if faults or not isinstance(document, dict) or set(document) != {"value"}:
            raise InvalidInput((Fault(f"set.{name}", value, faults[0].message if faults else "must be one value"),))
        values[name] = document["value"]
    return intervene(scenario, values) if values else scenario


def folder_suffix(scenario: "Scenario") -> str:
    """What a run's default folder ends with if parameters are set: short, and another one for other values."""
    if not scenario.interventions:
        return ""
    from sim.scenario.scenario import scenario_hash

    return f"-set-{scenario_hash(scenario)[:8]}"


def print_settings(out: "Console", document: dict[str, Any]) -> None:
    """Print which parameters were set, if any."""
    if document.get("set"):
        from api.sentences import distribution_line

        shown = ", ".join(f"{name} = {distribution_line(value)}" for name, value in document["set"].items())
        out.print(f"Set under every strategy: {shown}.")
