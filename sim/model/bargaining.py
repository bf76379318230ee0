"""The talks: reframing, concessions and agreement (steps 2, 3 and 5 of a week).

A weekly chance 1 - exp(-h) with a hazard h that changes is an exponential clock, reduced by h each week,
that rings when it reaches 0 and is then set again. So a side needs a new random number on an issue only when it
has conceded. The clocks of a live trial are a row of a matrix: one subtraction a week runs all of them down,
and only those that ring are looked at.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from sim.model.calendar import NEVER
from sim.model.course import Course
from sim.sampling.chance import Chance
from sim.sampling.points import Points
from sim.scenario.scenario import Scenario

CLOSED = 1e-6
"""A gap up to this size counts as closed, and a threshold missed by up to this counts as met."""
SIDES = ("sender", "target")
MOST_READY = 1e5
"""The largest weekly hazard: a concession is certain, and its product with other multipliers is finite."""
AT_MID_LEVEL = 1.0
"""The authority of a mid-level session, to which those of others are relative."""
_LIVE_SHARE = 0.75
"""Rows of ended trials are dropped once less than this share of them is live."""


@dataclass(frozen=True)
class Talks:
    """The result of the talks. Weeks are int32, `NEVER` for what did not happen."""

    agreement_week: np.ndarray
    """Shape (count,)."""
    settled_week: np.ndarray
    """Shape (issues, count)."""
    conceded: np.ndarray
    """The concessions of the sender ([0]) and the target ([1]) by the end, as shares of each issue's gap; float64,
    shape (2, issues, count).
    """
    partial: np.ndarray
    """Whether the agreement was signed at a deadline with issues open; bool, shape (count,)."""


class Clocks:
    """Exponential numbers for the concessions of a block of trials, each clock's j-th under an address of its own.

    They are drawn on first use: j-th numbers for all clocks and trials at once, which costs less than selecting the few
    that are needed. No clock may need more than `most`; memory that is not used costs nothing.
    """

    def __init__(self, scenario: Scenario, chance: Chance, most: int) -> None:
        self._purposes = [f"concession/{side}/{issue.name}" for side in SIDES for issue in scenario.issues]
        self._chance = chance
        self._numbers = np.empty((most, len(self._purposes), chance.count), np.float32)
        self._made = 0

    def first(self) -> np.ndarray:
        """The first number of every clock: float32, shape (count, clocks), the caller's own."""
        self._make(1)
        return self._numbers[0].T.copy(order="C")

    def number(self, clock: np.ndarray, trial: np.ndarray, j: np.ndarray) -> np.ndarray:
        """The j-th (from 0) numbers of the given clocks and trials: float32, shape of the arguments."""
        self._make(int(j.max()) + 1)
        return self._numbers.take((j.astype(np.int64) * len(self._purposes) + clock) * self._chance.count + trial)

    def _make(self, numbers: int) -> None:
        for j in range(self._made, numbers):
            for clock, purpose in enumerate(self._purposes):
                self._numbers[j, clock] = self._chance.exponential(f"{purpose}/{j}")
        self._made = max(self._made, numbers)


