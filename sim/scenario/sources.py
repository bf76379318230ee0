"""Where the values of a scenario come from: a text for any of its fields."""

from collections.abc import Iterable, Mapping

from sim.scenario import validation
from sim.scenario.distributions import Distribution
from sim.scenario.issues import Issue
from sim.scenario.validation import Report

MAX_SOURCE = 4000


def read_sources(
    report: Report,
    given: object,
    fields: Iterable[str],
    base: Mapping[str, Distribution],
    issues: tuple[Issue, ...],
    strategies: Mapping[str, Mapping[str, Distribution]],
) -> dict[str, str]:
    """Texts by the field, parameter, issue or strategy whose values they give a source for."""
    body = validation.mapping(report, ("sources",), {} if given is None else given, "texts by field")
    known = [*base, *fields, *(f"issues.{issue.name}" for issue in issues), *(issue.name for issue in issues)]
    known += [f"issues.{issue.name}.weight" for issue in issues]
    known += [f"strategies.{strategy}" for strategy in strategies]
    validation.known_keys(report, ("sources",), body, known)
    sources = {}
    for key, value in body.items():
        found = validation.text(report, ("sources", key), value, MAX_SOURCE)
        if found is not None:
            sources[key] = found
    return sources
