"""The statistics that `aggregate` computes of each group, by name."""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from math import sqrt
from typing import Any

import duckdb

from cluster.answers import shared
from cluster.answers.aggregate_groups import GroupKey
from sim.faults import Fault, InvalidInput
from sim.scenario.columns import columns
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import mean_of_replicates
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments

STATISTICS = ("count", "known", "mean", "standard_deviation", "standard_error", "min", "max", "sum", "median")
"""Statistics by name. Quantiles, such as ``q05`` or ``0.05``, are allowed too."""
USUAL = ("mean", "standard_error", "q05", "median", "q95")
_SQL = {
    "count": "count({0})",
    "known": "count({0}) / count(*)",
    "mean": "favg({0})",
    "standard_deviation": "stddev_samp({0})",
    "standard_error": "stddev_samp({0}) / sqrt(count({0}))",
    "min": "min({0})",
    "max": "max({0})",
    "sum": "fsum({0})",
}
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


def group_statistics(
    keys: Sequence[GroupKey],
    measures: Sequence[str],
    levels: Mapping[str, float | None],
    replicates: int,
    per_point: int,
    pooled: bool,
    database: duckdb.DuckDBPyConnection,
) -> tuple[list[tuple[Any, ...]], list[list[float | None]], bool]:
    """The groups with their trials, the statistics of each group in order of measures, and whether quantiles are exact.

    Every query has the same groups in the same order.
    """
    named = [f"k{k}" for k in range(len(keys))]
    ends = ""
    if keys:
        order = ", ".join(f"{key.order.format(f'k{k}')} NULLS LAST" for k, key in enumerate(keys))
        ends = f"GROUP BY {', '.join(named)} ORDER BY {order}"
    moments = [name for name, level in levels.items() if level is None]
    computed = [_SQL[name].format(f"m{k}") for k in range(len(measures)) for name in moments]
    rows = database.execute(f"SELECT {', '.join([*named, 'count(*)', *computed])} FROM asked {ends}").fetchall()
    counts = [row[: len(keys) + 1] for row in rows]
    exact = sum(trials for *_, trials in counts) <= shared.EXACT_NUMBERS
    asked = [level for level in levels.values() if level is not None]
    numbers: list[list[float | None]] = [[] for _ in rows]
    for k in range(len(measures)):
        quantiles = _quantiles(f"m{k}", asked, exact, ends, database) if asked else [[] for _ in rows]
        erring = "standard_error" in moments and not pooled and replicates > 1
        errors = _errors(f"m{k}", named, replicates, per_point, database) if erring else {}
        for row, found, own in zip(rows, quantiles, numbers, strict=True):
            start = len(keys) + 1 + k * len(moments)
            values = dict(zip(moments, row[start : start + len(moments)], strict=True))
            if pooled:
                values["standard_error"] = None
            elif errors:
                values["standard_error"] = errors[row[: len(keys)]]
            of_level = dict(zip(asked, found, strict=True))
            own += [values[name] if level is None else of_level[level] for name, level in levels.items()]
    return counts, numbers, exact


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


def _quantiles(
    measure: str, levels: Sequence[float], exact: bool, ends: str, database: duckdb.DuckDBPyConnection
) -> list[list[float | None]]:
    function = "quantile_disc" if exact else "approx_quantile"
    rows = database.execute(f"SELECT {function}({measure}, {list(levels)}) FROM asked {ends}").fetchall()
    return [list(found) if found else [None] * len(levels) for (found,) in rows]


def _errors(
    measure: str, named: Sequence[str], replicates: int, per_point: int, database: duckdb.DuckDBPyConnection
) -> dict[tuple[Any, ...], float | None]:
    """The standard error of a mean in each group, from the design's replicates."""
    listed = [*named, f"trial % {replicates}"]
    found: dict[tuple[Any, ...], list[Moments]] = {}
    query = (
        f"SELECT {', '.join(listed)}, count({measure}), favg({measure}), coalesce(var_pop({measure}), 0) "
        f"FROM asked GROUP BY {', '.join(str(k + 1) for k in range(len(listed)))}"
    )
    for *group, replicate, count, mean, variance in database.execute(query).fetchall():
        moments = found.setdefault(tuple(group), [NO_NUMBERS] * replicates)
        if count:
            moments[replicate] = Moments(count, mean, variance * count, mean, mean)
    errors: dict[tuple[Any, ...], float | None] = {
        group: mean_of_replicates(moments, per_point)["standard_error"] for group, moments in found.items()
    }
    return errors if named or errors else {(): None}


def headings_of(
    given: Sequence[str] | Mapping[str, str],
    measures: Mapping[str, object],
    levels: Mapping[str, float | None],
    scenario: Scenario,
) -> list[tuple[str, str, str]]:
    """The name, kind and unit of each column of statistics."""
    known = {column.name: column.unit for column in columns(scenario)}
    found = []
    for measure in measures:
        text = given[measure] if isinstance(given, Mapping) else measure
        for statistic, level in levels.items():
            unit = "1" if statistic in _UNITLESS else known.get(text.strip(), "1")
            shown = statistic if level is None or statistic == "median" else _shown(level)
            found.append((f"{measure}.{shown}", "whole" if statistic == "count" else "number", unit))
    return found


def _shown(level: float) -> str:
    whole, dot, rest = f"{100 * level:.8g}".partition(".")
    return f"q{whole:0>2}{dot}{rest}"


def method_notes(exact: bool, replicates: int, pooled: bool) -> dict[str, str]:
    """How statistics, standard errors and quantiles were computed."""
    quantiles = (
        "exact, each the smallest value whose share is at least its level"
        if exact
        else f"of more than {shared.EXACT_NUMBERS} trials, from a t-digest sketch"
    )
    errors = "s/sqrt(n)" if replicates == 1 else f"from the design's {replicates} replicates"
    if pooled:
        errors = "null, since the groups mix strategies that share their chance: group by strategy"
    return {
        "statistics": "computed over the known values",
        "errors": f"standard errors of the mean {errors}",
        "quantiles": quantiles,
    }
