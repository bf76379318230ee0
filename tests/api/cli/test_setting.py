"""``--set`` and the measure of choice on the command line, and a shipped scenario to start from."""

import html
import json
from pathlib import Path

import pytest
import yaml

from api.shipped_scenarios import find_scenario, shipped_names, shipped_scenario
from tests.support.command_line import brink
from tests.support.examples import changed, litigious
from tests.support.runs import STRATEGIES

TRIALS = ("--trials", 2000, "--engine", "inline")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(changed(litigious(), strategies=STRATEGIES, choice="agreement")))
    return file


def test_the_result_names_what_was_set(own, tmp_path):
    settings = ("--set", "target_win=0.9", "--set", "tariff_rate={uniform: [0.5, 1]}")
    printed = brink("run", own, *TRIALS, *settings, "--out", tmp_path / "run", status=0).stdout
    assert "Set under every strategy: target_win = 0.9, tariff_rate = uniform 0.5, 1." in printed
    named = {"target_win": 0.9, "tariff_rate": {"uniform": [0.5, 1]}}
    assert json.loads((tmp_path / "run/summary.json").read_text())["set"] == named
    answer = json.loads(brink("compare", tmp_path / "run", "--json", status=0).stdout)
    assert answer["set"] == named
    assert brink("verify", tmp_path / "run").returncode == 0
    brink("report", tmp_path / "run", "--out", tmp_path / "report.html", status=0)
    page = html.unescape((tmp_path / "report.html").read_text())
    assert "--set 'target_win=0.9'" in page
    assert "set under every strategy" in page


def test_a_forecast_is_checked_with_what_was_set(tmp_path):
    plain = ("check", "us-mexico-2019", "--trials", 2000, "--engine", "inline")
    never = (*plain, "--set", "follow_through=0")
    found = [json.loads(brink(*asked, "--json", cwd=tmp_path, status=0).stdout) for asked in (plain, never)]
    assert "set" not in found[0]
    assert found[1]["set"] == {"follow_through": 0.0}
    imposed = [{one["name"]: one for one in each["result"]["compared"]}["imposed"]["forecast"] for each in found]
    assert imposed[1]["estimate"] == 0.0 < imposed[0]["low"]
    printed = brink(*never, cwd=tmp_path, status=0).stdout
    assert printed.startswith("Set under every strategy: follow_through = 0.")
    assert len(list((tmp_path / "runs").iterdir())) == 2
    folder = next((tmp_path / "runs").iterdir())
    refused = brink("check", folder, "--set", "follow_through=1", status=2)
    assert "--set" in refused.stderr


def test_a_run_with_other_settings_has_another_default_folder(own, tmp_path):
    for settings in ((), ("--set", "target_win=0.9"), ("--set", "target_win=0.8")):
        brink("run", own, *TRIALS, *settings, cwd=tmp_path, status=0)
    assert len(list((tmp_path / "runs").iterdir())) == 3
    brink("run", own, *TRIALS, "--set", "target_win=0.8", cwd=tmp_path, status=0)
    assert len(list((tmp_path / "runs").iterdir())) == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("target_win", "--set: must be a name and a value"),
        ("target_wn=0.9", "--set target_wn: is not known; did you mean target_win"),
        ("target_win=1.9", "--set target_win: "),
        ("target_win={uniform: [0.5", "--set target_win: "),
        ("target_win=0.5\nx: 1", "--set target_win: "),
    ],
)
def test_a_wrong_setting_names_the_option_and_the_parameter(own, tmp_path, setting, message):
    refused = brink("run", own, *TRIALS, "--set", setting, cwd=tmp_path, status=2)
    assert refused.stderr.startswith(message)
    assert not (tmp_path / "runs").exists()


def test_the_measure_of_choice_of_a_scenario_is_what_strategies_are_compared_by(own, tmp_path):
    printed = brink("run", own, *TRIALS, "--out", tmp_path / "run", status=0).stdout
    assert "By agreement, " in printed
    comparison = json.loads(brink("compare", tmp_path / "run", "--json", status=0).stdout)
    assert [choice["measure"] for choice in comparison["result"]["choices"]] == ["agreement"]
    worth = json.loads(brink("worth", tmp_path / "run", "--json", status=0).stdout)
    assert worth["result"]["measure"] == "agreement"


def test_the_printed_text_of_a_shipped_scenario_is_that_scenario(tmp_path):
    for name in shipped_names():
        (tmp_path / f"{name}.yaml").write_text(brink("scenarios", name, status=0).stdout)
        assert find_scenario(str(tmp_path / f"{name}.yaml")) == shipped_scenario(name)
    refused = brink("scenarios", "us-japan-autos", status=2)
    assert "us-japan-autos-1995" in refused.stderr
