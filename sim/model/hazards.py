"""The effect of threat, sanctions and litigation on each side's readiness to concede (D, F and pressure in step 3).

A side's hazard of conceding is its own rate times a multiplier that all issues share. The multiplier changes
only in a few weeks of a trial: at the announcement, at the start of a deadline's window, at an extension, when
sanctions (or a further part of them) come into force or go, when retaliation comes on, when a case is lost, and when
talks lapse. Those weeks are computed here, each with the multipliers that hold from it on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.model.calendar import NEVER
from sim.model.incidence import Incidence
from sim.model.lapse import Lapse
from sim.model.litigation import Case
from sim.model.threat import Threat
from sim.model.tranches import Tranches
from sim.sampling.points import Points

_AT_A_TIME = 16_384
LARGEST = 1e25
"""The largest multiplier: a concession is certain far below it, and products do not overflow."""


@dataclass(frozen=True)
class Shifts:
    """Changes of the multipliers, ordered by week."""

    trial: np.ndarray
    """Positions in the block, from 0; shape (changes,)."""
    multiplier: np.ndarray
    """The sender's and the target's from then on; float32, shape (changes, 2)."""
    begin: np.ndarray
    """Week w's changes are those from begin[w] to begin[w + 1]."""

    def in_week(self, week: int) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose multipliers change as the given week begins, and the new multipliers."""
        changed = slice(self.begin[week], self.begin[week + 1])
        return self.trial[changed], self.multiplier[changed]

    def weeks(self) -> Iterator[int]:
        """The weeks in which there are changes."""
        yield from np.flatnonzero(np.diff(self.begin)).tolist()


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


def lay_out_shifts(pressure: Pressure, horizon_weeks: int) -> Shifts:
    """Every week in which a trial's multipliers may change, and the multipliers from then on."""
    weeks, trials = turning_points(pressure, horizon_weeks)
    both = np.empty((weeks.size, 2), np.float32)
    # In the order of the trials, and some at a time, so that what they need is in a core's cache.
    for start in range(0, weeks.size, _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        both[part, 0], both[part, 1] = multipliers(pressure, weeks[part], trials[part])
    week = weeks.astype(np.int16)
    order = np.argsort(week, kind="stable")
    begin = np.searchsorted(week.take(order), np.arange(horizon_weeks + 2, dtype=np.int16))
    return Shifts(trials.take(order), both.take(order, axis=0), begin)


def multipliers(pressure: Pressure, week: np.ndarray, trial: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sender's and the target's multiplier in a week of a trial; float64, shape (weeks,).

    `week` and `trial` (a position in the block) are arrays of one shape. See model step 3.
    """
    points, threat, case = pressure.points, pressure.threat, pressure.case

    def at(value: np.ndarray | float) -> np.ndarray | float:
        return value[trial] if isinstance(value, np.ndarray) and value.ndim else value

    under_threat = (threat.week[trial] <= week) & (week <= threat.end_week[trial])
    in_force = (threat.imposition_week[trial] < week) & (week <= case.withdrawal_week[trial])
    extensions = threat.extensions_before(week, trial)
    deadline = threat.first_deadline[trial] + extensions * threat.extension_weeks[trial]

    near = under_threat & (deadline - week < at(points["deadline_window"]))
    rush = np.where(near, at(points["deadline_multiplier"]), 1.0)
    if pressure.lapse is not None:
        rush = np.where(pressure.lapse.lapsed(threat, week, trial), 0.0, rush)
    defied = threat.defiant[trial] & (under_threat | in_force)
    defiance = np.where(defied, at(points["defiance_multiplier"]), 1.0)

    credibility = np.broadcast_to(at(points["credibility"]), week.shape)
    moved = np.flatnonzero(extensions)
    if moved.size:
        credibility = credibility.copy()
        decay = np.broadcast_to(at(points["credibility_decay"]), week.shape)
        credibility[moved] *= decay.take(moved) ** extensions.take(moved)
    believed = np.where(under_threat, credibility, np.where(in_force, 1.0, 0.0))
    relief = np.where(_case_pending(case, week, trial), at(points["litigation_relief"]), 0.0)
    sender_burden = np.where(
        case.retaliation_week[trial] < week, at(pressure.sender_burden_hit_back), at(pressure.sender_burden)
    )
    if pressure.tranches is not None:
        share = pressure.tranches.share(week - threat.imposition_week[trial], trial)
        sender_burden = sender_burden * share
        believed = believed * np.where(in_force, share, 1.0)
    return (
        _cut(rush, np.where(in_force, sender_burden, 0.0)),
        _cut(rush * defiance, at(pressure.target_burden) * believed * (1.0 - relief)),
    )


def _case_pending(case: Case, week: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """Whether a case affects the talks of a week: filed, and not decided for the sender.

    A case that has lapsed or been complied with has no sanctions left to relieve.
    """
    upheld = (case.ruling_week[trial] < week) & ~case.for_target[trial]
    return (case.weighs_from[trial] <= week) & ~upheld


def _cut(factor: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.minimum(factor * np.exp(np.minimum(exponent, 300.0)), LARGEST)


def turning_points(pressure: Pressure, horizon_weeks: int, after: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weeks later than `after`, and trials (positions), in which a multiplier may change; some change nothing."""
    points, threat, case = pressure.points, pressure.threat, pressure.case
    weeks, trials = [], []

    def turn(week: np.ndarray, trial: np.ndarray) -> None:
        kept = (week > after) & (week <= horizon_weeks)
        weeks.append(week[kept])
        trials.append(trial[kept])

    threatened = np.flatnonzero(threat.week <= horizon_weeks)
    turn(threat.week[threatened], threatened)
    window = np.minimum(points["deadline_window"], NEVER).astype(np.int32)
    window = np.broadcast_to(window, threat.week.shape)
    waiting, deadline = threatened, threat.first_deadline[threatened]
    passed = 0
    while waiting.size:
        turn(np.maximum(deadline - window[waiting] + 1, threat.week[waiting]), waiting)
        turn(deadline + 1, waiting)
        passed += 1
        extended = (threat.extensions[waiting] >= passed) & (deadline < horizon_weeks)
        waiting = waiting[extended]
        deadline = deadline[extended] + threat.extension_weeks[waiting]

    imposed = np.flatnonzero(threat.imposition_week <= horizon_weeks)
    withdrawal = case.withdrawal_week[imposed]
    turn(withdrawal + 1, imposed)
    for week in (case.retaliation_week, np.where(case.for_target, horizon_weeks, case.ruling_week)):
        before = week[imposed] < withdrawal
        turn(week[imposed[before]] + 1, imposed[before])
    from_start = np.flatnonzero(threat.imposition_week == 0)
    turn(np.ones_like(from_start), from_start)
    if pressure.tranches is not None:
        for week in pressure.tranches.beginnings(
            threat.imposition_week, np.minimum(case.withdrawal_week, horizon_weeks)
        ):
            begins = np.flatnonzero(week <= horizon_weeks)
            turn(week[begins], begins)
    if pressure.lapse is not None:
        every = np.arange(threat.week.size)
        turn(pressure.lapse.first_week + 1, every)
        turn(pressure.lapse.final_week + 1, every)
    return np.concatenate(weeks), np.concatenate(trials)