def bargain(scenario: Scenario, points: Points, course: Course, clocks: Clocks) -> Talks:
    """Play the talks of a block of trials; `course` gives what happens around them, and learns what is settled."""
    issues, horizon, count = len(scenario.issues), scenario.horizon_weeks, course.chance.count
    rows = 2 * issues
    calendar = scenario.session_calendar()
    weights = np.array([[issue.weight] for issue in scenario.issues])
    threshold = np.broadcast_to(np.asarray(points["package_threshold"]), (count,)) - CLOSED
    gaps = [np.broadcast_to(points[f"issues.{issue.name}.gap"], (count,)) for issue in scenario.issues]
    closed = (CLOSED / np.stack(gaps, axis=1)).astype(np.float32)
    step = np.stack([np.broadcast_to(np.asarray(points[f"{side}_step"]), (count,)) for side in SIDES], axis=1)
    rate, reframed_rate = _rates(scenario, points, count)

    agreement_week = np.full(count, NEVER, np.int32)
    settled_week = np.full((issues, count), NEVER, np.int32)
    conceded = np.zeros((count, rows))
    times_set = np.zeros((count, rows), np.int16)
    partial = np.zeros(count, bool)

    # A row of clocks for each live trial, and of the hazards that run them down at a mid-level session.
    live = count
    trial_at = np.arange(count)
    row_of = np.arange(count)
    going = np.ones(count, bool)
    clock = clocks.first()
    hazard = rate.copy()
    product = np.empty_like(hazard)
    rung = np.empty(hazard.shape, bool)
    target_multiplier = np.ones(count, np.float32)
    authority = _authorities(points, (count, rows))
    issue_of, side_of = np.tile(np.arange(issues), 2), np.repeat([0, 1], issues)
    targets_of = {issue.name: issues + k for k, issue in enumerate(scenario.issues) if issue.numerical}
    across = np.repeat([issues, -issues], issues)

    for week in range(1, horizon + 1):
        # What is new as the week begins: the multipliers, and which issues are reframed.
        trial, multiplier = course.shifts(week, going)
        if trial.size:
            target_multiplier[trial] = multiplier[:, 1]
            hazard[row_of.take(trial)] = rate.take(trial, axis=0) * np.repeat(multiplier, issues, axis=1)
        for name, own in targets_of.items():
            trial = np.flatnonzero(course.reframing_week[name] == week)
            trial = trial[(row_of[trial] >= 0) & (settled_week[own - issues].take(trial) == NEVER)]
            rate[trial, own] = reframed_rate[name][trial]
            hazard[row_of[trial], own] = reframed_rate[name][trial] * target_multiplier[trial]

        # Concessions: run the clocks down, and look at those that ring.
        ended = np.empty(0, np.int64)
        level = authority[calendar[week - 1]]
        if level is not None:
            clock -= hazard if level is AT_MID_LEVEL else np.multiply(hazard, level, out=product[: len(hazard)])
            rings = _few_true(np.less_equal(clock, 0.0, out=rung[: len(clock)]))
            if rings.size:
                row = rings // rows
                column = rings - row * rows
                trial = trial_at.take(row)
                who = trial * rows + column
                opposite = who + across.take(column)
                # No side moves past where the other stood when the week began.
                given = conceded.take(who) + step.take(2 * trial + side_of.take(column))
                given = np.minimum(given, 1.0 - conceded.take(opposite))
                conceded.reshape(-1)[who] = given
                used = times_set.take(who) + 1
                times_set.reshape(-1)[who] = used
                clock.reshape(-1)[rings] = clocks.number(column, trial, used)

                left = 1.0 - given - conceded.take(opposite)
                closing = np.flatnonzero(left <= closed.take(issues * trial + issue_of.take(column)))
                if closing.size:
                    trial, column = trial.take(closing), column.take(closing)
                    settled_week[issue_of.take(column), trial] = week
                    rate.reshape(-1)[who[closing]] = 0.0
                    rate.reshape(-1)[opposite[closing]] = 0.0
                    hazard.reshape(-1)[rings[closing]] = 0.0
                    hazard.reshape(-1)[rings[closing] + across.take(column)] = 0.0
                    # Agreement: enough weight is settled.
                    settled = ((settled_week.take(trial, axis=1) < NEVER) * weights).sum(axis=0)
                    accepted = settled >= threshold.take(trial)
                    ended = trial[accepted]
                    if course.watches_table:
                        course.settle(week, trial[~accepted], settled[~accepted])
        if week == 1:
            ended = np.concatenate([ended, np.flatnonzero(threshold <= 0.0)])
        if course.watches_table:
            # Step 8, where something is settled; in a partial deal that is signed.
            going[ended] = False
            signing = course.decide(week, going)
            partial[signing] = True
            ended = np.concatenate([ended, signing])
        if ended.size:
            agreement_week[ended] = week
            hazard[row_of.take(ended)] = 0.0
            row_of[ended] = -1
            going[ended] = False
            live = int(np.count_nonzero(going))
            if live == 0:
                break
            if live < _LIVE_SHARE * trial_at.size:
                kept = np.flatnonzero(row_of.take(trial_at) >= 0)
                trial_at = trial_at.take(kept)
                clock, hazard = clock.take(kept, axis=0), hazard.take(kept, axis=0)
                authority = {
                    kind: level.take(kept, axis=0) if isinstance(level, np.ndarray) else level
                    for kind, level in authority.items()
                }
                row_of[trial_at] = np.arange(live)
    return Talks(agreement_week, settled_week, conceded.reshape(count, 2, issues).transpose(1, 2, 0), partial)


def _few_true(flags: np.ndarray) -> np.ndarray:
    """`np.flatnonzero` of contiguous truth values of which few are true, looked at eight at a time first."""
    flat = flags.reshape(-1)
    whole = flat.size // 8 * 8
    eight = np.flatnonzero(flat[:whole].view(np.uint64) != 0)
    found = np.flatnonzero(flat[:whole].reshape(-1, 8).take(eight, axis=0))
    found = 8 * eight.take(found // 8) + found % 8
    return np.concatenate([found, whole + np.flatnonzero(flat[whole:])]) if whole < flat.size else found


def most_concessions(scenario: Scenario, points: Points) -> int:
    """The most concessions of a side on an issue: as many as close a gap, and one a week at most."""
    step = min(float(np.min(points[f"{side}_step"])) for side in SIDES)
    return min(scenario.horizon_weeks, ceil(1.0 / step))


def _rates(scenario: Scenario, points: Points, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each side's weekly hazard on each issue at a mid-level session, before any multiplier.

    Returns float32, shape (count, 2 issues), the sender's columns first, and for each numerical issue the target's
    hazard once the issue is reframed, shape (count,).
    """
    rate = np.empty((count, 2 * len(scenario.issues)), np.float32)
    reframed: dict[str, np.ndarray] = {}
    for k, issue in enumerate(scenario.issues):
        for side, name in enumerate(SIDES):
            column = side * len(scenario.issues) + k
            rate[:, column] = -np.log1p(-np.asarray(points[f"issues.{issue.name}.{name}_concession"]))
            readiness = points[f"{name}_readiness"]
            if not isinstance(readiness, float) or readiness != 1.0:
                rate[:, column] = np.minimum(rate[:, column].astype(np.float64) * readiness, MOST_READY)
            if name == "target" and issue.numerical:
                reframed[issue.name] = rate[:, column].copy()
                rate[:, column] *= points["quota_aversion"]
    return rate, reframed


def _authorities(points: Points, shape: tuple[int, int]) -> dict[str, np.ndarray | float | None]:
    """The authority of each kind of session: None where nobody can concede, a number, or float32 of a given shape."""

    def authority(value: np.ndarray | float) -> np.ndarray | float | None:
        if isinstance(value, np.ndarray):
            return np.repeat(np.minimum(value, 1e8).astype(np.float32), shape[1]).reshape(shape)
        return min(value, 1e8) or None

    return {
        "none": None,
        "technical": authority(points["technical_authority"]),
        "mid": AT_MID_LEVEL,
        "senior": authority(points["senior_authority"]),
    }
