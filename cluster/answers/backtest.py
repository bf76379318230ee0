"""Many disputes' scores together: the model's forecasts compared with those of rivals, and calibration of events."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field

from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.entry import Result
from cluster.answers.score import METHOD, Categories, Score, ScoreRequest, WeekForecast, score_against
from cluster.query.trials import StoredRun
from sim.scenario.history import History
from sim.scenario.scenario import Scenario
from sim.statistics.bootstrap import RESAMPLES, SEED, bootstrap_means, cases_needed
from sim.statistics.estimates import Estimate
from sim.statistics.scoring_rules import calibration

BIN_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MODEL = "model"
PARTS = {"outcome": ("brier", "log"), "class": ("brier", "log"), "agreement_week": ("probability", "crps")}
"""The parts of a score, and the scores of each."""
SUCCESSORS = {"European Community": "European Union", "European Communities": "European Union"}
"""Names of targets that count as another one, since they are the same at another time."""
GAIN = 0.1
"""The difference in the Brier score of which the number of cases needed to see it is given."""


class OtherCoding(Result):
    """A dispute's scores if what happened is coded in another way."""

    model_config = ConfigDict(populate_by_name=True)

    coding: str
    outcome: Categories
    class_: Annotated[Categories, Field(alias="class")]
    agreement_week: WeekForecast


class ScoredDispute(Score):
    """A dispute's scores."""

    scenario: str
    strategy: str
    trials: int
    target: str
    fitted: Annotated[
        bool, Field(description="Whether its sources say that parameters are fitted to how past cases ended.")
    ]
    weight: Annotated[float, Field(description="1 over the number of disputes with the same target.")]
    codings: list[OtherCoding]


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


MeanScores = dict[str, dict[str, EstimateResult]]
Means = dict[str, MeanScores]


class Recoded(Result):
    """The mean Brier score of the class if one dispute is coded in another way."""

    scenario: str
    coding: str
    happened: str
    brier: float
    mean: EstimateResult
    differences: Annotated[dict[str, EstimateResult], Field(description="The model's mean less each rival's.")]


class ScoreRange(Result):
    """The least and the greatest value over all combinations of codings."""

    least: float
    greatest: float


class Codings(Result):
    """What the coding of the disputes decides, by the Brier score of the class."""

    recoded: list[Recoded]
    mean: Annotated[ScoreRange, Field(description="The model's mean.")]
    differences: Annotated[dict[str, ScoreRange], Field(description="The model's mean less each rival's.")]


class Conclusion(Result):
    """What the disputes show of the model's skill, by the Brier score of the class."""

    text: str
    gain: float
    disputes_needed: Annotated[
        dict[str, int | None],
        Field(
            description="Disputes that show a mean difference of `gain` from a rival: two-sided 5 %, power 80 %. From "
            "the disputes whose forecasts are not fitted; null with fewer than two of them."
        ),
    ]
    fitted: Annotated[list[str], Field(description="The disputes whose forecasts are fitted to past cases.")]


class Backtest(Result):
    """Several disputes' forecasts scored together."""

    method: dict[str, str]
    disputes: int
    mean: Annotated[
        Means, Field(description="Mean scores and the model's differences, by the kind of forecast and by forecaster.")
    ]
    weighted_mean: Annotated[Means, Field(description="The same, each target with the same weight.")]
    codings: Codings
    conclusion: Conclusion
    calibration: Calibration
    scenarios: list[ScoredDispute]


def scored_dispute(run: StoredRun, history: History) -> dict[str, Any]:
    """A dispute's scores for `backtest`, under the strategy that was really used. Raises `InvalidInput`."""
    found = score_against(run, history, ScoreRequest())
    codings = []
    for name, coded in history.codings.items():
        other = score_against(run, replace(coded, strategy=history.strategy), ScoreRequest()).result
        scores = other.model_dump(by_alias=True, exclude_unset=True)
        codings.append({"coding": name, **{part: scores[part] for part in PARTS}})
    return {
        "scenario": run.plan.scenario.name,
        "strategy": found.strategies[0],
        "trials": found.used,
        "target": run.plan.scenario.target,
        "fitted": is_fitted(run.plan.scenario),
        **found.result.model_dump(by_alias=True, exclude_unset=True),
        "codings": codings,
    }


