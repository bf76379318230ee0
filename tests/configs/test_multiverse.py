"""The alternatives of ``docs/multiverse.md`` are scenarios, and change what they say and nothing else."""

import pytest

from api.shipped_scenarios import shipped_names, shipped_scenario
from cluster.answers.outside_view import past_cases
from docs.multiverse import ALTERNATIVES, HERE, endings
from sim.scenario.scenario import scenario_document, scenario_from_document, scenario_hash


@pytest.mark.parametrize("name", shipped_names())
def test_every_alternative_of_a_shipped_scenario_is_valid(name):
    document = scenario_document(shipped_scenario(name))
    found = {key: scenario_from_document(change(document)) for key, change in ALTERNATIVES.items()}
    assert scenario_hash(found["as shipped"]) == scenario_hash(shipped_scenario(name))
    count = len(document["issues"])
    assert [one.weight for one in found["the weightiest issue alone"].issues] == [1.0]
    assert len(found["each issue in two"].issues) == 2 * count
    for key, one in found.items():
        assert sum(issue.weight for issue in one.issues) == pytest.approx(1.0), key
    third, whole = (found[key].base["target_stake"].support for key in ("stakes × 1/3", "as shipped"))
    assert third.high == pytest.approx(whole.high / 3)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_page_shows_what_is_simulated():
    """If this fails because a scenario or the model has changed, run ``python -m docs.multiverse``."""
    lines = (HERE / "multiverse.md").read_text(encoding="utf-8").splitlines()
    header, shipped = (next(line for line in lines if line.startswith(start)) for start in ("| | ", "| as shipped"))
    cells = dict(zip(_cells(header), _cells(shipped), strict=True))
    scenario, strategy = shipped_scenario("us-japan-autos-1995"), "threaten-and-decide-then"
    assert cells[scenario.name] == endings(scenario, strategy, past_cases(scenario, strategy))
