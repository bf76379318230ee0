"""What it is worth to know, from a stored run with a closed form; refusals; from HTTP and the shell."""

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from cluster.answers import worth as module
from cluster.answers.worth import ALL
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from tests.support.answers import document_of, result_of, served_run
from tests.support.command_line import brink
from tests.support.examples import document, issue

worth = partial(result_of, "worth")
SCENARIO = scenario_from_document(
    document(
        {"access": issue(0.5, 0.02, 0.05)},
        {
            "threat_probability": {"uniform": [0, 1]},
            "full_access": {"uniform": [2, 10]},
            "target_win": {"uniform": [0, 1]},
            "follow_through": 0.5,
        },
        horizon_weeks=8,
        strategies={"act": {"threat_probability": 1}, "wait": {"threat_probability": 0}},
    )
)
# To act gains what access is worth less 5, to wait nothing: E max(0, x - 5) - E(x - 5) for x uniform from 2 to 10.
MEASURE = "threat_probability * (full_access - 5)"
CLOSED_FORM = 25 / 16 - 1


def stored(folder: Path, **options: object) -> StoredRun:
    plan = make_plan(SCENARIO, **{"trials": 20_000, "seed": 5, "shard_trials": 10_000} | options)
    run(plan, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    return stored(tmp_path_factory.mktemp("worth") / "run")


@pytest.fixture(scope="module")
def answer(found) -> dict:
    return worth(found, measure=MEASURE, groups={"court": ["target_win"]})


def of(answer: dict, name: str) -> dict:
    return next(one for one in (*answer["parameters"], *answer["groups"]) if one["name"] == name)


def test_a_known_value_comes_out_of_a_stored_run(answer):
    one = of(answer, "full_access")
    assert one["value"]["low"] > 0.5
    assert abs(one["value"]["estimate"] - CLOSED_FORM) < 4 * one["value"]["standard_error"]
    assert one["promised"] == pytest.approx(CLOSED_FORM, abs=4 * one["value"]["standard_error"])
    assert all("promised" not in group for group in answer["groups"])
    assert one["chosen"]["act"] == pytest.approx(5 / 8, abs=0.03)
    # Nothing but this parameter decides what acting gains, so all together are worth as much, and so is everything.
    assert of(answer, ALL)["value"]["estimate"] == pytest.approx(CLOSED_FORM, abs=0.03)
    assert answer["everything"]["low"] <= CLOSED_FORM <= answer["everything"]["high"]
    assert one["share_of_everything"] == pytest.approx(1.0, abs=0.02)
    for nothing in (of(answer, "target_win"), of(answer, "court")):
        assert abs(nothing["value"]["estimate"]) < 0.02
    assert [one["name"] for one in answer["parameters"]] == ["full_access", "target_win"]
    assert answer["set_by_strategies"] == {"threat_probability": ["act", "wait"]}


def test_the_choice_as_it_stands_is_that_of_the_raw_table(answer, found):
    table = pd.read_parquet(f"{found.folder.address}/trials")
    mean = table[table.strategy == "act"].full_access.astype(float).mean() - 5
    assert answer["now"]["best"] == "act"
    assert answer["now"]["means"]["act"]["estimate"] == pytest.approx(mean)
    assert answer["now"]["others"]["wait"]["short_by"]["estimate"] == pytest.approx(mean)
    worse = (table[table.strategy == "act"].full_access < 5).mean()
    assert answer["now"]["others"]["wait"]["better_in"]["estimate"] == pytest.approx(worse)


def test_a_condition_and_a_sobol_design(found, tmp_path):
    high = worth(found, measure=MEASURE, given="full_access > 5")
    assert of(high, "full_access")["value"]["estimate"] == 0.0
    whole = document_of("worth", stored(tmp_path / "run", design="sobol"), measure=MEASURE)
    design = whole["result"]
    one = of(design, "full_access")["value"]
    assert one["estimate"] == pytest.approx(CLOSED_FORM, abs=0.01)
    assert "replicates" in whole["method"]["errors"]
    assert one["standard_error"] < of(worth(found, measure=MEASURE), "full_access")["value"]["standard_error"] / 4


def test_unknown_values_are_counted_and_left_out(found):
    partly = worth(found, measure="agreement_week * threat_probability")
    table = pd.read_parquet(f"{found.folder.address}/trials")
    known = table.groupby("trial").agreement_week.count() == 2
    assert partly["trials"]["known"] == known.sum()
    assert partly["trials"]["unknown"] == (~known).sum()
    json.dumps(partly, allow_nan=False)


def test_impossible_requests_are_refused(found):
    with pytest.raises(InvalidInput, match="is set by act, wait: a decision"):
        worth(found, groups={"threat": ["threat_probability"]})
    with pytest.raises(InvalidInput, match="there are target_win, full_access") as refused:
        worth(found, groups={"a": ["nothing"], "b": [], ALL: ["full_access"]})
    assert len(refused.value.faults) == 3
    with pytest.raises(InvalidInput, match="another strategy"):
        worth(found, strategies=["act"])
    with pytest.raises(InvalidInput, match="did you mean export_gain"):
        worth(found, measure="export_gains")
    with pytest.raises(InvalidInput, match="at least 1,000 are needed"):
        worth(found, given="full_access < 2.1")


def test_few_rows_are_read_whatever_the_run_holds(found, monkeypatch):
    monkeypatch.setattr(module, "MOST_READ", 5000)
    monkeypatch.setattr(module, "GROUP_TRIALS", 2000)
    trials = worth(found, measure=MEASURE)["trials"]
    assert trials == {"read": 5000, "known": 5000, "unknown": 0, "groups": 2000}


def test_the_command_line_and_http_give_the_same_document(found, answer, tmp_path):
    command = ["worth", found.folder.address, "--measure", MEASURE, "--group", "court=target_win"]
    printed = brink(*command, "--json", status=0)
    whole = json.loads(printed.stdout)
    assert whole["result"] == answer
    shown = brink(*command, environment={"COLUMNS": "200"}, status=0)
    for one in (
        ", act is better than wait: on average",
        "full_access",
        "No value was found",
        "threat_probability (act, wait)",
    ):
        assert one in shown.stdout
    assert shown.stderr == ""
    refused = brink("worth", found.folder.address, "--group", "court", status=2)
    assert refused.stderr.startswith("--group: must be name=parameter,parameter")
    client, job = served_run(found, tmp_path)
    with client:
        body = {"measure": MEASURE, "groups": {"court": ["target_win"]}}
        assert client.post(f"{job}/worth", json=body).json() == whole
        assert client.post(f"{job}/worth", json={"measure": "nothing"}).status_code == 422
        refused = client.post(f"{job}/worth", json={"groups": {"a/b": ["nothing"]}})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/groups/a~1b")


def test_fewer_trials_where_the_request_says_so(found):
    whole, few = (worth(found, measure=MEASURE, **asked) for asked in ({}, {"trials": 4000}))
    assert few["trials"] == {"read": 4000, "known": 4000, "unknown": 0, "groups": 4000}
    for one, other in (
        (few["everything"], whole["everything"]),
        (few["groups"][0]["value"], whole["groups"][0]["value"]),
    ):
        assert one["high"] - one["low"] > 1.5 * (other["high"] - other["low"])
        assert one["low"] <= other["estimate"] <= one["high"]


def test_what_all_parameters_are_worth_together_is_left_out_where_the_request_says_so(found):
    asked = {"measure": MEASURE, "trials": 4000}
    whole, without = worth(found, **asked), worth(found, **asked, all_together=False)
    assert [one["name"] for one in whole["groups"]] == ["all of these"]
    assert without == {**whole, "groups": []}
