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


@pytest.mark.parametrize("command", [["compare"], ["worth", "--measure", "export_gain"], ["timeline"]])
def test_a_comparison_says_what_its_strategies_assume(folder, command):
    name, *options = command
    note = "won sets target_win (decided by the court), credibility (decided by both sides): an assumption"
    printed = brink(name, str(folder), *options, cwd=folder.parent).stdout
    assert f"Assumptions: {note}" in " ".join(printed.split())
    document = json.loads(brink(name, str(folder), *options, "--json", cwd=folder.parent).stdout)
    assert document["method"]["assumptions"].startswith(note)
    own = [*options, "--strategy", "threaten", "--strategy", "talk"]
    assert "assumptions" not in json.loads(brink(name, str(folder), *own, "--json", cwd=folder.parent).stdout)["method"]


def test_a_summary_says_what_its_strategies_assume(folder):
    stored = json.loads((folder / "summary.json").read_text())
    (note,) = stored["assumptions"]
    assert note.startswith("won sets target_win (decided by the court)")
    assert f"Assumptions: {note}." in " ".join(brink("summary", folder, status=0).stdout.split())
    own = ["--strategy", "threaten", "--strategy", "talk"]
    assert "assumptions" not in json.loads(brink("summary", folder, *own, "--json", status=0).stdout)


def test_a_summary_that_says_less_of_the_scenario_is_unaltered(folder):
    """As earlier versions wrote it, which knew fewer warnings."""
    path = folder / "summary.json"
    whole = path.read_text()
    stored = json.loads(whole)
    del stored["assumptions"]
    stored["warnings"] = []
    path.write_text(json.dumps(stored))
    brink("verify", folder, status=0)
    stored["strategies"]["talk"]["outcome"]["retreat"]["estimate"] += 0.01
    path.write_text(json.dumps(stored))
    assert "differs from the trials" in brink("verify", folder, status=1).stderr
    path.write_text(whole)
