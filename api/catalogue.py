"""What there is to work with, as documents: the shipped scenarios and the model's parameters."""

from typing import Any

from api.shipped_scenarios import shipped_names, shipped_scenario
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS


def scenario_entries() -> list[dict[str, Any]]:
    """The shipped scenarios, an entry each."""
    return [
        {"name": one.name, "title": one.title, "as_of": one.as_of, "strategies": list(one.strategies)}
        for one in map(shipped_scenario, shipped_names())
    ]


def parameter_entries() -> list[dict[str, Any]]:
    """The parameters: who decides each, its unit, domain and neutral default. A default of None must be given."""
    return [
        {
            "name": f"issues.<issue>.{one.name}" if one.group == "issue" else one.name,
            "group": one.group,
            "decided_by": one.decided_by,
            "unit": one.unit,
            "domain": str(one.domain),
            "default": one.default,
            "meaning": one.meaning,
        }
        for one in (*ISSUE_PARAMETERS, *PARAMETERS)
    ]
