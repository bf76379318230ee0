"""A scenario: the dispute, how unsure the user is about it, and the strategies to be compared."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sim.faults import Fault, InvalidInput
from sim.scenario import validation
from sim.scenario.correlations import Correlation, read_correlations
from sim.scenario.distribution_documents import read_parameters
from sim.scenario.distributions import Distribution, Fixed
from sim.scenario.expressions import MAX_LENGTH, parse_measure
from sim.scenario.history import History, history_document, read_history
from sim.scenario.issues import Issue, issue_parameter, read_issues
from sim.scenario.json_lines import read_json
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS
from sim.scenario.places import Lines
from sim.scenario.sessions import MAX_HORIZON_WEEKS, read_sessions
from sim.scenario.sources import read_sources
from sim.scenario.strategies import read_overrides, read_strategies
from sim.scenario.validation import MAX_TITLE, Report
from sim.scenario.warnings import scenario_warnings
from sim.scenario.yaml_lines import is_date, read_yaml

SCHEMA = 1
_FIELDS = (
    "schema",
    "name",
    "title",
    "as_of",
    "sender",
    "target",
    "horizon_weeks",
    "discount_rate",
    "deficit",
    "sessions",
    "issues",
    "parameters",
    "correlations",
    "strategies",
    "set",
    "choice",
    "sources",
    "reference",
    "history",
)
_NOT_PLAYED = ("choice", "reference", "history")
"""Fields that have no part in how a scenario is played."""


@dataclass(frozen=True)
class Scenario:
    """A scenario in full, defaults filled in.

    `base` holds a distribution for every parameter: those of the catalogue in its order, then those of each
    issue as ``issues.<issue>.<parameter>``. `strategies` holds what each strategy overrides, `interventions` what is
    set under every strategy, also where a strategy overrides it. `choice` is the measure by which strategies are
    chosen, more being better; `reference` names the class of past threats with which the forecast is compared,
    `history` records what happened in a real dispute; these three have no part in how the scenario is played.
    `warnings` are probable mistakes found when the scenario was read, in the form of faults.
    """

    name: str
    title: str
    as_of: str | None
    sender: str
    target: str
    horizon_weeks: int
    discount_rate: float
    deficit: float | None
    sessions_first: tuple[str, ...]
    sessions_cycle: tuple[str, ...]
    issues: tuple[Issue, ...]
    base: Mapping[str, Distribution]
    correlations: tuple[Correlation, ...]
    strategies: Mapping[str, Mapping[str, Distribution]]
    sources: Mapping[str, str]
    interventions: Mapping[str, Distribution] = field(default_factory=dict)
    choice: str | None = None
    reference: str | None = None
    history: History | None = None
    warnings: tuple[Fault, ...] = field(default=(), compare=False)

    def parameters(self, strategy: str) -> dict[str, Distribution]:
        """The distribution of every parameter under a strategy."""
        return {**self.base, **self.strategies[strategy], **self.interventions}

    @cached_property
    def uncertain(self) -> tuple[str, ...]:
        """The parameters that the base or any strategy leaves uncertain, in the order of `base`."""
        worlds = (self.base, *self.strategies.values())

        def possible(name: str) -> Iterator[Distribution]:
            if name in self.interventions:
                return iter((self.interventions[name],))
            return (world[name] for world in worlds if name in world)

        return tuple(name for name in self.base if any(not isinstance(given, Fixed) for given in possible(name)))

    def session_calendar(self) -> tuple[str, ...]:
        """The kind of session in each week, from week 1 to the horizon."""
        return self._calendar

    @cached_property
    def _calendar(self) -> tuple[str, ...]:
        first, cycle = self.sessions_first, self.sessions_cycle
        return tuple(
            first[week] if week < len(first) else cycle[(week - len(first)) % len(cycle)]
            for week in range(self.horizon_weeks)
        )


def read_scenario(text: str, source: str, classes: Sequence[str] | None = None) -> Scenario:
    """Read a scenario file's text: JSON if the file's name ends in .json, YAML otherwise.

    `source` names the file in messages, `classes` the reference classes that there are. Raises `InvalidInput`.
    """
    read = read_json if source.lower().endswith(".json") else read_yaml
    document, lines, faults = read(text, source)
    return scenario_from_document(document, source, lines, faults, classes)


def scenario_from_document(
    document: object,
    source: str | None = None,
    lines: Lines | None = None,
    faults: tuple[Fault, ...] = (),
    classes: Sequence[str] | None = None,
) -> Scenario:
    """The scenario that a document (plain JSON values) describes.

    `lines` says at which line of a file each value begins, `faults` what was wrong with the file already. `classes`
    are the names that `reference` may have; any name if they are not given. Raises `InvalidInput` with every fault.
    """
    report = Report(source, lines, faults)
    validation.check_plain(report, document)
    if len(report.faults) > len(faults):
        report.raise_faults()
    given = validation.mapping(report, (), document, "the fields of a scenario")
    if not isinstance(document, dict):
        report.raise_faults()
    validation.known_keys(report, (), given, _FIELDS)
    if given.get("schema") != SCHEMA or isinstance(given.get("schema"), bool):
        report.fault(("schema",), given.get("schema"), f"must be {SCHEMA}")

    name = validation.name(report, ("name",), given.get("name"))
    horizon, rate, deficit = _constants(report, given)
    first, cycle = read_sessions(report, given.get("sessions"))
    issues, base = read_issues(report, given.get("issues"))
    base = read_parameters(report, given.get("parameters")) | base
    strategies = read_strategies(report, given.get("strategies"), base)
    interventions = read_overrides(report, ("set",), given.get("set"), base)
    correlations = read_correlations(report, given.get("correlations"), base, strategies)
    as_of = given.get("as_of")
    if as_of is not None and not is_date(as_of):
        report.fault(("as_of",), as_of, "must be a date, YYYY-MM-DD")
    texts = {
        field: validation.text(report, (field,), given.get(field, default), MAX_TITLE)
        for field, default in (("title", name or "-"), ("sender", "sender"), ("target", "target"))
    }
    sources = read_sources(report, given.get("sources"), _FIELDS, base, issues, strategies)
    choice = None
    if given.get("choice") is not None:
        choice = validation.text(report, ("choice",), given["choice"], MAX_LENGTH)
    reference = None
    if given.get("reference") is not None:
        reference = validation.name(report, ("reference",), given["reference"])
        if classes is not None and reference is not None and reference not in classes:
            report.fault(("reference",), reference, f"is not a reference class; there are {', '.join(classes)}")
    history = None
    if given.get("history") is not None:
        history = read_history(report, given["history"], horizon, strategies)
    report.raise_faults()
    scenario = Scenario(
        name=name or "",
        title=texts["title"] or "",
        as_of=as_of if isinstance(as_of, str) else None,
        sender=texts["sender"] or "",
        target=texts["target"] or "",
        horizon_weeks=horizon,
        discount_rate=rate,
        deficit=deficit,
        sessions_first=first,
        sessions_cycle=cycle,
        issues=issues,
        base=base,
        correlations=correlations,
        strategies=strategies,
        sources=sources,
        interventions=interventions,
        choice=choice,
        reference=reference,
        history=history,
    )
    if choice is not None:
        _check_choice(report, scenario, choice)
    return _with_warnings(scenario, report)


def intervene(scenario: Scenario, given: object) -> Scenario:
    """The scenario with parameters set under every strategy, besides those that are set in it already.

    `given` has a number or a distribution's document by parameter, as the field ``set`` of a scenario has. Chance and
    the values of the other parameters stay as they are. Raises `InvalidInput`.
    """
    report = Report()
    found = read_overrides(report, ("set",), given, scenario.base)
    report.raise_faults()
    return _with_warnings(replace(scenario, interventions={**scenario.interventions, **found}), report)


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """The scenario as plain JSON values, defaults filled in; `scenario_from_document` reads it back the same."""
    base = {name: distribution.document() for name, distribution in scenario.base.items()}
    document = {
        "schema": SCHEMA,
        "name": scenario.name,
        "title": scenario.title,
        "as_of": scenario.as_of,
        "sender": scenario.sender,
        "target": scenario.target,
        "horizon_weeks": scenario.horizon_weeks,
        "discount_rate": scenario.discount_rate,
        "deficit": scenario.deficit,
        "sessions": {"first": list(scenario.sessions_first), "cycle": list(scenario.sessions_cycle)},
        "issues": {
            issue.name: {
                "title": issue.title,
                "weight": issue.weight,
                "numerical": issue.numerical,
                **{known.name: base[issue_parameter(issue.name, known.name)] for known in ISSUE_PARAMETERS},
            }
            for issue in scenario.issues
        },
        "parameters": {known.name: base[known.name] for known in PARAMETERS},
        "correlations": [
            {"between": list(correlation.between), "spearman": correlation.spearman}
            for correlation in scenario.correlations
        ],
        "strategies": {
            strategy: {name: distribution.document() for name, distribution in overrides.items()}
            for strategy, overrides in scenario.strategies.items()
        },
        "set": interventions_document(scenario) or None,
        "choice": scenario.choice,
        "sources": dict(scenario.sources),
        "reference": scenario.reference,
        "history": None if scenario.history is None else history_document(scenario.history),
    }
    return {key: value for key, value in document.items() if value is not None}


def scenario_hash(scenario: Scenario) -> str:
    """SHA-256 of the scenario's document without its measure of choice, reference class and history, in hexadecimal.

    Scenarios that differ in these alone have the same hash, because they play the same trials.
    """
    played = {key: value for key, value in scenario_document(scenario).items() if key not in _NOT_PLAYED}
    document = json.dumps(played, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(document.encode()).hexdigest()


def _with_warnings(scenario: Scenario, report: Report) -> Scenario:
    for warning in scenario_warnings(scenario):
        report.warning(warning.path, warning.value, warning.message)
    return replace(scenario, warnings=report.sorted_warnings())


def interventions_document(scenario: Scenario) -> dict[str, Any]:
    """What is set under every strategy, as plain JSON values by parameter."""
    return {name: distribution.document() for name, distribution in scenario.interventions.items()}


def _check_choice(report: Report, scenario: Scenario, choice: str) -> None:
    try:
        parse_measure(choice, scenario, "choice")
    except InvalidInput as error:
        for fault in error.faults:
            report.fault(("choice",), fault.value, fault.message)
        report.raise_faults()


def _constants(report: Report, given: dict[str, Any]) -> tuple[int, float, float | None]:
    horizon = validation.whole(report, ("horizon_weeks",), given.get("horizon_weeks", 104), 1, MAX_HORIZON_WEEKS)
    rate = validation.number(report, ("discount_rate",), given.get("discount_rate", 0.0))
    if rate is not None and not 0.0 <= rate <= 10.0:
        report.fault(("discount_rate",), rate, "must lie in [0, 10] a year")
    deficit = None
    if given.get("deficit") is not None:
        deficit = validation.number(report, ("deficit",), given["deficit"])
        if deficit is not None and deficit <= 0.0:
            report.fault(("deficit",), deficit, "must be > 0 bn USD a year")
    return horizon or 1, rate or 0.0, deficit
