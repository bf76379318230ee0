"""Beliefs: weighted answers against pandas on the raw table, trial by trial; their refusals; the shell and HTTP."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from api.shipped_scenarios import shipped_scenario
from cluster.answers import replay
from cluster.answers.registry import ANSWERS, ask
from cluster.answers.score import ScoreRequest, score_against
from cluster.answers.summary import summarize
from cluster.query.trials import StoredRun, open_run
from cluster.reference.rates import class_rates
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_document, scenario_from_document
from sim.scenario.vocabulary import OUTCOMES
from sim.statistics.soft_evidence import Belief, weigh
from tests.support.answers import assert_same, served_run
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, litigious
from tests.support.runs import STRATEGIES, small_plan

BELIEFS = ("sanctions = 0.3", "agreement_week <= 20 = 0.25..0.35 under threaten", "filing_week is not null = 0.5")
MILD = ("sanctions = 0.5", "agreement = 0.3..0.6 under talk")
"""Beliefs that leave most of the trials."""


def stored(folder: Path, **options: object) -> StoredRun:
    run(small_plan(**options), folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, StoredRun]:
    folder = tmp_path_factory.mktemp("beliefs")
    return {design: stored(folder / design, design=design) for design in ("random", "sobol")}


def frames(found: StoredRun) -> dict[str, pd.DataFrame]:
    """The raw table, a frame a strategy, by trial."""
    whole = pd.read_parquet(f"{found.folder.address}/trials")
    return {name: part.set_index("trial").sort_index() for name, part in whole.groupby("strategy", observed=True)}


def weights_of(found: StoredRun, kept: pd.Index | None = None) -> pd.Series:
    """The weight of each trial (of those kept) for `BELIEFS`, from the raw table."""
    threaten = frames(found)["threaten"]
    threaten = threaten if kept is None else threaten.loc[kept]
    holds = np.stack(
        [threaten["sanctions_week"].notna(), threaten["agreement_week"] <= 20, threaten["filing_week"].notna()], axis=1
    ).astype(bool)
    patterns, place, counts = np.unique(holds, axis=0, return_inverse=True, return_counts=True)
    weighting = weigh(patterns, counts, [Belief(0.3, 0.3), Belief(0.25, 0.35), Belief(0.5, 0.5)])
    return pd.Series(weighting.weights[place.ravel()], threaten.index)


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_a_summary_is_that_of_the_weights_trial_by_trial_under_every_strategy(runs, design):
    found = summarize(runs[design], believe=BELIEFS)
    weights = weights_of(runs[design])
    for name, own in frames(runs[design]).items():
        part = found["strategies"][name]
        for outcome, one in part["outcome"].items():
            expected = weights[own["outcome"] == outcome].sum() / weights.sum()
            assert one["estimate"] == pytest.approx(expected, abs=1e-9)
            assert one["low"] - 1e-12 <= one["estimate"] <= one["high"] + 1e-12
        for measure in ("agreement_week", "target_cost", "export_gain"):
            known = own[measure].notna()
            values, w = own[measure][known].astype(float), weights[known]
            one = part["measures"][measure]
            assert one["count"] == known.sum()
            assert one["mean"]["estimate"] == pytest.approx(np.average(values, weights=w), rel=1e-9)
            order = np.argsort(values.to_numpy(), kind="stable")
            shares = np.cumsum(w.to_numpy()[order]) / w.sum()
            for level, at in one["quantiles"].items():
                assert at == pytest.approx(values.to_numpy()[order][np.searchsorted(shares, float(level) - 1e-12)])
                bounds = one["quantile_intervals"][level]
                assert bounds["low"] is None or bounds["low"] <= at
                assert bounds["high"] is None or bounds["high"] >= at
    evidence = found["strategies"]["talk"]["evidence"]
    assert evidence == found["strategies"]["threaten"]["evidence"]
    assert evidence["effective_trials"] == pytest.approx(weights.sum() ** 2 / np.square(weights).sum())
    assert evidence["greatest_weight"] == pytest.approx(weights.max())
    assert [one["weighted"] for one in evidence["beliefs"]] == pytest.approx([0.3, 0.35, 0.5], abs=1e-6) or evidence[
        "beliefs"
    ][1]["weighted"] == pytest.approx(0.25)
    assert evidence["rule"] == "minimum relative entropy"


def test_beliefs_hold_within_the_trials_that_agree_with_the_condition(runs):
    found = summarize(runs["random"], "threat_week <= 12", strategies=("threaten",), believe=BELIEFS)
    own = frames(runs["random"])["threaten"]
    kept = own.index[own["threat_week"] <= 12]
    weights = weights_of(runs["random"], kept)
    part = found["strategies"]["threaten"]
    assert part["trials"] == kept.size
    assert part["events"]["sanctions"]["estimate"] == pytest.approx(0.3)
    expected = np.average(own.loc[kept, "target_cost"], weights=weights)
    assert part["measures"]["target_cost"]["mean"]["estimate"] == pytest.approx(expected, rel=1e-6)


def test_a_belief_about_one_strategy_says_little_of_a_strategy_that_differs(runs):
    """Of talk, under which nobody threatens, it moves only what the worlds of sanctions have in common."""
    plain, believed = (summarize(runs["random"], believe=texts)["strategies"] for texts in ((), ("sanctions = 0.05",)))
    assert believed["threaten"]["events"]["sanctions"]["estimate"] == pytest.approx(0.05)
    assert believed["talk"]["events"]["sanctions"]["estimate"] == 0.0
    change = [one["talk"]["events"]["agreement"]["estimate"] for one in (plain, believed)]
    assert abs(change[1] - change[0]) < 0.2


def test_a_belief_in_what_the_trials_show_changes_nothing(runs):
    plain = summarize(runs["random"])["strategies"]["threaten"]
    share = plain["events"]["sanctions"]["estimate"]
    found = summarize(runs["random"], believe=(f"sanctions = {share!r}", "agreement = 0.01..0.99"))
    found = found["strategies"]["threaten"]
    assert found["evidence"]["effective_trials"] == pytest.approx(plain["trials"])
    for name in ("agreement_week", "target_cost", "export_gain"):
        before, after = (one["measures"][name]["mean"]["estimate"] for one in (plain, found))
        assert after == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("sanctions",), "must be a condition and its probability, such as"),
        (("threat_week <= 5",), "must be a condition and its probability, such as"),
        (("sanctions = 30",), "must have a probability from 0 to 1"),
        (("sanctions = 0.4..0.2",), "must have a probability from 0 to 1, or a range"),
        (("sanctions = 0.2..0.4 strength 5",), "must have either a range or a strength"),
        (("sanctions = 0.2 strength 0",), "must have a strength above 0"),
        (("sanctions = 0..1",), "says nothing"),
        (("sanctions = 0.2 under nobody",), "must name a strategy of this run after 'under'; there are threaten, talk"),
        (("export_gain = 0.2",), "must be a condition"),
        (("sanction = 0.2",), "sanctions"),
        (("sanctions = 1",), "is a certainty"),
        (("threat = 0.3 under talk",), "holds in none of the 5,000 trials"),
        (
            ("sanctions = 0.3", "sanctions_standing = 0.4"),
            "contradicts 'sanctions = 0.3 under threaten': with it the probability of sanctions_standing lies between "
            "0 and 0.3 in the 5,000 trials, both ends excluded",
        ),
        (("trial < 4 = 0.5",), "leaves an effective number of 16 of 5,000 trials, too few"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_the_reason(runs, texts, says):
    with pytest.raises(InvalidInput) as refused:
        summarize(runs["random"], believe=texts)
    assert says in str(refused.value)
    assert refused.value.faults[0].field.startswith("believe[")


def test_every_answer_takes_beliefs_or_says_why_not(runs):
    for answer in ANSWERS:
        assert "believe" in answer.request.model_fields
        if answer.cannot_weigh is not None and "random" in answer.designs:
            with pytest.raises(InvalidInput, match="believe: has no meaning"):
                ask(runs["random"], answer.name, {**answer.examples[0], "believe": ["sanctions = 0.3"]})


def test_an_answer_that_ignores_beliefs_is_a_programming_error(runs, monkeypatch):
    careless = replace(replay.ANSWER, cannot_weigh=None)
    monkeypatch.setattr("cluster.answers.registry.ANSWERS", (careless,))
    with pytest.raises(RuntimeError, match="replay ignores beliefs"):
        ask(runs["random"], "replay", {**careless.examples[0], "believe": ["sanctions = 0.3"]})


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("timeline", {}),
        ("worth", {}),
        ("drivers", {"measure": "agreement"}),
        ("discover", {"outcome": "sanctions"}),
        ("stress", {"bound": "sanctions", "strategy": "threaten"}),
        ("typical", {"strategy": "talk"}),
        ("aggregate", {"measures": ["agreement"], "statistics": ["mean"]}),
        ("convergence", {"measure": "agreement"}),
    ],
)
def test_an_answer_says_what_the_beliefs_did_and_is_printed(runs, name, request_):
    found = ask(runs["sobol"], name, {**request_, "believe": list(MILD)})
    json.dumps(found, allow_nan=False)
    assert "weighted" in found["method"]["weights"]
    evidence = next(iter(found["evidence"].values()))
    assert evidence["beliefs"][0]["weighted"] == pytest.approx(0.5)
    assert evidence["effective_trials"] < found["trials"]["used"]
    printed = brink(
        name,
        runs["sobol"].folder.address,
        *(part for field, value in request_.items() for part in options(field, value)),
        *(part for text in MILD for part in ("--believe", text)),
        status=0,
    ).stdout
    assert "The trials are weighted by" in " ".join(printed.split())


def options(field: str, value: object) -> list[str]:
    names = {"measures": "measure", "statistics": "statistic"}
    return [
        part
        for one in (value if isinstance(value, list) else [value])
        for part in (f"--{names.get(field, field)}", one)
    ]


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_a_timeline_has_the_weights_trial_by_trial(runs, design):
    found = ask(runs[design], "timeline", {"believe": list(BELIEFS)})["result"]["strategies"]
    weights = weights_of(runs[design])
    for name, own in frames(runs[design]).items():
        for week in (2, 8, len(found[name]["states"]["agreement"]["estimate"])):
            course = found[name]["states"]["agreement"]
            expected = weights[own["agreement_week"] <= week].sum() / weights.sum()
            assert course["estimate"][week - 1] == pytest.approx(expected, abs=1e-9)
            assert course["low"][week - 1] <= expected + 1e-9
            assert expected - 1e-9 <= course["high"][week - 1] <= course["band_high"][week - 1] + 1e-12


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_grouped_statistics_have_the_weights_trial_by_trial(runs, design):
    names = ["count", "known", "mean", "standard_deviation", "standard_error", "min", "max", "sum", "median", "q90"]
    request = {
        "measures": ["agreement_week", "target_cost"],
        "statistics": names,
        "by": ["strategy", "outcome"],
        "believe": list(BELIEFS),
    }
    rows = ask(runs[design], "aggregate", request)["result"]["rows"]
    own, weights = frames(runs[design]), weights_of(runs[design])
    assert len(rows) == sum(part["outcome"].nunique() for part in own.values())
    for row in rows:
        group = own[row["strategy"]][own[row["strategy"]]["outcome"] == row["outcome"]]
        assert row["trials"] == len(group)
        for measure in request["measures"]:
            known = group[measure].notna()
            values, w = group[measure][known].to_numpy(float), weights[group.index[known]].to_numpy()
            found = {name: row[f"{measure}.{name}"] for name in names}
            assert found["count"] == pytest.approx(w.sum())
            assert found["known"] == pytest.approx(w.sum() / weights[group.index].sum())
            if not w.size:
                assert found["mean"] is found["sum"] is found["median"] is None
                continue
            mean = np.average(values, weights=w)
            assert found["mean"] == pytest.approx(mean)
            assert found["sum"] == pytest.approx((values * w).sum())
            assert (found["min"], found["max"]) == (values.min(), values.max())
            effective = w.sum() ** 2 / np.square(w).sum()
            variance = np.average(np.square(values - mean), weights=w) * effective / max(effective - 1, 1e-9)
            if effective > 1.01:
                assert found["standard_deviation"] == pytest.approx(np.sqrt(variance))
            order = np.argsort(values, kind="stable")
            shares = np.cumsum(w[order]) / w.sum()
            assert found["median"] in values[order][np.abs(shares - 0.5) <= w.max() / w.sum() + 1e-9]
    pooled = ask(runs[design], "aggregate", {**request, "by": ["outcome"]})["result"]["rows"]
    for row in pooled:
        both = [part[part["outcome"] == row["outcome"]] for part in own.values()]
        expected = sum(weights[part.index].sum() for part in both)
        assert row["target_cost.count"] == pytest.approx(expected)
        assert row["target_cost.standard_error"] is None


def test_weighted_quantiles_of_more_numbers_than_are_held_are_the_same(runs, monkeypatch):
    request = {
        "measures": ["agreement", "export_gain - sender_cost"],
        "statistics": ["median", "q05", "q95"],
        "by": ["outcome", {"value": "target_cost", "quantiles": 3}],
        "believe": list(MILD),
    }
    held = ask(runs["random"], "aggregate", request)
    monkeypatch.setattr("cluster.query.quantiles.MOST_HELD", 100)
    assert ask(runs["random"], "aggregate", request) == held


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_the_standard_error_of_all_trials_is_that_of_the_summary(runs, design):
    found = ask(runs[design], "aggregate", {"measures": ["target_cost"], "believe": list(BELIEFS)})["result"]["rows"]
    summary = summarize(runs[design], believe=BELIEFS)["strategies"]
    settled = ask(runs[design], "convergence", {"measure": "target_cost", "believe": list(BELIEFS)})["result"]
    for row in found:
        mean = summary[row["strategy"]]["measures"]["target_cost"]["mean"]
        assert row["target_cost.standard_error"] == pytest.approx(mean["standard_error"], rel=1e-6)
        last = {key: values[-1] for key, values in settled["strategies"][row["strategy"]].items() if key != "trials"}
        # Of a measure that is the same in all trials the summary knows the range.
        same = list(mean) if mean["standard_error"] else ["estimate", "standard_error"]
        assert {key: last[key] for key in same} == pytest.approx({key: mean[key] for key in same}, rel=1e-6)


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_what_drives_a_measure_is_weighted(runs, design):
    measure = "target_cost"
    found = ask(runs[design], "drivers", {"measure": measure, "believe": list(BELIEFS)})["result"]
    own, weights = frames(runs[design])["threaten"], weights_of(runs[design])
    y, w = own[measure].to_numpy(float), weights.to_numpy()
    mean = np.average(y, weights=w)
    assert found["mean"]["estimate"] == pytest.approx(mean)
    assert found["standard_deviation"] == pytest.approx(np.sqrt(np.average(np.square(y - mean), weights=w)))
    assert found["parameters"]
    for one in found["parameters"]:
        x = own[one["name"]].to_numpy(float)
        for decile, inside in (
            (one["lowest_decile"], x <= one["lowest_decile"]["up_to"]),
            (one["highest_decile"], x >= one["highest_decile"]["from"]),
        ):
            assert decile["mean"]["estimate"] == pytest.approx(np.average(y[inside], weights=w[inside]))
            assert decile["mean"]["low"] < decile["mean"]["estimate"] < decile["mean"]["high"]
            # The weighted share is a tenth, to a trial at the bound.
            if np.unique(x).size > 100:
                assert w[inside].sum() / w.sum() == pytest.approx(0.1, abs=2 * w.max() / w.sum())
    assert found["variance"]["reason"] == "the beliefs are about events, which other chance would change"


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_a_reverse_stress_test_is_weighted(runs, design):
    request = {"bound": "agreement_week <= 12", "strategy": "threaten", "believe": list(BELIEFS)}
    found = ask(runs[design], "stress", request)["result"]
    own, weights = frames(runs[design])["threaten"], weights_of(runs[design])
    broken = own["agreement_week"] <= 12
    assert found["probability"]["estimate"] == pytest.approx(weights[broken].sum() / weights.sum())
    for one in found["parameters"]:
        x = own[one["name"]].astype(float)
        means = [np.average(x[side], weights=weights[side]) for side in (broken, ~broken)]
        assert [one[side]["mean"] for side in ("inside", "outside")] == pytest.approx(means)
        centre = np.average(x, weights=weights)
        deviation = np.sqrt(np.average(np.square(x - centre), weights=weights))
        shift = one["shift"]
        assert shift["estimate"] == pytest.approx((means[0] - means[1]) / deviation, abs=1e-9)
        assert shift["low"] < shift["estimate"] < shift["high"]
        ordered = np.sort(x.unique())
        by_side = (
            [
                np.cumsum([weights[side & (x == value)].sum() for value in ordered]) / weights[side].sum()
                for side in (broken, ~broken)
            ]
            if ordered.size < 50
            else None
        )
        if by_side is not None:
            assert one["distance"] == pytest.approx(np.abs(by_side[0] - by_side[1]).max())
        for side, inside in (("inside", broken), ("outside", ~broken)):
            for level, value in one[side]["quantiles"].items():
                below = weights[inside & (x <= value)].sum() / weights[inside].sum()
                under = weights[inside & (x < value)].sum() / weights[inside].sum()
                assert under - 1e-9 <= float(level) <= below + 1e-9
        assert sum(part["inside"] for part in one["by_decile"]) == pytest.approx(1.0)
    for one in found["events"]:
        if one["name"] == "complaint":
            filed = own["filing_week"].notna()
            shares = [np.average(filed[side], weights=weights[side]) for side in (broken, ~broken)]
            assert one["difference"]["estimate"] == pytest.approx(shares[0] - shares[1])


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_boxes_are_measured_by_weights_on_the_trials_held_out(runs, design):
    found = ask(runs[design], "discover", {"outcome": "agreement_week <= 12", "believe": list(MILD)})["result"]
    own = {name: part[part.index % 2 == 1] for name, part in frames(runs[design]).items()}
    held = np.stack([own["threaten"]["sanctions_week"].notna(), own["talk"]["agreement_week"].notna()], axis=1)
    patterns, place, counts = np.unique(held, axis=0, return_inverse=True, return_counts=True)
    weights = weigh(patterns, counts, [Belief(0.5, 0.5), Belief(0.3, 0.6)]).weights[place.ravel()]
    happened = (own["threaten"]["agreement_week"] <= 12).to_numpy()
    assert found["probability"]["estimate"] == pytest.approx(np.average(happened, weights=weights))
    assert found["boxes"]
    for box in found["boxes"]:
        inside = np.ones(happened.size, bool)
        for one in box["restrictions"]:
            x = own["threaten"][one["name"]].to_numpy(float)
            own_range = (x > (-np.inf if one["above"] is None else one["above"])) & (
                x <= (np.inf if one["up_to"] is None else one["up_to"])
            )
            assert one["share"] == pytest.approx(np.average(own_range, weights=weights))
            inside &= own_range
        assert box["density"]["estimate"] == pytest.approx(np.average(happened[inside], weights=weights[inside]))
        assert box["mass"]["estimate"] == pytest.approx(weights[inside].sum() / weights.sum())
        assert box["coverage"]["estimate"] == pytest.approx(np.average(inside[happened], weights=weights[happened]))


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_the_value_of_information_is_that_of_the_weighted_worlds(runs, design):
    document = ask(runs[design], "worth", {"measure": "export_gain - sender_cost", "believe": list(BELIEFS)})
    found, own, weights = document["result"], frames(runs[design]), weights_of(runs[design])
    net = {name: (part["export_gain"] - part["sender_cost"]).to_numpy(float) for name, part in own.items()}
    means = {name: np.average(values, weights=weights) for name, values in net.items()}
    assert found["now"]["best"] == max(means, key=means.get)
    for name, mean in means.items():
        assert found["now"]["means"][name]["estimate"] == pytest.approx(mean, rel=1e-6)
    best = net[found["now"]["best"]]
    everything = np.average(np.maximum(net["threaten"], net["talk"]) - best, weights=weights)
    assert found["everything"]["estimate"] == pytest.approx(everything, rel=1e-6)
    for one in (*found["parameters"], *found["groups"]):
        assert one["value"]["estimate"] <= found["everything"]["high"]
        assert sum(one["chosen"].values()) == pytest.approx(1.0)


def test_typical_trials_are_those_near_the_weighted_medians(runs):
    found = ask(runs["random"], "typical", {"believe": list(BELIEFS)})["result"]
    own, weights = frames(runs["random"])["threaten"], weights_of(runs["random"])
    for one in found["typical"]:
        group = own[own["outcome"] == one["outcome"]]
        assert one["count"] == len(group)
        assert one["share"] == pytest.approx(weights[group.index].sum() / weights.sum(), rel=1e-6)
        values, w = group["target_cost"].astype(float), weights[group.index]
        median = one["medians"]["target_cost"]
        assert w[values < median].sum() / w.sum() - 1e-6 <= 0.5 <= w[values <= median].sum() / w.sum() + 1e-6
    plain = ask(runs["random"], "typical", {})["result"]
    assert found["extreme"] == plain["extreme"]


def test_a_score_is_that_of_the_weighted_forecast(runs):
    history = replace(shipped_scenario("us-japan-autos-1995").history, strategy="threaten")
    found = score_against(runs["random"], history, ScoreRequest(believe=BELIEFS)).result.model_dump(by_alias=True)
    own, weights = frames(runs["random"])["threaten"], weights_of(runs["random"])
    effective = weights.sum() ** 2 / np.square(weights).sum()
    sanctions = np.average(own["sanctions_week"].notna(), weights=weights)
    assert found["events"]["sanctions"]["forecast"] == pytest.approx(sanctions)
    standing = np.average(own["outcome"] == "sanctions_standing", weights=weights)
    expected = (standing * effective + 0.5) / (effective + 0.5 * len(OUTCOMES))
    assert found["outcome"]["forecast"]["sanctions_standing"] == pytest.approx(expected)
    week = history.agreement_week
    near = np.average(own["agreement_week"].between(week - 2, week + 2), weights=weights)
    assert found["agreement_week"]["probability"] == pytest.approx(near)


def test_the_command_line_and_http_weigh_as_python_does(runs, tmp_path):
    found = runs["random"]
    expected = json.loads(json.dumps(ask(found, "summary", {"believe": list(BELIEFS)}), allow_nan=False))
    arguments = [part for text in BELIEFS for part in ("--believe", text)]
    printed = brink("summary", found.folder.address, *arguments, "--json", status=0)
    assert_same(json.loads(printed.stdout), expected)
    table = brink("summary", found.folder.address, *arguments, status=0).stdout
    assert "Believed: sanctions under threaten in 30.0 % of worlds" in table.replace("\n", " ").replace("  ", " ")
    talk = brink("summary", found.folder.address, *arguments, "--strategy", "talk", status=0).stdout
    assert "Believed: sanctions under threaten in" in talk, "a strategy other than the one shown is named"
    client, job = served_run(found, tmp_path / "data")
    response = client.get(f"{job}/summary", params={"believe": list(BELIEFS)})
    assert response.status_code == 200, response.text
    assert_same(response.json(), expected)
    refused = client.get(f"{job}/summary", params={"believe": ["sanctions = 3"]})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "believe[0]")
    client.app.state.database.dispose()
    assert_refused(
        brink("summary", found.folder.address, "--believe", "sanctions = 3"), "--believe", "must have a probability"
    )


@pytest.mark.parametrize("design", ["random", "sobol"])
def test_differences_and_regrets_are_those_of_the_weights_trial_by_trial(runs, design):
    document = ask(runs[design], "compare", {"believe": list(BELIEFS), "measures": ["export_gain - sender_cost"]})
    own, weights = frames(runs[design]), weights_of(runs[design])
    net = {name: (part["export_gain"] - part["sender_cost"]).astype(float) for name, part in own.items()}
    (pair,) = document["result"]["pairs"]
    difference = net["threaten"] - net["talk"]
    found = pair["measures"]["export_gain - sender_cost"]
    assert found["difference"]["estimate"] == pytest.approx(np.average(difference, weights=weights), rel=1e-6)
    assert found["higher"]["estimate"] == pytest.approx(np.average(difference > 0, weights=weights), rel=1e-9)
    assert found["difference"]["low"] < found["difference"]["estimate"] < found["difference"]["high"]
    for outcome, one in pair["outcome"].items():
        moved = np.average(own["threaten"]["outcome"] == outcome, weights=weights)
        moved -= np.average(own["talk"]["outcome"] == outcome, weights=weights)
        assert one["difference"]["estimate"] == pytest.approx(moved, abs=1e-9)
    (choice,) = document["result"]["choices"]
    short = np.maximum(net["threaten"], net["talk"]) - net["talk"]
    regret = choice["regret"]["talk"]
    assert regret["mean"]["estimate"] == pytest.approx(np.average(short, weights=weights), rel=1e-6)
    assert regret["best"]["estimate"] == pytest.approx(np.average(short == 0, weights=weights), rel=1e-9)
    order = np.argsort(short.to_numpy(), kind="stable")
    shares = np.cumsum(weights.to_numpy()[order]) / weights.sum()
    for level, one in regret["quantiles"].items():
        expected = short.to_numpy()[order][np.searchsorted(shares, float(level) - 1e-12)]
        assert one["estimate"] == pytest.approx(expected, rel=1e-6)
        assert one["low"] <= one["estimate"] <= one["high"]
    for lead in choice["leads"]:
        assert sum(one["share"] for one in lead["ranges"]) == pytest.approx(1.0)
    assert document["evidence"]["talk"] == document["evidence"]["threaten"]


def test_leads_have_weighted_means_and_shares(runs):
    """In each range of every parameter, against pandas; there is at least a range for each of them."""
    document = ask(runs["random"], "compare", {"believe": list(BELIEFS), "measures": ["agreement"]})
    own, weights = frames(runs["random"]), weights_of(runs["random"])
    leads = document["result"]["choices"][0]["leads"]
    assert leads
    for lead in leads:
        assert lead["ranges"]
        for part in lead["ranges"]:
            inside = own["threaten"][lead["name"]].between(part["low"], part["high"])
            for name in ("threaten", "talk"):
                expected = np.average(own[name]["agreement_week"][inside].notna(), weights=weights[inside])
                assert part["means"][name] == pytest.approx(expected, rel=1e-9)
            assert part["share"] == pytest.approx(weights[inside].sum() / weights.sum(), rel=1e-9)


def test_the_change_is_the_weighted_estimate_less_that_of_all_trials(runs):
    plain, believed = (summarize(runs["sobol"], believe=texts)["strategies"] for texts in ((), BELIEFS))
    for name in ("threaten", "talk"):
        for kind in ("outcome", "events"):
            for event, change in believed[name]["change"][kind].items():
                expected = believed[name][kind][event]["estimate"] - plain[name][kind][event]["estimate"]
                assert change["estimate"] == pytest.approx(expected, abs=1e-12)
                assert change["low"] <= change["estimate"] <= change["high"]
        for measure in ("target_cost", "export_gain"):
            before, after = (one[name]["measures"][measure]["mean"]["estimate"] for one in (plain, believed))
            assert believed[name]["change"]["measures"][measure]["estimate"] == pytest.approx(after - before, rel=1e-6)


@pytest.fixture(scope="module")
def classed(tmp_path_factory) -> StoredRun:
    """A run of a scenario with a reference class; a few trials have no threat."""
    document = changed(litigious(), strategies=STRATEGIES, as_of="1995-04-13", reference="specific-strong")
    plan = make_plan(scenario_from_document(document), trials=4000, seed=4)
    folder = tmp_path_factory.mktemp("classed") / "run"
    run(plan, folder, RunOptions(engine="inline"))
    return open_run(folder)


def test_with_the_outside_view_threats_end_as_the_pooled_class_says(classed):
    found = summarize(classed, outside=True)
    outside, events = found["outside"], found["strategies"]["threaten"]["events"]
    known = class_rates("specific-strong", date(1995, 4, 13))
    own = frames(classed)["threaten"]
    threat = own["threat_week"].notna()
    settled = own["outcome"] == "agreement_under_threat"
    assert events["threat"]["estimate"] == pytest.approx(threat.mean())
    weight = known["episodes"] + known["prior_weight"]
    for name, share in (
        ("settled", (settled & threat).sum() / threat.sum()),
        ("imposed", own["sanctions_week"].notna().sum() / threat.sum()),
    ):
        assert outside["forecast"][name] == pytest.approx(share)
        expected = (share + weight * known["pooled"][name]["estimate"]) / (1 + weight)
        assert outside["rates"][name] == pytest.approx(expected)
    assert sum(outside["rates"].values()) == pytest.approx(1)
    assert events["sanctions"]["estimate"] == pytest.approx(outside["rates"]["imposed"] * threat.mean())
    assert (outside["reference"], outside["known_on"]) == ("specific-strong", "1995-04-13")
    assert found["strategies"]["threaten"]["evidence"]["rule"] == "Jeffrey's rule"


def test_the_outside_view_on_the_command_line_and_over_http(classed, tmp_path):
    expected = json.loads(json.dumps(ask(classed, "summary", {"outside": True})))
    printed = brink("summary", classed.folder.address, "--outside", "--json", status=0)
    assert_same(json.loads(printed.stdout), expected)
    client, job = served_run(classed, tmp_path / "data")
    assert_same(client.get(f"{job}/summary", params={"outside": True}).json(), expected)
    client.app.state.database.dispose()
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps(scenario_document(classed.plan.scenario)))
    arguments = ("run", scenario, "--trials", 4000, "--seed", 4, "--out", tmp_path / "run", "--engine", "inline")
    played = json.loads(brink(*arguments, "--outside", "--json", status=0).stdout)
    assert_same(played["with_outside_view"], expected)
    assert played["strategies"] == json.loads((tmp_path / "run" / "summary.json").read_text())["strategies"]
    table = " ".join(brink(*arguments, "--outside", status=0).stdout.split())
    assert "With the class specific-strong" in table
    assert "What the beliefs changed: percentage points" in table


def test_the_outside_view_and_a_condition_combine(classed):
    """The class is one of all threats: all trials get its weights, of which the condition leaves some."""
    found = summarize(classed, "agreement_week > 8", outside=True)
    own = frames(classed)["threaten"]
    kept, threat = own["agreement_week"] > 8, own["threat_week"].notna()
    settled, imposed = own["outcome"] == "agreement_under_threat", own["sanctions_week"].notna()
    weights = pd.Series(1.0, own.index)
    for name, ended in (("settled", settled), ("imposed", imposed), ("dropped", ~settled & ~imposed)):
        weights[threat & ended] = found["outside"]["rates"][name] * threat.sum() / (threat & ended).sum()
    part = found["strategies"]["threaten"]
    assert part["trials"] == kept.sum()
    for event, holds in (("sanctions", imposed), ("complaint", own["filing_week"].notna())):
        one = part["events"][event]
        expected = np.average(holds[kept], weights=weights[kept])
        assert one["estimate"] == pytest.approx(expected, rel=1e-6)
        assert one["low"] < expected < one["high"]
        assert part["change"]["events"][event]["estimate"] == pytest.approx(expected - holds[kept].mean(), rel=1e-6)
    cost = part["measures"]["target_cost"]
    assert cost["mean"]["estimate"] == pytest.approx(np.average(own["target_cost"][kept], weights=weights[kept]))
    order = np.argsort(own["target_cost"][kept].to_numpy(), kind="stable")
    shares = np.cumsum(weights[kept].to_numpy()[order]) / weights[kept].sum()
    median = own["target_cost"][kept].to_numpy()[order][np.searchsorted(shares, 0.5)]
    assert cost["quantiles"]["0.5"] == pytest.approx(median)
    with pytest.raises(InvalidInput, match="too few for an answer"):
        summarize(classed, "trial < 90", outside=True)


def test_a_scenario_without_a_class_has_no_outside_view(runs):
    with pytest.raises(InvalidInput, match="reference: is missing"):
        summarize(runs["random"], outside=True)


def test_sanctions_imposed_are_those_of_a_deadline(runs):
    found = summarize(runs["random"], believe=("sanctions_imposed = 0.30",))["strategies"]["threaten"]
    assert found["events"]["sanctions"]["estimate"] == pytest.approx(0.30)
