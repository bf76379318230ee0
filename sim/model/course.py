"""The course of threat, case and lapse in a block of trials, computed at the start, and again when issues are settled.

Of the talks only S matters, the weight of the settled issues: it delays an announcement (`patience`), makes sanctions
at a deadline less likely (`restraint`), and may be signed there (`partial_deal_probability`). S changes only when an
issue is settled. So the whole course is computed as it would be if nothing were settled, and the talks are played
week by week. When an issue is settled before an announcement, the rest of that trial's course is computed again. When
one is settled under a threat, the trial is marked for its next deadline. If its talks still continue then, the
deadline is decided with the S of that week, and only if the result is another one is the rest of the course computed
again. Without the three mechanisms nothing is computed twice.
"""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from sim.model.breach import lay_out_breach
from sim.model.hazards import Pressure, burdens, lay_out_shifts, multipliers, turning_points
from sim.model.incidence import incidence
from sim.model.lapse import lay_out_lapse
from sim.model.litigation import draw_case, lay_out_case
from sim.model.reframing import lay_out_reframing
from sim.model.threat import decide, lay_out_threat, lay_out_threat_again
from sim.model.tranches import lay_out_tranches
from sim.sampling.chance import KeptChance
from sim.sampling.points import Points, PointsAt
from sim.scenario.scenario import Scenario

TABLE = ("patience", "restraint", "partial_deal_probability")
"""The parameters by which the course depends on the table."""
Laid = TypeVar("Laid")
_FOR_MULTIPLIERS = ("tranches", "target_burden", "sender_burden", "sender_burden_hit_back")
"""What of `Pressure` the multipliers follow from, apart from what is computed again."""
_NOBODY = np.empty(0, np.int64)


