"""What drives a measure of a stored run, against pandas, SALib and exact shares; from Python, HTTP and the shell."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from SALib.analyze import pawn as salib

from cluster.answers import drivers as drivers_module
from cluster.answers import drivers_parameters, drivers_trials
from cluster.query.memory_cache import MemoryCache
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_document, scenario_from_document
from tests.support.answers import document_of, result_of, served_run
from tests.support.command_line import brink
from tests.support.examples import document, issue

drivers, discover = partial(result_of, "drivers"), partial(result_of, "discover")
SCENARIO = scenario_from_document(
    document(
        {"access": issue({"uniform": [0.3, 0.9]}, 0.02, {"uniform": [0.0, 0.1]})},
        {
            "threat_probability": {"uniform": [0, 1]},
            "follow_through": {"uniform": [0, 1]},
            "credibility": {"uniform": [0, 1]},
            "deadline_weeks": 3,
            "sanctioned_trade": {"lognormal": {"median": 3, "sigma": 0.5}},
            "tariff_rate": {"discrete": {"values": [0.5, 1.0], "weights": [0.3, 0.7]}},
            "full_access": {"uniform": [5, 10]},
        },
        horizon_weeks=20,
        correlations=[{"between": ["credibility", "follow_through"], "spearman": 0.7}],
        strategies={"threaten": {}, "talk": {"threat_probability": 0}},
    )
)


def stored(folder: Path, **options: object) -> StoredRun:
    plan = make_plan(SCENARIO, **{"trials": 40_000, "seed": 3, "shard_trials": 10_000} | options)
    run(plan, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    return stored(tmp_path_factory.mktemp("drivers") / "run")


@pytest.fixture(scope="module")
def table(found) -> pd.DataFrame:
    whole = pd.read_parquet(f"{found.folder.address}/trials")
    return whole[whole.strategy == "threaten"].sort_values("trial")


@pytest.fixture(scope="module")
def gain(found) -> dict:
    return drivers(found, measure="export_gain")


@pytest.fixture
def quick(monkeypatch) -> None:
    """PAWN on fewer trials, for tests of something else."""
    for module in (drivers_module, drivers_parameters):
        monkeypatch.setattr(module, "PAWN_TRIALS", 2000)


def of(answer: dict, name: str) -> dict:
    return next(one for one in answer["parameters"] if one["name"] == name)


def test_pawn_is_salibs_on_the_rows_named(gain, table):
    names = [one["name"] for one in gain["parameters"]]
    rows = table.head(gain["trials"]["pawn"])
    assert gain["trials"]["pawn"] == 20_000
    direct = salib.analyze(
        {"num_vars": len(names), "names": names},
        rows[names].to_numpy(float),
        rows.export_gain.to_numpy(float),
        S=gain["pawn_noise"]["slices"],
    )
    for k, name in enumerate(names):
        for statistic in ("median", "maximum"):
            assert of(gain, name)["pawn"][statistic]["estimate"] == pytest.approx(direct[statistic][k], abs=1e-12)
    assert of(gain, "full_access")["pawn"]["above_noise"]
    assert of(gain, "tariff_rate")["pawn"]["in_no_slice"] == (rows.tariff_rate == 1.0).sum()
    assert "by_value" in of(gain, "tariff_rate")["pawn"]


def test_first_order_indices_agree_with_a_one_way_analysis_of_variance(gain, table):
    """Lines in cells and means of cells lose and subtract different things: both err by less than 0.002."""
    y = table.export_gain.astype(float)
    for name in ("full_access", "issues.access.target_concession"):
        cell = pd.qcut(table[name], 100, labels=False)
        within = ((y - y.groupby(cell).transform("mean")) ** 2).sum() / (y.size - 100)
        one = of(gain, name)["first_order"]
        assert one["estimate"] == pytest.approx(1 - within / y.var(), abs=0.002)
        assert one["low"] < one["estimate"] < one["high"]
    assert of(gain, "tariff_rate")["first_order"]["cells"] == 2


def test_deciles_are_pandas(gain, table):
    low, high = table.full_access.quantile([0.1, 0.9], interpolation="lower")
    one = of(gain, "full_access")
    first, last = (
        table.export_gain[rows].astype(float) for rows in (table.full_access <= low, table.full_access >= high)
    )
    assert one["lowest_decile"]["mean"]["estimate"] == pytest.approx(first.mean(), rel=1e-3)
    assert one["highest_decile"]["mean"]["estimate"] == pytest.approx(last.mean(), rel=1e-3)
    assert one["highest_decile"]["mean"]["standard_error"] == pytest.approx(last.sem(), rel=1e-2)
    assert one["swing"]["estimate"] == pytest.approx(last.mean() - first.mean(), rel=1e-2)


@pytest.mark.usefixtures("quick")
def test_chance_and_parameters_share_the_variance_exactly(found):
    # A threat in week 1 with probability p, p uniform: Var(p) / (1/4) = 1/3 comes from the parameter.
    answer = drivers(found, measure="threat_week == 1")
    for share in (answer["variance"]["parameters"], of(answer, "threat_probability")["first_order"]):
        assert abs(share["estimate"] - 1 / 3) <= 4 * share["standard_error"]
        assert share["standard_error"] < 0.01
    assert answer["variance"]["chance"]["estimate"] == pytest.approx(1 - answer["variance"]["parameters"]["estimate"])
    interactions = answer["variance"]["interactions"]
    assert abs(interactions["estimate"]) <= 4 * interactions["standard_error"]
    assert answer["mean"]["low"] <= 0.5 <= answer["mean"]["high"]
    whole = drivers(found, measure="full_access * 2")["variance"]
    assert whole["parameters"]["estimate"] == pytest.approx(1.0)
    assert whole["chance"]["estimate"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.usefixtures("quick")
def test_correlated_parameters_are_named_and_summed_jointly(found):
    answer = drivers(found, measure="credibility + follow_through")
    (partner,) = of(answer, "credibility")["correlated_with"]
    assert partner["name"] == "follow_through"
    assert partner["spearman"] == pytest.approx(0.7, abs=0.02)
    own = sum(of(answer, name)["first_order"]["estimate"] for name in ("credibility", "follow_through"))
    assert own > 1.5, "each stands for its partner too"
    (group,) = answer["groups"]
    assert set(group["parameters"]) == {"credibility", "follow_through"}
    assert 0.98 < group["first_order"]["estimate"] <= 1.0
    assert answer["variance"]["alone"]["estimate"] == pytest.approx(1.0, abs=0.02)
    assert of(answer, "full_access")["correlated_with"] == []


@pytest.mark.usefixtures("quick")
def test_missing_values_are_counted_and_bounded(found, table):
    answer = drivers(found, measure="agreement_week")
    missing = int(table.agreement_week.isna().sum())
    assert 0 < answer["trials"]["null"] == missing
    assert answer["trials"]["known"] == 40_000 - missing
    one = of(answer, "issues.access.target_concession")["first_order"]
    never = drivers(found, measure="agreement_week is null")
    assert one["missing"]["estimate"] == pytest.approx(
        of(never, "issues.access.target_concession")["first_order"]["estimate"], abs=1e-9
    )
    assert one["missing"]["low"] > 0.1
    # Never is later than any week: put there, it is what the parameter moves most.
    assert one["missing_highest"] > one["estimate"] > 0.0
    assert one["missing_lowest"] is not None
    assert answer["variance"]["parameters"]["missing_highest"] > answer["variance"]["parameters"]["estimate"]


@pytest.mark.usefixtures("quick")
def test_infinite_values_are_counted_and_left_out(found, table):
    answer = drivers(found, measure="full_access / sanctions_weeks")
    never = int((table.sanctions_weeks == 0).sum())
    assert answer["trials"]["infinite"] == never
    assert answer["trials"]["known"] == 40_000 - never
    one = of(answer, "follow_through")["first_order"]
    assert one["missing"]["low"] > 0.05
    json.dumps(answer, allow_nan=False)


@pytest.mark.usefixtures("quick")
def test_constants_have_no_index_but_a_reason(found):
    answer = drivers(found, strategy="talk", measure="sanctions_weeks")
    assert "same in all trials" in answer["reason"]
    assert answer["variance"]["parameters"]["estimate"] is None
    assert all(one["first_order"]["estimate"] is None and one["pawn"] is None for one in answer["parameters"])
    assert "threat_probability" not in [one["name"] for one in answer["parameters"]]
    json.dumps(answer, allow_nan=False)
    at_one = drivers(found, measure="export_gain", given="tariff_rate == 1")
    assert of(at_one, "tariff_rate")["reason"] == "has one value in the trials read"
    assert of(at_one, "tariff_rate")["first_order"]["estimate"] is None
    assert at_one["variance"]["parameters"]["estimate"] is not None


@pytest.mark.usefixtures("quick")
def test_a_condition_on_events_makes_parameters_dependent_and_says_so(found, table):
    given = "threat_week == 1 and agreement_week is null"
    answer = drivers(found, measure="sanctions", given=given)
    left = (table.threat_week == 1) & table.agreement_week.isna()
    assert answer["trials"]["read"] == left.sum()
    assert answer["mean"]["estimate"] == pytest.approx(table.sanctions_week[left].notna().mean())
    assert "events" in answer["variance"]["reason"]
    assert answer["variance"]["parameters"]["estimate"] is None
    assert "do not add up" in answer["variance"]["alone"]["reason"]
    assert of(answer, "follow_through")["first_order"]["low"] > 0.2


@pytest.mark.usefixtures("quick")
def test_a_sobol_design_has_its_errors_from_replicates(tmp_path, gain):
    whole = document_of("drivers", stored(tmp_path / "sobol", design="sobol"), measure="export_gain")
    answer = whole["result"]
    for name in ("full_access", "issues.access.target_concession"):
        pair = of(answer, name)["first_order"], of(gain, name)["first_order"]
        error = np.hypot(*(one["standard_error"] for one in pair))
        assert abs(pair[0]["estimate"] - pair[1]["estimate"]) < 4 * error
    assert "16 groups" in whole["method"]["first_order"]
    assert "replicates" in whole["method"]["deciles"]
    assert answer["mean"]["standard_error"] < gain["mean"]["standard_error"]


def test_impossible_requests_are_refused(found):
    with pytest.raises(InvalidInput, match="did you mean export_gain"):
        drivers(found, measure="export_gains")
    for ask in (drivers, partial(discover, outcome="agreement")):
        with pytest.raises(InvalidInput, match=r"^strategy: .*there are threaten, talk"):
            ask(found, strategy="bluff")
    with pytest.raises(InvalidInput, match="at least 1,000 are needed"):
        drivers(found, given="full_access < 5.01")
    with pytest.raises(InvalidInput, match="outcome"):
        discover(found, outcome="agreement_week")
    with pytest.raises(InvalidInput, match="at least 200 with it and 200 without"):
        discover(found, outcome="full_access < 5.01")


@pytest.mark.usefixtures("quick")
def test_few_rows_are_read_whatever_the_run_holds(found, monkeypatch, table):
    monkeypatch.setattr(drivers_trials, "MOST_READ", 12_000)
    whole = document_of("drivers", found, measure="export_gain")
    answer = whole["result"]
    assert whole["trials"] == {"played": 40_000, "used": 12_000}
    assert answer["trials"] | {"pawn": 0} == {
        "read": 12_000,
        "first": 0,
        "last": 11_999,
        "known": 12_000,
        "null": 0,
        "infinite": 0,
        "pawn": 0,
    }
    assert answer["mean"]["estimate"] == pytest.approx(table.export_gain[:12_000].astype(float).mean())


def test_discovery_finds_the_decisive_parameters_and_is_measured_on_other_trials(found, table):
    answer = discover(found, outcome="threat_week == 1")
    best = answer["boxes"][0]
    assert {one["name"] for one in best["restrictions"]} == {"threat_probability"}
    (one,) = best["restrictions"]
    odd = table[table.trial % 2 == 1]
    inside = (odd.threat_probability > one["above"]) & (one["up_to"] is None or odd.threat_probability <= one["up_to"])
    happened = odd.threat_week == 1
    assert best["trials"] == inside.sum()
    assert best["density"]["estimate"] == pytest.approx(happened[inside].mean())
    assert best["coverage"]["estimate"] == pytest.approx(inside[happened].mean())
    assert best["mass"]["estimate"] == pytest.approx(inside.mean())
    assert best["lift"] == pytest.approx(happened[inside].mean() / happened.mean())
    # The threat comes in week 1 with the probability drawn.
    assert best["density"]["low"] <= odd.threat_probability[inside].mean() <= best["density"]["high"]
    assert one["density_without"] == pytest.approx(happened.mean())
    assert best["with_those_before"]["mass"] == best["mass"]
    steps = answer["trade_off"]
    assert len(steps) > 2
    for name, sign in (("density", 1), ("coverage", -1), ("mass", -1)):
        course = [sign * step[name]["estimate"] for step in steps]
        assert course == sorted(course)
    assert best["restrictions"] in [step["restrictions"] for step in steps]
    json.dumps(answer, allow_nan=False)


def test_the_command_line_and_http_give_the_same_document(found, gain, tmp_path):
    printed = brink("drivers", found.folder.address, "--measure", "export_gain", "--json", status=0)
    whole = json.loads(printed.stdout)
    assert whole["result"] == gain
    client, job = served_run(found, tmp_path)
    with client:
        answer = client.post(f"{job}/drivers", json={"measure": "export_gain"})
        assert (answer.status_code, answer.json()) == (200, whole)
        boxes = client.post(f"{job}/discover", json={"outcome": "sanctions"})
        assert boxes.json()["result"] == discover(found, outcome="sanctions")
        refused = client.post(f"{job}/drivers", json={"measure": "nothing"})
        assert refused.status_code == 422
        assert "nothing" in refused.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drivers", "--measure", "agreement_week"], ["Tornado", "Chance", "PAWN", "issues.access.target_concession"]),
        (
            ["discover", "--outcome", "sanctions"],
            ["coverage", "follow_through above", "of the 20,000 trials on which boxes are measured"],
        ),
    ],
)
def test_the_tables_say_what_matters(found, arguments, says):
    command, *options = arguments
    printed = brink(command, found.folder.address, *options, status=0)
    for one in says:
        assert one in " ".join(printed.stdout.split())
    assert printed.stderr == ""


def test_fewer_trials_and_no_pawn_where_the_request_says_so(found):
    whole, quick = (document_of("drivers", found, measure="sender_cost", pawn=pawn) for pawn in (True, False))
    assert quick["result"]["trials"]["pawn"] == 0
    assert quick["result"]["pawn_noise"]["maximum"] is None
    for one, other in zip(whole["result"]["parameters"], quick["result"]["parameters"], strict=True):
        assert other == {**one, "pawn": None}
    few = document_of("drivers", found, measure="sender_cost", pawn=False, trials=5000)
    assert few["result"]["trials"]["read"] == few["trials"]["used"] == 5000
    assert few["result"]["variance"]["pairs"] == 5000
    with pytest.raises(InvalidInput, match="trials: must be at least 1000"):
        drivers(found, trials=10)


@pytest.mark.usefixtures("quick")
def test_a_run_that_replaced_another_in_its_folder_is_not_mistaken_for_it(tmp_path):
    """A process keeps what it has played again: that of another scenario with the same seed is not the same."""
    memory: MemoryCache = MemoryCache(1 << 24)
    other = scenario_from_document(
        {**scenario_document(SCENARIO), "parameters": {**scenario_document(SCENARIO)["parameters"], "full_access": 50}}
    )
    asked = {"measure": "export_gain"}
    for scenario in (SCENARIO, other):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        run(make_plan(scenario, trials=3000, seed=3), tmp_path / "run", RunOptions(engine="inline"))
        found = open_run(tmp_path / "run")
        assert drivers(replace(found, cache=memory), **asked) == drivers(found, **asked)
