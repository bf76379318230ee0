"""Forecasts against what happened: one run's score, many runs together, and the command line."""

import json
from dataclasses import replace
from datetime import date
from functools import partial
from math import ceil, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import dirichlet_multinomial

from api.shipped_scenarios import shipped_scenario
from cluster.answers.backtest import PARTS, backtest, is_fitted, scored_dispute
from cluster.answers.score import _known_rates
from cluster.query.trials import open_run
from cluster.reference.rates import known_rates
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document
from sim.statistics.scoring_rules import class_of
from tests.support.answers import document_of, result_of
from tests.support.command_line import assert_refused, brink
from tests.support.examples import HISTORY, changed, litigious

score = partial(result_of, "score")
TRIALS = 3000


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    scenario = scenario_from_document(
        changed(litigious(), strategies={"threaten": {}, "talk": {"threat_probability": 0}}, history=HISTORY)
    )
    folder = tmp_path_factory.mktemp("played") / "run"
    run(make_plan(scenario, trials=TRIALS, seed=5, shard_trials=1000), folder, RunOptions(engine="inline"))
    return open_run(folder)


@pytest.fixture(scope="module")
def trials(played):
    found = pd.read_parquet(f"{played.folder.address}/trials")
    return found[found.strategy == "threaten"]


def test_a_score_agrees_with_the_raw_table(played, trials):
    whole = document_of("score", played)
    found = whole["result"]
    assert (whole["strategies"], whole["trials"]["used"]) == (["threaten"], TRIALS)
    outcomes = trials.outcome.astype(str).value_counts()
    forecast = found["outcome"]["forecast"]
    for name, p in forecast.items():
        assert p == pytest.approx((outcomes.get(name, 0) + 0.5) / (TRIALS + 3.5))
    assert found["outcome"]["brier"] == pytest.approx(
        sum((p - (name == HISTORY["outcome"])) ** 2 for name, p in forecast.items())
    )
    assert found["outcome"]["log"] == pytest.approx(-log(forecast[HISTORY["outcome"]]))
    classes = [
        class_of(outcome, imposed)
        for outcome, imposed in zip(trials.outcome.astype(str), trials.sanctions_week.notna(), strict=True)
    ]
    for name, p in found["class"]["forecast"].items():
        assert p == pytest.approx((classes.count(name) + 0.5) / (TRIALS + 1.5))
    assert found["class"]["happened"] == "imposed"
    assert set(found["class"]["naive"]) == {"uniform", "class_rates", "record"}
    # Without a reference class and a day: all threats. The record of lists: 14 settled, 10 imposed.
    rival = found["class"]["naive"]["class_rates"]
    assert list(rival["forecast"].values()) == pytest.approx(np.array([57, 22, 49]) / 128, abs=1e-3)
    assert rival["brier"] == pytest.approx(np.square(np.array(list(rival["forecast"].values())) - [0, 1, 0]).sum())
    assert list(found["class"]["naive"]["record"]["forecast"].values()) == pytest.approx(
        [14.5 / 25.5, 10.5 / 25.5, 0.5 / 25.5]
    )
    assert found["events"]["sanctions"] == {
        "forecast": pytest.approx(trials.sanctions_week.notna().mean()),
        "happened": True,
    }
    assert found["events"]["retaliation"]["forecast"] == pytest.approx((trials.retaliation_weeks > 0).mean())
    week = trials.agreement_week.astype(float)
    assert found["agreement_week"]["probability"] == pytest.approx(week.between(13, 17).mean())
    censored = week.fillna(19).to_numpy()
    distance = np.abs(censored - HISTORY["agreement_week"]).mean()
    spread = np.abs(censored[:, None] - censored[None, :]).mean() / 2
    assert found["agreement_week"]["crps"] == pytest.approx(distance - spread)


def test_the_score_of_an_outcome_of_no_trial_is_finite_and_says_so(played):
    found = score(played, strategy="talk")
    assert found["class"]["never_played"]
    assert found["class"]["log"] == pytest.approx(log((TRIALS + 1.5) / 0.5))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_score_given_what_has_happened_so_far(played, trials):
    whole = document_of("score", played, given="threat_week == 2")
    found = whole["result"]
    held = trials[trials.threat_week == 2]
    assert whole["trials"]["used"] == len(held)
    assert found["events"]["agreement"]["forecast"] == pytest.approx(held.agreement_week.notna().mean())


