"""A run's forecast scored against what really happened."""

from datetime import date
from typing import Annotated

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import THINNED, thin_trials
from cluster.answers.entry import Answer, Computed, GivenRequest, OnProgress, Result, StrategyName, StrategyRequest
from cluster.answers.outside_view import TWO_YEARS, sanctions_from_start
from cluster.answers.shared import FEWEST_GIVEN, condition_of, too_few_given
from cluster.query.session import to_sql
from cluster.query.trials import StoredRun, Thinning, chosen_strategy, trials_table
from cluster.reference.rates import known_rates, sanctions_after
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import parse_condition
from sim.scenario.history import History
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, NAMED, OUTCOMES
from sim.statistics.scoring_rules import (
    CLASSES,
    brier_score,
    class_of,
    crps_of_week,
    half_added,
    log_score,
    probability_near,
)

WITHIN_WEEKS = 2
UNIFORM = "uniform"
"""The constant forecast: the same probability for each category."""
METHOD = (
    "shares of the trials with half a trial added to each category, so that a category without trials has a finite "
    "log score; Brier from 0 to 2, natural logarithms, CRPS in weeks, censored at the horizon"
)


class ScoreRequest(StrategyRequest, GivenRequest):
    """Which strategy's forecast to score."""

    strategy: Annotated[
        StrategyName | None, Field(description="The strategy; the one in the history if none is named.")
    ] = None


class ScoredForecast(Result):
    """A forecast of categories, with its Brier and logarithmic scores."""

    forecast: dict[str, float]
    brier: float
    log: float


class Categories(ScoredForecast):
    """The model's forecast of categories, and naive ones of the same."""

    happened: str
    never_played: Annotated[bool, Field(description="Whether what happened occurred in no trial.")]
    naive: dict[str, ScoredForecast]


class EventForecast(Result):
    """An event's probability, and whether it happened."""

    forecast: float
    happened: bool


class WeekScore(Result):
    """Scores of a forecast of the week of agreement."""

    probability: Annotated[float, Field(description="Probability of the weeks around the real one.")]
    crps: float


class WeekForecast(WeekScore):
    """The model's forecast of the week of agreement, and naive ones."""

    happened: int | None
    within_weeks: int
    horizon_weeks: int
    naive: dict[str, WeekScore]


class Score(Result):
    """A forecast compared with what happened."""

    title: str
    as_of: str | None
    outcome: Categories
    class_: Annotated[Categories, Field(alias="class")]
    events: dict[str, EventForecast]
    agreement_week: WeekForecast


def score(run: StoredRun, request: ScoreRequest, on_progress: OnProgress) -> Computed:
    """The scores of a run's forecast against its scenario's history.

    Raises `InvalidInput` if the scenario has no history, if the strategy was not played, or if too few trials are
    left.
    """
    return score_against(run, run.plan.scenario.history, request)


def score_against(run: StoredRun, history: History | None, request: ScoreRequest) -> Computed:
    """The scores of a run's forecast against a history of its scenario, which need not be in its folder."""
    plan = run.plan
    if history is None:
        fault = Fault("history", None, f"is missing: {plan.scenario.name} does not say what happened")
        raise InvalidInput((fault,))
    strategy = chosen_strategy(run, request.strategy or history.strategy)
    condition = condition_of(run, request.given)
    horizon = plan.scenario.horizon_weeks
    thinned = thin_trials(run, (strategy,), request.believe, condition)
    kept = None if thinned is None else thinned.thinning
    counts, imposed, weeks, events = _counts(run, strategy, "true" if condition is None else to_sql(condition), kept)
    trials = sum(counts.values())
    if trials < (1 if condition is None else FEWEST_GIVEN):
        raise too_few_given(trials, strategy, condition)

    classes = dict.fromkeys(CLASSES, 0)
    for outcome, count in counts.items():
        classes["imposed"] += imposed[outcome]
        classes[class_of(outcome, False)] += count - imposed[outcome]
    by_week = np.cumsum([weeks.get(week, 0) for week in range(1, horizon + 1)]) / trials
    even = np.arange(1, horizon + 1) / (horizon + 1)
    happened = history.agreement_week
    result = {
        "title": plan.scenario.title,
        "as_of": plan.scenario.as_of,
        "outcome": _categories(counts, history.outcome, {UNIFORM: dict.fromkeys(OUTCOMES, 1 / len(OUTCOMES))}),
        "class": _categories(
            classes,
            class_of(history.outcome, (history.sanctions_week or 0) > 0),
            {UNIFORM: dict.fromkeys(CLASSES, 1 / len(CLASSES)), **_known_rates(plan.scenario, strategy)},
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
    method = {"scores": METHOD}
    evidence = None
    if thinned is not None:
        method["weights"], evidence = THINNED, {strategy: thinned.evidence}
    return Computed(Score.model_validate(result), (strategy,), trials, method, evidence)


def _known_rates(scenario: Scenario, strategy: str) -> dict[str, dict[str, float]]:
    """Forecasts of the class from past threats, or past sanctions in force, as known on the scenario's first day."""
    day = None if scenario.as_of is None else date.fromisoformat(scenario.as_of)
    if sanctions_from_start(scenario, strategy):
        agreed, withdrawn, in_force = half_added(sanctions_after(TWO_YEARS, day))
        shares = dict(zip(CLASSES, (agreed, in_force, withdrawn), strict=True))
        return {"class_rates": shares, "record": shares}
    return {
        name: dict(zip(CLASSES, rates.values(), strict=True))
        for name, rates in known_rates(scenario.reference, day).items()
    }


def _counts(
    run: StoredRun, strategy: str, where: str, thinned: Thinning | None
) -> tuple[dict[str, int], dict[str, int], dict[int, int], dict[str, int]]:
    """Counts of trials by outcome, with sanctions imposed after the start, by week of agreement, and by event."""
    scenario = run.plan.scenario
    named = {name: to_sql(parse_condition(NAMED[name], scenario)) for name in EVENTS}
    with trials_table(run, (strategy,), thinned={strategy: thinned} if thinned else None) as database:
        outcomes = database.execute(
            "SELECT outcome::VARCHAR, count(*), count(*) FILTER (sanctions_week > 0) FROM trials "
            f"WHERE {where} GROUP BY 1"
        ).fetchall()
        weeks = database.execute(
            f"SELECT agreement_week, count(*) FROM trials WHERE {where} AND agreement_week IS NOT NULL GROUP BY 1"
        ).fetchall()
        sums = ", ".join(f"count(*) FILTER ({condition})" for condition in named.values())
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


def _categories(counts: dict[str, int], happened: str, naive: dict[str, dict[str, float]]) -> dict[str, object]:
    """The scores of a forecast of categories, with those of naive forecasts of the same."""
    return {
        "happened": happened,
        "never_played": counts[happened] == 0,
        **scored(dict(zip(counts, half_added(list(counts.values())), strict=True)), happened),
        "naive": {name: scored(forecast, happened) for name, forecast in naive.items()},
    }


def scored(forecast: dict[str, float], happened: str) -> dict[str, object]:
    """A forecast of categories with its scores, as `ScoredForecast`."""
    place = list(forecast).index(happened)
    probabilities = list(forecast.values())
    return {
        "forecast": forecast,
        "brier": brier_score(probabilities, place),
        "log": log_score(probabilities, place),
    }


ANSWER = Answer(
    name="score",
    sentence="The forecast scored against what really happened.",
    request=ScoreRequest,
    result=Score,
    compute=score,
    examples=({},),
)
