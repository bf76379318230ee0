"""Grouped statistics over a stored run's trials: measures, statistics, groups and a condition of your choice."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field

from cluster.answers.aggregate_by_shards import GroupsAsked, ValuesOfTrials, group_rows
from cluster.answers.aggregate_groups import (
    NAME,
    STRATEGY,
    Grouping,
    bad_name,
    group_key,
)
from cluster.answers.aggregate_statistics import (
    STATISTICS,
    USUAL,
    headings_of,
    method_notes,
    quantile_level,
)
from cluster.answers.aggregate_weights import METHOD as WEIGHTS
from cluster.answers.aggregate_weights import weighted_rows
from cluster.answers.beliefs import code_of, read_beliefs, weigh_strategy
from cluster.answers.entry import Answer, Computed, GivenRequest, OnProgress, Result, StrategiesRequest, Text
from cluster.answers.shared import condition_of
from cluster.query.trials import StoredRun, chosen_strategies
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression, parse_measure
from sim.scenario.scenario import Scenario

MAX_NUMBERS = 100
"""The largest number of measures times statistics in a request."""
MAX_KEYS = 5
_TYPES = {"text": pa.string(), "truth": pa.bool_(), "whole": pa.int64(), "number": pa.float64()}


class AggregateRequest(StrategiesRequest, GivenRequest):
    """Which statistics of which measures, over which groups of which trials."""

    measures: Annotated[
        Annotated[tuple[Text, ...], Field(max_length=MAX_NUMBERS)]
        | Annotated[dict[str, Text], Field(max_length=MAX_NUMBERS)],
        Field(description="Numbers or conditions over the columns; an object gives each a name."),
    ]
    statistics: Annotated[
        tuple[Annotated[str, Field(max_length=32)], ...],
        Field(
            max_length=MAX_NUMBERS,
            description="count, known (the share of trials in which the measure is known), mean, standard_deviation, "
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

    quantiles: Literal["exact"]
    columns: list[AggregateColumn]
    rows: list[dict[str, bool | int | float | str | None]]


def aggregate(run: StoredRun, request: AggregateRequest, on_progress: OnProgress) -> Computed:
    """Statistics of measures over the groups of a run's committed trials, one row per group.

    `measures` are numbers or conditions over the columns (a mapping names them), `statistics` some of `STATISTICS` and
    quantiles. Null, infinite and undefined values of a measure are unknown. Statistics are computed over the known
    values; ``known`` is their share. A quantile is the smallest value whose share is at least its level. Raises
    `InvalidInput`, also for more than `MAX_GROUPS` groups.
    """
    plan, measures, statistics = run.plan, request.measures, request.statistics
    wanted = _measures(measures, plan.scenario)
    levels = {name: quantile_level(name) for name in statistics}
    _check_numbers(wanted, statistics, levels)
    chosen = chosen_strategies(run, request.strategies)
    groupings = [Grouping(value=one) if isinstance(one, str) else one for one in request.by]
    _check_groupings(groupings)
    # The strategies' trials share their chance: a group's rows do not give the standard error of all of them.
    pooled = len(chosen) > 1 and all(one.value != STRATEGY for one in groupings)
    condition = condition_of(run, request.given)
    stated = read_beliefs(run, request.believe)
    weighted = {one: weigh_strategy(run, one, stated, condition) for one in chosen} if stated else {}
    replicates = plan.design.replicates(plan.scenario)
    code = code_of(stated) or None
    values = ValuesOfTrials(run, chosen, condition, code)
    asked = [group_key(one, f"by[{k}]", chosen, plan.scenario, values) for k, one in enumerate(groupings)]
    keys, parsed = tuple(asked), tuple(wanted.values())
    if stated:
        patterns = {one: found.patterns for one, found in weighted.items()}
        of_trials = GroupsAsked(chosen, condition, keys, parsed, replicates, code, patterns)
        counts, numbers = weighted_rows(run, of_trials, levels, weighted, pooled)
    else:
        erring = "standard_error" in statistics and not pooled
        of_trials = GroupsAsked(chosen, condition, keys, parsed, replicates if erring else 1)
        counts, numbers = group_rows(run, of_trials, levels, pooled)
    headings = [
        *(heading for key in asked for heading in key.columns()),
        ("trials", "whole", "1"),
        *headings_of(measures, wanted, levels, plan.scenario, weighted=bool(stated)),
    ]
    rows = [
        [*(cell for key, value in zip(asked, group, strict=True) for cell in key.cells(value)), trials, *found]
        for (*group, trials), found in zip(counts, numbers, strict=True)
    ]
    names = [name for name, _, _ in headings]
    _check_unique(names)
    result = {
        "quantiles": "exact",
        "columns": [{"name": name, "kind": kind, "unit": unit} for name, kind, unit in headings],
        "rows": [dict(zip(names, map(_plain, row), strict=True)) for row in rows],
    }
    used = sum(trials for *_, trials in counts)
    method = method_notes(replicates, pooled)
    evidence = None
    if stated:
        method["weights"], evidence = WEIGHTS, {one: found.evidence() for one, found in weighted.items()}
    return Computed(Aggregate.model_validate(result), chosen, used, method, evidence)


def answer_table(document: dict[str, Any]) -> pa.Table:
    """A document's rows as an Arrow table, with units in the columns' metadata and the rest in the table's.

    Text is stored unchanged, everything else as JSON: ``brink.run`` is ``{"trials": ..., ...}``.
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


def _measures(given: Sequence[str] | Mapping[str, str], scenario: Scenario) -> dict[str, Expression]:
    """Each measure, by its name."""
    named = dict(given) if isinstance(given, Mapping) else {text: text for text in given}
    if isinstance(given, Mapping):
        faults = [bad_name(f"measures.{name}", name) for name in named if not NAME.fullmatch(name)]
        if faults:
            raise InvalidInput(tuple(faults))
    elif len(named) < len(given):
        raise InvalidInput((Fault("measures", list(given), "must not name a measure twice"),))
    if not named:
        raise InvalidInput((Fault("measures", None, "must name a measure, such as export_gain"),))
    fields = [f"measures.{name}" if isinstance(given, Mapping) else f"measures[{k}]" for k, name in enumerate(named)]
    return {
        name: parse_measure(text, scenario, field) for field, (name, text) in zip(fields, named.items(), strict=True)
    }


def _check_numbers(
    wanted: Mapping[str, Expression], statistics: Sequence[str], levels: Mapping[str, float | None]
) -> None:
    if not statistics:
        raise InvalidInput((Fault("statistics", None, f"must name one of {', '.join(STATISTICS)}, or a quantile"),))
    if len(levels) < len(statistics):
        raise InvalidInput((Fault("statistics", list(statistics), "must not name a statistic twice"),))
    if len(wanted) * len(levels) > MAX_NUMBERS:
        message = (
            f"times the measures are {len(wanted) * len(levels)} numbers a group; at most {MAX_NUMBERS} are allowed"
        )
        raise InvalidInput((Fault("statistics", None, message),))


def _check_groupings(groupings: Sequence[Grouping]) -> None:
    if len(groupings) > MAX_KEYS:
        raise InvalidInput((Fault("by", len(groupings), f"must have at most {MAX_KEYS} parts"),))
    faults = [
        bad_name(f"by[{k}].name", one.name)
        for k, one in enumerate(groupings)
        if one.name is not None and not NAME.fullmatch(one.name)
    ]
    if faults:
        raise InvalidInput(tuple(faults))


def _check_unique(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput((Fault("by", twice[0], "would be the name of two columns; give one of them another name"),))


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
