"""Sobol indices: functions whose indices are known, SALib on the same rows, stored runs, the command line and HTTP."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from SALib.analyze import sobol as salib

from cluster.query.parquet_files import DamagedTrials
from cluster.query.samples import sample
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import make_plan
from cluster.results.result_folder import MANIFEST
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.sampling.points import draw_points
from sim.sampling.saltelli import PLAYS, inputs, trials_needed
from sim.sampling.sobol_points import REPLICATES
from sim.scenario.scenario import Scenario, scenario_from_document
from sim.statistics.sobol_indices import Indices, indices, sums
from tests.support.answers import document_of, result_of
from tests.support.command_line import brink
from tests.support.examples import document, issue
from tests.support.runs import digests
from tests.support.served import served

answer, discover, drivers = (partial(result_of, name) for name in ("indices", "discover", "drivers"))
UNIT = {"uniform": [0, 1]}
SIGMAS = 4.5
"""Standard errors that an estimate may be off, of Student's t with 15 degrees of freedom: 1 in 2,400 is."""


def played(scenario: Scenario, function, base_samples: int, noise: float = 0.0) -> np.ndarray:
    """A function of the parameters at a design's trials, with chance of a standard deviation of `noise` in each."""
    count = trials_needed(scenario, base_samples)
    points = draw_points(scenario, "base", Chance(5, 0, count), find_design("saltelli", count))
    y = function(*(points[name] for name in scenario.uncertain))
    y = y + noise * np.random.default_rng(8).normal(size=count)
    return y.reshape(-1, len(inputs(scenario)) + 2, PLAYS, REPLICATES)


def found_in(values: np.ndarray) -> Indices:
    """The indices, read in two parts about a centre that is not the mean."""
    third = len(values) // 3
    return indices(sums(values[:third], 0.3) + sums(values[third:], 0.3))


def assert_near(estimates, truth, widest: float) -> None:
    for estimate, true in zip(estimates, truth, strict=True):
        assert estimate["standard_error"] < widest
        assert abs(estimate["estimate"] - true) < SIGMAS * estimate["standard_error"] + 1e-9


def ishigami(a, b, c):
    x, y, z = (np.pi * (2.0 * u - 1.0) for u in (a, b, c))
    return np.sin(x) + 7.0 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x)


PLAIN = scenario_from_document(
    document(parameters={"threat_probability": UNIT, "follow_through": UNIT, "credibility": UNIT})
)
G_WEIGHTS = np.array([0.0, 0.5, 3.0, 9.0, 99.0])
FIVE = scenario_from_document(
    document(
        parameters=dict.fromkeys(
            ("threat_probability", "follow_through", "credibility", "defiance_probability", "target_win"), UNIT
        )
    )
)
LINKED = scenario_from_document(
    document(
        parameters={"threat_probability": UNIT, "target_win": UNIT, "credibility": UNIT, "follow_through": UNIT},
        correlations=[{"between": ["follow_through", "threat_probability"], "spearman": 0.6}],
    )
)


@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_ishigami(noise):
    """Indices in closed form (Ishigami & Homma 1990); with noise of 2.6 times the function's variance, too."""
    variance = 7.0**2 / 8 + 0.1 * np.pi**4 / 5 + 0.1**2 * np.pi**8 / 18 + 0.5
    first = np.array([0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 7.0**2 / 8, 0.0]) / variance
    both = 0.1**2 * np.pi**8 * (1 / 18 - 1 / 50) / variance
    found = found_in(played(PLAIN, ishigami, 4096, noise))
    assert_near(found.first, first, 0.03)
    assert_near(found.total, [first[0] + both, first[1], both], 0.03)
    assert_near([found.alone], [1.0 - both], 0.06)
    share = variance / (variance + noise**2)
    assert_near([found.parameters, found.chance], [share, 1.0 - share], 0.01)
    # Without taking it off, noise would be taken for interaction: by the noise of a mean of eight, in each of them.
    added = noise**2 / PLAYS / (variance + noise**2 / PLAYS)
    assert found.plain[1, 1] == pytest.approx(first[1] * (1.0 - added) + added, abs=0.03)


