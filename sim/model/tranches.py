"""Sanctions that come into force in equal parts, at equal intervals of weeks (V in step 3, and the costs of step 4)."""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, whole_weeks
from sim.sampling.chance import Numbers
from sim.sampling.points import Points


@dataclass(frozen=True)
class Tranches:
    """The number of parts and the weeks from one to the next; int32, shape (count,)."""

    number: np.ndarray
    weeks: np.ndarray

    def share(self, weeks_since: np.ndarray, trial: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The share of the sanctions in force a number of weeks after their imposition, at least that of the first
        part.
        """
        number = self.number[trial]
        return np.clip(1 + (weeks_since - 1) // self.weeks[trial], 1, number) / number

    def beginnings(self, imposition_week: np.ndarray, last_week: np.ndarray) -> list[np.ndarray]:
        """The week in which each part after the first comes into force, `NEVER` where it does not by the last week."""
        found = []
        week = imposition_week + 1 + self.weeks
        for part in range(2, NEVER):
            comes = (part <= self.number) & (week <= last_week)
            if not comes.any():
                break
            found.append(np.where(comes, week, NEVER))
            week = week + self.weeks
        return found

    def years(
        self, elapsed: np.ndarray, imposition_week: np.ndarray, begin: np.ndarray, last_week: np.ndarray
    ) -> np.ndarray:
        """Discounted years, each week weighted by the share in force, from after week `begin` to the last week.

        `elapsed` has the discounted years from the start to the end of each week. Where `begin` is not before the
        last week there are none.
        """
        total = elapsed[last_week] - elapsed[begin]
        for week in self.beginnings(imposition_week, last_week):
            total += elapsed[last_week] - elapsed[np.clip(week - 1, begin, last_week)]
        return total / self.number


def lay_out_tranches(points: Points, chance: Numbers) -> Tranches | None:
    """The tranches of the trials of `chance`; None if all sanctions come into force at once in each of them."""
    number = np.minimum(np.maximum(np.rint(points["tranches"]), 1), NEVER).astype(np.int32)
    if np.all(number == 1):
        return None
    weeks = whole_weeks(points["tranche_weeks"])
    return Tranches(np.broadcast_to(number, (chance.count,)), np.broadcast_to(weeks, (chance.count,)))
