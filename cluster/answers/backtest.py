"""Forecasts scored against what really happened: one run against its history, and many runs together."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from cluster.answers.summary import FEWEST_GIVEN
from cluster.query.session import to_sql
from cluster.query.trials import StoredRun, chosen_strategy, trials_table
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import parse_condition
from sim.scenario.history import History
from sim.scenario.vocabulary import EVENTS, NAMED, OUTCOMES
from sim.statistics.estimates import Estimate, around, moments, student
from sim.statistics.scoring_rules import (
    CLASSES,
    brier_score,
    calibration,
    class_of,
    crps_of_week,
    half_added,
    log_score,
    probability_near,
)

WITHIN_WEEKS = 2
BIN_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BASE_RATES: dict[str, dict[str, float]] = {
    "us_threats_to_japan": {"settled": 0.48, "imposed": 0.32, "backed_down": 0.20},
    "us_threats": {"settled": 0.266, "imposed": 0.482, "backed_down": 0.252},
}
"""How sanctions that the United States threatened from 1971 to 2000 ended, 25 times against Japan, 274 times in all.

Counted from the Threat and Imposition of Economic Sanctions data (Morgan, Bapat & Kobayashi 2014): the target
conceded, the sender imposed, the sender backed down. They cover some of the disputes that are scored here.
"""
MODEL, UNIFORM, OTHERS = "model", "uniform", "other_disputes"


def score(
    run: StoredRun, *, strategy: str | None = None, history: History | None = None, given: str | None = None
) -> dict:
    """The scores of a run's forecast against its scenario's history, or against another `history` of it.

    Of the strategy that the history names, unless another is named; over the trials for which `given` holds.
    Raises `InvalidInput` if the scenario tells no history, if the strategy was not played, or if too few trials are
    left.
    """
    plan = run.plan
    history = history or plan.scenario.history
    if history is None:
        fault = Fault("history", None, f"is missing: {plan.scenario.name} does not tell what happened")
        raise InvalidInput((fault,))
    strategy = chosen_strategy(run, strategy or history.strategy)
    condition = None if given is None else parse_condition(given, plan.scenario)
    horizon = plan.scenario.horizon_weeks
    counts, imposed, weeks, events = _counts(run, strategy, "true" if condition is None else to_sql(condition))
    trials = sum(counts.values())
    if trials < (1 if condition is None else FEWEST_GIVEN):
        message = f"leaves {trials} trials of {strategy}, too few for an answer; at least {FEWEST_GIVEN} are needed"
        raise InvalidInput((Fault("given", given, message),))

    classes = dict.fromkeys(CLASSES, 0)
    for outcome, count in counts.items():
        classes["imposed"] += imposed[outcome]
        classes[class_of(outcome, False)] += count - imposed[outcome]
    by_week = np.cumsum([weeks.get(week, 0) for week in range(1, horizon + 1)]) / trials
    even = np.arange(1, horizon + 1) / (horizon + 1)
    happened = history.agreement_week
    return {
        "scenario": plan.scenario.name,
        "title": plan.scenario.title,
        "as_of": plan.scenario.as_of,
        "strategy": strategy,
        "trials": trials,
        **({} if condition is None else {"given": str(condition)}),
        "method": (
            "shares of the trials with half a trial added to each category, so that what no trial did has a finite "
            "log score; Brier from 0 to 2, natural logarithms, CRPS in weeks, censored at the horizon"
        ),
        "outcome": _categories(counts, history.outcome, {UNIFORM: dict.fromkeys(OUTCOMES, 1 / len(OUTCOMES))}),
        "class": _categories(
            classes,
            class_of(history.outcome, history.sanctions_week is not None),
            {UNIFORM: dict.fromkeys(CLASSES, 1 / len(CLASSES)), **BASE_RATES},
        ),
        "events": {
            name: {"forecast": events[name] / trials, "happened": real} for name, real in _events(history).items()
        },
        "agreement_week": {
            "happened": happened,
            "within_weeks": WITHIN_WEEKS,
            "horizon_weeks": horizon,
            "probability": probability_near(by_week, happened, WITHIN_WEEKS),
            "crps": crps_of_week(by_week, happened),
            "naive": {
                UNIFORM: {
                    "probability": probability_near(even, happened, WITHIN_WEEKS),
                    "crps": crps_of_week(even, happened),
                }
            },
        },
    }


def backtest(scores: Sequence[dict]) -> dict:
    """Several disputes' scores (of `score`) together: means against naive forecasts, and how events are calibrated.

    Adds to each dispute the forecast from the other disputes' frequencies, half a dispute added to each category.
    """
    scenarios = [_with_others(one, [other for other in scores if other is not one]) for one in scores]
    events = [event for one in scenarios for event in one["events"].values()]
    open_events = [event for event in events if 0.0 < event["forecast"] < 1.0]
    certain = [event for event in events if not 0.0 < event["forecast"] < 1.0]
    return {
        "method": (
            f"{len(scenarios)} disputes, each under the strategy that was really played; differences with Student's "
            "95 % intervals over the disputes. The disputes were chosen as the best known, and are far too few for a "
            "claim of skill. Scores: " + (scenarios[0]["method"] if scenarios else "")
        ),
        "disputes": len(scenarios),
        "mean": {
            "outcome": _means(scenarios, "outcome", ("brier", "log")),
            "class": _means(scenarios, "class", ("brier", "log")),
            "agreement_week": _means(scenarios, "agreement_week", ("probability", "crps")),
        },
        "calibration": {
            "method": (
                "events of all disputes, which hang together within each: the Wilson intervals are too narrow. Events "
                "that no trial or every trial has are counted apart: most are settled by the scenario's set-up"
            ),
            "bins": calibration(
                [event["forecast"] for event in open_events], [event["happened"] for event in open_events], BIN_EDGES
            ),
            "certain": {
                "forecasts": len(certain),
                "wrong": sum(event["forecast"] != float(event["happened"]) for event in certain),
            },
        },
        "scenarios": scenarios,
    }


def _counts(
    run: StoredRun, strategy: str, where: str
) -> tuple[dict[str, int], dict[str, int], dict[int, int], dict[str, int]]:
    """Trials by outcome, those of them with sanctions imposed, by week of agreement, and with each event."""
    scenario = run.plan.scenario
    named = {name: to_sql(parse_condition(NAMED[name], scenario)) for name in EVENTS}
    with trials_table(run, (strategy,)) as database:
        outcomes = database.execute(
            f"SELECT outcome::VARCHAR, count(*), count(sanctions_week) FROM trials WHERE {where} GROUP BY 1"
        ).fetchall()
        weeks = database.execute(
            f"SELECT agreement_week, count(*) FROM trials WHERE {where} AND agreement_week IS NOT NULL GROUP BY 1"
        ).fetchall()
        sums = ", ".join(f"count_if({condition})" for condition in named.values())
        events = database.execute(f"SELECT {sums} FROM trials WHERE {where}").fetchall()[0]
    counts = dict.fromkeys(OUTCOMES, 0) | {outcome: count for outcome, count, _ in outcomes}
    imposed = dict.fromkeys(OUTCOMES, 0) | {outcome: count for outcome, _, count in outcomes}
    return counts, imposed, dict(weeks), dict(zip(named, events, strict=True))


def _events(history: History) -> dict[str, bool]:
    return {
        "agreement": history.agreement_week is not None,
        "threat": history.threat_week is not None,
        "sanctions": history.sanctions_week is not None,
        "complaint": history.filing_week is not None,
        "ruling_for_target": history.ruling == "for_target",
        "ruling_for_sender": history.ruling == "for_sender",
        "retaliation": history.retaliation,
    }


def _categories(counts: dict[str, int], happened: str, naive: dict[str, dict[str, float]]) -> dict:
    """The scores of a forecast of categories, with those of naive forecasts of the same."""
    return {
        "happened": happened,
        "never_played": counts[happened] == 0,
        **_scored(dict(zip(counts, half_added(list(counts.values())), strict=True)), happened),
        "naive": {name: _scored(forecast, happened) for name, forecast in naive.items()},
    }


def _scored(forecast: dict[str, float], happened: str) -> dict:
    place = list(forecast).index(happened)
    probabilities = list(forecast.values())
    return {
        "forecast": forecast,
        "brier": brier_score(probabilities, place),
        "log": log_score(probabilities, place),
    }


def _with_others(one: dict, others: list[dict]) -> dict:
    """A dispute's scores with those of the forecast that the other disputes make of it."""
    found = {**one}
    for part, categories in (("outcome", OUTCOMES), ("class", CLASSES)):
        counted = [sum(other[part]["happened"] == name for other in others) for name in categories]
        forecast = dict(zip(categories, half_added(counted), strict=True))
        naive = {**one[part]["naive"], OTHERS: _scored(forecast, one[part]["happened"])}
        found[part] = {**one[part], "naive": naive}
    week = one["agreement_week"]
    horizon = week["horizon_weeks"]
    theirs = [other["agreement_week"]["happened"] or horizon + 1 for other in others]
    by_week = np.array([sum(their <= w for their in theirs) for w in range(1, horizon + 1)]) / max(len(theirs), 1)
    scored = {
        "probability": probability_near(by_week, week["happened"], WITHIN_WEEKS),
        "crps": crps_of_week(by_week, week["happened"]),
    }
    found["agreement_week"] = {**week, "naive": {**week["naive"], OTHERS: scored}}
    return found


def _means(scenarios: list[dict], part: str, names: tuple[str, ...]) -> dict[str, dict]:
    """The mean of each score of the model and of each naive forecast, and the model's difference from it."""
    naive = list(scenarios[0][part]["naive"]) if scenarios else []
    found: dict[str, dict] = {MODEL: {name: _mean([one[part][name] for one in scenarios]) for name in names}}
    for forecaster in naive:
        found[forecaster] = {}
        for name in names:
            theirs = [one[part]["naive"][forecaster][name] for one in scenarios]
            ours = [one[part][name] for one in scenarios]
            found[forecaster][name] = _mean(theirs)
            found[forecaster][f"{name}_difference"] = _difference(ours, theirs)
    return found


def _mean(numbers: list[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _difference(ours: list[float], theirs: list[float]) -> Estimate:
    """The mean difference over the disputes, with Student's 95 % interval."""
    found = moments(np.array(ours) - np.array(theirs))
    if found.count < 2:
        return {"estimate": found.mean if found.count else None, "standard_error": None, "low": None, "high": None}
    error = sqrt(found.m2 / (found.count - 1) / found.count)
    return around(found.mean, error, student(found.count - 1))