def test_sobol_g():
    """Indices in closed form (Saltelli & Sobol' 1995)."""
    own = 1.0 / 3.0 / (1.0 + G_WEIGHTS) ** 2
    variance = np.prod(1.0 + own) - 1.0
    total = own * np.prod(1.0 + own) / (1.0 + own) / variance

    def g(*columns):
        return np.prod([(abs(4 * x - 2) + a) / (1 + a) for x, a in zip(columns, G_WEIGHTS, strict=True)], axis=0)

    found = found_in(played(FIVE, g, 4096, 0.5))
    assert_near(found.first, own / variance, 0.03)
    assert_near(found.total, total, 0.03)


def test_a_correlated_linear_model_has_an_index_of_the_group():
    """Uniform numbers of rank correlation 0.6 have covariance 0.6/12."""
    groups = inputs(LINKED)
    assert set(groups) == {("threat_probability", "follow_through"), ("credibility",), ("target_win",)}
    weight = {"threat_probability": 3.0, "follow_through": 2.0, "credibility": 2.0, "target_win": 0.0}
    weights = [weight[name] for name in LINKED.uncertain]
    found = found_in(
        played(LINKED, lambda *x: sum(w * one for w, one in zip(weights, x, strict=True)), 2048, noise=1.0)
    )
    own = {
        ("threat_probability", "follow_through"): 9.0 + 4.0 + 2 * 3 * 2 * 0.6,
        ("credibility",): 4.0,
        ("target_win",): 0.0,
    }
    truth = np.array([own[group] for group in groups]) / sum(own.values())
    assert_near(found.first, truth, 0.03)
    assert_near(found.total, truth, 0.03)
    assert_near([found.alone], [1.0], 0.06)


def test_salib_finds_the_plain_indices_in_the_same_means():
    values = played(PLAIN, ishigami, 256, 2.0)
    found = found_in(values)
    # SALib's rows: a base point's A, each exchange, B; then the next base point.
    means = values.mean(axis=2).transpose(0, 2, 1).reshape(-1)
    by_hand = salib.analyze({"num_vars": 3, "names": list("abc")}, means, calc_second_order=False, seed=1)
    np.testing.assert_allclose(found.plain, [by_hand["S1"], by_hand["ST"]], rtol=1e-9, atol=1e-12)
    # The correction is what the docs say: the noise of means off the squares and off the variance.
    noise = (values.var(axis=2, ddof=1) / PLAYS).mean(axis=(0, 2))
    pair = values.mean(axis=2)[:, [0, -1]]
    variance = pair.var() - noise[[0, -1]].mean()
    first = by_hand["S1"] * pair.var() / variance
    total = (by_hand["ST"] * pair.var() - (noise[0] + noise[1:-1]) / 2) / variance
    np.testing.assert_allclose([one["estimate"] for one in found.first], first, rtol=1e-9)
    np.testing.assert_allclose([one["estimate"] for one in found.total], total, rtol=1e-9)


def test_noise_alone_has_no_index():
    found = found_in(played(PLAIN, lambda a, b, c: 0.0 * a, 128, 1.0))
    assert found.parameters["low"] <= 0.0
    assert [one["estimate"] for one in (*found.first, *found.total, found.alone)] == [None] * 7
    assert found.chance["estimate"] == pytest.approx(1.0, abs=0.05)


def test_intervals_of_indices_have_their_coverage():
    """Of 300 intervals of 95 %, fewer than 24 or more than 2 miss but once in a hundred thousand."""
    rng = np.random.default_rng(3)
    missed = 0
    for seed in range(100):
        count = trials_needed(PLAIN, 256)
        points = draw_points(PLAIN, "base", Chance(seed, 0, count), find_design("saltelli", count))
        x = [points[name] for name in PLAIN.uncertain]
        y = (x[0] + 2.0 * x[1] + rng.normal(size=count)).reshape(-1, 5, PLAYS, REPLICATES)
        for one, true in zip(indices(sums(y, 1.5)).total, (0.2, 0.8, 0.0), strict=True):
            missed += not one["low"] <= true <= one["high"]
    assert 2 < missed < 34


