"""A scenario: the dispute, how unsure the user is about it, and the strategies to be compared."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sim.faults import Fault
from sim.scenario import validation
from sim.scenario.correlations import Correlation, correlation_matrix, is_correlation_matrix, normal_correlation
from sim.scenario.distribution_documents import read_distribution
from sim.scenario.distributions import Distribution, Fixed, Uniform
from sim.scenario.history import History, history_document, read_history
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS, parameter
from sim.scenario.validation import Report
from sim.scenario.yaml_lines import Lines, Path, is_date, read_yaml

SCHEMA = 1
SESSIONS = ("none", "technical", "mid", "senior")
MAX_HORIZON_WEEKS = 520
MAX_ISSUES = 50
MAX_STRATEGIES = 100
MAX_CORRELATIONS = 500
MAX_TITLE = 300
MAX_SOURCE = 4000
WEIGHT_TOLERANCE = 1e-6
BASE = "base"
_UNREADABLE = Uniform(0.0, 1.0)
"""Stands in for a distribution with a fault, so that reading can go on."""

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
    "sources",
    "history",
)


@dataclass(frozen=True)
class Issue:
    """One issue of the dispute. `numerical`: a numerical target, which the target side regards as a quota."""

    name: str
    title: str
    weight: float
    numerical: bool


@dataclass(frozen=True)
class Scenario:
    """A scenario in full, defaults filled in.

    `base` holds a distribution for every parameter: those of the catalogue in its order, then those of each
    issue as ``issues.<issue>.<parameter>``. `strategies` holds what each strategy overrides. `history` tells what
    happened in a real dispute; it has no part in how the scenario is played.
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
    history: History | None = None

    def parameters(self, strategy: str) -> dict[str, Distribution]:
        """The distribution of every parameter under a strategy."""
        return {**self.base, **self.strategies[strategy]}

    @cached_property
    def uncertain(self) -> tuple[str, ...]:
        """The parameters that the base or any strategy leaves uncertain, in the order of `base`."""
        worlds = (self.base, *self.strategies.values())
        return tuple(
            name for name in self.base if any(not isinstance(world.get(name, Fixed(0.0)), Fixed) for world in worlds)
        )

    def session_calendar(self) -> tuple[str, ...]:
        """The kind of session in each week, from week 1 to the horizon."""
        first, cycle = self.sessions_first, self.sessions_cycle
        return tuple(
            first[week] if week < len(first) else cycle[(week - len(first)) % len(cycle)]
            for week in range(self.horizon_weeks)
        )


def read_scenario(text: str, source: str) -> Scenario:
    """Read a scenario file's YAML text. `source` names the file in messages. Raises `InvalidInput`."""
    document, lines, faults = read_yaml(text, source)
    return scenario_from_document(document, source, lines, faults)


def scenario_from_document(
    document: object, source: str | None = None, lines: Lines | None = None, faults: tuple[Fault, ...] = ()
) -> Scenario:
    """The scenario that a document (plain JSON values) describes.

    `lines` tells where in a file each value begins, `faults` what was wrong with the file already. Raises
    `InvalidInput` with every fault.
    """
    report = Report(source, lines, faults)
    given = validation.mapping(report, (), document, "the fields of a scenario")
    if not isinstance(document, dict):
        report.raise_faults()
    validation.known_keys(report, (), given, _FIELDS)
    if given.get("schema") != SCHEMA or isinstance(given.get("schema"), bool):
        report.fault(("schema",), given.get("schema"), f"must be {SCHEMA}")

    name = validation.name(report, ("name",), given.get("name"))
    horizon, rate, deficit = _constants(report, given)
    first, cycle = _sessions(report, given.get("sessions"))
    issues, base = _issues(report, given)
    base = _flat_parameters(report, given) | base
    strategies = _strategies(report, given, base)
    correlations = _correlations(report, given, base, strategies)
    as_of = given.get("as_of")
    if as_of is not None and not is_date(as_of):
        report.fault(("as_of",), as_of, "must be a date, YYYY-MM-DD")
    texts = {
        field: validation.text(report, (field,), given.get(field, default), MAX_TITLE)
        for field, default in (("title", name or "-"), ("sender", "sender"), ("target", "target"))
    }
    sources = _sources(report, given, base, issues, strategies)
    told = given.get("history")
    history = None if told is None else read_history(report, told, horizon, strategies)
    report.raise_faults()
    return Scenario(
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
        history=history,
    )


