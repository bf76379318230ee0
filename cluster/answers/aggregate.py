"""Grouped statistics over a stored run's trials: measures, statistics, groups and a condition of your choice."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Annotated, Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
from pydantic import ConfigDict, Field

from cluster.answers.entry import Answer, Computed, GivenRequest, OnProgress, Result, StrategiesRequest, Text
from cluster.answers.shared import EXACT_NUMBERS, condition_of
from cluster.query.session import to_sql
from cluster.query.trials import StoredRun, chosen_strategies, trials_table
from sim.faults import Fault, InvalidInput
from sim.scenario.columns import Column, columns
from sim.scenario.expressions import NUMBER, TEXT, Expression, parse_expression, parse_measure
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import mean_of_replicates
from sim.statistics.tallies import NO_NUMBERS, Moments

MAX_GROUPS = 10_000
MAX_NUMBERS = 100
"""Measures times statistics that may be requested at once."""
MAX_KEYS = 5
MAX_BINS = 1000
STRATEGY = "strategy"
STATISTICS = ("count", "known", "mean", "standard_deviation", "standard_error", "min", "max", "sum", "median")
"""Statistics by name; besides them quantiles, such as ``q05`` or ``0.05``."""
USUAL = ("mean", "standard_error", "q05", "median", "q95")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
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
_TYPES = {"text": pa.string(), "truth": pa.bool_(), "whole": pa.int64(), "number": pa.float64()}


Name = Annotated[str, Field(max_length=64)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Grouping(Result):
    """Something to group by: an expression's values as they are, or in bins.

    One of `bins` (so many of equal width, from the least value to the greatest), `quantiles` (so many of about equal
    numbers of trials) and `edges` (in increasing order) makes bins. A bin holds its lower edge and not its upper one,
    save the last, which holds both. What lies below the first edge, above the last, or nowhere, has groups of its own.
    """

    model_config = ConfigDict(frozen=True)

    value: Annotated[Text, Field(description="An expression over the columns, or strategy.")]
    name: Annotated[Name | None, Field(description="What the answer calls it.")] = None
    bins: Annotated[int | None, Field(strict=True, description="So many bins of equal width.")] = None
    quantiles: Annotated[int | None, Field(strict=True, description="So many bins of about equal numbers.")] = None
    edges: Annotated[
        tuple[Number, ...] | None, Field(max_length=MAX_BINS + 1, description="Bins with these edges.")
    ] = None

    @property
    def label(self) -> str:
        """What the answer calls it."""
        return self.name or self.value


@dataclass(frozen=True)
class _Key:
    """A grouping as SQL over the view of trials."""

    label: str
    sql: str
    order: str
    kind: str
    unit: str
    most: int
    edges: tuple[float, ...] | None = None

    def columns(self) -> list[tuple[str, str, str]]:
        """The answer's columns that it makes, each with its kind and unit."""
        ends = [self.label] if self.edges is None else [f"{self.label}.low", f"{self.label}.high"]
        return [(end, self.kind, self.unit) for end in ends]

    def cells(self, found: object) -> list[object]:
        """The answer's cells for a value that SQL found."""
        if self.edges is None:
            return [found]
        if found is None:
            return [None, None]
        bounds = (None, *self.edges, None)
        return [bounds[int(str(found))], bounds[int(str(found)) + 1]]


class AggregateRequest(StrategiesRequest, GivenRequest):
    """Which statistics of which measures, over which groups of which trials."""

    measures: Annotated[
        Annotated[tuple[Text, ...], Field(max_length=MAX_NUMBERS)]
        | Annotated[dict[str, Text], Field(max_length=MAX_NUMBERS)],
        Field(description="Numbers or conditions over the columns; an object names them."),
    ]
    statistics: Annotated[
        tuple[Annotated[str, Field(max_length=32)], ...],
        Field(
            max_length=MAX_NUMBERS,
            description="count, known (the share of trials that know the measure), mean, standard_deviation, "
            "standard_error (of the mean), min, max, sum, median, and quantiles such as q05 or 0.05.",
        ),
    ] = USUAL
    by: Annotated[
        tuple[Text | Grouping, ...],
        Field(max_length=MAX_KEYS, description="What to group by; all trials together if it is empty."),
    ] = (STRATEGY,)


