"""The course of threat, case and lapse in a block of trials from a threat or sanctions on.

Of the talks only S matters, the weight of the settled issues: it makes sanctions at a deadline less likely
(`restraint`), and may be signed there (`partial_deal_probability`). S changes only when an issue is settled. So the
whole course is computed as it would be if nothing more were settled, and the talks are played week by week. When an
issue is settled under a threat, the trial is marked for its next deadline. If its talks still continue then, the
deadline is decided with the S of that week, and only if the result is another one is the rest of the course computed
again. Without these mechanisms nothing is computed twice.
"""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from sim.model.breach import lay_out_breach
from sim.model.hazards import (
    Pressure,
    burdens,
    lay_out_shifts,
    lay_out_turns,
    multipliers,
    stances,
    turning_points,
)
from sim.model.incidence import Incidence, incidence
from sim.model.lapse import lay_out_lapse
from sim.model.litigation import draw_case, lay_out_case
from sim.model.quiet import Quiet
from sim.model.reframing import before_final_lapse, lay_out_reframing
from sim.model.sharing import Shared
from sim.model.threat import decide, extensions_granted, lay_out_threat, lay_out_threat_again
from sim.model.tranches import lay_out_tranches
from sim.sampling.chance import KeptChance
from sim.sampling.points import Points, PointsAt
from sim.scenario.scenario import Scenario

Laid = TypeVar("Laid")
_NOBODY = np.empty(0, np.int64)


