"""Answers that compare strategies say what these assume of others than the sender."""

import json

import pytest

from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import scenario_from_document
from tests.support.command_line import brink
from tests.support.examples import changed, litigious

STRATEGIES = {"threaten": {}, "talk": {"threat_probability": 0}, "won": {"target_win": 0, "credibility": 1}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("assumptions") / "run"
    scenario = scenario_from_document(changed(litigious(), strategies=STRATEGIES))
    run(make_plan(scenario, trials=2000, seed=3), path, RunOptions(engine="inline"))
    return path


@pytest.mark.parametrize("command", [["compare"], ["worth", "--measure", "export_gain"]])
def test_a_comparison_says_what_its_strategies_assume(folder, command):
    name, *options = command
    note = "won sets target_win (decided by the court), credibility (decided by both sides): an assumption"
    printed = brink(name, str(folder), *options, cwd=folder.parent).stdout
    assert f"Assumptions: {note}" in " ".join(printed.split())
    document = json.loads(brink(name, str(folder), *options, "--json", cwd=folder.parent).stdout)
    assert document["method"]["assumptions"].startswith(note)
    own = [*options, "--strategy", "threaten", "--strategy", "talk"]
    assert "assumptions" not in json.loads(brink(name, str(folder), *own, "--json", cwd=folder.parent).stdout)["method"]
