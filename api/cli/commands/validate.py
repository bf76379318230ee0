"""``brink validate``: every fault of a scenario, and its probable mistakes."""

from math import isfinite

from api.cli.options import AsJson, ScenarioArgument
from api.cli.output import print_json, print_warnings
from sim.faults import Fault, InvalidInput


def validate(scenario: ScenarioArgument, as_json: AsJson = False) -> None:
    """The exit status is 2 if there is a fault; a warning alone does not change it."""
    from api.shipped_scenarios import find_scenario

    try:
        found = find_scenario(scenario)
    except InvalidInput as error:
        if as_json:
            print_json({"valid": False, "errors": [_fault(fault) for fault in error.faults], "warnings": []})
        raise
    if as_json:
        print_json({"valid": True, "errors": [], "warnings": [_fault(warning) for warning in found.warnings]})
        return
    print_warnings(found)
    print(
        f"{found.name}: valid. {len(found.issues)} issues, {len(found.uncertain)} uncertain parameters, "
        f"{found.horizon_weeks} weeks, strategies {', '.join(found.strategies)}"
    )


def _fault(fault: Fault) -> dict:
    plain = isinstance(fault.value, str | int | None) or (isinstance(fault.value, float) and isfinite(fault.value))
    found = fault.value if plain else repr(fault.value)
    return {"field": fault.field, "line": fault.line, "message": fault.message, "found": found}
