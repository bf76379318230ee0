"""The strategies to compare: what each sets differently from the base."""

import re
from collections.abc import Mapping

from sim.scenario import validation
from sim.scenario.distribution_documents import UNREADABLE, read_distribution
from sim.scenario.distributions import Distribution
from sim.scenario.parameters import parameter
from sim.scenario.places import Path
from sim.scenario.validation import Report

MAX_STRATEGIES = 100
_READ_AS_VALUE = re.compile(
    r"-?(\d+|\d+e-?\d+|0[xbo][\da-f]+|\d+-\d+-\d+|nan|inf|infinity)|true|false|null|epoch", re.IGNORECASE
)
"""Names that pandas, Polars, DuckDB or Arrow read from a folder's name as a number, a date, or a truth value."""
BASE = "base"


def read_strategies(
    report: Report, given: object, base: Mapping[str, Distribution]
) -> dict[str, dict[str, Distribution]]:
    """What each strategy overrides, by its name; one that overrides nothing where there are none."""
    body = validation.mapping(report, ("strategies",), {} if given is None else given, "strategies by name")
    if len(body) > MAX_STRATEGIES:
        report.fault(("strategies",), None, f"must hold at most {MAX_STRATEGIES} strategies, not {len(body)}")
    strategies: dict[str, dict[str, Distribution]] = {}
    for key, value in list(body.items())[:MAX_STRATEGIES]:
        path: Path = ("strategies", key)
        if validation.name(report, path, key) and _READ_AS_VALUE.fullmatch(key):
            message = "is read as a number, a date or a truth value from the folders of results: begin with a letter"
            report.fault(path, key, f"{message}, such as s-{key}")
        strategies[key] = read_overrides(report, path, value, base)
    validation.distinct_names(report, ("strategies",), body, "strategy")
    return strategies or {BASE: {}}


def read_overrides(
    report: Report, path: Path, given: object, base: Mapping[str, Distribution]
) -> dict[str, Distribution]:
    """The distributions that take the place of some of the base's, by parameter."""
    overrides = validation.mapping(report, path, {} if given is None else given, "parameters to override")
    validation.known_keys(report, path, overrides, base)
    return {
        name: read_distribution(report, (*path, name), distribution, parameter(name)) or UNREADABLE
        for name, distribution in overrides.items()
        if name in base
    }