def is_fitted(scenario: Scenario) -> bool:
    """Whether a scenario's sources say of any parameter that it is fitted, as by ``brink fit``."""
    return any(_FITTED.search(text) for text in scenario.sources.values())


_FITTED = re.compile(r"\bfitted\b", re.IGNORECASE)


def backtest(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several disputes' scores (of `scored_dispute`): means compared with those of rivals, and events' calibration."""
    targets = [SUCCESSORS.get(one["target"], one["target"]) for one in scores]
    disputes = Counter(targets)
    scenarios = [{**one, "weight": 1.0 / disputes[target]} for one, target in zip(scores, targets, strict=True)]
    weights = np.array([one["weight"] for one in scenarios])
    events = [event for one in scenarios for event in one["events"].values()]
    open_events = [event for event in events if 0.0 < event["forecast"] < 1.0]
    certain = [event for event in events if not 0.0 < event["forecast"] < 1.0]
    mean = {part: _means(scenarios, part, None) for part in PARTS}
    codings = _codings(scenarios)
    result = {
        "method": {
            "disputes": (
                f"{len(scenarios)} disputes, each under the strategy that was really used. They are stories: they were "
                "chosen as the best known, and are far too few for a claim of skill. The evidence of what forecasts "
                "from past threats achieve is the back-test of the class rates themselves, over 85 threats of the TIES "
                "data (each from earlier ones, by specificity and commitment of the demand), 107 (by target) or 106 "
                "(one target left out): brink calibrate"
            ),
            "scores": METHOD,
            "rivals": (
                "uniform: a constant, the same probability for each category. class_rates: the pooled rates of the "
                "scenario's class of past threats, and record: the lists of goods with a deadline; both of threats "
                "that had ended before the scenario's first day (class_rates: in the years before). Where sanctions "
                "are in force from the start, both are what had become of past sanctions after two years"
            ),
            "intervals": (
                f"percentile bootstrap, 95 %, over the disputes: {RESAMPLES:,} resamples, seed {SEED}, the same for "
                "all scores. With so few disputes they are too narrow"
            ),
            "weights": "weighted means give each target the same weight, shared by its disputes",
            "codings": "the codings that a scenario's history states; each is put in the place of the history",
            "calibration": (
                "events of all disputes, dependent within each: the Wilson intervals are too narrow. Events that no "
                "trial or every trial has are counted apart: most follow from the scenario's definition"
            ),
        },
        "disputes": len(scenarios),
        "mean": mean,
        "weighted_mean": {part: _means(scenarios, part, weights) for part in PARTS},
        "codings": codings,
        "conclusion": _conclusion(scenarios, mean["class"], codings),
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


def _rivals(scenarios: Sequence[dict[str, Any]], part: str) -> list[str]:
    return list(scenarios[0][part]["naive"]) if scenarios else []


def _means(
    scenarios: Sequence[dict[str, Any]], part: str, weights: np.ndarray | None
) -> dict[str, dict[str, Estimate]]:
    """The mean of each score of the model and of each rival, and the model's difference from the rival."""
    names = PARTS[part]
    columns: dict[tuple[str, str], list[float]] = {
        (MODEL, name): [one[part][name] for one in scenarios] for name in names
    }
    for rival in _rivals(scenarios, part):
        for name in names:
            theirs = [one[part]["naive"][rival][name] for one in scenarios]
            columns[rival, name] = theirs
            columns[rival, f"{name}_difference"] = _less(columns[MODEL, name], theirs)
    found: dict[str, dict[str, Estimate]] = {}
    estimates = bootstrap_means(np.array(list(columns.values())).T.reshape(len(scenarios), len(columns)), weights)
    for (forecaster, name), estimate in zip(columns, estimates, strict=True):
        found.setdefault(forecaster, {})[name] = estimate
    return found


def _less(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(ours, theirs, strict=True)]


def _brier(one: dict[str, Any]) -> float:
    return float(one["class"]["brier"])


def _brier_less(rival: str) -> Callable[[dict[str, Any]], float]:
    """The model's Brier score of the class less a rival's."""
    return lambda one: one["class"]["brier"] - one["class"]["naive"][rival]["brier"]


def _codings(scenarios: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means with one dispute coded in another way, and their range over all combinations of codings."""
    rivals = _rivals(scenarios, "class")
    recoded = []
    for place, one in enumerate(scenarios):
        for other in one["codings"]:
            disputes = [*scenarios[:place], other, *scenarios[place + 1 :]]
            means = _means(disputes, "class", None)
            recoded.append(
                {
                    "scenario": one["scenario"],
                    "coding": other["coding"],
                    "happened": other["class"]["happened"],
                    "brier": _brier(other),
                    "mean": means[MODEL]["brier"],
                    "differences": {rival: means[rival]["brier_difference"] for rival in rivals},
                }
            )
    return {
        "recoded": recoded,
        "mean": _range_over_codings(scenarios, _brier),
        "differences": {rival: _range_over_codings(scenarios, _brier_less(rival)) for rival in rivals},
    }


def _range_over_codings(
    scenarios: Sequence[dict[str, Any]], score: Callable[[dict[str, Any]], float]
) -> dict[str, float]:
    """The least and the greatest mean: each dispute's coding is chosen by itself, since a mean is a sum."""
    values = [[score(coded) for coded in (one, *one["codings"])] for one in scenarios]
    count = max(len(values), 1)
    return {"least": sum(map(min, values)) / count, "greatest": sum(map(max, values)) / count}


def _conclusion(
    scenarios: Sequence[dict[str, Any]], means: dict[str, dict[str, Estimate]], codings: dict[str, Any]
) -> dict[str, Any]:
    rivals = _rivals(scenarios, "class")
    own = [one for one in scenarios if not one["fitted"]]
    needed = {rival: cases_needed(np.array([_brier_less(rival)(one) for one in own]), GAIN) for rival in rivals}
    fitted = [one["scenario"] for one in scenarios if one["fitted"]]
    sentences = _about_fitted(fitted, len(scenarios))
    sentences.append(f"The model's mean Brier score of the class is {_shown(means[MODEL]['brier'])}.")
    for rival in rivals:
        difference, name = means[rival]["brier_difference"], rival.replace("_", " ")
        low, high = difference["low"], difference["high"]
        if low is None or high is None:
            verdict = "one dispute shows nothing of skill"
        elif low <= 0.0 <= high:
            verdict = "the interval contains 0, so these disputes do not show which forecasts better"
        else:
            better, worse = ("model", "rival") if high < 0.0 else ("rival", "model")
            verdict = f"on these disputes the {better} forecast better than the {worse}"
            recoded = [one["differences"][rival] for one in codings["recoded"]]
            if any(one["low"] <= 0.0 <= one["high"] for one in recoded):
                verdict += ", but not clearly so if one of them is coded in another way"
        sentences.append(f"Less that of {name}: {_shown(difference, '+')}; {verdict}.")
    known = [count for count in needed.values() if count is not None]
    if known:
        whose = f"the {len(own)} disputes that are not fitted" if fitted else "these disputes"
        sentences.append(
            f"With the spread of {whose} it would take {min(known):,} to {max(known):,} such disputes, depending on "
            f"the rival, to see a gain of {GAIN} (5 %, power 80 %)."
        )
    elif fitted:
        sentences.append(
            f"How many disputes it would take to see a gain of {GAIN} cannot be said: that follows from the spread of "
            "forecasts that are the model's own."
        )
    sentences.append(
        "The disputes were chosen and set up by people who knew how they ended, so that even a clear difference would "
        "be no proof of skill."
    )
    return {"text": " ".join(sentences), "gain": GAIN, "disputes_needed": needed, "fitted": fitted}


def _about_fitted(fitted: Sequence[str], disputes: int) -> list[str]:
    """What a back-test of fitted forecasts can show."""
    if not fitted:
        return []
    which = "All" if len(fitted) == disputes else f"{len(fitted)} of the"
    return [
        f"{which} {disputes} forecasts are fitted to how past cases ended ({', '.join(fitted)}): the forecast of the "
        "class is the rate of the past by construction, so that it cannot show skill beyond the class rates. What the "
        "model adds is the course and the week, which the class rates do not forecast: whether it adds anything, its "
        "CRPS beside that of uniform shows."
    ]


def _shown(found: Estimate, sign: str = "") -> str:
    if found["low"] is None:
        return "not known" if found["estimate"] is None else f"{found['estimate']:{sign}.3f}"
    return f"{found['estimate']:{sign}.3f} ({found['low']:{sign}.3f} to {found['high']:{sign}.3f})"