def test_sanctions_from_the_start_are_no_imposition(tmp_path):
    """Their class is forecast by their end: an agreement while they are in force, or none and they stand."""
    document = changed(
        litigious(),
        history={
            "outcome": "agreement_under_sanctions",
            "sanctions_week": 0,
            "agreement_week": 4,
            "sources": ["A newspaper."],
        },
    )
    document["parameters"] |= {"sanctions_at_start": 0.6}
    run(make_plan(scenario_from_document(document), trials=TRIALS, seed=5), tmp_path / "run", RunOptions("inline"))
    found = score(open_run(tmp_path / "run"))
    trials = pd.read_parquet(tmp_path / "run" / "trials")
    from_start, outcome = trials.sanctions_week == 0, trials.outcome.astype(str)
    assert 0 < from_start.sum() < TRIALS
    imposed = (trials.sanctions_week > 0) | (from_start & (outcome == "sanctions_standing"))
    settled = ~imposed & outcome.isin(["agreement_in_talks", "agreement_under_threat", "agreement_under_sanctions"])
    assert (settled & from_start).any()
    assert found["class"]["happened"] == "settled"
    assert found["class"]["forecast"]["imposed"] == pytest.approx((imposed.sum() + 0.5) / (TRIALS + 1.5))
    assert found["class"]["forecast"]["settled"] == pytest.approx((settled.sum() + 0.5) / (TRIALS + 1.5))
    assert found["events"]["sanctions"]["happened"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "bluff"}, "there are threaten, talk"),
        ({"given": "threat_week == 2 and extensions > 15"}, "too few"),
        ({"given": "thret_week == 2"}, "threat_week"),
    ],
)
def test_wrong_requests_are_refused(played, options, says):
    with pytest.raises(InvalidInput, match=says):
        score(played, **options)


@pytest.fixture(scope="module")
def disputes(played):
    """Three disputes with two targets; the first is coded in two ways."""
    history = played.plan.scenario.history
    coded = replace(history, outcome="agreement_under_threat", sanctions_week=None, sanctions_weeks=None)
    one = scored_dispute(played, replace(history, codings={"as settled": coded}))
    other = {**one, **score(played, strategy="talk"), "scenario": "other", "strategy": "talk", "codings": []}
    third = {**other, "scenario": "third", "target": "Another", "events": one["events"]}
    third["class"] = {**third["class"], "happened": "settled", "brier": 0.5, "log": 0.7}
    return [one, other, third]


def test_means_and_differences_are_those_of_the_rows(disputes):
    found = backtest(disputes)
    weights = [0.5, 0.5, 1.0]
    assert [one["weight"] for one in found["scenarios"]] == weights
    for part, names in PARTS.items():
        rivals = list(disputes[0][part]["naive"])
        assert list(found["mean"][part]) == list(found["weighted_mean"][part]) == ["model", *rivals]
        for name in names:
            ours = np.array([one[part][name] for one in disputes])
            assert found["mean"][part]["model"][name]["estimate"] == pytest.approx(ours.mean())
            for rival in rivals:
                theirs = np.array([one[part]["naive"][rival][name] for one in disputes])
                mean, weighted = found["mean"][part][rival], found["weighted_mean"][part][rival]
                assert mean[name]["estimate"] == pytest.approx(theirs.mean())
                difference = mean[f"{name}_difference"]
                assert difference["estimate"] == pytest.approx((ours - theirs).mean())
                assert difference["low"] <= difference["estimate"] <= difference["high"]
                expected = np.average(ours - theirs, weights=weights)
                assert weighted[f"{name}_difference"]["estimate"] == pytest.approx(expected)
    counted = sum(row["forecasts"] for row in found["calibration"]["bins"])
    assert counted + found["calibration"]["certain"]["forecasts"] == 21
    json.dumps(found, allow_nan=False)


