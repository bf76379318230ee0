"""The narrative in sentences: weeks with their dates, weeks without events summarised, and how the trial ended."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from sim.model.bargaining import SIDES
from sim.model.trace import Event, Story, Week
from sim.scenario.scenario import Scenario

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_SO_FAR = ("have cost", "have brought")


@dataclass(frozen=True)
class Passage:
    """A week with events, or a range of weeks without any."""

    weeks: tuple[Week, ...]
    sentences: tuple[str, ...]


def passages(story: Story) -> tuple[Passage, ...]:
    """The weeks of the narrative in order, from week 1 on, in sentences."""
    found = []
    for quiet, weeks in groupby(
        zip(story.all_weeks, story.all_weeks[1:], strict=False), lambda pair: not pair[1].events
    ):
        pairs = list(weeks)
        if quiet:
            found.append(Passage(tuple(week for _, week in pairs), _quiet(story.scenario, pairs)))
        else:
            found += [
                Passage((week,), tuple(_sentence(story.scenario, event) for event in week.events)) for _, week in pairs
            ]
    return tuple(found)


def ending(scenario: Scenario, row: Mapping[str, Any]) -> str:
    """How a trial ended, in one sentence without a full stop."""
    how = row["outcome"].replace("_", " ")
    if row["agreement_week"] is None:
        parts = [f"no agreement by week {scenario.horizon_weeks}: {how}"]
    else:
        parts = [
            f"{how} in {week_name(scenario, row['agreement_week'])}: {_share(row['market_access'])} of the demand, "
            f"{_money(row['export_gain'])} of exports gained by the horizon"
        ]
    if row["sanctions_weeks"]:
        parts.append(f"{_count(row['sanctions_weeks'], 'week')} of sanctions {_bill(scenario, row)}")
    elif row["threat_week"] is None and row["sanctions_week"] is None:
        parts.append("no threat")
    elif row["sanctions_week"] is None:
        parts.append("no sanctions")
    if row["lapse_week"] is not None:
        parts.append(f"talks lapsed in {week_name(scenario, row['lapse_week'])}")
    if row["breach_week"] is not None:
        parts.append(f"{scenario.target} breaks the agreement in {week_name(scenario, row['breach_week'])}")
    return "; ".join(parts)


def week_date(scenario: Scenario, week: int) -> date | None:
    """The day on which a week begins; None if the scenario has no date."""
    return None if scenario.as_of is None else date.fromisoformat(scenario.as_of) + timedelta(weeks=week - 1)


def week_name(scenario: Scenario, week: int) -> str:
    """A week with the day on which it begins, such as ``week 4 (4 May 1995)``."""
    day = week_date(scenario, week)
    return f"week {week}" if day is None else f"week {week} ({day.day} {day:%B} {day.year})"


def _quiet(scenario: Scenario, pairs: list[tuple[Week, Week]]) -> tuple[str, ...]:
    before, last = pairs[0][0], pairs[-1][1]
    sessions = sum(week.session != "none" for _, week in pairs)
    said = [f"{_capital(_count(sessions, 'session'))}, nobody moved." if sessions else "No session."]
    if before.row["lapse_week"] is not None:
        said = ["The talks have lapsed: no session."]
    stood = last.row["sanctions_weeks"] - before.row["sanctions_weeks"]
    if stood:
        spent = {name: last.row[name] - before.row[name] for name in ("sender_cost", "target_cost")}
        said.append(
            f"{_capital(_count(stood, 'week'))} of sanctions {_bill(scenario, spent)}; since they began they "
            f"{_bill(scenario, last.row, _SO_FAR)}."
        )
    return tuple(said)


def _sentence(scenario: Scenario, event: Event) -> str:
    titles = {issue.name: f"“{issue.title}”" for issue in scenario.issues}
    return _capital(_WORDS[event.kind](scenario, titles, event.details))


def _announced(scenario: Scenario, _: Mapping[str, str], said: Mapping[str, Any]) -> str:
    listed = f"{_money(said['sanctioned_trade'])} a year of imports, at {_share(said['tariff_rate'])}"
    deadline = week_name(scenario, said["deadline_week"])
    answer = [f"{scenario.target} refuses to negotiate under threat"] if said["defiant"] else []
    answer += [f"{scenario.target} complains to the WTO"] if said["filed"] else []
    answer += ["The talks, which had lapsed, resume"] if said["revived"] else []
    announced = f"{scenario.sender} announces sanctions on {listed}, unless there is an agreement by {deadline}."
    return " ".join([announced, *(f"{one}." for one in answer)])


def _conceded(scenario: Scenario, titles: Mapping[str, str], moved: Mapping[str, Any]) -> str:
    verb, standing = ("asks", "offers") if moved["side"] == "sender" else ("offers", "asks")
    mover, other = scenario.sender, scenario.target
    if moved["side"] == "target":
        mover, other = other, mover
    return (
        f"{mover} concedes on {titles[moved['issue']]} and now {verb} {_share(moved['after'])} of the demand, after "
        f"{_share(moved['before'])}; {other} {standing} {_share(moved['other'])}."
    )


def _agreed(scenario: Scenario, titles: Mapping[str, str], agreed: Mapping[str, Any]) -> str:
    dropped = " ".join(
        f"{titles[name]} stays open and is dropped at what {scenario.target} offers, {_share(offer)}."
        for name, offer in agreed["dropped"].items()
    )
    how = "At the deadline the sides sign what is settled." if agreed["partial"] else "The sides agree."
    worth = (
        f"{how} {scenario.sender} gains {_share(agreed['market_access'])} of its demand in market access, "
        f"worth {_money(agreed['a_year'])} a year."
    )
    left = f"{_share(agreed['residual'])} of the sanctions stay in force." if agreed["residual"] > 0.0 else ""
    return " ".join(part for part in (worth, dropped, left) if part)


def _withdrawn(scenario: Scenario, why: str, withdrawn: Mapping[str, Any]) -> str:
    return (
        f"{scenario.sender} {why} withdraws the sanctions after {_count(withdrawn['sanctions_weeks'], 'week')}; they "
        f"{_bill(scenario, withdrawn, _SO_FAR)}."
    )


def _ruled(scenario: Scenario, _: Mapping[str, str], ruling: Mapping[str, Any]) -> str:
    winner = scenario.target if ruling["for_target"] else scenario.sender
    if not ruling["after_appeal"]:
        return f"the panel finds for {winner}; nobody appeals, and the ruling is final."
    appeal = "reverses the finding" if ruling["reversed"] else "upholds the finding"
    return f"the appeal {appeal}: the final ruling is for {winner}."


def _imposed(scenario: Scenario, _: Mapping[str, str], imposed: Mapping[str, Any]) -> str:
    sanctions = f"the deadline passes and {scenario.sender} imposes sanctions; from next week on they"
    return " ".join([sanctions, _a_year(scenario, imposed), *_answers(scenario, imposed)])


def _sanctioned(scenario: Scenario, _: Mapping[str, str], begun: Mapping[str, Any]) -> str:
    sanctions = "sanctions are in force as the dispute begins; they"
    defies = [f"{scenario.target} refuses to negotiate under sanctions."] if begun["defiant"] else []
    return " ".join([sanctions, _a_year(scenario, begun), *defies, *_answers(scenario, begun)])


def _a_year(scenario: Scenario, imposed: Mapping[str, Any]) -> str:
    """What the sanctions that come into force first cost a year, with their share of the whole list if it is less."""
    costs = {f"{side}_cost": imposed[f"{side}_loss"] * imposed["share"] for side in SIDES}
    part = f", with {_share(imposed['share'])} of the list in force" if imposed["share"] < 1.0 else ""
    return f"{_bill(scenario, costs, ('cost', 'bring'))} a year by themselves{part}."


def _answers(scenario: Scenario, imposed: Mapping[str, Any]) -> list[str]:
    """What the target does about sanctions."""
    complains = [f"{scenario.target} complains to the WTO."] if imposed["filed"] else []
    return complains + ([f"{scenario.target} retaliates at once."] if imposed["retaliates"] else [])


def _reported(scenario: Scenario, _: Mapping[str, str], report: Mapping[str, Any]) -> str:
    winner, loser = (scenario.target, scenario.sender) if report["for_target"] else (scenario.sender, scenario.target)
    return f"the panel reports for {winner}; {loser} appeals."


_WORDS: Mapping[str, Callable[[Scenario, Mapping[str, str], Mapping[str, Any]], str]] = {
    "sanctioned": _sanctioned,
    "tranche": lambda _, __, e: (
        f"a further part of the sanctions comes into force: {_share(e['share'])} of the list is now."
    ),
    "announced": _announced,
    "reframed": lambda _, titles, e: (
        f"{titles[e['issue']]} is recast as a voluntary plan instead of a numerical target."
    ),
    "conceded": _conceded,
    "settled": lambda _, titles, e: (
        f"{titles[e['issue']]} is settled{' as a voluntary plan' * e['reframed']} at "
        f"{_share(e['level'])} of the demand."
    ),
    "agreed": _agreed,
    "tired": lambda scenario, _, e: _withdrawn(scenario, "tires of its course and", e),
    "panel": lambda *_: "consultations have led nowhere: the case goes to a panel.",
    "reported": _reported,
    "ruled": _ruled,
    "complied": lambda scenario, _, e: _withdrawn(scenario, "complies with the ruling and", e),
    "authorised": lambda scenario, _, e: (
        f"the time to comply is over, and {scenario.target} may retaliate"
        f"{', as it does already' if e['already_on'] else ''}."
    ),
    "imposed": _imposed,
    "extended": lambda scenario, _, e: (
        f"{scenario.sender} moves the deadline to "
        f"{week_name(scenario, e['deadline_week'])}; {scenario.target} now takes {_share(e['credibility'])} of the "
        "threatened cost for real."
    ),
    "backed_down": lambda scenario, _, e: f"the deadline passes and {scenario.sender} backs down.",
    "lapsed": lambda *_: "the case before the WTO lapses.",
    "talks_lapsed": lambda *_: "the talks lapse.",
    "breached": lambda scenario, _, e: (
        f"{scenario.target} stops keeping the agreement; {_share(e['kept'])} of the market access won is left."
    ),
}
"""A sentence for each kind of event, from the scenario, the issues' titles and the event's details."""


def sessions_held(weeks: tuple[Week, ...]) -> dict[str, int]:
    """How many sessions of each kind some weeks had, leaving out weeks without one."""
    return dict(Counter(week.session for week in weeks if week.session != "none"))


def _bill(scenario: Scenario, costs: Mapping[str, Any], verbs: tuple[str, str] = ("cost", "brought")) -> str:
    """What sanctions cost each side; the second verb is for what better terms of trade bring."""
    sender, target = (verbs[costs[f"{side}_cost"] < 0.0] for side in SIDES)
    paid, suffered = (_money(abs(costs[f"{side}_cost"])) for side in SIDES)
    again = f"{target} " if target != sender else ""
    return f"{sender} {scenario.sender} {paid} and {again}{scenario.target} {suffered}"


def _count(number: int, word: str) -> str:
    shown = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{shown} {word}{'s' * (number != 1)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _share(share: float) -> str:
    return f"{100 * share:z.0f} %"


def _money(billions: float) -> str:
    return f"{billions:z.2f} bn USD" if abs(billions) >= 1.0 else f"{1000 * billions:z.0f} mn USD"
