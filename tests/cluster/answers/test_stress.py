"""A reverse stress test of a stored run: against pandas on the raw table; refusals; from HTTP and the shell."""

import json
from functools import partial
from math import hypot, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from cluster.answers import stress as module
from cluster.query.trials import open_run
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.statistics.estimates import ROUNDING
from tests.support.answers import document_of, result_of, served_run
from tests.support.command_line import brink
from tests.support.runs import small_plan

stress = partial(result_of, "stress")
PLAN = small_plan(trials=8000)
BOUND = "target_cost > 0.02 and retaliation_weeks > 0"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stress") / "run"
    run(PLAN, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def table(found) -> pd.DataFrame:
    whole = pd.read_parquet(f"{found.folder.address}/trials")
    return whole[whole.strategy == "threaten"].set_index("trial").sort_index()


@pytest.fixture(scope="module")
def answer(found) -> dict:
    return stress(found, bound=BOUND)


def broken_in(table: pd.DataFrame) -> pd.Series:
    return (table.target_cost > 0.02) & (table.retaliation_weeks > 0)


def test_parameters_inside_and_outside_are_those_of_the_raw_table(answer, table):
    broken = broken_in(table)
    assert answer["trials"] == {"asked": 8000, "broken": broken.sum()}
    assert answer["probability"]["estimate"] == pytest.approx(broken.mean())
    names = [one["name"] for one in answer["parameters"]]
    assert set(names) == set(PLAN.scenario.uncertain)
    distance = [one["distance"] for one in answer["parameters"]]
    assert distance == sorted(distance, reverse=True)
    for one in answer["parameters"]:
        x = table[one["name"]].astype(float)
        inside, outside = x[broken], x[~broken]
        assert one["distance"] == pytest.approx(ks_2samp(inside, outside, method="asymp").statistic)
        assert one["shift"]["estimate"] == pytest.approx((inside.mean() - outside.mean()) / x.std(ddof=0), abs=1e-9)
        error = (inside.var() / inside.size + outside.var() / outside.size) ** 0.5 / x.std(ddof=0)
        assert one["shift"]["standard_error"] == pytest.approx(error)
        assert one["inside"]["mean"] == pytest.approx(inside.mean())
        for level, value in one["outside"]["quantiles"].items():
            assert value == np.quantile(outside, float(level), method="inverted_cdf")
        assert sum(part["inside"] for part in one["by_decile"]) == pytest.approx(1.0)
    assert answer["parameters"][0]["p_value"] < 1e-6


def test_events_inside_and_outside_are_those_of_the_raw_table(answer, table):
    broken = broken_in(table)
    happened = {
        "retaliation": table.retaliation_weeks > 0,
        "sanctions": table.sanctions_week.notna(),
        "ruling_for_target": table.ruling == "for_target",
        "extension": table.extensions > 0,
        "defiance": table.defiant.fillna(False).astype(bool),
        "agreement": table.agreement_week.notna(),
    }
    rows = {one["name"]: one for one in answer["events"]}
    assert set(happened) <= set(rows)
    for name, column in happened.items():
        assert rows[name]["inside"]["estimate"] == pytest.approx(column[broken].mean())
        assert rows[name]["outside"]["estimate"] == pytest.approx(column[~broken].mean())
    assert rows["retaliation"]["inside"]["estimate"] == 1.0
    for one in answer["outcome"]:
        assert one["inside"]["estimate"] == pytest.approx((table.outcome[broken] == one["name"]).mean())
    gaps = [abs(one["difference"]["estimate"]) for one in answer["events"]]
    assert gaps == sorted(gaps, reverse=True)


def test_the_trials_to_replay_are_ones_that_broke_the_bound(answer, table):
    broken = broken_in(table)
    for kind in ("nearest", "typical"):
        assert len(answer["worlds"][kind]) == module.WORLDS
        for world in answer["worlds"][kind]:
            assert broken[world["trial"]]
            for name, value in world["values"].items():
                assert value == table[name][world["trial"]]


def test_a_condition_and_another_strategy(found, table):
    given = "threat_week <= 20"
    document = stress(found, bound="sanctions", given=given)
    early = table[table.threat_week <= 20]
    assert document["trials"]["asked"] == len(early)
    assert document["probability"]["estimate"] == pytest.approx(early.sanctions_week.notna().mean())
    talk = stress(found, strategy="talk", bound="agreement_week is null")
    assert "threat_probability" not in [one["name"] for one in talk["parameters"]]
    json.dumps(talk, allow_nan=False)


def test_a_sobol_design_has_its_errors_from_replicates(tmp_path):
    plan = small_plan(trials=8000, design="sobol")
    run(plan, tmp_path / "run", RunOptions(engine="inline"))
    answered = document_of("stress", open_run(tmp_path / "run"), bound="sanctions")
    document = answered["result"]
    whole = pd.read_parquet(tmp_path / "run" / "trials")
    mine = whole[whole.strategy == "threaten"]
    parts = mine.sanctions_week.notna().groupby(mine.trial % 16).mean()
    # Counts of trials are whole numbers.
    rounding = sqrt(ROUNDING * 16) / len(mine)
    assert document["probability"]["standard_error"] == pytest.approx(hypot(parts.sem(), rounding))
    one = document["parameters"][0]
    x, broken = mine[one["name"]].astype(float), mine.sanctions_week.notna()
    steps = x[broken].groupby(mine.trial % 16).mean() - x[~broken].groupby(mine.trial % 16).mean()
    assert one["shift"]["standard_error"] == pytest.approx(steps.sem() / x.std(ddof=0), rel=0.1)
    assert "replicates" in answered["method"]["errors"]


def test_impossible_requests_are_refused(found):
    with pytest.raises(InvalidInput, match=r"is broken in 0 of the 8,000 trials of threaten.*95 %: at most 0.048 %"):
        stress(found, bound="target_cost > 1e6")
    with pytest.raises(InvalidInput, match=r"is kept in 0 of the 8,000 trials of talk.*choose a bound that is kept"):
        stress(found, bound="sanctions_weeks == 0", strategy="talk")
    with pytest.raises(InvalidInput, match="did you mean target_cost"):
        stress(found, bound="target_costs > 1")
    with pytest.raises(InvalidInput, match="must be a condition"):
        stress(found, bound="target_cost")
    with pytest.raises(InvalidInput, match="there are threaten, talk"):
        stress(found, bound=BOUND, strategy="bluff")


def test_the_command_line_and_http_give_the_same_document(found, answer, tmp_path):
    command = ["stress", found.folder.address, "--bound", BOUND]
    printed = brink(*command, "--json", status=0)
    whole = json.loads(printed.stdout)
    assert whole["result"] == answer
    shown = brink(*command, status=0)
    for one in ("The bound is broken in", "Parameters that differ", "Target retaliates", "brink replay", "discover"):
        assert one in shown.stdout
    assert shown.stderr == ""
    refused = brink(*command, "--strategy", "bluff", status=2)
    assert refused.stderr.count("\n") == 1
    client, job = served_run(found, tmp_path)
    with client:
        assert client.post(f"{job}/stress", json={"bound": BOUND}).json() == whole
        assert client.post(f"{job}/stress", json={"bound": "target_cost > 1e6"}).status_code == 422
