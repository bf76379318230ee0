"""A run's forecast scored against what really happened."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import WeightedTrials, code_of, read_beliefs, weigh_strategy
from cluster.answers.entry import Answer, Computed, GivenRequest, OnProgress, Result, StrategyName, StrategyRequest
from cluster.answers.outside_view import TWO_YEARS, sanctions_from_start
from cluster.answers.shared import FEWEST_GIVEN, condition_of, too_few_given
from cluster.query.shard_map import reduce_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, chosen_strategy, read_blocks, same_trials
from cluster.reference.rates import known_rates, sanctions_after
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression, parse_measure
from sim.scenario.history import History
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, IMPOSED_TERM, NAMED, OUTCOMES
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
IMPOSED = IMPOSED_TERM.name
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
    used, counts, imposed, weeks, events = _counts(run, strategy, condition, weighted)
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
    run: StoredRun, strategy: str, condition: Expression | None, weighted: WeightedTrials | None
) -> tuple[int, dict[str, float], dict[str, float], dict[int, float], dict[str, float]]:
    """The number of trials; and by outcome, with sanctions imposed after the start, by week of agreement, and by event.

    With weights these are sums of weights, scaled so that they add up to the effective number of trials.
    """
    scenario = run.plan.scenario
    conditions = {name: NAMED[name] for name in (*OUTCOMES, IMPOSED, *EVENTS)}
    values = {name: parse_measure(text, scenario) for name, text in conditions.items()}
    values["week"] = parse_measure("agreement_week", scenario)
    code = None if weighted is None else code_of(weighted.stated)
    weight = np.ones(1) if weighted is None else weighted.by_code() * _effective_share(weighted)
    counting = _Counting(Reading((strategy,), values, given=condition, code=code), weight.size, scenario.horizon_weeks)
    shards = same_trials(run, counting.reading.read)
    found = reduce_shards(run, shards, partial(_count, counting), _merge, _nothing(counting))
    counts, imposed = (
        {name: _weighed(one[k], weight) for k, name in enumerate(OUTCOMES)} for one in (found.outcomes, found.imposed)
    )
    weeks = {week: _weighed(own, weight) for week, own in enumerate(found.weeks)}
    events = {name: _weighed(found.events[k], weight) for k, name in enumerate(EVENTS)}
    return int(found.outcomes.sum()), counts, imposed, weeks, events


def _weighed(counts: np.ndarray, weight: np.ndarray) -> float:
    """The sum of the weights of trials, of which `counts` has the number of each code."""
    return sum((count * one for count, one in zip(counts.tolist(), weight.tolist(), strict=True) if count), 0)


@dataclass(frozen=True)
class _Counting:
    """What is read, the number of codes of the beliefs, and the last week."""

    reading: Reading
    codes: int
    horizon: int


@dataclass(frozen=True)
class _Counted:
    """Trials by outcome, by outcome of those with sanctions imposed, by week of agreement and by event.

    int64 arrays; the last axis is the code of the beliefs.
    """

    outcomes: np.ndarray
    imposed: np.ndarray
    weeks: np.ndarray
    events: np.ndarray


def _nothing(counting: _Counting) -> _Counted:
    rows = (len(OUTCOMES), len(OUTCOMES), counting.horizon + 1, len(EVENTS))
    return _Counted(*(np.zeros((count, counting.codes), np.int64) for count in rows))


def _merge(a: _Counted, b: _Counted) -> _Counted:
    return _Counted(a.outcomes + b.outcomes, a.imposed + b.imposed, a.weeks + b.weeks, a.events + b.events)


def _count(counting: _Counting, run: StoredRun, shards: SameTrials) -> _Counted:
    """The trials of a shard."""
    found = _nothing(counting)
    for blocks in read_blocks(run, shards, counting.reading):
        block = blocks[counting.reading.strategies[0]]
        code = block.get(CODE, np.zeros(block["trial"].size, np.int64))
        imposed = block[IMPOSED] > 0.0
        for k, name in enumerate(OUTCOMES):
            holds = block[name] > 0.0
            found.outcomes[k] += np.bincount(code[holds], minlength=counting.codes)
            found.imposed[k] += np.bincount(code[holds & imposed], minlength=counting.codes)
        for k, name in enumerate(EVENTS):
            found.events[k] += np.bincount(code[block[name] > 0.0], minlength=counting.codes)
        agreed = np.flatnonzero(np.isfinite(block["week"]))
        week = block["week"].take(agreed).astype(np.int64) * counting.codes + code.take(agreed)
        found.weeks[:] += np.bincount(week, minlength=found.weeks.size).reshape(found.weeks.shape)
    return found


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
    fewest_given=FEWEST_GIVEN,
)
