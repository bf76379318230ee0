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


def lay_out_turns(
    points: Points, threat: Threat, case: Case, lapse: Lapse | None, tranches: Tranches | None, horizon_weeks: int
) -> ByWeek:
    """Every week in which a trial's multipliers may change."""
    weeks, trials = turning_points(points, threat, case, lapse, tranches, horizon_weeks)
    return by_week(weeks, horizon_weeks, trials)


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


def first_multipliers(points: Points, threat: Threat, case: Case, target_burden: np.ndarray) -> np.ndarray:
    """The sender's and the target's multipliers until a threat's first deadline: float32, shape (2 count, 2).

    Two rows for each trial: outside the deadline's window, and in it. There is no extension yet and no sanction, and a
    case is pending if it was filed at the announcement.
    """
    both = np.empty((threat.week.size, 2, 2), np.float32)
    relief = np.where(case.filed_on_threat, points["litigation_relief"], 0.0)
    defiance = np.where(threat.defiant, points["defiance_multiplier"], 1.0)
    exponent = target_burden * points["credibility"] * (1.0 - relief)
    for near, rush in enumerate((1.0, points["deadline_multiplier"])):
        both[:, near, 0] = np.minimum(rush, LARGEST)
        both[:, near, 1] = _cut(rush * defiance, exponent)
    return both.reshape(-1, 2)


def multipliers(pressure: Pressure, week: int, trial: np.ndarray) -> np.ndarray:
    """The sender's and the target's multipliers in a week of some trials (positions); float32, shape (trials, 2).

    See model step 3.
    """
    points, threat, case = pressure.points, pressure.threat, pressure.case

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
    if pressure.lapse is not None:
        rush[pressure.lapse.final_week.take(trial) < week] = 0.0
    defied = threat.defiant.take(trial) & (under_threat | in_force)
    target = rush * np.where(defied, at(points["defiance_multiplier"]), 1.0)

    believed = np.where(under_threat, at(points["credibility"]), 0.0)
    moved = np.flatnonzero(under_threat & (extensions > 0))
    if moved.size:
        decay = points["credibility_decay"]
        if isinstance(decay, np.ndarray):
            decay = decay.take(trial.take(moved))
        believed[moved] *= decay ** extensions.take(moved)
    believed[in_force] = 1.0
    # What costs the sender only while sanctions are in force is computed for those trials alone.
    hit = np.flatnonzero(in_force)
    burden = _sender_burden(pressure, week, trial.take(hit))
    if pressure.tranches is not None:
        share = pressure.tranches.share(week - imposition.take(hit), trial.take(hit))
        burden = burden * share
        believed[hit] = share
    both = np.empty((trial.size, 2), np.float32)
    both[:, 0] = np.minimum(rush, LARGEST)
    both[hit, 0] = _cut(rush.take(hit), burden)
    relief = np.where(_case_pending(case, week, trial), at(points["litigation_relief"]), 0.0)
    both[:, 1] = _cut(target, at(pressure.target_burden) * believed * (1.0 - relief))
    return both


def _sender_burden(pressure: Pressure, week: int, trial: np.ndarray) -> np.ndarray:
    """The exponent of the sender's pressure if the whole list of sanctions is in force in a week of some trials."""
    hits_back = pressure.case.retaliation_week.take(trial) < week
    alone, hit_back = (
        burden.take(trial) if burden.ndim else burden
        for burden in (pressure.sender_burden, pressure.sender_burden_hit_back)
    )
    return np.where(hits_back, hit_back, alone)


def _case_pending(case: Case, week: int, trial: np.ndarray) -> np.ndarray:
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
    if tranches is not None:
        for week in tranches.beginnings(threat.imposition_week, np.minimum(case.withdrawal_week, horizon_weeks)):
            begins = np.flatnonzero(week <= horizon_weeks)
            turn(week[begins], begins)
    if lapse is not None:
        lapses = np.flatnonzero(lapse.final_week < horizon_weeks)
        turn(lapse.final_week[lapses] + 1, lapses)
    return np.concatenate(weeks), np.concatenate(trials)