class AggregateColumn(Result):
    """A column of the rows."""

    name: str
    kind: Literal["text", "truth", "whole", "number"]
    unit: str


class Aggregate(Result):
    """A row for each group that has trials."""

    quantiles: Literal["exact", "sketch"]
    columns: list[AggregateColumn]
    rows: list[dict[str, bool | int | float | str | None]]


def aggregate(run: StoredRun, request: AggregateRequest, on_progress: OnProgress) -> Computed:
    """Statistics of measures over the groups of a run's committed trials, a row a group.

    `measures` are numbers or conditions over the columns (a mapping names them), `statistics` some of `STATISTICS`
    and quantiles. Null, infinite and undefined values of a measure are unknown: statistics are those of the known
    ones, of which ``known`` is the share. A quantile is the smallest value whose share is at least its level.
    Raises `InvalidInput`, also for more than `MAX_GROUPS` groups.
    """
    plan, measures, statistics = run.plan, request.measures, request.statistics
    wanted = _measures(measures, plan.scenario)
    levels = {name: _level(name) for name in statistics}
    _check_numbers(wanted, statistics, levels)
    chosen = chosen_strategies(run, request.strategies)
    groupings = [Grouping(value=one) if isinstance(one, str) else one for one in request.by]
    _check_groupings(groupings)
    # The strategies' trials share their chance: a group's rows do not give the standard error of all of them.
    pooled = len(chosen) > 1 and all(one.value != STRATEGY for one in groupings)
    condition = condition_of(run, request.given)
    with trials_table(run, chosen) as database:
        where = "true" if condition is None else to_sql(condition)
        asked = [_key(one, f"by[{k}]", chosen, plan.scenario, where, database) for k, one in enumerate(groupings)]
        read = [f"{key.sql} AS x{k}" for k, key in enumerate(asked)]
        read += [f"{number} AS y{k}" for k, number in enumerate(wanted.values())]
        made = [f"{_bin(f'x{k}', key.edges) if key.edges else f'x{k}'} AS k{k}" for k, key in enumerate(asked)]
        made += [f"CASE WHEN isfinite(y{k}) THEN y{k} END AS m{k}" for k in range(len(wanted))]
        database.execute(
            f"CREATE VIEW asked AS SELECT {', '.join(['trial', *made])} "
            f"FROM (SELECT {', '.join(['trial', *read])} FROM trials WHERE {where})"
        )
        _check_groups(asked, database)
        replicates = plan.design.replicates(plan.scenario)
        together = plan.design.trials_together(plan.scenario)
        counts, numbers, exact = _numbers(asked, list(wanted), levels, replicates, together, pooled, database)
    headings = [
        *(heading for key in asked for heading in key.columns()),
        ("trials", "whole", "1"),
        *_headings(measures, wanted, levels, plan.scenario),
    ]
    rows = [
        [*(cell for key, value in zip(asked, group, strict=True) for cell in key.cells(value)), trials, *found]
        for (*group, trials), found in zip(counts, numbers, strict=True)
    ]
    names = [name for name, _, _ in headings]
    _check_unique(names)
    result = {
        "quantiles": "exact" if exact else "sketch",
        "columns": [{"name": name, "kind": kind, "unit": unit} for name, kind, unit in headings],
        "rows": [dict(zip(names, map(_plain, row), strict=True)) for row in rows],
    }
    used = sum(trials for *_, trials in counts)
    return Computed(Aggregate.model_validate(result), chosen, used, _method(exact, replicates, pooled))


def answer_table(document: dict[str, Any]) -> pa.Table:
    """A document's rows as an Arrow table, with units in the columns' metadata and the rest in the table's.

    Texts stand there as they are, everything else as JSON: ``brink.run`` is ``{"trials": ..., ...}``.
    """
    result = document["result"]
    about = {**{name: value for name, value in document.items() if name != "result"}, "quantiles": result["quantiles"]}
    schema = pa.schema(
        [pa.field(one["name"], _TYPES[one["kind"]], metadata={"unit": one["unit"]}) for one in result["columns"]],
        metadata={
            f"brink.{name}": value if isinstance(value, str) else json.dumps(value) for name, value in about.items()
        },
    )
    return pa.Table.from_pylist(result["rows"], schema)


