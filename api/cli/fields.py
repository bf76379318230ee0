"""Names of fields in faults, and the options or arguments that a user typed for them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sim.faults import Fault

OPTIONS = {
    "set": "setting",
    "strategies": "strategy",
    "issues": "issue",
    "measures": "measure",
    "statistics": "statistic",
    "groups": "group",
    "scenarios": "scenario",
    "folder": "run",
    "scopes": "scope",
    "expires_days": "expires",
    "edges": "by",
}
"""The command's parameter for a field of another name."""


def with_options(faults: Iterable[Fault], parameters: Iterable[Any]) -> tuple[Fault, ...]:
    """The faults with each field replaced by the option or argument it came from.

    `parameters` are those of the command that was used. A fault of a file, which has a source, and a field that the
    command has no option for are left as they are.
    """
    shown = {
        one.name: one.opts[0] if one.param_type_name == "option" else one.metavar.strip("[].") for one in parameters
    }
    return tuple(fault if fault.source else _with_option(fault, shown) for fault in faults)


def _with_option(fault: Fault, shown: dict[str, str]) -> Fault:
    name, _, within = fault.field.partition("[")[0].partition(".")
    option = shown.get(name) or shown.get(OPTIONS.get(name, name))
    if option is None and name == "scenario":
        # Commands that take a run instead, or a shipped scenario alone, call the argument otherwise.
        option = shown.get("run") or shown.get("name")
    if option and name == "set" and within:
        option = f"{option} {within}"
    return replace(fault, field=option) if option else fault