def test_another_coding_replaces_the_history_of_its_dispute(disputes):
    found = backtest(disputes)["codings"]
    (recoded,) = found["recoded"]
    assert (recoded["scenario"], recoded["coding"], recoded["happened"]) == ("litigious", "as settled", "settled")
    forecast = disputes[0]["class"]["forecast"]
    brier = sum((p - (name == "settled")) ** 2 for name, p in forecast.items())
    assert recoded["brier"] == pytest.approx(brier)
    rest = disputes[1]["class"]["brier"] + 0.5
    assert recoded["mean"]["estimate"] == pytest.approx((brier + rest) / 3)
    means = sorted([(brier + rest) / 3, (disputes[0]["class"]["brier"] + rest) / 3])
    assert list(found["mean"].values()) == pytest.approx(means)
    third = 1 / 3
    uniform = (1 - third) ** 2 + 2 * third**2
    assert recoded["differences"]["uniform"]["estimate"] == pytest.approx((brier + rest) / 3 - uniform)
    assert list(found["differences"]["uniform"].values()) == pytest.approx([one - uniform for one in means])


def test_the_conclusion_counts_the_disputes_that_a_gain_needs(disputes):
    found = backtest(disputes)["conclusion"]
    differences = [one["class"]["brier"] - one["class"]["naive"]["record"]["brier"] for one in disputes]
    assert found["disputes_needed"]["record"] == ceil(2.8015852**2 * np.var(differences, ddof=1) / 0.01)
    assert found["fitted"] == []
    assert "With the spread of these disputes it would take" in found["text"]
    alone = backtest(disputes[:1])
    assert alone["mean"]["class"]["record"]["brier_difference"]["low"] is None
    assert "one dispute shows nothing" in alone["conclusion"]["text"]


@pytest.mark.parametrize("fitted", [1, 2, 3])
def test_fitted_forecasts_are_named_and_count_for_no_number_of_disputes(disputes, fitted):
    """That their forecasts are those of their class is said first; cases needed are those of the others alone."""
    scores = [{**one, "fitted": k < fitted} for k, one in enumerate(disputes)]
    found = backtest(scores)["conclusion"]
    assert found["fitted"] == [one["scenario"] for one in disputes[:fitted]]
    assert found["text"].startswith("All 3 forecasts" if fitted == 3 else f"{fitted} of the 3 forecasts")
    assert "cannot show skill beyond the class rates" in found["text"]
    differences = [one["class"]["brier"] - one["class"]["naive"]["record"]["brier"] for one in disputes[fitted:]]
    if fitted == 1:
        assert found["disputes_needed"]["record"] == max(2, ceil(2.8015852**2 * np.var(differences, ddof=1) / 0.01))
    else:
        assert set(found["disputes_needed"].values()) == {None}
        assert "cannot be said" in found["text"]


def test_a_scenario_is_fitted_if_its_sources_say_so():
    document = changed(litigious(), sources={"follow_through": "The rule. Then fitted to the class."})
    assert is_fitted(scenario_from_document(document))
    assert not is_fitted(scenario_from_document(changed(litigious(), sources={"follow_through": "Benefitted."})))
    assert is_fitted(shipped_scenario("us-mexico-2019"))


def counted_before(day: date) -> tuple[dict[str, list[int]], np.ndarray]:
    """The shipped counts by class, and of the lists, that were known on a day, read from the file by hand."""
    document = yaml.safe_load(Path("configs/base_rates.yaml").read_text())
    classes = {
        name: next((c for year, c in reversed(one["counts"].items()) if year < day.year), [0, 0, 0])
        for name, one in document["classes"].items()
    }
    lists = [one["ending"] for one in document["records"]["lists-with-deadline"]["ended"] if one["day"] < day]
    return classes, np.array([lists.count(name) for name in ("settled", "imposed", "dropped")])


