"""Talks that lapse (step 9 of a week): nobody concedes and nothing is reframed until an announcement revives them."""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, never_after, waiting_weeks, weekly_hazard
from sim.model.litigation import Case
from sim.model.threat import Threat
from sim.sampling.chance import Numbers
from sim.sampling.points import Points


@dataclass(frozen=True)
class Lapse:
    """When talks lapse; arrays of shape (count,), weeks at whose end they do, `NEVER` for what does not happen."""

    first_week: np.ndarray
    """Before any threat: until the week of the announcement."""
    final_week: np.ndarray
    """After the sender has backed down or withdrawn its sanctions: for good."""

    def standing(self, threat: Threat, week: np.ndarray) -> np.ndarray:
        """The week in which talks lapsed, if they are lapsed at the end of the given week; else `NEVER`."""
        first = never_after(self.first_week, (self.first_week <= week) & (week < threat.week))
        return np.where(self.final_week <= week, self.final_week, first)


def first_lapse(points: Points, chance: Numbers) -> np.ndarray | None:
    """The week at whose end talks first lapse if no threat comes; int32, shape (count,). None if they never can."""
    probability = points["lapse_probability"]
    if isinstance(probability, float) and probability == 0.0:
        return None
    return waiting_weeks(chance.exponential("talks/first-lapse"), weekly_hazard(probability))


def lay_out_lapse(points: Points, threat: Threat, case: Case, chance: Numbers) -> Lapse | None:
    """When talks lapse in the trials of `chance`; None if they never can."""
    first = first_lapse(points, chance)
    if first is None:
        return None
    over = np.minimum(threat.retreat_week, case.withdrawal_week)
    final = (
        over - 1 + waiting_weeks(chance.exponential("talks/final-lapse"), weekly_hazard(points["lapse_probability"]))
    )
    quiet = (first < threat.week) & (threat.imposition_week > 0)
    return Lapse(never_after(first, quiet), never_after(final, over < NEVER))
