"""Agreements that the target stops keeping (step 5 of a week, and the weeks after the agreement)."""

import numpy as np

from sim.model.calendar import NEVER, waiting_weeks, weekly_hazard
from sim.sampling.chance import Numbers
from sim.sampling.points import Points


def lay_out_breach(points: Points, agreement_week: np.ndarray, chance: Numbers) -> np.ndarray | None:
    """The first week in which the target breaks each agreement, `NEVER` without one; None if it never does."""
    probability = points["breach_probability"]
    if isinstance(probability, float) and probability == 0.0:
        return None
    waiting = waiting_weeks(chance.exponential("agreement/breach"), weekly_hazard(probability))
    return np.minimum(agreement_week + waiting, NEVER)
