"""Beliefs: weighted answers against pandas on the raw table, trial by trial; their refusals; the shell and HTTP."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cluster.answers import convergence
from cluster.answers.beliefs import thin_trials
from cluster.answers.registry import ANSWERS, ask
from cluster.answers.summary import summarize
from cluster.query.trials import StoredRun, open_run, sample, trials_table
from cluster.reference.rates import class_rates
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_document, scenario_from_document
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
    careless = replace(convergence.ANSWER, cannot_weigh=None)
    monkeypatch.setattr("cluster.answers.registry.ANSWERS", (careless,))
    with pytest.raises(RuntimeError, match="convergence ignores beliefs"):
        ask(runs["random"], "convergence", {**careless.examples[0], "believe": ["sanctions = 0.3"]})


@pytest.mark.parametrize("design", ["random", pytest.param("sobol", marks=pytest.mark.slow)])
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
    ],
)
def test_other_answers_weigh_the_trials_or_keep_a_part_of_them(runs, design, name, request_):
    found = ask(runs[design], name, {**request_, "believe": list(MILD)})
    json.dumps(found, allow_nan=False)
    assert found["method"]["weights"]
    evidence = next(iter(found["evidence"].values()))
    assert evidence["beliefs"][0]["weighted"] == pytest.approx(0.5)
    kept = evidence.get("kept")
    if kept is not None:
        used = found["trials"]["used"] / len(found["strategies"])
        assert used == pytest.approx(kept, rel=0.1)
        assert kept < found["run"]["trials"]
    assert brink(
        name,
        runs[design].folder.address,
        *(part for field, value in request_.items() for part in options(field, value)),
        *(part for text in MILD for part in ("--believe", text)),
        status=0,
    ).stdout


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


def test_the_trials_kept_are_the_same_by_numpy_and_by_sql_under_every_strategy(runs):
    run = runs["random"]
    thinned = thin_trials(run, ("talk",), BELIEFS)
    drawn = sample(run, "talk", {}, thinned=thinned.thinning, most=10_000)
    with trials_table(
        run, ("talk", "threaten"), thinned={"talk": thinned.thinning, "threaten": thinned.thinning}
    ) as sql:
        rows = sql.execute("SELECT strategy, list(trial ORDER BY trial) FROM trials GROUP BY 1").fetchall()
    assert dict(rows) == {name: drawn["trial"].tolist() for name in ("talk", "threaten")}
    assert drawn["trial"].size == pytest.approx(thinned.evidence.kept, rel=0.15)


def test_trials_are_kept_in_proportion_to_their_weights(runs):
    """Means over the trials kept against weighted means over all: within five standard errors, of each measure."""
    run = runs["random"]
    weights, own = weights_of(run), frames(run)["threaten"]
    drawn = sample(run, "threaten", {}, thinned=thin_trials(run, ("threaten",), BELIEFS).thinning, most=10_000)
    kept = own.loc[drawn["trial"]]
    for measure in ("target_cost", "export_gain", "sanctions_weeks", "sender_cost"):
        expected = np.average(own[measure], weights=weights)
        assert abs(kept[measure].mean() - expected) < 5 * kept[measure].std() / np.sqrt(len(kept))
    for condition in (own["sanctions_week"].notna(), own["agreement_week"] <= 20, own["filing_week"].notna()):
        assert condition[kept.index].mean() == pytest.approx(np.average(condition, weights=weights), abs=0.01)


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
