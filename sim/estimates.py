"""Estimates from played trials, with their Monte Carlo error.

A `Tally` holds what the estimates need of any number of trials. Tallies of disjoint sets of trials merge
without loss (moments by Chan, Golub & LeVeque 1983), so that shards can be tallied where they are played.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from sim.outcomes import NULL, OUTCOMES, RULINGS
from sim.scenario import Scenario

Z = 1.959963984540054
"""The 97.5 % point of the standard normal: intervals are of 95 %."""

MEASURES = (
    "agreement_week",
    "threat_week",
    "sanctions_week",
    "filing_week",
    "ruling_week",
    "sanctions_weeks",
    "retaliation_weeks",
    "extensions",
    "market_access",
    "sender_cost",
    "target_cost",
    "export_gain",
    "balance_change",
)
"""Columns summed up by mean and quantiles, over the trials in which they are not null."""

EVENTS = ("agreement", "threat", "sanctions", "complaint", "ruling_for_target", "ruling_for_sender", "retaliation")


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations from the mean, least and greatest of some numbers."""

    count: int
    mean: float
    m2: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Tally:
    """What the estimates need of some trials of one strategy."""

    trials: int
    outcomes: dict[str, int]
    events: dict[str, int]
    measures: dict[str, Moments]


NO_NUMBERS = Moments(0, 0.0, 0.0, inf, -inf)
NO_TRIALS = Tally(0, dict.fromkeys(OUTCOMES, 0), dict.fromkeys(EVENTS, 0), dict.fromkeys(MEASURES, NO_NUMBERS))


def tally(table: dict[str, np.ndarray]) -> Tally:
    """Tally the columns of some trials, arrays as `sim.kernel.simulate` returns them."""
    outcomes = np.bincount(table["outcome"], minlength=len(OUTCOMES))
    happened = {
        "agreement": table["agreement_week"] != NULL,
        "threat": table["threat_week"] != NULL,
        "sanctions": table["sanctions_week"] != NULL,
        "complaint": table["filing_week"] != NULL,
        "ruling_for_target": table["ruling"] == RULINGS.index("for_target"),
        "ruling_for_sender": table["ruling"] == RULINGS.index("for_sender"),
        "retaliation": table["retaliation_weeks"] > 0,
    }
    return Tally(
        trials=len(table["outcome"]),
        outcomes={name: int(count) for name, count in zip(OUTCOMES, outcomes, strict=True)},
        events={name: int(np.count_nonzero(happened[name])) for name in EVENTS},
        measures={name: moments(_not_null(table[name])) for name in MEASURES},
    )


def moments(numbers: np.ndarray) -> Moments:
    """The moments of some numbers, reckoned in float64."""
    if not numbers.size:
        return NO_NUMBERS
    numbers = numbers.astype(np.float64)
    mean = float(numbers.mean())
    deviation = numbers - mean
    return Moments(numbers.size, mean, float(np.square(deviation).sum()), float(numbers.min()), float(numbers.max()))


def merge(a: Tally, b: Tally) -> Tally:
    """The tally of two disjoint sets of trials together."""
    return Tally(
        a.trials + b.trials,
        {name: a.outcomes[name] + b.outcomes[name] for name in a.outcomes},
        {name: a.events[name] + b.events[name] for name in a.events},
        {name: _merge_moments(a.measures[name], b.measures[name]) for name in a.measures},
    )


def proportion(successes: int, trials: int) -> dict[str, float | None]:
    """A probability's estimate, binomial standard error and Wilson 95 % interval (Wilson 1927)."""
    if not trials:
        return {"estimate": None, "standard_error": None, "low": None, "high": None}
    p = successes / trials
    centre = p + Z * Z / (2 * trials)
    half = Z * sqrt(p * (1 - p) / trials + (Z / (2 * trials)) ** 2)
    scale = 1 + Z * Z / trials
    return {
        "estimate": p,
        "standard_error": sqrt(p * (1 - p) / trials),
        "low": 0.0 if successes == 0 else (centre - half) / scale,
        "high": 1.0 if successes == trials else (centre + half) / scale,
    }


def mean(numbers: Moments) -> dict[str, float | None]:
    """A mean's estimate, standard error s/sqrt(n) and normal 95 % interval; null where there are too few numbers."""
    if not numbers.count:
        return {"estimate": None, "standard_error": None, "low": None, "high": None}
    if numbers.count == 1:
        return {"estimate": numbers.mean, "standard_error": None, "low": None, "high": None}
    error = sqrt(numbers.m2 / (numbers.count - 1) / numbers.count)
    return {
        "estimate": numbers.mean,
        "standard_error": error,
        "low": numbers.mean - Z * error,
        "high": numbers.mean + Z * error,
    }


def outcome_estimates(counted: Tally) -> dict[str, dict[str, float | None]]:
    """The estimate of each outcome's probability."""
    return {name: proportion(count, counted.trials) for name, count in counted.outcomes.items()}


def event_estimates(counted: Tally) -> dict[str, dict[str, float | None]]:
    """The estimate of each event's probability."""
    return {name: proportion(count, counted.trials) for name, count in counted.events.items()}


def method_note(scenario: Scenario, design: str) -> str:
    """How the errors were reckoned, and what they are worth under a design."""
    intervals = "95 % intervals: Wilson for probabilities, normal for means"
    if design == "random" or not scenario.uncertain:
        return f"{intervals}; independent trials"
    return (
        f"{intervals}; reckoned as if trials were independent, which overstates the error "
        f"of most measures in a {design} design"
    )


def _not_null(column: np.ndarray) -> np.ndarray:
    return column[~np.isnan(column)] if column.dtype.kind == "f" else column[column != NULL]


def _merge_moments(a: Moments, b: Moments) -> Moments:
    count = a.count + b.count
    if not a.count or not b.count:
        return a if a.count else b
    step = b.mean - a.mean
    return Moments(
        count,
        a.mean + step * b.count / count,
        a.m2 + b.m2 + step * step * a.count * b.count / count,
        min(a.least, b.least),
        max(a.greatest, b.greatest),
    )
