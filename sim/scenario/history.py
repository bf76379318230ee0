"""What happened in a real dispute, in the terms of the model, so that forecasts can be scored against it.

A history does not affect how a scenario is played. Weeks are calendar weeks from Monday to Sunday, and week 1 is the
one in which the scenario's `as_of` lies; the model's own weeks begin on the weekday of `as_of`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sim.scenario import validation
from sim.scenario.places import Path
from sim.scenario.validation import Report
from sim.scenario.vocabulary import OUTCOMES, RULINGS
from sim.scenario.yaml_lines import is_date

MAX_EVENTS = 100
MAX_SOURCES = 50
MAX_CODINGS = 20
MAX_CODING_NAME = 80
MAX_TEXT = 2000
WEEKS = ("threat_week", "agreement_week", "sanctions_week", "filing_week", "ruling_week")
CODED = ("outcome", *WEEKS, "ruling", "sanctions_weeks", "retaliation")
"""The fields that say what happened; another coding of a history may change them."""
_FIELDS = ("strategy", *CODED, "events", "sources", "codings")
_PATH: Path = ("history",)
_PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "agreement_in_talks": (("agreement_week",), ("threat_week", "sanctions_week")),
    "agreement_under_threat": (("threat_week", "agreement_week"), ("sanctions_week",)),
    "agreement_under_sanctions": (("threat_week", "sanctions_week", "agreement_week"), ()),
    "agreement_after_retreat": (("threat_week", "agreement_week"), ()),
    "sanctions_standing": (("threat_week", "sanctions_week"), ("agreement_week",)),
    "retreat": (("threat_week",), ("agreement_week",)),
    "stalemate": ((), ("sanctions_week", "agreement_week")),
}
"""For each outcome the weeks that it needs, and those that it rules out.

Sanctions in force from the start (`sanctions_week` 0) need no `threat_week`.
"""
_ORDERS = (
    ("threat_week", "sanctions_week"),
    ("filing_week", "ruling_week"),
    ("threat_week", "agreement_week"),
    ("sanctions_week", "agreement_week"),
    ("filing_week", "agreement_week"),
)


@dataclass(frozen=True)
class History:
    """What happened up to the scenario's horizon; a week is None if the event did not happen by then.

    `sanctions_week` is 0 if sanctions were in force from the start; `threat_week` is then None. `strategy` is the one
    that describes what the sender really did, `retaliation` whether the target's was ever in
    force. `events` records what happened by date, after the horizon too. `codings` are the same history as others might
    code it, by name; they have no codings of their own.
    """

    strategy: str
    outcome: str
    threat_week: int | None
    agreement_week: int | None
    sanctions_week: int | None
    filing_week: int | None
    ruling_week: int | None
    ruling: str | None
    sanctions_weeks: int | None
    retaliation: bool
    events: Mapping[str, str]
    sources: tuple[str, ...]
    codings: Mapping[str, "History"]


def read_history(report: Report, given: object, horizon_weeks: int, strategies: Iterable[str]) -> History:
    """The history in a scenario's document; its faults are recorded in the report."""
    body = validation.mapping(report, _PATH, given, ", ".join(_FIELDS))
    validation.known_keys(report, _PATH, body, _FIELDS)
    strategies = list(strategies)
    strategy = body.get("strategy", strategies[0])
    if strategy not in strategies:
        report.fault((*_PATH, "strategy"), strategy, f"must be one of the strategies {', '.join(strategies)}")
    before = len(report.faults)
    history = _read_coded(
        report,
        _PATH,
        {**body, "strategy": strategy, "sources": _sources(report, body.get("sources"))},
        _events(report, body.get("events")),
        horizon_weeks,
    )
    codings = _codings(report, body, history, horizon_weeks, len(report.faults) > before)
    return replace(history, codings=codings)


def _read_coded(
    report: Report, path: Path, body: dict[str, Any], events: Mapping[str, str], horizon_weeks: int
) -> History:
    """A history, or another coding of it, from the fields of a document; its strategy and sources are read already."""
    outcome = body.get("outcome")
    if outcome not in OUTCOMES:
        report.fault((*path, "outcome"), outcome, f"must be one of {', '.join(OUTCOMES)}")
    weeks = {name: _week(report, (*path, name), body.get(name), horizon_weeks) for name in WEEKS}
    ruling = body.get("ruling")
    if ruling is not None and ruling not in RULINGS:
        report.fault((*path, "ruling"), ruling, f"must be one of {', '.join(RULINGS)}, or left out")
    in_force = body.get("sanctions_weeks")
    if in_force is not None:
        in_force = validation.whole(report, (*path, "sanctions_weeks"), in_force, 0, horizon_weeks)
    retaliation = body.get("retaliation", False)
    if not isinstance(retaliation, bool):
        report.fault((*path, "retaliation"), retaliation, "must be true or false")
    _check_consistent(report, path, body, outcome, in_force)
    return History(
        strategy=str(body["strategy"]),
        outcome=str(outcome),
        threat_week=weeks["threat_week"],
        agreement_week=weeks["agreement_week"],
        sanctions_week=weeks["sanctions_week"],
        filing_week=weeks["filing_week"],
        ruling_week=weeks["ruling_week"],
        ruling=ruling if isinstance(ruling, str) else None,
        sanctions_weeks=in_force,
        retaliation=retaliation is True,
        events=events,
        sources=body["sources"],
        codings={},
    )


