"""Forecasts against what happened: one run's score, many runs together, and the command line."""

import json
from functools import partial
from math import log

import numpy as np
import pandas as pd
import pytest

from cluster.answers.backtest import backtest, scored_dispute
from cluster.answers.score import BASE_RATES
from cluster.query.trials import open_run
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
    assert found["class"]["naive"]["us_threats"]["brier"] == pytest.approx((57**2 + (128 - 22) ** 2 + 49**2) / 128**2)
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


def test_scores_of_several_disputes_are_those_computed_by_hand(played):
    one = scored_dispute(played, played.plan.scenario.history)
    other = {**one, **score(played, strategy="talk"), "strategy": "talk"}
    other["class"] |= {"happened": "settled", "brier": 0.5, "log": 0.7}
    other["agreement_week"] |= {"happened": None}
    found = backtest([one, other])
    first, second = found["scenarios"]
    # Half a dispute in each class, and the other dispute.
    assert list(first["class"]["naive"]["other_disputes"]["forecast"].values()) == pytest.approx([0.6, 0.2, 0.2])
    assert second["class"]["naive"]["other_disputes"]["brier"] == pytest.approx(0.8**2 + 0.6**2 + 0.2**2)
    assert first["agreement_week"]["naive"]["other_disputes"] == {"probability": 0.0, "crps": 4.0}
    assert second["agreement_week"]["naive"]["other_disputes"]["crps"] == 4.0
    mean = found["mean"]["class"]
    assert mean["model"]["brier"] == pytest.approx((one["class"]["brier"] + 0.5) / 2)
    assert set(mean) == {"model", "uniform", "other_disputes", *BASE_RATES}
    ours, theirs = [one["class"]["brier"], 0.5], [item["class"]["naive"]["uniform"]["brier"] for item in (one, other)]
    differences = np.subtract(ours, theirs)
    difference = mean["uniform"]["brier_difference"]
    assert difference["estimate"] == pytest.approx(differences.mean())
    half = 12.7062047 * differences.std(ddof=1) / np.sqrt(2)
    assert difference["high"] - difference["estimate"] == pytest.approx(half, rel=1e-6)
    counted = sum(row["forecasts"] for row in found["calibration"]["bins"])
    assert counted + found["calibration"]["certain"]["forecasts"] == 14
    json.dumps(found, allow_nan=False)


def test_base_rates_are_distributions():
    for rates in BASE_RATES.values():
        assert sum(rates.values()) == pytest.approx(1.0)


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
    for expected in ("us-mexico-2019", "us threats to japan", "Calibration"):
        assert expected in again.stdout
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
