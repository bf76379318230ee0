"""The threat from its announcement on: how often its deadline moves, and how it ends (steps 1 and 8 of a week).

The chances at a deadline depend on S, the weight of the settled issues, and not on the rest of the talks. So the whole
course of a threat is computed at its announcement, as it would be if nothing more were settled. When an issue is
settled under the threat, the next deadline is decided again once it comes, and only if its result changes is the
remaining course computed again.

A deadline is extended as long as an exponential clock is not used up by -ln(chance of an extension) at each.
"""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, never_after, rest_of_clock, whole_weeks
from sim.sampling.chance import Numbers
from sim.sampling.points import Points


@dataclass(frozen=True)
class Clock:
    """What is left of an exponential clock once `used` weeks (or deadlines) are over; arrays of shape (count,)."""

    left: np.ndarray
    used: np.ndarray


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
    """The deadline at which the threat ends in any way."""
    imposition_week: np.ndarray
    """The same, where sanctions are imposed; they are in force from the next week on. 0 if in force from the start."""
    retreat_week: np.ndarray
    """The same, where the sender backs down."""
    deal_week: np.ndarray
    """The same, where the sides sign what is settled."""
    defiant: np.ndarray
    deadlines: Clock
    settled: np.ndarray
    """The weight of the settled issues with which this was computed."""

    def extensions_before(self, week: int | np.ndarray) -> np.ndarray:
        """Extensions granted before `week` starts; int32."""
        return extensions_granted(week, self.first_deadline, self.extension_weeks, self.extensions)


def extensions_granted(
    week: int | np.ndarray, first_deadline: np.ndarray, extension_weeks: np.ndarray, extensions: np.ndarray
) -> np.ndarray:
    """Extensions granted before a week starts, of the `extensions` that there will be; int32."""
    # A quotient of whole numbers as small as these is exact to its next whole number, and faster.
    granted = np.ceil((week - first_deadline) / extension_weeks)
    return np.minimum(np.maximum(granted, 0.0), extensions).astype(np.int32)


def lay_out_threat(
    points: Points, announcement_week: np.ndarray, settled: np.ndarray, at_start: np.ndarray, chance: Numbers
) -> Threat:
    """The course of the threat in the trials of `chance` from its announcement on, if nothing more were settled.

    `settled` is the weight of the issues settled until then; `at_start` are trials with sanctions instead.
    """
    deadlines = Clock(chance.exponential("threat/extensions"), np.zeros(chance.count, np.int32))
    threat = _from_announcement(points, chance, announcement_week, deadlines, settled)
    threat.imposition_week[at_start] = 0
    return threat


def lay_out_threat_again(threat: Threat, points: Points, chance: Numbers, week: int, settled: np.ndarray) -> Threat:
    """The course of threats from a deadline in a week on, with issues of the weight `settled` settled by step 3.

    `threat` is the course as computed before.
    """
    used = threat.extensions_before(week) - threat.deadlines.used
    extended = _at_deadline(points, threat.settled)[2]
    deadlines = Clock(rest_of_clock(threat.deadlines.left, _hazard_of(extended), used), threat.deadlines.used + used)
    return _from_announcement(points, chance, threat.week, deadlines, settled)


def _from_announcement(
    points: Points, chance: Numbers, week: np.ndarray, deadlines: Clock, settled: np.ndarray
) -> Threat:
    """The course of a threat announced in a given week."""
    first_deadline = np.minimum(week + whole_weeks(points["deadline_weeks"]), NEVER)
    signed, imposed, extended = _at_deadline(points, settled)
    # The number of extensions is geometric, and how the threat ends does not depend on it.
    with np.errstate(divide="ignore", invalid="ignore"):
        extensions = np.floor(deadlines.left / _hazard_of(extended))
        end = chance.uniform("threat/follow-through")
        carried_out = end < imposed / (1.0 - extended)
        deal = end >= 1.0 - signed / (1.0 - extended)
    extensions = np.minimum(deadlines.used + extensions, NEVER)
    extension_weeks = np.broadcast_to(whole_weeks(points["extension_weeks"]), (chance.count,))
    end_week = np.minimum(first_deadline + extensions * extension_weeks, NEVER).astype(np.int32)
    return Threat(
        week=week,
        first_deadline=first_deadline,
        extension_weeks=extension_weeks,
        extensions=extensions.astype(np.int32),
        end_week=end_week,
        imposition_week=never_after(end_week, carried_out),
        retreat_week=never_after(end_week, ~(carried_out | deal)),
        deal_week=never_after(end_week, deal),
        defiant=chance.uniform("threat/defiance") < points["defiance_probability"],
        deadlines=deadlines,
        settled=settled,
    )


@dataclass(frozen=True)
class Decision:
    """What happens at a deadline; bool, shape (count,). Otherwise the sender backs down."""

    signed: np.ndarray
    imposed: np.ndarray
    extended: np.ndarray
    left: np.ndarray
    """What is left of the deadlines' clock before this one; float64."""


def decide(threat: Threat, points: Points, chance: Numbers, week: int, settled: np.ndarray) -> Decision:
    """What happens at deadlines in a week, of trials with issues of the weight `settled` settled by step 3."""
    signed, imposed, extended = _at_deadline(points, settled)
    used = threat.extensions_before(week) - threat.deadlines.used
    left = rest_of_clock(threat.deadlines.left, _hazard_of(_at_deadline(points, threat.settled)[2]), used)
    end = chance.uniform("threat/follow-through")
    moves = left >= _hazard_of(extended)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Decision(
            signed=~moves & (end >= 1.0 - signed / (1.0 - extended)),
            imposed=~moves & (end < imposed / (1.0 - extended)),
            extended=moves,
            left=left,
        )


def _at_deadline(points: Points, settled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chances at a deadline of a partial deal, sanctions and an extension; otherwise the sender backs down."""
    signed = points["partial_deal_probability"] * settled
    follow_through = points["follow_through"] * (1.0 - points["restraint"] * settled)
    not_imposed = 1.0 - follow_through
    return signed, follow_through * (1.0 - signed), not_imposed * points["extension_probability"] * (1.0 - signed)


def _hazard_of(extended: np.ndarray) -> np.ndarray:
    """The reduction of the deadlines' clock at a deadline, from the chance that it is extended."""
    with np.errstate(divide="ignore"):
        return np.abs(np.log(extended))