def _measures(given: Sequence[str] | Mapping[str, str], scenario: Scenario) -> dict[str, str]:
    """SQL of each measure as a double, by its name."""
    named = dict(given) if isinstance(given, Mapping) else {text: text for text in given}
    if isinstance(given, Mapping):
        faults = [_bad_name(f"measures.{name}", name) for name in named if not _NAME.fullmatch(name)]
        if faults:
            raise InvalidInput(tuple(faults))
    elif len(named) < len(given):
        raise InvalidInput((Fault("measures", list(given), "must not name a measure twice"),))
    if not named:
        raise InvalidInput((Fault("measures", None, "must name a measure, such as export_gain"),))
    fields = [f"measures.{name}" if isinstance(given, Mapping) else f"measures[{k}]" for k, name in enumerate(named)]
    return {
        name: f"({to_sql(parse_measure(text, scenario, field))})::DOUBLE"
        for field, (name, text) in zip(fields, named.items(), strict=True)
    }


def _level(statistic: str) -> float | None:
    """The level of a statistic that is a quantile, None for others. Raises `InvalidInput`."""
    if statistic in STATISTICS:
        return 0.5 if statistic == "median" else None
    match = re.fullmatch(r"q(\d{1,2}(?:\.\d{1,6})?)|(0?\.\d{1,8})", statistic)
    level = 0.0 if match is None else float(match[1]) / 100 if match[1] else float(match[2])
    if not 0.0 < level < 1.0:
        message = f"must be one of {', '.join(STATISTICS)}, or a quantile such as q05, q97.5 or 0.05"
        raise InvalidInput((Fault("statistics", statistic, message),))
    return level


def _check_numbers(wanted: Mapping[str, str], statistics: Sequence[str], levels: Mapping[str, float | None]) -> None:
    if not statistics:
        raise InvalidInput((Fault("statistics", None, f"must name one of {', '.join(STATISTICS)}, or a quantile"),))
    if len(levels) < len(statistics):
        raise InvalidInput((Fault("statistics", list(statistics), "must not name a statistic twice"),))
    if len(wanted) * len(levels) > MAX_NUMBERS:
        message = f"times the measures are {len(wanted) * len(levels)} numbers a group; at most {MAX_NUMBERS} are given"
        raise InvalidInput((Fault("statistics", None, message),))


def _check_groupings(groupings: Sequence[Grouping]) -> None:
    if len(groupings) > MAX_KEYS:
        raise InvalidInput((Fault("by", len(groupings), f"must have at most {MAX_KEYS} parts"),))
    faults = [
        _bad_name(f"by[{k}].name", one.name)
        for k, one in enumerate(groupings)
        if one.name is not None and not _NAME.fullmatch(one.name)
    ]
    if faults:
        raise InvalidInput(tuple(faults))


