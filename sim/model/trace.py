"""The trace of one trial: what happened in each of its weeks, and the row at its end.

There is no second model here. A trial's chance is addressed, so its first weeks do not depend on the horizon: the state
after week w is the row that the kernel returns for a horizon of w weeks, and what was conceded in week w is the
difference between two horizons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim.model.bargaining import SIDES
from sim.model.calendar import NEVER
from sim.model.course import Course
from sim.model.kernel import Played, play_weeks, read_played
from sim.model.used_parameters import used_parameters
from sim.sampling.base import Design
from sim.sampling.chance import Chance
from sim.sampling.designs import RANDOM
from sim.sampling.points import Points, draw_points
from sim.scenario.columns import trial_row
from sim.scenario.distributions import Fixed
from sim.scenario.issues import Issue
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario

KINDS = {
    "sanctioned": "sanctions are in force as the dispute begins: sender_loss, target_loss (a year, of the whole list), "
    "share (in force), defiant, filed, retaliates",
    "tranche": "a further part of the sanctions comes into force: share (of the whole list, from this week on)",
    "announced": "sanctions are announced: deadline_week, sanctioned_trade, tariff_rate, defiant, filed, revived "
    "(whether talks had lapsed, and are on again)",
    "reframed": "an issue becomes a voluntary plan: issue",
    "conceded": "a side moves on an issue: issue, side, before and after (its position), other (the other side's)",
    "settled": "an issue's gap is closed: issue, level, reframed",
    "agreed": "the package is accepted: outcome, market_access, a_year, dropped (open issues with their levels), "
    "partial (signed at a deadline), residual (the share of the sanctions that stays in force)",
    "tired": "the sender withdraws its sanctions of its own accord: sanctions_weeks, sender_cost, target_cost",
    "panel": "the case goes to a panel",
    "reported": "the panel's report, which is appealed: for_target",
    "ruled": "the final ruling: for_target, after_appeal, reversed",
    "complied": "a losing sender withdraws its sanctions: sanctions_weeks, sender_cost, target_cost",
    "authorised": "retaliation is authorised, and on from the next week: already_on",
    "imposed": "sanctions come into force next week: sender_loss, target_loss (a year, of the whole list), "
    "share (in force), filed, retaliates",
    "extended": "the deadline moves: deadline_week, credibility",
    "backed_down": "the sender drops its threat",
    "lapsed": "the case lapses",
    "talks_lapsed": "talks lapse at the end of the week",
    "breached": "the target stops keeping the agreement: kept (the share of the market access that is left)",
}
"""The kinds of event, each with what it says. Positions and levels are shares of the sender's full demand, money bn
US dollars."""


@dataclass(frozen=True)
class Event:
    """Something that happened in a week; `details` are those of its kind in `KINDS`."""

    week: int
    kind: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Week:
    """A played week. Week 0 stands for the start."""

    week: int
    session: str
    """The session that was held: none in weeks in which talks had lapsed."""
    events: tuple[Event, ...]
    """In the order of the week's steps."""
    positions: tuple[tuple[float, float], ...]
    """The sender's and the target's on each issue at the week's end, as shares of the full demand."""
    row: Mapping[str, Any]
    """The trial's row if this week were the horizon; for the last week, the trial's row."""


@dataclass(frozen=True)
class Draw:
    """The value of an uncertain parameter, and the share of its distribution below it."""

    name: str
    value: float
    share_below: float
    """The probability of a lower value, plus half that of an equal value."""
    played_a_part: bool
    """Whether the trial used it (see `used_parameters`): another value could have changed what happened."""


@dataclass(frozen=True)
class Story:
    """A trial under a strategy, from its start (week 0) to its agreement or the horizon."""

    scenario: Scenario
    strategy: str
    trial: int
    draws: tuple[Draw, ...]
    weeks: tuple[Week, ...]
    epilogue: Week | None = None
    """The week after the agreement in which it is broken, if it is."""

    @property
    def row(self) -> Mapping[str, Any]:
        """The row at the end of the trial."""
        return self.weeks[-1].row

    @property
    def events(self) -> tuple[Event, ...]:
        """All events in their order."""
        return tuple(event for week in self.all_weeks for event in week.events)

    @property
    def all_weeks(self) -> tuple[Week, ...]:
        """The weeks from the start on, with the epilogue."""
        return (*self.weeks, *([] if self.epilogue is None else [self.epilogue]))


