"""Scores of probability forecasts against what happened. All are negatively oriented: less is better.

Each is proper: its expected value is smallest where the forecast is the true distribution (Gneiting & Raftery 2007,
"Strictly proper scoring rules, prediction, and estimation", JASA 102).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, log
from typing import Any

import numpy as np

from sim.statistics.estimates import Estimate, proportion

CLASSES = ("settled", "imposed", "backed_down")
"""The ways in which a threat ends: see `class_of`."""
SETTLED = ("agreement_in_talks", "agreement_under_threat", "agreement_under_sanctions")


def class_of(outcome: str, imposed: bool) -> str:
    """The class of a dispute among `CLASSES`.

    `imposed` says whether sanctions were imposed after the dispute began. ``imposed`` if they were, whatever followed;
    ``settled`` if there was an agreement before that, and before the sender backed down; ``backed_down`` otherwise: it
    backed down, or the threat came to nothing. Of a dispute with sanctions in force from the start the class is
    ``imposed`` if they stand at the horizon, and ``settled`` if there is an agreement while they are in force.
    """
    if imposed or outcome == "sanctions_standing":
        return "imposed"
    return "settled" if outcome in SETTLED else "backed_down"


def brier_score(forecast: Sequence[float], happened: int) -> float:
    """The sum of squared differences between the categories' probabilities and 0 or 1 (Brier 1950); from 0 to 2.

    `forecast` holds a probability for each category, `happened` the place of the one that happened.
    """
    return sum((p - (k == happened)) ** 2 for k, p in enumerate(forecast))


def log_score(forecast: Sequence[float], happened: int) -> float:
    """Minus the natural logarithm of the forecast probability of what happened (Good 1952); infinite at 0."""
    return -log(forecast[happened]) if forecast[happened] > 0.0 else inf


def half_added(counts: Sequence[float]) -> list[float]:
    """Probabilities from the counts of some categories, half an observation added to each (Jeffreys 1946).

    (n_k + 1/2) / (N + K/2): never 0, so that a category that was never counted has a finite log score.
    """
    total = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]


def crps_of_week(by_week: np.ndarray, happened: int | None) -> float:
    """The continuous ranked probability score of a week, censored at the horizon; in weeks, from 0 to the horizon.

    `by_week[w - 1]`, shape (horizon,), is the probability that it happens in week w or before; `happened` is the
    week in which it did, None if it had not by the horizon. The sum over the weeks of the squared difference between
    that probability and 0 or 1 (Matheson & Winkler 1976; Gneiting & Raftery 2007, 4.2).
    """
    weeks = np.arange(1, by_week.size + 1)
    real = weeks >= (inf if happened is None else happened)
    return float(np.square(by_week - real).sum())


def probability_near(by_week: np.ndarray, happened: int | None, within: int) -> float:
    """The probability of the weeks from `happened` - `within` to `happened` + `within`; of none, if it is None."""
    if happened is None:
        return float(1.0 - by_week[-1])
    padded = np.concatenate([[0.0], by_week])
    first, last = max(happened - within, 1), min(happened + within, by_week.size)
    return float(padded[last] - padded[first - 1])


def calibration(forecasts: Sequence[float], happened: Sequence[bool], edges: Sequence[float]) -> list[dict[str, Any]]:
    """How often events happened, by forecast probability, with Wilson's 95 % interval.

    A row for each bin [edge, next edge), the last one with its upper end, that holds any forecasts: ``low``,
    ``high``, ``forecasts`` (their number), ``mean_forecast``, ``happened`` (the number) and ``frequency``.
    """
    places = np.clip(np.searchsorted(edges, forecasts, side="right") - 1, 0, len(edges) - 2)
    rows = []
    for place, (low, high) in enumerate(pairwise(edges)):
        held = [k for k in range(len(forecasts)) if places[k] == place]
        if held:
            hits = sum(bool(happened[k]) for k in held)
            frequency: Estimate = proportion(hits, len(held))
            rows.append(
                {
                    "low": float(low),
                    "high": float(high),
                    "forecasts": len(held),
                    "mean_forecast": sum(forecasts[k] for k in held) / len(held),
                    "happened": hits,
                    "frequency": frequency,
                }
            )
    return rows
