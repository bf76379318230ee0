"""The statistics that `aggregate` computes of each group, by name."""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from math import sqrt

from sim.faults import Fault, InvalidInput
from sim.scenario.columns import columns
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import mean_of_replicates
from sim.statistics.tallies import Moments, merge_moments

STATISTICS = ("count", "known", "mean", "standard_deviation", "standard_error", "min", "max", "sum", "median")
"""Statistics by name. Quantiles, such as ``q05`` or ``0.05``, are allowed too."""
USUAL = ("mean", "standard_error", "q05", "median", "q95")
_UNITLESS = ("count", "known")


def quantile_level(statistic: str) -> float | None:
    """The level of a statistic that is a quantile, None for others. Raises `InvalidInput`."""
    if statistic in STATISTICS:
        return 0.5 if statistic == "median" else None
    match = re.fullmatch(r"q(\d{1,2}(?:\.\d{1,6})?)|(0?\.\d{1,8})", statistic)
    level = 0.0 if match is None else float(match[1]) / 100 if match[1] else float(match[2])
    if not 0.0 < level < 1.0:
        message = f"must be one of {', '.join(STATISTICS)}, or a quantile such as q05, q97.5 or 0.05"
        raise InvalidInput((Fault("statistics", statistic, message),))
    return level


def statistics_of_moments(
    trials: int, total: float, parts: Sequence[Moments], per_point: int, pooled: bool
) -> dict[str, float | None]:
    """The statistics of a group by name, from its trials, the sum of its known numbers, and their moments.

    `parts` has the moments of each replicate.
    """
    whole = reduce(merge_moments, parts)
    known = whole.count
    deviation = sqrt(whole.m2 / (known - 1)) if known > 1 else None
    error = None if deviation is None else deviation / sqrt(known)
    if pooled:
        error = None
    elif len(parts) > 1:
        error = mean_of_replicates(parts, per_point)["standard_error"]
    return {
        "count": known,
        "known": known / trials if trials else None,
        "mean": total / known if known else None,
        "standard_deviation": deviation,
        "standard_error": error,
        "min": whole.least if known else None,
        "max": whole.greatest if known else None,
        "sum": total if known else None,
    }


def headings_of(
    given: Sequence[str] | Mapping[str, str],
    measures: Mapping[str, object],
    levels: Mapping[str, float | None],
    scenario: Scenario,
    *,
    weighted: bool,
) -> list[tuple[str, str, str]]:
    """The name, kind and unit of each column of statistics; a weighted count is no whole number."""
    known = {column.name: column.unit for column in columns(scenario)}
    found = []
    for measure in measures:
        text = given[measure] if isinstance(given, Mapping) else measure
        for statistic, level in levels.items():
            unit = "1" if statistic in _UNITLESS else known.get(text.strip(), "1")
            shown = statistic if level is None or statistic == "median" else _shown(level)
            found.append((f"{measure}.{shown}", "whole" if statistic == "count" and not weighted else "number", unit))
    return found


def _shown(level: float) -> str:
    whole, dot, rest = f"{100 * level:.8g}".partition(".")
    return f"q{whole:0>2}{dot}{rest}"


def method_notes(replicates: int, pooled: bool) -> dict[str, str]:
    """How statistics, standard errors and quantiles were computed."""
    errors = "s/sqrt(n)" if replicates == 1 else f"from the design's {replicates} replicates"
    if pooled:
        errors = "null, since the groups mix strategies that share their chance: group by strategy"
    return {
        "statistics": "computed over the known values",
        "errors": f"standard errors of the mean {errors}",
        "quantiles": "exact, each the smallest value whose share is at least its level",
    }
