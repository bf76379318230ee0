"""Many disputes' scores together: the model's forecasts compared with naive ones, and calibration of events."""

from collections.abc import Sequence
from math import sqrt
from typing import Annotated

import numpy as np
from pydantic import Field

from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.entry import Result
from cluster.answers.score import METHOD, WITHIN_WEEKS, Score, ScoreRequest, score_against, scored
from cluster.query.trials import StoredRun
from sim.scenario.history import History
from sim.scenario.vocabulary import OUTCOMES
from sim.statistics.estimates import Estimate, around, student
from sim.statistics.scoring_rules import CLASSES, calibration, crps_of_week, half_added, probability_near
from sim.statistics.tallies import moments

BIN_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MODEL, OTHERS = "model", "other_disputes"


class ScoredDispute(Score):
    """A dispute's scores."""

    scenario: str
    strategy: str
    trials: int


class CalibrationBin(Result):
    """Events whose forecast lies in a bin, and how often they happened."""

    low: float
    high: float
    forecasts: int
    mean_forecast: float
    happened: int
    frequency: EstimateResult


class CertainForecasts(Result):
    """Events that occur in every trial or in none, and how many of these forecasts were wrong."""

    forecasts: int
    wrong: int


class Calibration(Result):
    """How often events happened, by the probability that was forecast for them."""

    bins: list[CalibrationBin]
    certain: CertainForecasts


MeanScores = dict[str, dict[str, float | EstimateResult | None]]


class Backtest(Result):
    """Several disputes' forecasts scored together."""

    method: dict[str, str]
    disputes: int
    mean: Annotated[
        dict[str, MeanScores],
        Field(description="Mean scores and differences, by the kind of forecast and by forecaster."),
    ]
    calibration: Calibration
    scenarios: list[ScoredDispute]


def scored_dispute(run: StoredRun, history: History) -> dict:
    """A dispute's scores for `backtest`, under the strategy that was really used. Raises `InvalidInput`."""
    found = score_against(run, history, ScoreRequest())
    scores = found.result.model_dump(by_alias=True, exclude_unset=True)
    return {"scenario": run.plan.scenario.name, "strategy": found.strategies[0], "trials": found.used, **scores}


def backtest(scores: Sequence[dict]) -> dict:
    """Several disputes' scores (of `scored_dispute`): means compared with naive forecasts, and events' calibration.

    Adds to each dispute the forecast from the other disputes' frequencies, half a dispute added to each category.
    """
    scenarios = [_with_others(one, [other for other in scores if other is not one]) for one in scores]
    events = [event for one in scenarios for event in one["events"].values()]
    open_events = [event for event in events if 0.0 < event["forecast"] < 1.0]
    certain = [event for event in events if not 0.0 < event["forecast"] < 1.0]
    result = {
        "method": {
            "disputes": (
                f"{len(scenarios)} disputes, each under the strategy that was really used; differences with "
                "Student's 95 % intervals over the disputes. The disputes were chosen as the best known, and are "
                "far too few for a claim of skill"
            ),
            "scores": METHOD,
            "calibration": (
                "events of all disputes, dependent within each: the Wilson intervals are too narrow. Events that no "
                "trial or every trial has are counted apart: most follow from the scenario's definition"
            ),
        },
        "disputes": len(scenarios),
        "mean": {
            "outcome": _means(scenarios, "outcome", ("brier", "log")),
            "class": _means(scenarios, "class", ("brier", "log")),
            "agreement_week": _means(scenarios, "agreement_week", ("probability", "crps")),
        },
        "calibration": {
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
    return Backtest.model_validate(result).model_dump(by_alias=True, exclude_unset=True)


def _with_others(one: dict, others: list[dict]) -> dict:
    """A dispute's scores, with those of a forecast made from the other disputes' frequencies."""
    found = {**one}
    for part, categories in (("outcome", OUTCOMES), ("class", CLASSES)):
        counted = [sum(other[part]["happened"] == name for other in others) for name in categories]
        forecast = dict(zip(categories, half_added(counted), strict=True))
        naive = {**one[part]["naive"], OTHERS: scored(forecast, one[part]["happened"])}
        found[part] = {**one[part], "naive": naive}
    week = one["agreement_week"]
    horizon = week["horizon_weeks"]
    theirs = [other["agreement_week"]["happened"] or horizon + 1 for other in others]
    by_week = np.array([sum(their <= w for their in theirs) for w in range(1, horizon + 1)]) / max(len(theirs), 1)
    week_scores = {
        "probability": probability_near(by_week, week["happened"], WITHIN_WEEKS),
        "crps": crps_of_week(by_week, week["happened"]),
    }
    found["agreement_week"] = {**week, "naive": {**week["naive"], OTHERS: week_scores}}
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
