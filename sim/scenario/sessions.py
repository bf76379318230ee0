"""The calendar of talks: the kinds of session in the first weeks, and the cycle that follows them."""

from sim.scenario import validation
from sim.scenario.places import Path
from sim.scenario.validation import Report

SESSIONS = ("none", "technical", "mid", "senior")
MAX_HORIZON_WEEKS = 520


def read_sessions(report: Report, given: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The kinds of session in the first weeks and those of the cycle, from a scenario's ``sessions``."""
    if given is None:
        return (), ("mid",)
    body = validation.mapping(report, ("sessions",), given, "first and cycle")
    validation.known_keys(report, ("sessions",), body, ("first", "cycle"))
    kinds: dict[str, tuple[str, ...]] = {}
    for part, default in (("first", []), ("cycle", ["mid"])):
        path: Path = ("sessions", part)
        entries = validation.sequence(report, path, body.get(part, default), "sessions", MAX_HORIZON_WEEKS)
        for k, kind in enumerate(entries):
            if kind not in SESSIONS:
                report.fault((*path, k), kind, f"must be one of {', '.join(SESSIONS)}")
        kinds[part] = tuple(kind for kind in entries if kind in SESSIONS)
        if part == "cycle" and body.get(part, default) == []:
            report.fault(path, None, "must not be empty")
    return kinds["first"], kinds["cycle"] or ("mid",)