def _check_unique(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput((Fault("by", twice[0], "would be the name of two columns; give one of them another name"),))


def _bad_name(field: str, name: str | None) -> Fault:
    return Fault(field, name, "must be a name of at most 64 letters, digits and _ . -")


def _key(
    grouping: Grouping,
    field: str,
    strategies: Sequence[str],
    scenario: Scenario,
    where: str,
    database: duckdb.DuckDBPyConnection,
) -> _Key:
    ways = [name for name in ("bins", "quantiles", "edges") if getattr(grouping, name) is not None]
    if len(ways) > 1:
        raise InvalidInput(
            (Fault(field, None, f"must have one of bins, quantiles and edges, not {' and '.join(ways)}"),)
        )
    if grouping.value == STRATEGY and not ways:
        return _category(grouping.label, STRATEGY, strategies)
    found = parse_expression(grouping.value, scenario, field)
    own = _own_column(found, scenario)
    unit = own.unit if own else "1"
    if ways:
        if found.kind != NUMBER:
            raise InvalidInput((Fault(field, grouping.value, f"must be a number to be put into {ways[0]}"),))
        number = f"({to_sql(found)})::DOUBLE"
        edges = _edges(grouping, field, number, where, database)
        return _Key(grouping.label, number, "{}", "number", unit, len(edges) + 2, edges)
    # A column's own null is a group of its own, which a condition's truth value never is.
    sql = to_sql(found) if own is None else '"' + own.name.replace('"', '""') + '"'
    if found.kind == TEXT:
        return _category(grouping.label, sql, own.categories if own else (str(found.value),))
    if found.kind == NUMBER and (own is None or own.kind != "int16"):
        message = "has too many values to be groups of their own; put it into bins, quantiles or edges"
        raise InvalidInput((Fault(field, grouping.value, message),))
    if found.kind == NUMBER:
        return _Key(grouping.label, sql, "{}", "whole", unit, scenario.horizon_weeks + 2)
    return _Key(grouping.label, sql, "{}", "truth", unit, 3)


def _category(label: str, sql: str, categories: Sequence[str]) -> _Key:
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in categories)
    return _Key(label, f"{sql}::VARCHAR", f"list_position([{listed}], {{}})", "text", "1", len(categories) + 1)


def _own_column(found: Expression, scenario: Scenario) -> Column | None:
    """The column that an expression is, if it is nothing else."""
    known = {column.name: column for column in columns(scenario)}
    return known[str(found.value)] if found.operation == "column" else None


def _edges(
    grouping: Grouping, field: str, number: str, where: str, database: duckdb.DuckDBPyConnection
) -> tuple[float, ...]:
    if grouping.edges is not None:
        edges = tuple(float(edge) for edge in grouping.edges)
        rising = all(a < b for a, b in pairwise(edges))
        if not rising or not all(map(isfinite, edges)) or not 2 <= len(edges) <= MAX_BINS + 1:
            message = f"must be from 2 to {MAX_BINS + 1} numbers, each greater than the one before"
            raise InvalidInput((Fault(f"{field}.edges", list(edges)[:10], message),))
        return edges
    way, count = ("bins", grouping.bins) if grouping.bins is not None else ("quantiles", grouping.quantiles)
    if count is None or not 1 <= count <= MAX_BINS:
        raise InvalidInput((Fault(f"{field}.{way}", count, f"must be from 1 to {MAX_BINS}"),))
    finite = f"FROM (SELECT {number} AS x FROM trials WHERE {where}) WHERE isfinite(x)"
    known, least, greatest = database.execute(f"SELECT count(*), min(x), max(x) {finite}").fetchall()[0]
    if not known:
        return (0.0, 1.0)
    if way == "bins":
        inner = np.linspace(least, greatest, count + 1)[1:-1].tolist()
    else:
        levels = [k / count for k in range(1, count)]
        function = "quantile_disc" if known <= EXACT_NUMBERS else "approx_quantile"
        inner = database.execute(f"SELECT {function}(x, {levels}) {finite}").fetchall()[0][0] if levels else []
    # Values that many trials share would make empty bins.
    edges = tuple(sorted({least, *map(float, inner), greatest}))
    return edges if len(edges) > 1 else (least, np.nextafter(least, np.inf).item())


def _bin(number: str, edges: Sequence[float]) -> str:
    """SQL of how many edges lie at or below a number, one less at the last edge; null for no finite number."""

    def search(low: int, high: int) -> str:
        if low == high:
            return str(low)
        middle = (low + high) // 2
        below, above = search(low, middle), search(middle + 1, high)
        return f"CASE WHEN {number} < {edges[middle]!r}::DOUBLE THEN {below} ELSE {above} END"

    last = f"WHEN {number} = {edges[-1]!r}::DOUBLE THEN {len(edges) - 1}"
    return f"(CASE WHEN {number} IS NULL OR isnan({number}) THEN NULL {last} ELSE {search(0, len(edges))} END)"


