"""A run's forecast scored against what really happened."""

from datetime import date
from typing import Annotated

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import WeightedTrials, code_of, read_beliefs, weigh_strategy
from cluster.answers.entry import Answer, Computed, GivenRequest, OnProgress, Result, StrategyName, StrategyRequest
from cluster.answers.outside_view import TWO_YEARS, sanctions_from_start
from cluster.answers.shared import FEWEST_GIVEN, condition_of, too_few_given
from cluster.query.session import to_sql
from cluster.query.trials import CODE, StoredRun, chosen_strategy, trials_table
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


_WEIGHTS = (
    "the forecast is that of the weighted trials (see evidence), of which the effective number is what half a trial is "
    "added to"
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
    stated = read_beliefs(run, request.believe)
    weighted = weigh_strategy(run, strategy, stated, condition) if stated else None
    where = "true" if condition is None else to_sql(condition)
    used, counts, imposed, weeks, events = _counts(run, strategy, where, weighted)
    if used < (1 if condition is None else FEWEST_GIVEN):
        raise too_few_given(used, strategy, condition)
    trials = sum(counts.values())

    classes: dict[str, float] = dict.fromkeys(CLASSES, 0)
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
    if weighted is not None:
        method["weights"], evidence = _WEIGHTS, {strategy: weighted.evidence()}
    return Computed(Score.model_validate(result), (strategy,), used, method, evidence)


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
    run: StoredRun, strategy: str, where: str, weighted: WeightedTrials | None
) -> tuple[int, dict[str, float], dict[str, float], dict[int, float], dict[str, float]]:
    """The number of trials; and by outcome, with sanctions imposed after the start, by week of agreement, and by event.

    With weights these are sums of weights, scaled so that they add up to the effective number of trials.
    """
    scenario = run.plan.scenario
    named = {name: to_sql(parse_condition(NAMED[name], scenario)) for name in EVENTS}
    code = None if weighted is None else code_of(weighted.stated)
    weight = np.ones(1) if weighted is None else weighted.by_code() * _effective_share(weighted)
    with trials_table(run, (strategy,), code=code) as database:
        key = "0" if code is None else CODE
        outcomes = database.execute(
            f"SELECT outcome::VARCHAR, {key}, count(*), count(*) FILTER (sanctions_week > 0) FROM trials "
            f"WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        weeks = database.execute(
            f"SELECT agreement_week, {key}, count(*) FROM trials WHERE {where} AND agreement_week IS NOT NULL "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        sums = ", ".join(f"count(*) FILTER ({condition})" for condition in named.values())
        events = database.execute(f"SELECT {key}, {sums} FROM trials WHERE {where} GROUP BY 1 ORDER BY 1").fetchall()
    counts: dict[str, float] = dict.fromkeys(OUTCOMES, 0)
    imposed, of_events = dict(counts), dict.fromkeys(named, 0.0)
    by_week: dict[int, float] = {}
    for outcome, of_code, count, hits in outcomes:
        counts[outcome] += count * weight[of_code]
        imposed[outcome] += hits * weight[of_code]
    for week, of_code, count in weeks:
        by_week[week] = by_week.get(week, 0.0) + count * weight[of_code]
    for of_code, *hits in events:
        for name, count in zip(named, hits, strict=True):
            of_events[name] += count * weight[of_code]
    return sum(count for _, _, count, _ in outcomes), counts, imposed, by_week, of_events


def _effective_share(weighted: WeightedTrials) -> float:
    return weighted.weighting.effective / weighted.weighting.trials


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


def _categories(counts: dict[str, float], happened: str, naive: dict[str, dict[str, float]]) -> dict[str, object]:
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
