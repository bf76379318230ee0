"""Strategies of a stored run compared: against pandas on the raw table; refusals; from HTTP and the shell."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cluster.query import trials
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from tests.support.answers import document_of, result_of, served_run
from tests.support.command_line import brink
from tests.support.examples import changed, litigious

compare = partial(result_of, "compare")
STRATEGIES = {"threaten": {}, "talk": {"threat_probability": 0}, "mild": {"tariff_rate": {"uniform": [0.1, 0.3]}}}
SCENARIO = scenario_from_document(changed(litigious(), strategies=STRATEGIES))
NET = "export_gain - sender_cost"


def stored(folder: Path, **options: object) -> StoredRun:
    plan = make_plan(SCENARIO, **{"trials": 6000, "seed": 7, "shard_trials": 1500} | options)
    run(plan, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    return stored(tmp_path_factory.mktemp("compare") / "run")


@pytest.fixture(scope="module")
def wide(found) -> dict[str, pd.DataFrame]:
    """The raw table, a frame a strategy, by trial."""
    whole = pd.read_parquet(f"{found.folder.address}/trials")
    return {name: part.set_index("trial").sort_index() for name, part in whole.groupby("strategy", observed=True)}


@pytest.fixture(scope="module")
def answer(found) -> dict:
    return compare(found)


def pair_of(document: dict, first: str, second: str) -> dict:
    (one,) = (one for one in document["pairs"] if (one["first"], one["second"]) == (first, second))
    return one


def test_every_pair_has_pandas_paired_differences(answer, wide):
    assert [(one["first"], one["second"]) for one in answer["pairs"]] == [
        ("threaten", "talk"),
        ("threaten", "mild"),
        ("talk", "mild"),
    ]
    for one in answer["pairs"]:
        first, second = wide[one["first"]], wide[one["second"]]
        for name in ("agreement_week", "market_access", "sanctions_weeks", "export_gain", "target_cost"):
            difference = (first[name].astype(float) - second[name].astype(float)).dropna()
            own = one["measures"][name]
            assert own["trials"] == difference.size
            assert own["difference"]["estimate"] == pytest.approx(difference.mean(), rel=1e-9, abs=1e-12)
            assert own["difference"]["standard_error"] == pytest.approx(difference.sem(), rel=1e-9)
            assert own["higher"]["estimate"] == pytest.approx((difference > 0).mean())
            assert own["equal"]["estimate"] == pytest.approx((difference == 0).mean())
            assert own["unknown"] == {
                "first": (first[name].isna() & second[name].notna()).sum(),
                "second": (first[name].notna() & second[name].isna()).sum(),
                "both": (first[name].isna() & second[name].isna()).sum(),
            }
        happened = first.retaliation_weeks.gt(0).astype(float) - second.retaliation_weeks.gt(0).astype(float)
        assert one["events"]["retaliation"]["difference"]["estimate"] == pytest.approx(happened.mean(), abs=1e-12)
        assert one["events"]["retaliation"]["difference"]["standard_error"] == pytest.approx(happened.sem())
        for outcome, own in one["outcome"].items():
            difference = (first.outcome == outcome).astype(float) - (second.outcome == outcome).astype(float)
            assert own["difference"]["estimate"] == pytest.approx(difference.mean(), abs=1e-12)
            assert own["difference"]["standard_error"] == pytest.approx(difference.sem(), abs=1e-12)
            assert own["lower"]["estimate"] == pytest.approx((difference < 0).mean())


def test_regret_is_pandas_regret(answer, wide):
    (choice,) = answer["choices"]
    assert choice["measure"] == NET
    values = pd.DataFrame({name: one.export_gain.astype(float) - one.sender_cost for name, one in wide.items()})
    short = -values.sub(values.max(axis=1), axis=0)
    best = short == 0
    for name, own in choice["regret"].items():
        assert own["mean"]["estimate"] == pytest.approx(short[name].mean())
        assert own["mean"]["standard_error"] == pytest.approx(short[name].sem())
        assert own["best"]["estimate"] == pytest.approx(best[name].mean())
        assert own["best_alone"]["estimate"] == pytest.approx((best[name] & (best.sum(axis=1) == 1)).mean())
        for level, quantile in own["quantiles"].items():
            expected = np.quantile(short[name], float(level), method="inverted_cdf")
            assert quantile["estimate"] == pytest.approx(expected)
            assert quantile["low"] <= expected <= quantile["high"]


def test_progress_is_reported_in_trials(found):
    progress: list[tuple[int, int]] = []
    compare(found, measures=["export_gain"], on_progress=lambda done, of: progress.append((done, of)))
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    assert progress[-1] == (found.plan.trials, found.plan.trials)


def test_leads_are_of_beliefs_and_decisions_are_named(answer, wide):
    (choice,) = answer["choices"]
    names = [one["name"] for one in choice["leads"]]
    assert "tariff_rate" not in names
    assert answer["set_by_strategies"]["tariff_rate"] == ["mild"]
    assert set(names) | set(answer["set_by_strategies"]) == set(SCENARIO.uncertain)
    for one in choice["leads"]:
        assert sum(part["share"] for part in one["ranges"]) == pytest.approx(1.0)
        first = one["ranges"][0]
        column = wide["threaten"][one["name"]]
        inside = column[column <= np.float32(first["high"])].index
        for name, mean in first["means"].items():
            raw = wide[name].loc[inside]
            assert mean == pytest.approx((raw.export_gain.astype(float) - raw.sender_cost).mean())


def test_leads_and_quantiles_of_regret_may_be_from_fewer_trials(found):
    whole, less = (document_of("compare", found, sampled=most) for most in (None, 1000))
    assert (whole["result"]["trials"].pop("sampled"), less["result"]["trials"].pop("sampled")) == (6000, 1000)
    first, second = (one["result"]["choices"][0] for one in (whole, less))
    names = sorted(one["name"] for one in first["leads"])
    assert names
    assert names == sorted(one["name"] for one in second["leads"])
    assert first.pop("leads") != second.pop("leads")
    for one in (first, second):
        for regret in one["regret"].values():
            assert set(regret.pop("quantiles")) == {"0.5", "0.9", "0.95"}
    assert less == whole


def test_a_measure_that_none_of_the_sampled_trials_knows_has_its_regret_without_quantiles(found, monkeypatch):
    measure = "1e305 * (4000 - trial)"
    (choice,) = compare(found, measures=[measure], sampled=1000)["choices"]
    assert choice["trials"] == 3595
    assert [one["quantiles"] for one in choice["regret"].values()] == [{}] * len(choice["regret"])
    assert choice["leads"] == []
    monkeypatch.setattr("cluster.answers.compare.SAMPLE", 1000)
    assert " – " in brink("compare", found.folder.root, "--measure", measure, status=0).stdout


def test_the_first_named_is_the_reference_and_blocks_make_no_difference(found, answer, monkeypatch):
    turned = compare(found, strategies=["talk", "threaten"], measures=[NET, "-agreement_week"])
    (own,) = turned["pairs"]
    assert (own["first"], own["second"]) == ("talk", "threaten")
    assert list(own["measures"]) == [NET, "-agreement_week"]
    same = pair_of(answer, "threaten", "talk")["measures"][NET]["difference"]
    assert own["measures"][NET]["difference"]["estimate"] == pytest.approx(-same["estimate"])
    assert turned["choices"][1]["unknown"] > 0
    monkeypatch.setattr(trials, "BLOCK", 400)
    again = compare(found)
    for name, difference in pair_of(answer, "talk", "mild")["measures"].items():
        blocked = pair_of(again, "talk", "mild")["measures"][name]
        if difference["trials"]:
            assert blocked["difference"]["estimate"] == pytest.approx(difference["difference"]["estimate"], rel=1e-9)
        assert blocked["higher"] == difference["higher"]


def test_a_condition_holds_under_every_strategy(found, wide):
    given = "agreement_week is null or agreement_week > 10"
    document = compare(found, strategies=["threaten", "talk"], given=given)
    late = {name: ~(one.agreement_week <= 10).fillna(False).astype(bool) for name, one in wide.items()}
    kept = late["threaten"] & late["talk"]
    assert document["trials"]["compared"] == kept.sum()
    difference = (wide["threaten"].export_gain.astype(float) - wide["talk"].export_gain)[kept]
    own = document["pairs"][0]["measures"]["export_gain"]["difference"]
    assert own["estimate"] == pytest.approx(difference.mean())


def test_a_sobol_design_has_its_errors_from_replicates(tmp_path):
    design = stored(tmp_path / "run", design="sobol")
    answered = document_of("compare", design, strategies=["threaten", "talk"])
    document = answered["result"]
    assert "randomised replicates" in answered["method"]["errors"]
    whole = pd.read_parquet(f"{design.folder.address}/trials")
    parts = {name: part.set_index("trial").sort_index() for name, part in whole.groupby("strategy", observed=True)}
    difference = parts["threaten"].export_gain.astype(float) - parts["talk"].export_gain
    means = difference.groupby(difference.index % 16).mean()
    own = document["pairs"][0]["measures"]["export_gain"]["difference"]
    assert own["estimate"] == pytest.approx(difference.mean())
    assert own["standard_error"] == pytest.approx(means.sem())
    json.dumps(document, allow_nan=False)


def test_impossible_comparisons_are_refused(found, tmp_path):
    with pytest.raises(InvalidInput, match="there are threaten, talk, mild"):
        compare(found, strategies=["talk", "bluff"])
    with pytest.raises(InvalidInput, match="another strategy to compare with; there are threaten, mild"):
        compare(found, strategies=["talk"])
    with pytest.raises(InvalidInput, match="the run has only this one"):
        compare(stored(tmp_path / "run", trials=200, strategies=["talk"]))
    with pytest.raises(InvalidInput, match="did you mean export_gain") as refused:
        compare(found, measures=["export_gains", "sender_costs"])
    assert len(refused.value.faults) == 2
    with pytest.raises(InvalidInput, match="under every one of threaten, talk, mild"):
        compare(found, given="threat_week is not null")


def test_the_command_line_and_http_give_the_same_document(found, answer, tmp_path):
    printed = brink("compare", found.folder.address, "--json", status=0)
    whole = json.loads(printed.stdout)
    assert whole["result"] == answer
    client, job = served_run(found, tmp_path)
    with client:
        assert client.post(f"{job}/compare", json={}).json() == whole
        refused = client.post(f"{job}/compare", json={"strategies": ["talk"]})
        assert refused.status_code == 422
        assert "another strategy" in refused.text
        refused = client.post(f"{job}/compare", json={"measures": ["export_gain", "gain"]})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/measures/1")


def test_the_table_says_what_matters(found):
    printed = brink(
        "compare",
        found.folder.address,
        "--measure",
        "-target_cost",
        "--measure",
        "-agreement_week",
        "--all",
        environment={"COLUMNS": "200"},
        status=0,
    )
    for one in (
        "Difference from threaten",
        "Regret",
        "Does better than",
        "over the whole range of",
        "tariff_rate (mild)",
    ):
        assert one in printed.stdout
    assert printed.stderr == ""
    refused = brink("compare", found.folder.address, "--strategy", "bluff", status=2)
    assert refused.stderr.count("\n") == 1
