"""The threat: when it is announced, how often its deadline moves, and how it ends (steps 1 and 8 of a week).

Nothing that happens at the table changes these chances: an agreement only ends the trial. So the whole course
of a threat is laid out at once, as it would run without an agreement.
"""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, never_after, waiting_weeks, whole_weeks
from sim.sampling.chance import Chance
from sim.sampling.designs import Points


@dataclass(frozen=True)
class Threat:
    """The course of each trial's threat; arrays of shape (count,), weeks `NEVER` for what does not happen."""

    week: np.ndarray
    """Announcement."""
    first_deadline: np.ndarray
    extension_weeks: np.ndarray
    extensions: np.ndarray
    """Extensions until the threat ends."""
    end_week: np.ndarray
    """The deadline at which the threat ends, one way or the other."""
    imposition_week: np.ndarray
    """The same, where sanctions are imposed; they are in force from the next week on."""
    retreat_week: np.ndarray
    """The same, where the sender backs down."""
    defiant: np.ndarray

    def extensions_before(self, week: np.ndarray, trial: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Extensions granted before `week` starts, for the given trials; int64."""
        since_first = week - self.first_deadline[trial]
        granted = -(-since_first // self.extension_weeks[trial])
        return np.clip(granted, 0, self.extensions[trial])


def lay_out_threat(points: Points, chance: Chance) -> Threat:
    """The course of the threat in the trials of `chance`."""
    earliest = whole_weeks(points["threat_earliest_week"])
    week = earliest - 1 + waiting_weeks(chance.exponential("threat/announcement"), points["threat_probability"])
    week = np.minimum(week, NEVER)
    first_deadline = np.minimum(week + whole_weeks(points["deadline_weeks"]), NEVER)

    # At each deadline: imposed, else extended, else backed down. The number of extensions is geometric, and
    # how the threat ends does not depend on it.
    follow_through = np.asarray(points["follow_through"], np.float64)
    extended = (1.0 - follow_through) * points["extension_probability"]
    with np.errstate(divide="ignore", invalid="ignore"):
        extensions = np.floor(chance.exponential("threat/extensions") / np.abs(np.log(extended)))
        carried_out = chance.uniform("threat/follow-through") < follow_through / (1.0 - extended)
    extensions = np.minimum(extensions, NEVER).astype(np.int64)
    extension_weeks = np.broadcast_to(whole_weeks(points["extension_weeks"]), (chance.count,))
    end_week = np.minimum(first_deadline + extensions * extension_weeks, NEVER)
    return Threat(
        week=week,
        first_deadline=first_deadline,
        extension_weeks=extension_weeks,
        extensions=extensions,
        end_week=end_week,
        imposition_week=never_after(end_week, carried_out),
        retreat_week=never_after(end_week, ~carried_out),
        defiant=chance.uniform("threat/defiance") < points["defiance_probability"],
    )