def _codings(
    report: Report, body: dict[str, Any], history: History, horizon_weeks: int, faulty: bool
) -> dict[str, History]:
    """The other codings of a history, each checked as a history is. Those of a `faulty` one are not checked."""
    path = (*_PATH, "codings")
    if body.get("codings") is None:
        return {}
    given = validation.mapping(report, path, body["codings"], "changed fields by the coding's name")
    if len(given) > MAX_CODINGS:
        report.fault(path, None, f"has {len(given)} entries; at most {MAX_CODINGS} are allowed")
        return {}
    found = {}
    for name, fields in given.items():
        place = (*path, name)
        validation.text(report, place, name, MAX_CODING_NAME)
        changed = validation.mapping(report, place, fields, ", ".join(CODED))
        validation.known_keys(report, place, changed, CODED)
        if faulty:
            continue
        before = len(report.faults)
        same = {field: body[field] for field in CODED if field in body}
        coded = {**same, **changed, "strategy": history.strategy, "sources": history.sources}
        one = _read_coded(report, place, coded, history.events, horizon_weeks)
        if one == history and len(report.faults) == before:
            report.fault(place, None, "must change a field of the history")
        found[name] = one
    return found


def history_document(history: History) -> dict[str, Any]:
    """The history as plain JSON values, without what did not happen; `read_history` reads it back the same."""
    document = {
        "strategy": history.strategy,
        "outcome": history.outcome,
        **{name: getattr(history, name) for name in WEEKS},
        "ruling": history.ruling,
        "sanctions_weeks": history.sanctions_weeks,
        "retaliation": history.retaliation,
        "events": dict(history.events),
        "sources": list(history.sources),
        "codings": {
            name: {field: getattr(one, field) for field in CODED if getattr(one, field) != getattr(history, field)}
            for name, one in history.codings.items()
        }
        or None,
    }
    return {key: value for key, value in document.items() if value is not None}


def _week(report: Report, path: Path, given: object, horizon_weeks: int) -> int | None:
    if given is None:
        return None
    if validation.is_number(given) and isinstance(given, int | float) and given > horizon_weeks:
        message = f"lies after the horizon, {horizon_weeks} weeks; leave it out, and record it in events by its date"
        report.fault(path, given, message)
        return None
    return validation.whole(report, path, given, 0 if path[-1] == "sanctions_week" else 1, horizon_weeks)


def _check_consistent(report: Report, path: Path, body: dict[str, Any], outcome: object, in_force: int | None) -> None:
    needed, ruled_out = _PLACES.get(str(outcome), ((), ()))
    for name in needed:
        if name == "threat_week" and body.get("sanctions_week") == 0:
            continue
        if body.get(name) is None:
            report.fault((*path, name), None, f"is required by the outcome {outcome}")
    for name in ruled_out:
        if body.get(name) is not None:
            report.fault((*path, name), body[name], f"does not go with the outcome {outcome}")
    for first, second in _ORDERS:
        early, late = body.get(first), body.get(second)
        if validation.is_number(early) and validation.is_number(late) and early > late:  # type: ignore[operator]
            report.fault((*path, second), late, f"must not be before {first}, {early}")
    for name, other in (("ruling", "ruling_week"), ("ruling_week", "ruling"), ("ruling_week", "filing_week")):
        if body.get(name) is not None and body.get(other) is None:
            report.fault((*path, other), None, f"is required with {name}")
    if in_force and body.get("sanctions_week") is None:
        report.fault((*path, "sanctions_week"), None, "is required with sanctions_weeks")
    if body.get("retaliation") is True and body.get("sanctions_week") is None:
        report.fault((*path, "retaliation"), True, "needs sanctions_week: the model has no other retaliation")


def _events(report: Report, given: object) -> dict[str, str]:
    path = (*_PATH, "events")
    body = validation.mapping(report, path, given if given is not None else {}, "texts by date")
    if len(body) > MAX_EVENTS:
        report.fault(path, None, f"has {len(body)} entries; at most {MAX_EVENTS} are allowed")
    events = {}
    for date, value in list(body.items())[:MAX_EVENTS]:
        if not is_date(date):
            report.fault((*path, date), None, "must be a date, YYYY-MM-DD")
        text = validation.text(report, (*path, date), value, MAX_TEXT)
        if text is not None:
            events[date] = text
    return events


def _sources(report: Report, given: object) -> tuple[str, ...]:
    path = (*_PATH, "sources")
    if given is None:
        report.fault(path, None, "is required")
        return ()
    entries = validation.sequence(report, path, given, "texts", MAX_SOURCES)
    if isinstance(given, list) and not given:
        report.fault(path, None, "must not be empty")
    found = [validation.text(report, (*path, k), entry, MAX_TEXT) for k, entry in enumerate(entries)]
    return tuple(text for text in found if text is not None)