class Course:
    """What happens besides the talks from a threat or sanctions on in each trial of a block, if determined so far.

    `quiet` is what happened until then, and `shared` has what other strategies have computed.
    """

    def __init__(self, scenario: Scenario, points: Points, chance: KeptChance, quiet: Quiet, shared: Shared) -> None:
        self.scenario, self.points, self.chance = scenario, points, chance
        self.watches_table = quiet.watches_table
        sanctions, retaliation = shared.result(_sanctions, points), shared.result(_retaliation, points)
        self._case_draws = shared.result(draw_case, points, chance)
        before = quiet.announcement_week, quiet.settled, quiet.sanctions_at_start
        threat = shared.result(lay_out_threat, points, *before, chance)
        case = shared.result(lay_out_case, self._case_draws, threat)
        lapse = shared.result(lay_out_lapse, points, threat, case, chance)
        tranches = shared.result(lay_out_tranches, points, chance)
        self.pressure = Pressure(
            points,
            threat,
            case,
            lapse,
            tranches,
            sanctions,
            retaliation,
            *shared.result(burdens, points, sanctions, retaliation),
        )
        self._reframing = shared.result(lay_out_reframing, scenario, points, threat, lapse, chance)
        self.reframing_week = {name: before_final_lapse(week, lapse) for name, week in self._reframing.week.items()}
        turns = shared.result(lay_out_turns, points, threat, case, lapse, tranches, scenario.horizon_weeks)
        self._shifts = lay_out_shifts(self.pressure, turns)
        if self.watches_table:
            # How often the rest of each trial's course has been computed again.
            self._recomputed = np.zeros(chance.count, np.int16)
            self.pressure = _own(self.pressure, ("threat", "case", "lapse"))
            self._settled = quiet.settled.copy()
            # The next week with a deadline to decide. With something settled the sides may sign at any.
            self._due = np.minimum(threat.deal_week, scenario.horizon_weeks + 1).astype(np.int16)
            self._later = LaterTurns()

    def leaving(self, week: int, live: np.ndarray) -> np.ndarray:
        """See `Quiet.leaving`: from here talks leave by their end alone."""
        return _NOBODY

    def shifts(self, week: int, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose multipliers may change as a week begins, and the new ones: float32, shape (trials, 2).

        `live` says of each trial whether its talks continue; others are left out.
        """
        trial, multiplier = self._shifts.in_week(week)
        going = live.take(trial)
        if self.watches_table:
            going &= self._recomputed.take(trial) == 0
        kept = np.flatnonzero(going)
        trial, multiplier = trial.take(kept), multiplier.take(kept, axis=0)
        if self.watches_table:
            later, changed = self._later.in_week(week, self._recomputed, live)
            if later.size:
                trial, multiplier = np.concatenate([trial, later]), np.concatenate([multiplier, changed])
        return trial, multiplier

    def reframed(self, week: int, issue: str) -> np.ndarray:
        """The trials in which a numerical issue is reframed in a week if it is open and talks continue."""
        trial = self._reframing.trials[issue].in_week(week)
        if self.pressure.lapse is None:
            return trial
        return trial.compress(self.reframing_week[issue].take(trial) == week)

    def settle(self, week: int, trial: np.ndarray, settled: np.ndarray) -> None:
        """Note that by step 3 of a week issues of the weight `settled` are settled in some trials.

        Those under threat are marked for their next deadline.
        """
        self._settled[trial] = np.minimum(settled, 1.0)
        threat = self.pressure.threat
        trial = trial[(threat.week.take(trial) <= week) & (week <= threat.end_week.take(trial))]
        first, weeks = threat.first_deadline.take(trial), threat.extension_weeks.take(trial)
        deadline = first + extensions_granted(week, first, weeks, threat.extensions.take(trial)) * weeks
        self._due[trial] = np.minimum(deadline, self.scenario.horizon_weeks + 1)

    def decide(self, week: int, live: np.ndarray) -> np.ndarray:
        """Decide this week's deadlines in trials with settled issues, and compute the rest of those that change.

        `live` says of each trial whether its talks continue after step 5. Returns the trials (positions) in which
        the sides sign what is settled.
        """
        due = np.flatnonzero(self._due == week)
        due = due[live.take(due)]
        signing = _NOBODY
        if due.size:
            threat = _take(self.pressure.threat, due)
            settled = self._settled.take(due)
            decision = decide(threat, PointsAt(self.points, due), self.chance.at(due), week, settled)
            signing = due[decision.signed]
            ends = np.where(decision.imposed, threat.imposition_week, threat.retreat_week) == week
            same = np.where(decision.extended, threat.end_week > week, ends)
            # Another deadline comes: the clock runs on from here, with the S of this week.
            on = np.flatnonzero(decision.extended & same)
            trial = due.take(on)
            deadlines = self.pressure.threat.deadlines
            deadlines.left[trial] = decision.left.take(on)
            deadlines.used[trial] = threat.extensions_before(week).take(on)
            self.pressure.threat.settled[trial] = settled.take(on)
            self._due[trial] = np.minimum(week + threat.extension_weeks.take(on), self.scenario.horizon_weeks + 1)
            again = due[~same & ~decision.signed]
            if again.size:
                self._lay_out_again(week, again)
        return signing

    def breach_week(self, agreement_week: np.ndarray) -> np.ndarray | None:
        """The first week of the breach of each agreement; None if there never is one."""
        return lay_out_breach(self.points, agreement_week, self.chance)

    def _lay_out_again(self, week: int, trial: np.ndarray) -> None:
        """Compute the rest of some trials from step 8 of a week on."""
        points, chance = PointsAt(self.points, trial), self.chance.at(trial)
        before = _take(self.pressure.threat, trial)
        threat = lay_out_threat_again(before, points, chance, week, self._settled.take(trial))
        case = lay_out_case(_take(self._case_draws, trial), threat)
        lapse = lay_out_lapse(points, threat, case, chance)
        _put(self.pressure.threat, trial, threat)
        _put(self.pressure.case, trial, case)
        if lapse is not None:
            _put(self.pressure.lapse, trial, lapse)
            for name, weeks in self._reframing.week.items():
                self.reframing_week[name][trial] = before_final_lapse(weeks.take(trial), lapse)
        # With something settled the sides may sign at any later deadline.
        self._due[trial] = np.minimum(threat.deal_week, self.scenario.horizon_weeks + 1)
        self._recomputed[trial] += 1
        tranches, horizon = _take(self.pressure.tranches, trial), self.scenario.horizon_weeks
        weeks, position = turning_points(points, threat, case, lapse, tranches, horizon, after=week)
        found = stances(points, threat, case, lapse, tranches, weeks, position)
        trial = trial.take(position)
        multiplier = multipliers(self.pressure, replace(found, trial=trial))
        self._later.add(weeks, trial, self._recomputed.take(trial), multiplier)


class LaterTurns:
    """Weeks in which multipliers may change in courses that were computed again, and the multipliers from then on."""

    def __init__(self) -> None:
        self._count = 0
        self._week: np.ndarray = np.empty(1024, np.int16)
        self._trial: np.ndarray = np.empty(1024, np.int64)
        self._course: np.ndarray = np.empty(1024, np.int16)
        self._multiplier: np.ndarray = np.empty((1024, 2), np.float32)

    def add(self, week: np.ndarray, trial: np.ndarray, course: np.ndarray, multiplier: np.ndarray) -> None:
        """Add turns of some trials (positions), in a course that is the n-th computed again; `course` is n."""
        new = slice(self._count, self._count + week.size)
        if new.stop > self._week.size:
            size = 2 * new.stop
            self._week, self._trial = np.resize(self._week, size), np.resize(self._trial, size)
            self._course, self._multiplier = np.resize(self._course, size), np.resize(self._multiplier, (size, 2))
        self._week[new], self._trial[new] = week, trial
        self._course[new], self._multiplier[new] = course, multiplier
        self._count = new.stop

    def in_week(self, week: int, course: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The live trials whose multipliers may change as a week begins in their present course, and the new ones."""
        found = np.flatnonzero(self._week[: self._count] == week)
        trial = self._trial.take(found)
        kept = np.flatnonzero(live.take(trial) & (self._course.take(found) == course.take(trial)))
        return trial.take(kept), self._multiplier.take(found.take(kept), axis=0)


def _sanctions(points: Points) -> Incidence:
    """The annual effects of the sanctions."""
    return incidence(
        points["sanctioned_trade"], points["tariff_rate"], points["import_elasticity"], points["supply_elasticity"]
    )


def _retaliation(points: Points) -> Incidence:
    """The annual effects of retaliation."""
    return incidence(
        points["sanctioned_trade"] * points["retaliation_share"],
        points["retaliation_tariff"],
        points["retaliation_import_elasticity"],
        points["retaliation_supply_elasticity"],
    )


def _own(pressure: Pressure, parts: tuple[str, ...]) -> Pressure:
    """The same with arrays of its own in some parts, which may be changed."""
    return replace(pressure, **{name: _each(np.array, getattr(pressure, name)) for name in parts})


def _take(laid: Laid, trial: np.ndarray) -> Laid:
    """The course of the trials at some positions."""
    return _each(lambda value: value.take(trial) if value.ndim else value, laid)


def _each(function: Any, laid: Laid) -> Laid:
    """The course with a function applied to each of its arrays."""
    if laid is None or isinstance(laid, np.ndarray):
        return laid if laid is None else function(laid)
    whole: Any = laid
    return type(whole)(*(_each(function, getattr(whole, name)) for name in whole.__dataclass_fields__))


def _put(whole: Any, trial: np.ndarray, part: Any) -> None:
    """Replace what was computed for some trials."""
    for name in whole.__dataclass_fields__:
        old, new = getattr(whole, name), getattr(part, name)
        if isinstance(old, np.ndarray):
            old[trial] = new
        else:
            _put(old, trial, new)