def play_story(scenario: Scenario, strategy: str, chance: Chance, design: Design = RANDOM) -> Story:
    """The story of one trial of a scenario under a strategy: the first of `chance`. Raises `InvalidInput`."""
    chance = chance.part(0, 1)
    points = draw_points(scenario, strategy, chance, design)

    def played_by(week: int) -> Played:
        return play_weeks(replace(scenario, horizon_weeks=week), points, chance)

    def row_by(week: int) -> dict[str, object]:
        return trial_row(scenario, read_played(replace(scenario, horizon_weeks=week), played))

    played = played_by(scenario.horizon_weeks)
    course = played.course
    last = min(int(played.talks.agreement_week[0]), scenario.horizon_weeks)
    rows = [row_by(week) for week in range(last)] + [row_by(scenario.horizon_weeks)]
    conceded = _conceded_by_week(lambda week: played_by(week).talks.conceded[:, :, 0], last)
    gaps = np.array([_drawn(points, f"issues.{issue.name}.gap") for issue in scenario.issues])
    positions = np.stack([1.0 - gaps * conceded[:, 0], 1.0 - gaps * (1.0 - conceded[:, 1])], axis=2)
    calendar = ("none", *scenario.session_calendar())
    weeks = [Week(0, "none", (), _pairs(positions[0]), rows[0])]
    for week in range(1, last + 1):
        moves = _talks(scenario.issues, course, week, rows[week - 1 : week + 1], positions[week - 1 : week + 1])
        events = (
            *_sanctions(course, week, rows[week]),
            *_announcement(course, week, rows[week - 1 : week + 1]),
            *moves,
        )
        if rows[week]["agreement_week"] is None:
            events += (*_case(course, week, rows[week]), *_deadline(course, week, rows[week]))
        if rows[week]["litigation"] == "lapsed" != rows[week - 1]["litigation"]:
            events += (Event(week, "lapsed", {}),)
        if rows[week]["lapse_week"] == week:
            events += (Event(week, "talks_lapsed", {}),)
        held = rows[week]["lapse_week"] in (None, week)
        weeks.append(Week(week, calendar[week] if held else "none", events, _pairs(positions[week]), rows[week]))
    epilogue = None
    broken = rows[-1]["breach_week"]
    if isinstance(broken, int):
        breach = Event(broken, "breached", {"kept": _drawn(points, "breach_retention")})
        epilogue = Week(broken, "none", (breach,), weeks[-1].positions, rows[-1])
    used = used_parameters(scenario, played, rows[-1], {week.session for week in weeks})
    draws = _draws(scenario, strategy, points, used)
    return Story(scenario, strategy, chance.first, draws, tuple(weeks), epilogue)


def _conceded_by_week(conceded_by: Callable[[int], np.ndarray], last: int) -> np.ndarray:
    """What each side has given up by the end of each week up to `last`; float64, shape (last + 1, 2, issues).

    `conceded_by` plays the trial up to a week. Concessions are never withdrawn, so that weeks between two with the same
    concessions need not be played.
    """
    found = {last: conceded_by(last)}
    found[0] = np.zeros_like(found[last])

    def fill(low: int, high: int) -> None:
        if np.array_equal(found[low], found[high]):
            found.update(dict.fromkeys(range(low + 1, high), found[low]))
        elif high - low > 1:
            middle = (low + high) // 2
            found[middle] = conceded_by(middle)
            fill(low, middle)
            fill(middle, high)

    fill(0, last)
    return np.stack([found[week] for week in range(last + 1)])


def _sanctions(course: Course, week: int, row: Mapping[str, object]) -> tuple[Event, ...]:
    """Sanctions in force from the start, reported in week 1, and further parts of sanctions."""
    pressure = course.pressure
    imposition = int(pressure.threat.imposition_week[0])
    if week == 1 and imposition == 0:
        details = {
            **_imposed(course),
            "defiant": row["defiant"],
            "filed": row["filing_week"] == 1,
            "retaliates": int(pressure.case.retaliation_week[0]) == 0,
        }
        return (Event(week, "sanctioned", details),)
    if imposition + 1 < week <= int(pressure.case.withdrawal_week[0]):
        before, now = (_share(course, one - imposition) for one in (week - 1, week))
        if now > before:
            return (Event(week, "tranche", {"share": now}),)
    return ()


def _imposed(course: Course) -> dict[str, float]:
    """What sanctions cost a year, if all are in force, and the share that comes into force first."""
    return {
        "sender_loss": float(np.ravel(course.pressure.sanctions.buyer_loss)[0]),
        "target_loss": float(np.ravel(course.pressure.sanctions.exporter_loss)[0]),
        "share": _share(course, 1),
    }


def _share(course: Course, weeks_since: int) -> float:
    """The share of the sanctions in force so many weeks after their imposition."""
    tranches = course.pressure.tranches
    return 1.0 if tranches is None else float(tranches.share(np.array([weeks_since]))[0])


def _announcement(course: Course, week: int, rows: Sequence[Mapping[str, object]]) -> tuple[Event, ...]:
    """The announcement, if it comes in a week; `rows` are those at its start and its end."""
    before, row = rows
    if row["threat_week"] != week:
        return ()
    details = {
        "deadline_week": int(course.pressure.threat.first_deadline[0]),
        "sanctioned_trade": _drawn(course.points, "sanctioned_trade"),
        "tariff_rate": _drawn(course.points, "tariff_rate"),
        "defiant": row["defiant"],
        "filed": row["filing_week"] == week,
        "revived": before["lapse_week"] is not None,
    }
    return (Event(week, "announced", details),)


