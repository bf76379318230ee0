"""Numerical issues that are reframed as voluntary plans (step 2 of a week)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.model.calendar import NEVER, ByWeek, by_week, waiting_weeks, weekly_hazard
from sim.model.lapse import Lapse
from sim.model.threat import Threat
from sim.sampling.chance import Numbers
from sim.sampling.points import Points
from sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class Reframing:
    """When each numerical issue would be reframed if it stayed open and talks did not lapse for good."""

    week: dict[str, np.ndarray]
    """int32, shape (count,), `NEVER` for an issue that is not."""
    trials: dict[str, ByWeek]
    """The trials in which it is, by week."""


def lay_out_reframing(
    scenario: Scenario, points: Points, threat: Threat, lapse: Lapse | None, chance: Numbers
) -> Reframing:
    """When numerical issues are reframed in the trials of `chance`."""
    week_of, sessions_by = _sessions(scenario.session_calendar())
    weeks = {}
    for name, session in _effective_sessions(scenario, points, chance).items():
        if lapse is not None:
            session = session + _sessions_lost(session, threat, lapse, sessions_by)
        weeks[name] = week_of[np.minimum(session - 1, week_of.size - 1)].astype(np.int32)
    return _reframing(weeks, scenario)


def before_final_lapse(week: np.ndarray, lapse: Lapse | None) -> np.ndarray:
    """The weeks of reframing, `NEVER` after the week at whose end talks lapse for good."""
    return week if lapse is None else np.where(lapse.final_week < week, np.int32(NEVER), week)


def quiet_reframing(scenario: Scenario, points: Points, chance: Numbers, first_lapse: np.ndarray | None) -> Reframing:
    """The same before any threat, where a lapse ends it: `first_lapse` is the week at whose end talks lapse."""
    week_of, _ = _sessions(scenario.session_calendar())
    weeks = {}
    for name, session in _effective_sessions(scenario, points, chance).items():
        week = week_of[np.minimum(session - 1, week_of.size - 1)]
        weeks[name] = (week if first_lapse is None else np.where(first_lapse < week, NEVER, week)).astype(np.int32)
    return _reframing(weeks, scenario)


def _reframing(weeks: dict[str, np.ndarray], scenario: Scenario) -> Reframing:
    return Reframing(weeks, {name: by_week(week, scenario.horizon_weeks) for name, week in weeks.items()})


def _effective_sessions(scenario: Scenario, points: Points, chance: Numbers) -> dict[str, np.ndarray]:
    """How many sessions at which an issue may be reframed it takes, for each numerical issue; int32, shape (count,)."""
    hazard = weekly_hazard(points["reframe_probability"])
    return {
        issue.name: waiting_weeks(chance.exponential(f"reframing/{issue.name}"), hazard)
        for issue in scenario.issues
        if issue.numerical
    }


@lru_cache(maxsize=64)
def _sessions(calendar: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The weeks of the sessions at which an issue may be reframed, with `NEVER`, and their number by each week."""
    eligible = np.array([kind in ("mid", "senior") for kind in calendar])
    return np.append(np.flatnonzero(eligible) + 1, NEVER), np.concatenate([[0], np.cumsum(eligible)])


def _sessions_lost(session: np.ndarray, threat: Threat, lapse: Lapse, sessions_by: np.ndarray) -> np.ndarray:
    """The sessions that pass without effect, while talks are lapsed, before a trial's n-th one with effect."""
    horizon = sessions_by.size - 1
    held = sessions_by[np.minimum(lapse.first_week, horizon)]
    lost = sessions_by[np.clip(threat.week - 1, 0, horizon)] - held
    return np.where((lapse.first_week <= horizon) & (session > held), lost, 0)
