"""The effect of threat, sanctions and litigation on each side's readiness to concede (D, F and pressure in step 3).

A side's hazard of conceding is its own rate times a multiplier that all issues share. The multiplier changes
only in a few weeks of a trial: at the announcement, at the start of a deadline's window, at an extension, when
sanctions (or a further part of them) come into force or go, when retaliation comes on, when a case is lost, and when
talks lapse. Those weeks are computed here, each with the multipliers that hold from it on.
"""

from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER, ByWeek, by_week
from sim.model.incidence import Incidence
from sim.model.lapse import Lapse
from sim.model.litigation import Case
from sim.model.threat import Threat, extensions_granted
from sim.model.tranches import Tranches
from sim.sampling.points import Points

LARGEST = 1e25
"""The largest multiplier: a concession is certain far below it, and products do not overflow."""


@dataclass(frozen=True)
class Pressure:
    """The state from which the multipliers of some trials are computed."""

    points: Points
    threat: Threat
    case: Case
    lapse: Lapse | None
    tranches: Tranches | None
    sanctions: Incidence
    retaliation: Incidence
    target_burden: np.ndarray
    """The exponent of the target's pressure if the whole cost is taken for real; float64, shape () or (count,)."""
    sender_burden: np.ndarray
    """The exponent of the sender's pressure without retaliation."""
    sender_burden_hit_back: np.ndarray
    """The same while the target retaliates."""