def _talks(
    issues: tuple[Issue, ...],
    course: Course,
    week: int,
    rows: Sequence[Mapping[str, object]],
    positions: np.ndarray,
) -> list[Event]:
    """Reframings, concessions, settlements and the agreement of a week.

    `rows` and `positions` (shape (2, issues, 2)) are those at its start and its end.
    """
    (before, now), (stood, stand) = rows, positions
    reframed = [issue.name for issue in issues if now.get(f"reframed.{issue.name}")]
    fresh = [name for name in reframed if not before[f"reframed.{name}"]]
    events = [Event(week, "reframed", {"issue": name}) for name in fresh]
    for k, issue in enumerate(issues):
        for side, name in enumerate(SIDES):
            was, is_now, other = float(stood[k, side]), float(stand[k, side]), float(stand[k, 1 - side])
            if was != is_now:
                moved = {"issue": issue.name, "side": name, "before": was, "after": is_now, "other": other}
                events.append(Event(week, "conceded", moved))
        level = now[f"settled.{issue.name}"]
        if level is not None and before[f"settled.{issue.name}"] is None:
            settled = {"issue": issue.name, "level": level, "reframed": issue.name in reframed}
            events.append(Event(week, "settled", settled))
    if now["agreement_week"] == week:
        dropped = {
            issue.name: float(stand[k, 1]) for k, issue in enumerate(issues) if now[f"settled.{issue.name}"] is None
        }
        worth = {
            "market_access": now["market_access"],
            "a_year": float(now["market_access"]) * _drawn(course.points, "full_access"),  # type: ignore[arg-type]
            "partial": now["partial_deal"],
            "residual": _residual(course, week, now),
        }
        events.append(Event(week, "agreed", {"outcome": now["outcome"], **worth, "dropped": dropped}))
    return events


def _residual(course: Course, week: int, row: Mapping[str, object]) -> float:
    """The share of the whole list of sanctions that an agreement in a week leaves in force."""
    if row["outcome"] != "agreement_under_sanctions":
        return 0.0
    share = _share(course, week - int(course.pressure.threat.imposition_week[0]))
    return share * _drawn(course.points, "residual_sanctions")


def _case(course: Course, week: int, row: Mapping[str, object]) -> list[Event]:
    """Fatigue and the case's steps in a week."""
    case = course.pressure.case
    comes = {
        name: int(getattr(case, f"{name}_week")[0]) == week
        for name in ("panel", "appeal", "ruling", "compliance", "authorised", "withdrawal")
    }
    withdrawn = {name: row[name] for name in ("sanctions_weeks", "sender_cost", "target_cost")}
    found, final = bool(case.found_for_target[0]), bool(case.for_target[0])
    events = []
    if comes["withdrawal"] and not comes["compliance"]:
        events.append(Event(week, "tired", withdrawn))
    if comes["panel"]:
        events.append(Event(week, "panel", {}))
    if comes["appeal"]:
        events.append(Event(week, "reported", {"for_target": found}))
    if comes["ruling"]:
        appealed = int(case.appeal_week[0]) < NEVER
        ruling = {"for_target": final, "after_appeal": appealed, "reversed": appealed and found != final}
        events.append(Event(week, "ruled", ruling))
    if comes["compliance"]:
        events.append(Event(week, "complied", withdrawn))
    if comes["authorised"]:
        events.append(Event(week, "authorised", {"already_on": int(case.retaliation_week[0]) < week}))
    return events


def _deadline(course: Course, week: int, row: Mapping[str, object]) -> tuple[Event, ...]:
    threat, points = course.pressure.threat, course.points
    if week == int(threat.imposition_week[0]):
        details = {
            **_imposed(course),
            "filed": row["filing_week"] == week,
            "retaliates": int(course.pressure.case.retaliation_week[0]) == week,
        }
        return (Event(week, "imposed", details),)
    if week == int(threat.retreat_week[0]):
        return (Event(week, "backed_down", {}),)
    extensions = int(threat.extensions_before(np.array([week + 1]))[0])
    moved = int(threat.first_deadline[0]) + extensions * int(threat.extension_weeks[0])
    if extensions and moved - int(threat.extension_weeks[0]) == week:
        credibility = _drawn(points, "credibility") * _drawn(points, "credibility_decay") ** extensions
        return (Event(week, "extended", {"deadline_week": moved, "credibility": credibility}),)
    return ()


def _draws(scenario: Scenario, strategy: str, points: Points, used: Mapping[str, bool]) -> tuple[Draw, ...]:
    uncertain = {
        name: distribution
        for name, distribution in scenario.parameters(strategy).items()
        if not isinstance(distribution, Fixed)
    }
    draws = []
    for name, distribution in uncertain.items():
        value = _drawn(points, name)
        below, up_to = distribution.cdf(np.array([np.nextafter(value, -np.inf), value]))
        draws.append(Draw(name, value, float(below + up_to) / 2.0, parameter(name).group == "issue" or used[name]))
    return tuple(draws)


def _drawn(points: Points, name: str) -> float:
    return float(np.ravel(points[name])[0])


def _pairs(positions: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(sender), float(target)) for sender, target in positions)