SCENARIO = scenario_from_document(
    document(
        {"access": issue({"uniform": [0.3, 0.9]}, 0.02, {"uniform": [0.05, 0.2]})},
        {
            "threat_probability": UNIT,
            "follow_through": UNIT,
            "credibility": UNIT,
            "deadline_weeks": 3,
            "sanctioned_trade": {"lognormal": {"median": 3, "sigma": 0.5}},
            "tariff_rate": 1.0,
            "full_access": {"uniform": [5, 10]},
        },
        horizon_weeks=20,
        correlations=[{"between": ["credibility", "follow_through"], "spearman": 0.7}],
        strategies={"threaten": {}, "talk": {"threat_probability": 0}},
    )
)
TRIALS = trials_needed(SCENARIO, 512)


def stored(folder: Path, **options: object) -> StoredRun:
    plan = make_plan(SCENARIO, **{"trials": TRIALS, "seed": 3, "design": "saltelli", "shard_trials": 10_000} | options)
    run(plan, folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StoredRun:
    return stored(tmp_path_factory.mktemp("indices") / "run")


@pytest.fixture(scope="module")
def table(found) -> pd.DataFrame:
    whole = pd.read_parquet(f"{found.folder.address}/trials")
    return whole[whole.strategy == "threaten"].sort_values("trial", ignore_index=True)


def of(document: dict, *names: str) -> dict:
    return next(one for one in document["inputs"] if set(one["parameters"]) == set(names))


def test_a_stored_run_is_a_saltelli_design(table):
    """Between a base point's A and an exchange of it only the input exchanged differs, and it is B's."""
    groups = inputs(SCENARIO)
    shape = (-1, len(groups) + 2, PLAYS, REPLICATES)
    for k, group in enumerate(groups, start=1):
        for name in SCENARIO.uncertain:
            values = table[name].to_numpy().reshape(shape)
            assert (values == values[:, :, :1]).all()
            np.testing.assert_array_equal(values[:, k], values[:, -1] if name in group else values[:, 0])
            assert (values[:, 0] != values[:, -1]).mean() > 0.99
    chance = table.agreement_week.fillna(-1).to_numpy().reshape(shape)
    assert (chance[:, :, :1] != chance[:, :, 1:]).mean() > 0.3


def test_rows_do_not_depend_on_shards_the_number_of_trials_or_lost_shards(found, table, tmp_path):
    other = stored(tmp_path / "other", shard_trials=7777, strategies=("threaten",))
    again = pd.read_parquet(f"{other.folder.address}/trials").sort_values("trial", ignore_index=True)
    pd.testing.assert_frame_equal(table.drop(columns="strategy"), again.drop(columns="strategy"), check_exact=True)
    assert answer(other, measure="export_gain") == answer(found, measure="export_gain")
    before = digests(tmp_path / "other")
    (tmp_path / "other" / sorted(before)[2]).unlink()
    with pytest.raises(DamagedTrials, match="missing or damaged"):
        answer(open_run(tmp_path / "other"))
    run(other.plan, tmp_path / "other", RunOptions(engine="inline"))
    assert digests(tmp_path / "other") == before
    half = stored(tmp_path / "half", trials=TRIALS // 2, strategies=("threaten",))
    fewer = pd.read_parquet(f"{half.folder.address}/trials").sort_values("trial", ignore_index=True)
    pd.testing.assert_frame_equal(
        table[: TRIALS // 2].drop(columns="strategy"), fewer.drop(columns="strategy"), check_exact=True
    )


def test_a_measure_of_parameters_alone_has_the_indices_of_its_formula(found):
    """Variances of uniform numbers, and the covariance of two with a rank correlation: 0.7/12."""
    document = answer(found, measure="2 * credibility + follow_through + 0.4 * full_access")
    group, other = 4 + 1 + 2 * 2 * 0.7, 4.0
    both = of(document, "credibility", "follow_through")
    assert_near([both["first_order"]], [group / (group + other)], 0.05)
    assert_near([both["total_order"]], [group / (group + other)], 0.05)
    assert_near([of(document, "full_access")["total_order"]], [other / (group + other)], 0.05)
    assert of(document, "sanctioned_trade")["total_order"]["estimate"] == pytest.approx(0.0, abs=1e-12)
    assert document["variance"]["chance"]["estimate"] == pytest.approx(0.0, abs=1e-12)
    assert document["inputs"][0] == both


def test_chance_is_not_taken_for_interaction(found, table):
    document = answer(found, measure="agreement")
    values = table.agreement_week.notna().to_numpy().astype(float)
    values = values.reshape(-1, len(inputs(SCENARIO)) + 2, PLAYS, REPLICATES)
    assert document["variance"]["chance"]["estimate"] > 0.5
    means = values.mean(axis=2).transpose(0, 2, 1).reshape(-1)
    names = [" ".join(group) for group in inputs(SCENARIO)]
    by_hand = salib.analyze({"num_vars": len(names), "names": names}, means, calc_second_order=False, seed=1)
    for k, group in enumerate(inputs(SCENARIO)):
        one = of(document, *group)
        assert one["plain"]["first_order"] == pytest.approx(by_hand["S1"][k], rel=1e-9, abs=1e-12)
        assert one["plain"]["total_order"] == pytest.approx(by_hand["ST"][k], rel=1e-9)
        assert one["total_order"]["estimate"] < by_hand["ST"][k]
    # What it is worth does not matter to whether there is an agreement.
    worth = of(document, "full_access")
    assert abs(worth["total_order"]["estimate"]) < SIGMAS * worth["total_order"]["standard_error"]
    assert worth["plain"]["total_order"] > 0.5


def test_unknown_values_are_counted_and_bounded(found, table):
    document = answer(found, measure="sanctions_week")
    null = int(table.sanctions_week.isna().sum())
    assert document["trials"] == {"read": TRIALS, "known": TRIALS - null, "null": null, "infinite": 0}
    whether = answer(found, measure="sanctions")
    lowest = answer(found, measure="agreement_week")
    for one in document["inputs"]:
        assert one["left_out"] > 0.05 * 512
        assert f"{one['left_out']} of 512 base points" in one["reason"]
        for order in ("first_order", "total_order"):
            assert one[order]["estimate"] is None
            known = of(whether, *one["parameters"])[order]
            assert one[order]["missing"]["estimate"] == pytest.approx(known["estimate"], abs=1e-9)
            assert one[order]["missing"]["low"] == pytest.approx(known["low"], abs=1e-9)
            assert one[order]["missing_lowest"] is not None
        few = of(lowest, *one["parameters"])
        assert few["reason"] is None
        assert few["left_out"] < 0.05 * 512
        assert few["total_order"]["low"] < few["total_order"]["estimate"] < few["total_order"]["high"]
    shape = (-1, len(inputs(SCENARIO)) + 2, PLAYS, REPLICATES)
    weeks = table.agreement_week.to_numpy(float, na_value=np.nan)
    latest = indices(sums(np.nan_to_num(weeks, nan=np.nanmax(weeks)).reshape(shape), 10.0))
    for k, group in enumerate(inputs(SCENARIO)):
        bound = of(lowest, *group)["total_order"]["missing_highest"]
        assert bound == pytest.approx(latest.total[k]["estimate"], rel=1e-6)
    json.dumps([document, lowest], allow_nan=False)
    infinite = answer(found, measure="1 / (threat_week - 1)")
    assert infinite["trials"]["infinite"] == int((table.threat_week == 1).sum())
    assert infinite["trials"]["null"] == int(table.threat_week.isna().sum())


def test_a_few_unknown_values_are_left_out_of_means():
    values = played(PLAIN, lambda a, b, c: a + b, 1024, 0.2)
    rng = np.random.default_rng(6)
    values[rng.random(values.shape) < 0.05] = np.nan
    values[0, 1, 1:, 0] = np.inf
    found = found_in(values)
    assert found.left_out.tolist() == [1, 0, 0]
    assert_near(found.total, [0.5, 0.5, 0.0], 0.05)


def test_a_strategy_may_fix_an_input(found):
    document = answer(found, measure="export_gain", strategy="talk")
    assert document["fixed"] == [["threat_probability"]]
    assert len(document["inputs"]) == len(inputs(SCENARIO)) - 1
    assert document["trials"]["read"] == TRIALS - 512 * PLAYS


def test_a_measure_that_does_not_vary_has_no_index(found):
    document = answer(found, measure="5")
    assert "same value in all" in document["reason"]
    assert {one["total_order"]["estimate"] for one in document["inputs"]} == {None}


def test_refusals_name_the_cause(found, tmp_path):
    with pytest.raises(InvalidInput, match="known in none"):
        answer(found, measure="1 / (extensions - extensions)")
    with pytest.raises(InvalidInput, match="has trials that share points"):
        sample(found, "threaten", {}, most=10)
    with pytest.raises(InvalidInput, match="designs random"):
        discover(found, outcome="agreement")
    with pytest.raises(InvalidInput, match="designs random"):
        drivers(found)
    other = stored(tmp_path / "random", design="random", trials=2000)
    with pytest.raises(InvalidInput, match="must be a run of the saltelli design"):
        answer(other)
    with pytest.raises(InvalidInput, match="such as"):
        make_plan(SCENARIO, trials=100_000, seed=1, design="saltelli")
    with pytest.raises(InvalidInput, match="multiple of 16"):
        trials_needed(SCENARIO, 65)
    with pytest.raises(InvalidInput, match="needs uncertain parameters"):
        make_plan(scenario_from_document(document()), trials=1024, seed=1, design="saltelli")
    unfinished = make_plan(SCENARIO, trials=2 * TRIALS, seed=3, design="saltelli", shard_trials=10_000)
    begun = shutil.copytree(found.folder.address, tmp_path / "begun", ignore=shutil.ignore_patterns(MANIFEST))
    with pytest.raises(InvalidInput, match="not finished"):
        answer(StoredRun(unfinished, open_folder(begun)))


def test_the_command_line_plays_a_run_and_answers_from_it_again(found, tmp_path):
    file = tmp_path / "dispute.json"
    file.write_text((Path(found.folder.address) / "scenario.json").read_text())
    out = tmp_path / "run"
    options = ("--base-samples", 64, "--seed", 3, "--out", out, "--engine", "inline", "--measure", "export_gain")
    first = json.loads(brink("indices", file, *options, "--json").stdout)
    assert first == document_of("indices", open_run(out), measure="export_gain")
    assert first["result"]["base_samples"] == 64
    assert open_run(out).plan.strategies == ("threaten",)
    shown = brink("indices", out, "--measure", "agreement_week", environment={"COLUMNS": "220"}).stdout
    for says in ("null", "Chance", "total order of whether it is known", "credibility with follow_through"):
        assert says in shown
    assert "--base-samples" in brink("indices", out, "--base-samples", 64, status=2).stderr
    assert "multiple of 16" in brink("indices", file, "--base-samples", 100, status=2).stderr
    assert "nothing" in brink("indices", file, "--measure", "nothing", status=2).stderr


def test_http_gives_the_same_document(found, tmp_path):
    scenario = json.loads((Path(found.folder.address) / "scenario.json").read_text())
    body = {"scenario": scenario, "trials": TRIALS, "seed": 3, "design": "saltelli", "strategies": ["threaten"]}
    with served(tmp_path) as service:
        submitted = service.ask("POST", "/v1/jobs", json=body)
        assert submitted.status_code == 202
        path = f"{submitted.headers['Location']}/indices"
        waiting = service.ask("POST", path, json={"measure": "export_gain"})
        assert waiting.status_code == 409
        service.work()
        given = service.ask("POST", path, json={"measure": "export_gain"})
        assert given.status_code == 200
        assert given.json() == document_of("indices", found, measure="export_gain")
        assert service.ask("POST", path, json={"measure": "nothing"}).status_code == 422
        assert service.ask("POST", path, json={"given": "threat"}).status_code == 422
        refused = service.ask("POST", "/v1/jobs", json=body | {"trials": 1000})
        assert refused.status_code == 422
        assert str(trials_needed(SCENARIO, 64)) in refused.text
