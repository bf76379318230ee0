"""What there is to work with, as documents: the shipped scenarios and the model's parameters."""

from typing import Any

from api.shipped_scenarios import shipped_names, shipped_text
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS


def scenario_entries() -> list[dict[str, Any]]:
    """The shipped scenarios, an entry each, from their files: the scenarios themselves take much longer to build."""
    return [_entry(name) for name in shipped_names()]


def _entry(name: str) -> dict[str, Any]:
    from sim.scenario.yaml_lines import read_yaml

    document: Any = read_yaml(shipped_text(name), f"{name}.yaml")[0]
    strategies = list(document.get("strategies", {"base": {}}))
    return {
        "name": name,
        "title": document["title"],
        "as_of": document.get("as_of"),
        "strategies": strategies,
        "strategy_used": document.get("history", {}).get("strategy"),
    }


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