class Course:
    """What happens in each trial of a block besides the talks, as far as it is determined."""

    def __init__(self, scenario: Scenario, points: Points, chance: KeptChance) -> None:
        self.scenario, self.points, self.chance = scenario, points, chance
        self.watches_table = any(np.any(points[name] != 0.0) for name in TABLE)
        sanctions = incidence(
            points["sanctioned_trade"],
            points["tariff_rate"],
            points["import_elasticity"],
            points["supply_elasticity"],
        )
        retaliation = incidence(
            points["sanctioned_trade"] * points["retaliation_share"],
            points["retaliation_tariff"],
            points["retaliation_import_elasticity"],
            points["retaliation_supply_elasticity"],
        )
        self._case_draws = draw_case(points, chance)
        threat = lay_out_threat(points, chance)
        case = lay_out_case(self._case_draws, threat)
        lapse = lay_out_lapse(points, threat, case, chance)
        tranches = lay_out_tranches(points, chance.count)
        self.pressure = Pressure(
            points, threat, case, lapse, tranches, sanctions, retaliation, *burdens(points, sanctions, retaliation)
        )
        self.reframing_week = lay_out_reframing(scenario, points, threat, lapse, chance)
        self._shifts = lay_out_shifts(self.pressure, scenario.horizon_weeks)
        if self.watches_table:
            self.pressure = _own(self.pressure, ("threat", "case", "lapse"))
            self._settled = np.zeros(chance.count)
            # The week in which each trial's course was computed last, and the next week with a deadline to decide.
            self._laid_out = np.zeros(chance.count, np.int16)
            self._due = np.zeros(chance.count, np.int16)
            self._changed = np.zeros(chance.count, bool)
            self._later = LaterShifts()

    def shifts(self, week: int, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose multipliers change as a week begins, and the new ones: float32, shape (trials, 2).

        `live` says of each trial whether its talks continue; others are left out.
        """
        trial, multiplier = self._shifts.in_week(week)
        valid = live.take(trial)
        if not self.watches_table:
            return trial[valid], multiplier[valid]
        valid &= self._laid_out.take(trial) == 0
        later, their_multiplier = self._later.in_week(week, self._laid_out)
        live_later = live.take(later)
        return (
            np.concatenate([trial[valid], later[live_later]]),
            np.concatenate([multiplier[valid], their_multiplier[live_later]]),
        )

    def settle(self, week: int, trial: np.ndarray, settled: np.ndarray) -> None:
        """Note that by step 3 of a week issues of the weight `settled` are settled in some trials."""
        self._settled[trial] = np.minimum(settled, 1.0)
        self._changed[trial] = True

    def decide(self, week: int, live: np.ndarray) -> np.ndarray:
        """Decide this week's deadlines in trials with settled issues, and compute the rest of those that change.

        `live` says of each trial whether its talks continue after step 5. Returns the trials (positions) in which
        the sides sign what is settled.
        """
        again = self._note_settled(week)
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
            deadlines.used[trial] = threat.extensions_before(np.asarray(week)).take(on)
            self.pressure.threat.settled[trial] = settled.take(on)
            self._due[trial] = np.minimum(week + threat.extension_weeks.take(on), self.scenario.horizon_weeks + 1)
            again = np.concatenate([again, due[~same & ~decision.signed]])
        if again.size:
            self._lay_out_again(week, again)
        return signing

    def breach_week(self, agreement_week: np.ndarray) -> np.ndarray | None:
        """The first week of the breach of each agreement; None if there never is one."""
        return lay_out_breach(self.points, agreement_week, self.chance)

    def _note_settled(self, week: int) -> np.ndarray:
        """Note the trials under threat in which issues were settled this week for their next deadline.

        Returns those before an announcement.
        """
        trial = np.flatnonzero(self._changed)
        if not trial.size:
            return trial
        self._changed[trial] = False
        threat = self.pressure.threat
        announced = threat.week.take(trial)
        to_come = (threat.end_week.take(trial) >= week) & (announced <= self.scenario.horizon_weeks)
        under_threat = trial[to_come & (announced <= week)]
        self._due[under_threat] = self._next_deadline(under_threat, week)
        return trial[to_come & (announced > week)]

    def _next_deadline(self, trial: np.ndarray, week: int) -> np.ndarray:
        """The first deadline in a week or later of trials under threat; int32, beyond the horizon at most by one."""
        threat = self.pressure.threat
        extensions = threat.extensions_before(np.asarray(week), trial)
        deadline = threat.first_deadline.take(trial) + extensions * threat.extension_weeks.take(trial)
        return np.minimum(deadline, self.scenario.horizon_weeks + 1)

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
            for name, weeks in lay_out_reframing(self.scenario, points, threat, lapse, chance).items():
                self.reframing_week[name][trial] = weeks
        self._laid_out[trial] = week
        # With something settled the sides may sign at any later deadline.
        self._due[trial] = np.minimum(threat.deal_week, self.scenario.horizon_weeks + 1)
        now = replace(
            self.pressure,
            points=points,
            threat=threat,
            case=case,
            lapse=lapse,
            **{name: _take(getattr(self.pressure, name), trial) for name in _FOR_MULTIPLIERS},
        )
        weeks, position = turning_points(now, self.scenario.horizon_weeks, after=week)
        self._later.add(week, weeks, trial.take(position), np.stack(multipliers(now, weeks, position), axis=1))


class LaterShifts:
    """Changes of the multipliers in courses that were computed again, in the order in which they were."""

    def __init__(self) -> None:
        self._count = 0
        self._week, self._laid_out = np.empty(1024, np.int16), np.empty(1024, np.int16)
        self._trial, self._multiplier = np.empty(1024, np.int64), np.empty((1024, 2), np.float32)

    def add(self, laid_out: int, week: np.ndarray, trial: np.ndarray, multiplier: np.ndarray) -> None:
        """Add the changes of courses that were computed in a week."""
        new = slice(self._count, self._count + week.size)
        if new.stop > self._week.size:
            size = 2 * new.stop
            self._week, self._laid_out, self._trial, self._multiplier = (
                np.concatenate([old, np.empty((size - len(old), *old.shape[1:]), old.dtype)])
                for old in (self._week, self._laid_out, self._trial, self._multiplier)
            )
        self._week[new], self._laid_out[new] = week, laid_out
        self._trial[new], self._multiplier[new] = trial, multiplier
        self._count = new.stop

    def in_week(self, week: int, laid_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose multipliers change as a week begins, and the new ones.

        `laid_out` is the week in which each trial's course was computed last; earlier results are not valid.
        """
        at = np.flatnonzero(self._week[: self._count] == week)
        at = at[laid_out.take(self._trial.take(at)) == self._laid_out.take(at)]
        return self._trial.take(at), self._multiplier.take(at, axis=0)


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
