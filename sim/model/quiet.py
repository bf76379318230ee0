"""The weeks before a threat: when it is announced (step 1 of a week), and what the talks need to know until then.

The announcement depends on S, the weight of the settled issues (`patience`), and on nothing else that happens. It is an
exponential clock, used up by a weekly hazard. Its week is computed as it would be if nothing were settled, and again
when an issue is. Trials leave these weeks with their announcement; with sanctions from the start they leave in week 1.
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from sim.model.calendar import (
    NEVER,
    ByWeek,
    by_week,
    never_after,
    rest_of_clock,
    waiting_weeks,
    weekly_hazard,
    whole_weeks,
)
from sim.model.lapse import first_lapse
from sim.model.reframing import Reframing, quiet_reframing
from sim.sampling.chance import Numbers, happens
from sim.sampling.points import Points
from sim.scenario.scenario import Scenario

TABLE = ("patience", "restraint", "partial_deal_probability")
"""The parameters by which a course depends on the table."""
_NOBODY = np.empty(0, np.int64)


def watches_table(points: Points) -> bool:
    """Whether anything besides the talks depends on the table in any trial."""
    return any(np.any(points[name] != 0.0) for name in TABLE)


def is_known_before_talks(fixed: Mapping[str, object]) -> bool:
    """Whether what happens besides the talks is known before they begin, and the weeks before a threat are as others.

    Nothing depends on the table then, and talks do not lapse. `fixed` has the parameters that are fixed, as floats.
    """
    given = (fixed.get(name) for name in (*TABLE, "lapse_probability"))
    return all(isinstance(value, float) and value == 0.0 for value in given)


class Quiet:
    """What happens besides the talks in each trial of a block until a threat or sanctions; arrays of shape (count,)."""

    def __init__(self, scenario: Scenario, points: Points, chance: Numbers, watches_table: bool) -> None:
        self.watches_table = watches_table
        self.sanctions_at_start = happens(chance, "sanctions/at-start", points["sanctions_at_start"])
        self.settled = np.zeros(chance.count)
        """S in each trial, as long as it stays here."""
        self._horizon = scenario.horizon_weeks
        self._patience = points["patience"]
        self._hazard = weekly_hazard(points["threat_probability"])
        # What is left of the announcement's clock once so many weeks are over.
        self._left = chance.exponential("threat/announcement").copy()
        self._used = np.array(np.broadcast_to(whole_weeks(points["threat_earliest_week"]) - 1, (chance.count,)))
        week = self._used + waiting_weeks(self._left, self._hazard)
        self.announcement_week = np.minimum(never_after(week, ~self.sanctions_at_start), NEVER)
        """As far as it is determined; `NEVER` with sanctions from the start."""
        # A week up to which nothing is known is one after the horizon: 16 bits are enough, and quickly looked through.
        self._leaves = np.where(self.sanctions_at_start, 1, self._by_horizon(self.announcement_week)).astype(np.int16)
        self._given = scenario, points, chance

    @cached_property
    def _first_lapse(self) -> np.ndarray | None:
        _, points, chance = self._given
        return first_lapse(points, chance)

    @cached_property
    def _reframing(self) -> Reframing:
        return quiet_reframing(*self._given, self._first_lapse)

    @cached_property
    def _lapses(self) -> ByWeek:
        never = np.full(self.settled.shape, NEVER)
        return by_week(never if self._first_lapse is None else self._first_lapse, self._horizon)

    def leaving(self, week: int, live: np.ndarray) -> np.ndarray:
        """The trials (positions) that leave as a week begins, of those whose talks continue."""
        return np.flatnonzero((self._leaves == week) & live)

    def shifts(self, week: int, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Course.shifts`: the talks that lapsed at the end of the week before."""
        lapsed = self._lapses.in_week(week - 1)
        lapsed = lapsed[live.take(lapsed)]
        return lapsed, np.zeros((lapsed.size, 2), np.float32)

    def reframed(self, week: int, issue: str) -> np.ndarray:
        """See `Course.reframed`."""
        return self._reframing.trials[issue].in_week(week)

    def settle(self, week: int, trial: np.ndarray, settled: np.ndarray) -> None:
        """Compute the announcement again where by step 3 of a week issues of the weight `settled` are settled."""
        to_come = self.announcement_week.take(trial) <= self._horizon
        trial, settled = trial[to_come], np.minimum(settled[to_come], 1.0)
        patience, hazard = (
            value.take(trial) if isinstance(value, np.ndarray) and value.ndim else value
            for value in (self._patience, self._hazard)
        )
        used = np.maximum(week - self._used.take(trial), 0)
        left = rest_of_clock(self._left.take(trial), hazard * (1.0 - patience * self.settled.take(trial)), used)
        used += self._used.take(trial)
        announced = np.minimum(used + waiting_weeks(left, hazard * (1.0 - patience * settled)), NEVER)
        self._left[trial], self._used[trial], self.settled[trial] = left, used, settled
        self.announcement_week[trial] = announced
        self._leaves[trial] = self._by_horizon(announced)

    def decide(self, week: int, live: np.ndarray) -> np.ndarray:
        """See `Course.decide`: without a threat there is no deadline."""
        return _NOBODY

    def end(self, threatened: np.ndarray) -> None:
        """Leave `NEVER` for the announcement where talks ended before it: in all trials but those `threatened`."""
        week = self.announcement_week.take(threatened)
        self.announcement_week[:] = NEVER
        self.announcement_week[threatened] = week

    def _by_horizon(self, week: np.ndarray) -> np.ndarray:
        return np.minimum(week, self._horizon + 1)
