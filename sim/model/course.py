"""The course of threat, case and lapse in a block of trials, computed at the start, and again when issues are settled.

Of the table only S matters, the weight of the settled issues: it delays an announcement (`patience`), holds the sender
back at a deadline (`restraint`), and may be signed there (`partial_deal_probability`). S changes when an issue is
settled and at no other time. So the whole course is laid out as it would be if nothing were settled; the talks are
played week by week; and where an issue is settled while a threat may still come or stands, the rest of that trial's
course is laid out again. Without the three mechanisms nothing ever is.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from sim.model.breach import lay_out_breach
from sim.model.hazards import Pressure, lay_out_shifts
from sim.model.incidence import incidence
from sim.model.lapse import lay_out_lapse
from sim.model.litigation import lay_out_case
from sim.model.reframing import lay_out_reframing
from sim.model.threat import lay_out_threat, lay_out_threat_again
from sim.model.tranches import lay_out_tranches
from sim.sampling.chance import KeptChance
from sim.sampling.points import Points, PointsAt
from sim.scenario.scenario import Scenario

TABLE = ("patience", "restraint", "partial_deal_probability")
"""The parameters by which the course depends on the table."""
Laid = TypeVar("Laid")


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
        threat = lay_out_threat(points, chance)
        case = lay_out_case(points, threat, chance)
        lapse = lay_out_lapse(points, threat, case, chance)
        tranches = lay_out_tranches(points, chance.count)
        self.pressure = Pressure(points, threat, case, lapse, tranches, sanctions, retaliation)
        self.reframing_week = lay_out_reframing(scenario, points, threat, lapse, chance)
        self._shifts = lay_out_shifts(self.pressure, scenario.horizon_weeks)
        # Later changes by week, each with the week in which it was laid out; the last such week of each trial.
        self._later: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = {}
        self._laid_out = np.zeros(chance.count, np.int16)
        if self.watches_table:
            self.pressure = _own(self.pressure, ("threat", "case", "lapse"))

    def shifts(self, week: int) -> tuple[np.ndarray, np.ndarray]:
        """The trials whose multipliers change as a week begins, and the new ones: float32, shape (trials, 2)."""
        trial, multiplier = self._shifts.in_week(week)
        if not self.watches_table:
            return trial, multiplier
        found = [(0, trial, multiplier), *self._later.pop(week, [])]
        valid = [self._laid_out.take(trial) == laid for laid, trial, _ in found]
        return (
            np.concatenate([trial[kept] for (_, trial, _), kept in zip(found, valid, strict=True)]),
            np.concatenate([multiplier[kept] for (_, _, multiplier), kept in zip(found, valid, strict=True)]),
        )

    def settle(self, week: int, trial: np.ndarray, settled: np.ndarray) -> None:
        """Compute the rest of some trials in which, by step 3 of a week, issues of the weight `settled` are settled."""
        threat = self.pressure.threat
        open_to_table = (threat.end_week.take(trial) >= week) & (threat.week.take(trial) <= self.scenario.horizon_weeks)
        trial, settled = trial[open_to_table], settled[open_to_table]
        if not trial.size:
            return
        points = PointsAt(self.points, trial)
        chance = self.chance.at(trial)
        threat = lay_out_threat_again(_take(threat, trial), points, chance, week, np.minimum(settled, 1.0))
        case = lay_out_case(points, threat, chance)
        lapse = lay_out_lapse(points, threat, case, chance)
        reframing = lay_out_reframing(self.scenario, points, threat, lapse, chance)
        now = Pressure(
            points,
            threat,
            case,
            lapse,
            _take(self.pressure.tranches, trial),
            _take(self.pressure.sanctions, trial),
            _take(self.pressure.retaliation, trial),
        )
        _put(self.pressure.threat, trial, threat)
        _put(self.pressure.case, trial, case)
        if lapse is not None:
            _put(self.pressure.lapse, trial, lapse)
            for name, weeks in reframing.items():
                self.reframing_week[name][trial] = weeks
        self._laid_out[trial] = week
        shifts = lay_out_shifts(now, self.scenario.horizon_weeks, after=week)
        for later in shifts.weeks():
            position, multiplier = shifts.in_week(later)
            self._later.setdefault(later, []).append((week, trial[position], multiplier))

    def signing(self, week: int) -> np.ndarray:
        """The trials (positions) in which the sides, if still talking, sign at this week's deadline what is settled."""
        return np.flatnonzero(self.pressure.threat.deal_week == week)

    def breach_week(self, agreement_week: np.ndarray) -> np.ndarray | None:
        """The first week of the breach of each agreement; None if there never is one."""
        return lay_out_breach(self.points, agreement_week, self.chance)


def _own(pressure: Pressure, parts: tuple[str, ...]) -> Pressure:
    """The same with arrays of its own in some parts, which may be changed."""
    return replace(pressure, **{name: _each(np.array, getattr(pressure, name)) for name in parts})


def _take(laid: Laid, trial: np.ndarray) -> Laid:
    """The course of the trials at some positions."""
    return _each(lambda value: value.take(trial) if np.ndim(value) else value, laid)


def _each(function: Any, laid: Laid) -> Laid:
    """The course with a function applied to each of its arrays."""
    if is_dataclass(laid) and not isinstance(laid, type):
        return replace(laid, **{one.name: _each(function, getattr(laid, one.name)) for one in fields(laid)})
    return laid if laid is None else function(laid)


def _put(whole: Any, trial: np.ndarray, part: Any) -> None:
    """Replace what was computed for some trials."""
    for one in fields(whole):
        old, new = getattr(whole, one.name), getattr(part, one.name)
        if is_dataclass(old):
            _put(old, trial, new)
        else:
            old[trial] = new