@pytest.mark.parametrize(
    ("name", "lists"),
    [
        ("us-japan-semiconductors-1987", (1, 1)),
        ("us-ec-oilseeds-1992", (5, 5)),
        ("us-japan-cellular-1994", (7, 6)),
        ("us-china-intellectual-property-1995", (9, 6)),
        ("us-japan-autos-1995", (10, 6)),
        ("us-ec-bananas-1998", (12, 6)),
        ("eu-us-steel-2003", (12, 9)),
        ("us-china-section-301-2018", (13, 9)),
        ("us-mexico-2019", (13, 10)),
        ("us-eu-2025", (14, 10)),
    ],
)
def test_rivals_know_only_the_past(name, lists):
    scenario = shipped_scenario(name)
    day = date.fromisoformat(scenario.as_of)
    classes, counted = counted_before(day)
    assert tuple(counted) == (*lists, 0)
    found = known_rates(scenario.reference, day)
    assert list(found["record"].values()) == pytest.approx((counted + 0.5) / (counted.sum() + 1.5))
    overall = (np.array(classes["all"]) + 0.5) / (sum(classes["all"]) + 1.5)
    names = [f"{specific}-{level}" for specific in ("specific", "unspecific") for level in ("weak", "medium", "strong")]
    cells = np.array([classes[cell] for cell in names if sum(classes[cell])])

    # The weight comes from the cells alone: the specificity or commitment of some threats is not known.
    centre = (cells.sum(axis=0) + 0.5) / (cells.sum() + 1.5)

    def likelihood(weight: float) -> float:
        return dirichlet_multinomial.logpmf(cells, weight * centre, cells.sum(axis=1)).sum()

    weights = np.geomspace(0.5, 512, 81)
    weight = max(weights, key=likelihood) if len(cells) > 1 else 512
    mine = np.array(classes[scenario.reference or "all"])
    expected = (mine + weight * overall) / (mine.sum() + weight)
    assert list(found["class_rates"].values()) == pytest.approx(expected)


def test_rivals_of_a_dispute_with_sanctions_in_force_are_past_sanctions():
    """The counts of configs/base_rates.yaml after 104 weeks in the last year: 4 agreed, 5 withdrawn, 8 in force."""
    found = _known_rates(shipped_scenario("us-eu-2025"), "thirty-percent")
    assert set(found) == {"class_rates", "record"}
    for forecast in found.values():
        assert forecast == pytest.approx({"settled": 4.5 / 18.5, "imposed": 8.5 / 18.5, "backed_down": 5.5 / 18.5})


def test_the_command_plays_scores_and_continues(tmp_path):
    arguments = ("backtest", "us-mexico-2019", "us-ec-bananas-1998", "--trials", "1000", "--engine", "inline")
    found = brink(*arguments, "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert [one["scenario"] for one in document["scenarios"]] == ["us-mexico-2019", "us-ec-bananas-1998"]
    (folder,) = (tmp_path / "runs" / "backtest").glob("us-mexico-2019-*-1000-1")
    assert {path.name for path in (folder / "trials").iterdir()} == {"strategy=five-to-twenty-five"}
    again = brink(*arguments, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    for expected in ("us-mexico-2019", "class rates", "as retreat", "Calibration", "brink calibrate", "to see a gain"):
        assert expected in " ".join(again.stdout.split())
    one = brink("score", str(folder), "--json", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    assert json.loads(one.stdout) == document_of("score", open_run(folder))
    assert "CRPS" in brink("score", str(folder), cwd=tmp_path).stdout


def test_a_changed_scenario_is_played_anew_and_not_refused(tmp_path):
    arguments = ("backtest", "own.yaml", "--trials", "200", "--engine", "inline")
    for weight in (0.5, 0.6):
        document = changed(litigious(), history=HISTORY)
        document["parameters"] |= {"follow_through": weight}
        (tmp_path / "own.yaml").write_text(json.dumps(document))
        found = brink(*arguments, cwd=tmp_path)
        assert found.returncode == 0, found.stderr
    assert len(list((tmp_path / "runs" / "backtest").iterdir())) == 2


def test_the_command_refuses_a_scenario_without_history(tmp_path):
    (tmp_path / "own.yaml").write_text(json.dumps(litigious()))
    assert_refused(brink("backtest", "own.yaml", cwd=tmp_path), "litigious", "history", "does not say what happened")
    assert_refused(brink("backtest", "us-mexico", cwd=tmp_path), "us-mexico-2019")
