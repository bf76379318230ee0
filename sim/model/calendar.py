"""Weeks as whole numbers, and waiting times counted in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

NEVER = 100_000
"""A week that no horizon reaches: the event does not happen."""


def whole_weeks(duration: ArrayLike) -> np.ndarray:
    """A duration in weeks as drawn, rounded to the nearest whole week (halves to even), at least 1; int32."""
    return np.minimum(np.maximum(np.rint(duration), 1), NEVER).astype(np.int32)


def weekly_hazard(chance: ArrayLike) -> np.ndarray:
    """The hazard -ln(1 - chance) of something that happens in a week with the given chance; infinite at 1."""
    with np.errstate(divide="ignore"):
        return -np.log1p(-np.asarray(chance, np.float64))


def waiting_weeks(clock: np.ndarray, hazard: ArrayLike) -> np.ndarray:
    """Weeks until something first happens that has the same hazard in each week; int32, >= 1.

    A geometric number is the first week in which a standard exponential `clock` is used up by the weekly
    hazard. A hazard of 0 never does: `NEVER`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        weeks = np.floor(clock / hazard)
    return np.minimum(weeks, NEVER - 1).astype(np.int32) + 1


def never_after(week: ArrayLike, happens: ArrayLike) -> np.ndarray:
    """The weeks of an event where it happens, `NEVER` where it does not."""
    return np.where(happens, np.minimum(week, NEVER), NEVER)


def rest_of_clock(left: np.ndarray, hazard: ArrayLike, used: np.ndarray) -> np.ndarray:
    """What is left of exponential clocks that were not used up in `used` weeks (or deadlines) of a hazard; float64."""
    with np.errstate(invalid="ignore", over="ignore"):
        taken = np.where(used > 0, np.multiply(hazard, used), 0.0)
    return np.maximum(left - taken, np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class ByWeek:
    """Trials in the order of a week in which something happens in them."""

    trial: np.ndarray
    """Positions in the block, from 0; shape (events,)."""
    begin: np.ndarray
    """Week w's trials are those from begin[w] to begin[w + 1]."""

    def in_week(self, week: int) -> np.ndarray:
        """The trials in which it happens in a week from 0 to the horizon."""
        return self.trial[self.begin[week] : self.begin[week + 1]]


def by_week(week: np.ndarray, horizon_weeks: int, trial: np.ndarray | None = None) -> ByWeek:
    """Events by week, from the week of each and its trial (without it, the k-th event is that of trial k)."""
    # Weeks after the horizon are all the same: with 16 bits they are sorted quickly.
    short = np.minimum(week, horizon_weeks + 1).astype(np.int16)
    order = np.argsort(short, kind="stable")
    begin = np.searchsorted(short.take(order), np.arange(horizon_weeks + 2, dtype=np.int16))
    return ByWeek(order if trial is None else trial.take(order), begin)