def scenario_document(scenario: Scenario) -> dict:
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
        "sources": dict(scenario.sources),
        "history": None if scenario.history is None else history_document(scenario.history),
    }
    return {key: value for key, value in document.items() if value is not None}


def scenario_hash(scenario: Scenario) -> str:
    """SHA-256 of the scenario's document without its history, in hexadecimal.

    Two scenarios that say the same have the same, whatever is told of what happened: they play the same trials.
    """
    played = {key: value for key, value in scenario_document(scenario).items() if key != "history"}
    document = json.dumps(played, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(document.encode()).hexdigest()


def issue_parameter(issue: str, name: str) -> str:
    """The full name of an issue's parameter."""
    return f"issues.{issue}.{name}"


def _constants(report: Report, given: dict) -> tuple[int, float, float | None]:
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


def _sessions(report: Report, given: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
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


def _issues(report: Report, given: dict) -> tuple[tuple[Issue, ...], dict[str, Distribution]]:
    path: Path = ("issues",)
    body = validation.mapping(report, path, given.get("issues"), "issues by name")
    if isinstance(given.get("issues"), dict) and not 1 <= len(body) <= MAX_ISSUES:
        report.fault(path, None, f"must hold 1 to {MAX_ISSUES} issues, not {len(body)}")
    own = ("title", "weight", "numerical")
    required = tuple(known.name for known in ISSUE_PARAMETERS)
    issues: list[Issue] = []
    base: dict[str, Distribution] = {}
    for key, value in list(body.items())[:MAX_ISSUES]:
        here: Path = (*path, key)
        named = validation.name(report, here, key)
        fields = validation.mapping(report, here, value, ", ".join((*own, *required)))
        validation.known_keys(report, here, fields, (*own, *required))
        title = validation.text(report, (*here, "title"), fields.get("title", named or "-"), MAX_TITLE)
        numerical = fields.get("numerical", False)
        if not isinstance(numerical, bool):
            report.fault((*here, "numerical"), numerical, "must be true or false")
        weight = _required(report, here, fields, "weight")
        if weight is not None:
            weight = validation.number(report, (*here, "weight"), weight)
        if isinstance(weight, float) and not 0.0 < weight <= 1.0:
            report.fault((*here, "weight"), weight, "must lie in (0, 1]")
        for field in required:
            distribution = _required(report, here, fields, field)
            if distribution is not None:
                found = read_distribution(report, (*here, field), distribution, parameter(f"issues.{key}.{field}"))
                base[issue_parameter(key, field)] = found or _UNREADABLE
        issues.append(Issue(key, title or key, weight if isinstance(weight, float) else 0.0, numerical is True))
    total = sum(issue.weight for issue in issues)
    if issues and abs(total - 1.0) > WEIGHT_TOLERANCE:
        report.fault(path, None, f"must have weights that sum to 1; they sum to {total:g}")
    return tuple(issues), base


def _section(given: dict, field: str, empty: dict | list) -> object:
    """A part of the document that may be left out, or left empty."""
    return empty if given.get(field) is None else given[field]


def _required(report: Report, path: Path, fields: dict, field: str) -> object:
    if fields.get(field) is None:
        report.fault((*path, field), None, "is required")
    return fields.get(field)


def _flat_parameters(report: Report, given: dict) -> dict[str, Distribution]:
    body = validation.mapping(report, ("parameters",), _section(given, "parameters", {}), "parameters by name")
    validation.known_keys(report, ("parameters",), body, [known.name for known in PARAMETERS])
    base: dict[str, Distribution] = {}
    for known in PARAMETERS:
        default = Fixed(0.0 if known.default is None else known.default)
        if known.name in body:
            base[known.name] = (
                read_distribution(report, ("parameters", known.name), body[known.name], known) or _UNREADABLE
            )
        else:
            base[known.name] = default
    return base


def _strategies(report: Report, given: dict, base: Mapping[str, Distribution]) -> dict[str, dict[str, Distribution]]:
    body = validation.mapping(report, ("strategies",), _section(given, "strategies", {}), "strategies by name")
    if len(body) > MAX_STRATEGIES:
        report.fault(("strategies",), None, f"must hold at most {MAX_STRATEGIES} strategies, not {len(body)}")
    strategies: dict[str, dict[str, Distribution]] = {}
    for key, value in list(body.items())[:MAX_STRATEGIES]:
        path: Path = ("strategies", key)
        validation.name(report, path, key)
        overrides = validation.mapping(report, path, value if value is not None else {}, "parameters to override")
        validation.known_keys(report, path, overrides, base)
        strategies[key] = {}
        for name, distribution in overrides.items():
            if name in base:
                found = read_distribution(report, (*path, name), distribution, parameter(name))
                strategies[key][name] = found or _UNREADABLE
    return strategies or {BASE: {}}


def _correlations(
    report: Report,
    given: dict,
    base: Mapping[str, Distribution],
    strategies: Mapping[str, Mapping[str, Distribution]],
) -> tuple[Correlation, ...]:
    entries = validation.sequence(
        report, ("correlations",), _section(given, "correlations", []), "correlations", MAX_CORRELATIONS
    )
    found: list[Correlation] = []
    before = len(report.faults)
    for k, value in enumerate(entries):
        path: Path = ("correlations", k)
        body = validation.mapping(report, path, value, "between and spearman")
        validation.known_keys(report, path, body, ("between", "spearman"))
        pair = body.get("between")
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            report.fault((*path, "between"), pair, "must be a list of two parameters")
            continue
        rho = validation.number(report, (*path, "spearman"), body.get("spearman"))
        if rho is not None and abs(rho) > 1.0:
            report.fault((*path, "spearman"), rho, "must lie in [-1, 1]")
        known = True
        for one in pair:
            if one not in base:
                validation.known_keys(report, (*path, "between"), {one: None}, base)
                known = False
            elif all(isinstance(world.get(one, base[one]), Fixed) for world in (base, *strategies.values())):
                report.fault((*path, "between"), one, "is fixed in every strategy; only uncertain parameters correlate")
        if pair[0] == pair[1]:
            report.fault((*path, "between"), pair[0], "must be two different parameters")
        elif any(set(pair) == set(other.between) for other in found):
            report.fault((*path, "between"), list(pair), "is given more than once")
        elif known and rho is not None:
            found.append(Correlation((pair[0], pair[1]), rho))
    if len(report.faults) == before and found:
        names, spearman = correlation_matrix(tuple(found), tuple(base))
        if not (is_correlation_matrix(spearman) and is_correlation_matrix(normal_correlation(spearman))):
            report.fault(
                ("correlations",), None, f"cannot all hold at once between {', '.join(names)}: no correlation matrix"
            )
    return tuple(found)


def _sources(
    report: Report,
    given: dict,
    base: Mapping[str, Distribution],
    issues: tuple[Issue, ...],
    strategies: Mapping[str, Mapping[str, Distribution]],
) -> dict[str, str]:
    body = validation.mapping(report, ("sources",), _section(given, "sources", {}), "texts by field")
    known = [*base, *_FIELDS, *(f"issues.{issue.name}" for issue in issues), *(issue.name for issue in issues)]
    known += [f"issues.{issue.name}.weight" for issue in issues]
    known += [f"strategies.{strategy}" for strategy in strategies]
    validation.known_keys(report, ("sources",), body, known)
    sources = {}
    for key, value in body.items():
        found = validation.text(report, ("sources", key), value, MAX_SOURCE)
        if found is not None:
            sources[key] = found
    return sources