def _check_groups(keys: Sequence[_Key], database: duckdb.DuckDBPyConnection) -> None:
    if np.prod([float(key.most) for key in keys]) <= MAX_GROUPS:
        return
    named = ", ".join(f"k{k}" for k in range(len(keys)))
    (groups,) = database.execute(f"SELECT count(*) FROM (SELECT DISTINCT {named} FROM asked)").fetchall()[0]
    if groups > MAX_GROUPS:
        message = f"makes {groups:,} groups; at most {MAX_GROUPS:,} are given: take fewer or wider bins, or a condition"
        raise InvalidInput((Fault("by", ", ".join(key.label for key in keys), message),))


def _numbers(
    keys: Sequence[_Key],
    measures: Sequence[str],
    levels: Mapping[str, float | None],
    replicates: int,
    together: int,
    pooled: bool,
    database: duckdb.DuckDBPyConnection,
) -> tuple[list[tuple], list[list[float | None]], bool]:
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
    exact = sum(trials for *_, trials in counts) <= EXACT_NUMBERS
    asked = [level for level in levels.values() if level is not None]
    numbers: list[list[float | None]] = [[] for _ in rows]
    for k in range(len(measures)):
        quantiles = _quantiles(f"m{k}", asked, exact, ends, database) if asked else [[] for _ in rows]
        erring = "standard_error" in moments and not pooled and replicates > 1
        errors = _errors(f"m{k}", named, replicates, together, database) if erring else {}
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


def _quantiles(
    measure: str, levels: Sequence[float], exact: bool, ends: str, database: duckdb.DuckDBPyConnection
) -> list[list[float | None]]:
    function = "quantile_disc" if exact else "approx_quantile"
    rows = database.execute(f"SELECT {function}({measure}, {list(levels)}) FROM asked {ends}").fetchall()
    return [list(found) if found else [None] * len(levels) for (found,) in rows]


def _errors(
    measure: str, named: Sequence[str], replicates: int, together: int, database: duckdb.DuckDBPyConnection
) -> dict[tuple, float | None]:
    """The standard error of a mean in each group, from the design's replicates."""
    listed = [*named, f"trial % {replicates}"]
    found: dict[tuple, list[Moments]] = {}
    query = (
        f"SELECT {', '.join(listed)}, count({measure}), favg({measure}), coalesce(var_pop({measure}), 0) "
        f"FROM asked GROUP BY {', '.join(str(k + 1) for k in range(len(listed)))}"
    )
    for *group, replicate, count, mean, variance in database.execute(query).fetchall():
        moments = found.setdefault(tuple(group), [NO_NUMBERS] * replicates)
        if count:
            moments[replicate] = Moments(count, mean, variance * count, mean, mean)
    errors: dict[tuple, float | None] = {
        group: mean_of_replicates(moments, together)["standard_error"] for group, moments in found.items()
    }
    return errors if named or errors else {(): None}


def _headings(
    given: Sequence[str] | Mapping[str, str],
    measures: Mapping[str, str],
    levels: Mapping[str, float | None],
    scenario: Scenario,
) -> list[tuple[str, str, str]]:
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


def _method(exact: bool, replicates: int, pooled: bool) -> dict[str, str]:
    quantiles = (
        "exact, each the smallest value whose share is at least its level"
        if exact
        else f"of more than {EXACT_NUMBERS} trials, from a t-digest sketch"
    )
    errors = "s/sqrt(n)" if replicates == 1 else f"from the design's {replicates} replicates"
    if pooled:
        errors = "null, since the groups mix strategies that share their chance: group by strategy"
    return {
        "statistics": "of the known values",
        "errors": f"standard errors of the mean {errors}",
        "quantiles": quantiles,
    }


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value


ANSWER = Answer(
    name="aggregate",
    sentence="Grouped statistics over the trials: measures, statistics, groups and a condition of your choice.",
    request=AggregateRequest,
    result=Aggregate,
    compute=aggregate,
    examples=(
        {
            "measures": ["export_gain", "agreement_week <= 12"],
            "statistics": ["mean", "standard_error", "q05", "q95"],
            "by": ["strategy", {"value": "target_cost", "quantiles": 4}],
            "given": "threat_week is not null",
        },
        {"measures": {"net": "export_gain - sender_cost"}, "by": ["strategy", "outcome"]},
    ),
    table=answer_table,
)