def burdens(points: Points, sanctions: Incidence, retaliation: Incidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The burdens of `Pressure`: the target's, the sender's, and the sender's while the target retaliates."""
    sender_share = points["sender_pressure"] / points["sender_stake"]
    return (
        np.asarray(points["target_pressure"] * sanctions.exporter_loss / points["target_stake"]),
        np.asarray(sender_share * np.maximum(sanctions.buyer_loss, 0.0)),
        np.asarray(sender_share * np.maximum(sanctions.buyer_loss + retaliation.exporter_loss, 0.0)),
    )


@dataclass(frozen=True)
class Stances:
    """What the multipliers in some weeks of some trials depend on besides the burdens.

    Arrays of shape (weeks,), and of shape (hit,) for the weeks with sanctions in force.
    """

    trial: np.ndarray
    """Positions in the block, from 0."""
    sender: np.ndarray
    """The sender's multiplier without pressure; float64."""
    target: np.ndarray
    """The target's multiplier without pressure; float64."""
    believed: np.ndarray
    """The share of the sanctions' cost that the target takes for real; float64."""
    relieved: np.ndarray
    """The factor of a pending case on it; float64."""
    hit: np.ndarray
    """The positions among the weeks of those with sanctions in force."""
    hit_back: np.ndarray
    """Whether the target retaliates."""
    share: np.ndarray | None
    """The share of the sanctions in force; None if they are all in force at once."""


@dataclass(frozen=True)
class Turns:
    """Every week in which a trial's multipliers may change."""

    stances: Stances
    order: np.ndarray
    """The positions in `stances` in the order of weeks."""
    by_week: ByWeek


@dataclass(frozen=True)
class Shifts:
    """The multipliers from the weeks on in which they may change."""

    by_week: ByWeek
    multiplier: np.ndarray
    """The sender's and the target's in the order of `by_week`; float32, shape (turns, 2)."""

    def in_week(self, week: int) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose multipliers may change as a week begins, and the new ones."""
        begin = self.by_week.begin
        return self.by_week.in_week(week), self.multiplier[begin[week] : begin[week + 1]]


def lay_out_turns(
    points: Points, threat: Threat, case: Case, lapse: Lapse | None, tranches: Tranches | None, horizon_weeks: int
) -> Turns:
    """Every week in which a trial's multipliers may change, and what they depend on then besides the burdens."""
    week, trial = turning_points(points, threat, case, lapse, tranches, horizon_weeks)
    positions = by_week(week, horizon_weeks)
    ordered = ByWeek(trial.take(positions.trial), positions.begin)
    return Turns(stances(points, threat, case, lapse, tranches, week, trial), positions.trial, ordered)


def lay_out_shifts(pressure: Pressure, turns: Turns) -> Shifts:
    """The multipliers from each of the `turns` on."""
    return Shifts(turns.by_week, multipliers(pressure, turns.stances).take(turns.order, axis=0))


def stances(
    points: Points,
    threat: Threat,
    case: Case,
    lapse: Lapse | None,
    tranches: Tranches | None,
    week: np.ndarray,
    trial: np.ndarray,
) -> Stances:
    """What the multipliers in a week of a trial depend on besides the burdens, for many. See model step 3."""

    def at(value: np.ndarray | float) -> np.ndarray | float:
        return value.take(trial) if isinstance(value, np.ndarray) and value.ndim else value

    imposition = threat.imposition_week.take(trial)
    under_threat = (threat.week.take(trial) <= week) & (week <= threat.end_week.take(trial))
    in_force = (imposition < week) & (week <= case.withdrawal_week.take(trial))
    first_deadline, extension_weeks = threat.first_deadline.take(trial), threat.extension_weeks.take(trial)
    extensions = extensions_granted(week, first_deadline, extension_weeks, threat.extensions.take(trial))
    deadline = first_deadline + extensions * extension_weeks

    near = under_threat & (deadline - week < at(points["deadline_window"]))
    rush = np.where(near, at(points["deadline_multiplier"]), 1.0)
    if lapse is not None:
        rush[lapse.final_week.take(trial) < week] = 0.0
    defied = threat.defiant.take(trial) & (under_threat | in_force)

    believed = np.where(under_threat, at(points["credibility"]), 0.0)
    moved = np.flatnonzero(under_threat & (extensions > 0))
    if moved.size:
        decay = points["credibility_decay"]
        if isinstance(decay, np.ndarray):
            decay = decay.take(trial.take(moved))
        believed[moved] *= decay ** extensions.take(moved)
    # What matters only while sanctions are in force is computed for those weeks alone.
    hit = np.flatnonzero(in_force)
    share = None
    if tranches is not None:
        share = tranches.share(week.take(hit) - imposition.take(hit), trial.take(hit))
    believed[hit] = 1.0 if share is None else share
    relief = np.where(_case_pending(case, week, trial), at(points["litigation_relief"]), 0.0)
    return Stances(
        trial=trial,
        sender=np.minimum(rush, LARGEST),
        target=rush * np.where(defied, at(points["defiance_multiplier"]), 1.0),
        believed=believed,
        relieved=1.0 - relief,
        hit=hit,
        hit_back=case.retaliation_week.take(trial.take(hit)) < week.take(hit),
        share=share,
    )


def multipliers(pressure: Pressure, stances: Stances) -> np.ndarray:
    """The sender's and the target's multipliers: float32, shape (weeks, 2)."""

    def at(value: np.ndarray, trial: np.ndarray) -> np.ndarray:
        return value.take(trial) if value.ndim else value

    hit = stances.trial.take(stances.hit)
    burden = np.where(stances.hit_back, at(pressure.sender_burden_hit_back, hit), at(pressure.sender_burden, hit))
    if stances.share is not None:
        burden = burden * stances.share
    both = np.empty((stances.trial.size, 2), np.float32)
    both[:, 0] = stances.sender
    both[stances.hit, 0] = _cut(stances.sender.take(stances.hit), burden)
    both[:, 1] = _cut(stances.target, at(pressure.target_burden, stances.trial) * stances.believed * stances.relieved)
    return both


def _case_pending(case: Case, week: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """Whether a case affects the talks of a week: filed, and not decided for the sender.

    A case that has lapsed or been complied with has no sanctions left to relieve.
    """
    pending = case.weighs_from.take(trial) <= week
    upheld = (case.ruling_week.take(trial) < week) & ~case.for_target.take(trial)
    return pending & ~upheld


def _cut(factor: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.minimum(factor * np.exp(np.minimum(exponent, 300.0)), LARGEST)


def turning_points(
    points: Points,
    threat: Threat,
    case: Case,
    lapse: Lapse | None,
    tranches: Tranches | None,
    horizon_weeks: int,
    after: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Weeks later than `after`, and trials (positions), in which a multiplier may change; some change nothing."""
    weeks, trials = [], []

    def turn(week: np.ndarray, trial: np.ndarray) -> None:
        kept = np.flatnonzero((week > after) & (week <= horizon_weeks))
        weeks.append(week.take(kept))
        trials.append(trial.take(kept))

    threatened = np.flatnonzero(threat.week <= horizon_weeks)
    announced = threat.week.take(threatened)
    turn(announced, threatened)
    window = np.minimum(points["deadline_window"], NEVER).astype(np.int32)
    # Each deadline before the horizon, and the first one after it.
    first, extension_weeks = threat.first_deadline.take(threatened), threat.extension_weeks.take(threatened)
    moves = np.clip(-((first - horizon_weeks) // extension_weeks), 0, threat.extensions.take(threatened))
    place = np.repeat(np.arange(threatened.size), moves + 1)
    nth = np.arange(place.size) - (np.cumsum(moves + 1) - moves - 1).take(place)
    deadline, waiting = first.take(place) + nth * extension_weeks.take(place), threatened.take(place)
    opens = deadline - (window.take(waiting) if window.ndim else window) + 1
    turn(np.maximum(opens, announced.take(place)), waiting)
    turn(deadline + 1, waiting)

    imposed = np.flatnonzero(threat.imposition_week <= horizon_weeks)
    withdrawal = case.withdrawal_week.take(imposed)
    turn(withdrawal + 1, imposed)
    for week in (case.retaliation_week, np.where(case.for_target, horizon_weeks, case.ruling_week)):
        week = week.take(imposed)
        before = np.flatnonzero(week < withdrawal)
        turn(week.take(before) + 1, imposed.take(before))
    from_start = np.flatnonzero(threat.imposition_week == 0)
    turn(np.ones_like(from_start), from_start)
    if tranches is not None:
        for week in tranches.beginnings(threat.imposition_week, np.minimum(case.withdrawal_week, horizon_weeks)):
            begins = np.flatnonzero(week <= horizon_weeks)
            turn(week[begins], begins)
    if lapse is not None:
        lapses = np.flatnonzero(lapse.final_week < horizon_weeks)
        turn(lapse.final_week[lapses] + 1, lapses)
    return np.concatenate(weeks), np.concatenate(trials)
