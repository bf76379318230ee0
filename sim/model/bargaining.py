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
from sim.model.quiet import Quiet
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
class Terms:
    """What does not change during the talks of a block of trials."""

    weights: np.ndarray
    """Shape (issues, 1)."""
    threshold: np.ndarray
    """The weight of settled issues from which on the package is accepted; float64, shape (count,)."""
    closed: np.ndarray
    """What may be left of each issue's gap, as a share of it, when it counts as closed; float32, shape (count, issues).
    """
    reframed_rate: dict[str, np.ndarray]
    """The target's hazard on each numerical issue once it is reframed; float32, shape (count,)."""
    authority: dict[str, np.ndarray | float | None]
    """The authority of each kind of session: None where nobody can concede, a number, or float32, shape (count,)."""


@dataclass(frozen=True)
class Talks:
    """The state of the talks of a block of trials. Weeks are int32, `NEVER` for what has not happened."""

    agreement_week: np.ndarray
    """Shape (count,)."""
    partial: np.ndarray
    """Whether the agreement was signed at a deadline with issues open; bool, shape (count,)."""
    settled_week: np.ndarray
    """Shape (issues, count)."""
    moves: np.ndarray
    """The concessions so far, as shares of each issue's gap, the sender's first; then the share that one more of the
    sender's concessions closes, and one of the target's; float64, shape (count, 2 issues + 2)."""
    times: np.ndarray
    """The number of concessions; int16, shape (count, 2 issues)."""
    rate: np.ndarray
    """The weekly hazards at a mid-level session before any multiplier, 0 once an issue is settled; float32, shape
    (count, 2 issues)."""

    @property
    def conceded(self) -> np.ndarray:
        """The concessions of the sender ([0]) and the target ([1]); float64, shape (2, issues, count)."""
        return self.moves[:, :-2].reshape(len(self.moves), 2, -1).transpose(1, 2, 0)

    def copy(self) -> "Talks":
        """The same in arrays of its own."""
        return Talks(**{name: getattr(self, name).copy() for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class Entry:
    """Trials that take part in some weeks of the talks, in the order in which they enter."""

    trial: np.ndarray
    """Positions in the block, from 0; shape (trials,)."""
    waiting: np.ndarray
    """The number of trials that enter later than in week w, for w from 0 to the horizon."""
    clock: np.ndarray
    """What is left of each clock as a trial enters; float32, shape (trials, 2 issues)."""


class Clocks:
    """Exponential numbers for the concessions of a block of trials, each clock's j-th under an address of its own.

    They are drawn on first use: j-th numbers for all clocks and trials at once, which costs less than selecting the few
    that are needed. No clock may need more than `most`; memory that is not used costs nothing.
    """

    def __init__(self, scenario: Scenario, chance: Chance, most: int) -> None:
        self._purposes = [f"concession/{side}/{issue.name}" for side in SIDES for issue in scenario.issues]
        self._chance = chance
        self.count = chance.count
        self._numbers = np.empty((most, chance.count, len(self._purposes)), np.float32)
        self._made = 0

    def first(self) -> np.ndarray:
        """The first number of every clock: float32, shape (count, clocks), the caller's own."""
        self._make(1)
        return self._numbers[0].copy()

    def number(self, who: np.ndarray, j: np.ndarray) -> np.ndarray:
        """The j-th (from 0) numbers of some clocks: float32, shape of the arguments.

        `who` are the positions of the clocks among those of all trials, the first trial's first.
        """
        self._make(int(j.max()) + 1)
        return self._numbers.take(who + j * np.int64(self._numbers[0].size))

    def _make(self, numbers: int) -> None:
        for j in range(self._made, numbers):
            for clock, purpose in enumerate(self._purposes):
                self._numbers[j, :, clock] = self._chance.exponential(f"{purpose}/{j}")
        self._made = max(self._made, numbers)


def open_talks(scenario: Scenario, points: Points, clocks: Clocks) -> tuple[Terms, Talks, Entry]:
    """The talks of a block of trials as the dispute begins; all trials enter in week 1."""
    issues, count = len(scenario.issues), clocks.count
    gaps = [np.broadcast_to(points[f"issues.{issue.name}.gap"], (count,)) for issue in scenario.issues]
    rate, reframed_rate = _rates(scenario, points, count)
    moves = np.zeros((count, 2 * issues + len(SIDES)))
    for column, side in enumerate(SIDES, start=2 * issues):
        moves[:, column] = points[f"{side}_step"]
    terms = Terms(
        weights=np.array([[issue.weight] for issue in scenario.issues]),
        threshold=np.broadcast_to(np.asarray(points["package_threshold"]), (count,)) - CLOSED,
        closed=(CLOSED / np.stack(gaps, axis=1)).astype(np.float32),
        reframed_rate=reframed_rate,
        authority=_authorities(points),
    )
    talks = Talks(
        agreement_week=np.full(count, NEVER, np.int32),
        partial=np.zeros(count, bool),
        settled_week=np.full((issues, count), NEVER, np.int32),
        moves=moves,
        times=np.zeros((count, 2 * issues), np.int16),
        rate=rate,
    )
    waiting = np.zeros(scenario.horizon_weeks + 1, np.int64)
    waiting[0] = count
    return terms, talks, Entry(np.arange(count), waiting, clocks.first())


def bargain(
    scenario: Scenario, terms: Terms, talks: Talks, entry: Entry, course: Quiet | Course, clocks: Clocks
) -> Entry:
    """Play the talks from the entry of some trials until they end, or leave `course` for another.

    `course` gives what happens around the talks, and learns what is settled. `talks` is changed. Returns those that
    leave, as they enter the talks under the other course.
    """
    issues, horizon, count = len(scenario.issues), scenario.horizon_weeks, clocks.count
    rows = 2 * issues
    calendar = scenario.session_calendar()
    agreement_week, settled_week = talks.agreement_week, talks.settled_week
    moves, times, rate = (array.reshape(-1) for array in (talks.moves, talks.times, talks.rate))
    closed = terms.closed.reshape(-1)
    most_closed, least_closed = closed.max(), closed.min()

    # A row of clocks for each trial that has not ended, and of the hazards that run them down at a mid-level session.
    # Trials that have not entered yet are the last.
    trial_at = entry.trial
    row_of = np.full(count, -1)
    row_of[trial_at] = np.arange(trial_at.size)
    going = np.zeros(count, bool)
    clock = entry.clock.copy()
    hazard = talks.rate.take(trial_at, axis=0)
    product = np.empty_like(hazard)
    whole_hazard, nothing = _whole_rows(hazard), np.zeros((), _whole_rows(hazard).dtype)
    rung = np.empty(hazard.shape, bool)
    target_multiplier = np.ones(count, np.float32)
    authority = {
        kind: np.repeat(level.take(trial_at), rows).reshape(-1, rows) if isinstance(level, np.ndarray) else level
        for kind, level in terms.authority.items()
    }
    issue_of = np.tile(np.arange(issues), 2)
    to_step = np.repeat([rows, rows + 1], issues) - np.arange(rows)
    targets_of = {issue.name: issues + k for k, issue in enumerate(scenario.issues) if issue.numerical}
    across = np.repeat([issues, -issues], issues)
    left_trials, left_clocks = [np.empty(0, np.int64)], [np.empty((0, rows), np.float32)]
    waiting = np.zeros(horizon + 1, np.int64)

    for week in range(1, horizon + 1):
        # What is new as the week begins: who takes part, the multipliers, and which issues are reframed.
        active = trial_at.size - entry.waiting[week]
        going[trial_at[trial_at.size - entry.waiting[week - 1] : active]] = True
        leaving = course.leaving(week, going)
        if leaving.size:
            waiting[:week] += leaving.size
            left_trials.append(leaving)
            left_clocks.append(clock.take(row_of.take(leaving), axis=0))
            whole_hazard[row_of.take(leaving)] = nothing
            row_of[leaving] = -1
            going[leaving] = False
        trial, multiplier = course.shifts(week, going)
        if trial.size:
            target_multiplier[trial] = multiplier[:, 1]
            shifted = talks.rate.take(trial, axis=0) * np.repeat(multiplier, issues, axis=1)
            whole_hazard[row_of.take(trial)] = _whole_rows(shifted)
        for name, own in targets_of.items():
            trial = course.reframed(week, name)
            trial = trial.compress(going.take(trial) & (settled_week[own - issues].take(trial) == NEVER))
            reframed = terms.reframed_rate[name].take(trial)
            rate[trial * rows + own] = reframed
            hazard.reshape(-1)[row_of.take(trial) * rows + own] = reframed * target_multiplier.take(trial)

        # Concessions: run the clocks down, and look at those that ring.
        agreed = np.empty(0, np.int64)
        level = authority[calendar[week - 1]]
        if level is not None:
            run = hazard[:active]
            if level is not AT_MID_LEVEL:
                level = level[:active] if isinstance(level, np.ndarray) else level
                run = np.multiply(run, level, out=product[:active])
            clock[:active] -= run
            rings = _few_true(np.less_equal(clock[:active], 0.0, out=rung[:active]))
            if rings.size:
                row = rings // rows
                column = rings - row * rows
                trial = trial_at.take(row)
                who = trial * rows + column
                # No side moves past where the other stood when the week began.
                place = who + 2 * trial
                across_place = place + across.take(column)
                now = moves.take(place) + moves.take(place + to_step.take(column))
                now = np.minimum(now, 1.0 - moves.take(across_place))
                moves[place] = now
                used = times.take(who) + 1
                times[who] = used
                clock.reshape(-1)[rings] = clocks.number(who, used)

                left = 1.0 - now - moves.take(across_place)
                closing = np.flatnonzero(left <= most_closed)
                if np.any(left.take(closing) > least_closed):
                    # What counts as closed depends on the issue's gap.
                    counts_from = closed.take(issues * trial.take(closing) + issue_of.take(column.take(closing)))
                    closing = closing.compress(left.take(closing) <= counts_from)
                if closing.size:
                    trial, column, who = trial.take(closing), column.take(closing), who.take(closing)
                    settled_week.reshape(-1)[issue_of.take(column) * count + trial] = week
                    opposite = across.take(column)
                    rate[who] = 0.0
                    rate[who + opposite] = 0.0
                    ring = rings.take(closing)
                    hazard.reshape(-1)[ring] = 0.0
                    hazard.reshape(-1)[ring + opposite] = 0.0
                    # Agreement: enough weight is settled.
                    settled = ((settled_week.take(trial, axis=1) < NEVER) * terms.weights).sum(axis=0)
                    accepted = settled >= terms.threshold.take(trial)
                    agreed = trial.compress(accepted)
                    if course.watches_table:
                        course.settle(week, trial[~accepted], settled[~accepted])
        if week == 1:
            agreed = np.concatenate([agreed, np.flatnonzero((terms.threshold <= 0.0) & going)])
        going[agreed] = False
        if course.watches_table:
            # Step 8, where something is settled; in a partial deal that is signed.
            signing = course.decide(week, going)
            talks.partial[signing] = True
            agreed = np.concatenate([agreed, signing])
        if agreed.size:
            agreement_week[agreed] = week
            whole_hazard[row_of.take(agreed)] = nothing
            row_of[agreed] = -1
            going[agreed] = False
        if agreed.size or leaving.size:
            live = int(np.count_nonzero(going)) + int(entry.waiting[week])
            if live == 0:
                break
            if live < _LIVE_SHARE * trial_at.size:
                kept = np.flatnonzero(row_of.take(trial_at) >= 0)
                trial_at = trial_at.take(kept)
                clock, hazard = clock.take(kept, axis=0), hazard.take(kept, axis=0)
                whole_hazard = _whole_rows(hazard)
                authority = {
                    kind: level.take(kept, axis=0) if isinstance(level, np.ndarray) else level
                    for kind, level in authority.items()
                }
                row_of[trial_at] = np.arange(live)
    return Entry(np.concatenate(left_trials), waiting, np.concatenate(left_clocks))


def _whole_rows(matrix: np.ndarray) -> np.ndarray:
    """The rows of a contiguous matrix as one item each: numpy assigns those several times faster than rows."""
    return matrix.view(np.dtype((np.void, matrix.itemsize * matrix.shape[1]))).reshape(-1)


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


def _authorities(points: Points) -> dict[str, np.ndarray | float | None]:
    """The authority of each kind of session as in `Terms`."""

    def authority(value: np.ndarray | float) -> np.ndarray | float | None:
        if isinstance(value, np.ndarray):
            return np.minimum(value, 1e8).astype(np.float32)
        return min(value, 1e8) or None

    return {
        "none": None,
        "technical": authority(points["technical_authority"]),
        "mid": AT_MID_LEVEL,
        "senior": authority(points["senior_authority"]),
    }
