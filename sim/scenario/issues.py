"""The issues of a dispute: read from a scenario, with the distributions of their parameters."""

from dataclasses import dataclass, replace
from typing import Any

from sim.scenario import validation
from sim.scenario.distribution_documents import GREATEST, LEAST, UNREADABLE, WEIGHT_TOLERANCE, read_distribution
from sim.scenario.distributions import Distribution
from sim.scenario.parameters import ISSUE_PARAMETERS, parameter
from sim.scenario.places import Path
from sim.scenario.validation import Report

MAX_ISSUES = 50
_PATH: Path = ("issues",)


@dataclass(frozen=True)
class Issue:
    """One issue of the dispute. `numerical`: a numerical target, which the target side regards as a quota.

    `weight` is the issue's share of the package; the weights of all issues sum to 1.
    """

    name: str
    title: str
    weight: float
    numerical: bool


def issue_parameter(issue: str, name: str) -> str:
    """The full name of an issue's parameter."""
    return f"issues.{issue}.{name}"


def read_issues(report: Report, given: object) -> tuple[tuple[Issue, ...], dict[str, Distribution]]:
    """The issues, their weights scaled to sum to 1, and the distributions of their parameters by full name."""
    path = _PATH
    body = validation.mapping(report, path, given, "issues by name")
    if isinstance(given, dict) and not 1 <= len(body) <= MAX_ISSUES:
        report.fault(path, None, f"must hold 1 to {MAX_ISSUES} issues, not {len(body)}")
    own = ("title", "weight", "numerical")
    required = tuple(known.name for known in ISSUE_PARAMETERS)
    issues: list[Issue] = []
    weights: list[float | None] = []
    base: dict[str, Distribution] = {}
    for key, value in list(body.items())[:MAX_ISSUES]:
        here: Path = (*path, key)
        named = validation.name(report, here, key)
        fields = validation.mapping(report, here, value, ", ".join((*own, *required)))
        validation.known_keys(report, here, fields, (*own, *required))
        title = validation.text(report, (*here, "title"), fields.get("title", named or "-"), validation.MAX_TITLE)
        numerical = fields.get("numerical", False)
        if not isinstance(numerical, bool):
            report.fault((*here, "numerical"), numerical, "must be true or false")
        weight = _required(report, here, fields, "weight")
        if weight is not None:
            weight = validation.number(report, (*here, "weight"), weight)
        if isinstance(weight, float) and not 0.0 < weight <= GREATEST:
            report.fault((*here, "weight"), weight, f"must be > 0 and at most {GREATEST:g}")
            weight = None
        for field in required:
            distribution = _required(report, here, fields, field)
            if distribution is not None:
                found = read_distribution(report, (*here, field), distribution, parameter(f"issues.{key}.{field}"))
                base[issue_parameter(key, field)] = found or UNREADABLE
        weights.append(weight if isinstance(weight, float) else None)
        issues.append(Issue(key, title or key, weights[-1] or 0.0, numerical is True))
    validation.distinct_names(report, path, body, "issue")
    return _with_relative_weights(report, issues, weights), base


def _with_relative_weights(report: Report, issues: list[Issue], weights: list[float | None]) -> tuple[Issue, ...]:
    """The issues with weights that sum to 1; a warning where they did not."""
    known = [weight for weight in weights if weight is not None]
    total = sum(known)
    if len(known) < len(weights) or not known or abs(total - 1.0) <= WEIGHT_TOLERANCE:
        return tuple(issues)
    report.warning(_PATH, None, f"weights sum to {total:g}, not 1; they are taken as relative")
    scaled = tuple(replace(issue, weight=issue.weight / total) for issue in issues)
    for issue in scaled:
        if issue.weight < LEAST:
            report.fault((*_PATH, issue.name, "weight"), None, f"is less than {LEAST:g} of the sum of the weights")
    return scaled


def _required(report: Report, path: Path, fields: dict[str, Any], field: str) -> object:
    if fields.get(field) is None:
        report.fault((*path, field), None, "is required")
    return fields.get(field)
