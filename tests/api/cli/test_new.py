"""``brink new``: a scenario from options alone, from questions on a terminal, and refusals."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from sim.scenario.scenario import read_scenario
from tests.support.command_line import BRINK, assert_refused, brink


def test_in_a_pipe_it_asks_nothing_and_says_what_the_scenario_implies(tmp_path):
    done = brink("new", "mine", "--issue", "Dealers=3", "--issue", "Parts=1", "--weeks", 52, cwd=tmp_path, status=0)
    scenario = read_scenario((tmp_path / "mine.yaml").read_text(), "mine.yaml")
    assert {one.title: one.weight for one in scenario.issues} == {"Dealers": 0.75, "Parts": 0.25}
    assert (scenario.title, scenario.horizon_weeks) == ("mine", 52)
    said = " ".join(done.stdout.split())
    assert "What it implies, in 4,000 trials of 52 weeks: - threaten: an agreement in " in said
    assert "sanctions announced in " in said
    assert "half of these by week " in said
    assert "- talk: an agreement in " in said
    assert "past threats, all" in said
    assert "outside" not in said
    assert brink("validate", "mine.yaml", cwd=tmp_path).returncode == 0
    before = (tmp_path / "mine.yaml").read_bytes()
    assert_refused(brink("new", "mine", cwd=tmp_path), "--out", "is there already")
    assert (tmp_path / "mine.yaml").read_bytes() == before


def test_what_it_implies_can_be_had_as_json(tmp_path):
    found = json.loads(brink("new", "mine", "--threat", "none", "--json", cwd=tmp_path, status=0).stdout)
    (talk,) = found["strategies"].values()
    assert found["file"] == "mine.yaml"
    assert talk["sanctions"]["estimate"] == talk["threat"]["estimate"] == 0.0
    assert 0.0 < talk["agreement"]["low"] < talk["agreement"]["high"] <= 1.0
    assert 1 <= talk["half_of_agreements_by_week"] <= 104
    assert talk["past"] is None, "without threats there are no past ones to compare with"


def test_a_new_scenario_is_compared_with_past_threats_of_its_class(tmp_path):
    options = ("--demand", "specific", "--commitment", "strong", "--threat", "announced")
    found = json.loads(brink("new", "mine", *options, "--json", cwd=tmp_path, status=0).stdout)
    past = found["strategies"]["threaten"]["past"]
    assert past["reference"] == "specific-strong"
    shares = {one["name"]: one for one in past["shares"]}
    for name in ("settled", "imposed", "dropped"):
        # The fit ends within 0.005, and both samples have a standard error of 0.008 at most.
        assert shares[name]["forecast"]["estimate"] == pytest.approx(shares[name]["class"]["estimate"], abs=0.04), name
        assert not shares[name]["outside"], name
    assert read_scenario((tmp_path / "mine.yaml").read_text(), "mine.yaml").reference == "specific-strong"
    brink("new", "early", "--threat", "announced", "--as-of", "1960-01-01", cwd=tmp_path, status=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--gain", "2,5"), ("--gain", "2.5")),
        (("--threat", "none", "--trade", "3"), ("--trade", "none are threatened")),
        (("--ranges", "wide"), ("--ranges", "reference or neutral")),
        (("--issue", "a=0"), ("--issue", "weight above 0")),
        (("--title", "a\x1b[31mb"), ("--title", "control characters")),
        (("--out", "there/mine.yaml"), ("--out", "folder that exists")),
        (("--out", "mine.txt"), ("--out", ".yaml")),
        (("--issue", "x", *(("--issue", "y") * 100)), ("--issue",)),
    ],
)
def test_wrong_options_write_no_file(tmp_path, options, says):
    assert_refused(brink("new", "mine", *options, cwd=tmp_path), *says)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_none_is_refused(tmp_path):
    assert_refused(brink("new", "../mine", cwd=tmp_path), "NAME", "letters, digits and '-'")


def test_on_a_terminal_it_asks_for_what_no_option_answers(tmp_path: Path):
    ours, theirs = pty.openpty()
    command = [BRINK, "new", "mine", "--sender", "Norway", "--as-of", "2025-01-06", "--weeks", "30"]
    asked = subprocess.Popen(command, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    # Title, target; distance, talks, a gain with a comma and again; no threat; two demands and no further one.
    os.write(ours, b"Fish and chips\nIceland\nnear\nmonthly\n2,5\n2.5\nnone\nCod\nHaddock\n\n")
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:
        # The other end of the terminal is closed when the command has ended.
        pass
    assert asked.wait() == 0, said
    os.close(ours)
    scenario = read_scenario((tmp_path / "mine.yaml").read_text(), "mine.yaml")
    assert (scenario.title, scenario.sender, scenario.target) == ("Fish and chips", "Norway", "Iceland")
    assert [one.title for one in scenario.issues] == ["Cod", "Haddock"]
    assert list(scenario.strategies) == ["talk"]
    assert b"must have a point for the decimals: 2.5" in said
    assert b"Who makes the demands" not in said
