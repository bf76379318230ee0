"""The summary of a run: outcomes, events and measures of each strategy, with their Monte Carlo error."""

from collections.abc import Sequence
from functools import reduce

import duckdb

from cluster.query import open_duckdb, to_sql
from cluster.trials import StoredRun
from sim.estimates import (
    EVENTS,
    MEASURES,
    NO_NUMBERS,
    NO_TRIALS,
    Bounds,
    Estimate,
    Moments,
    Tally,
    event_estimates,
    mean_estimate,
    merge,
    merge_moments,
    merge_replicates,
    method_note,
    outcome_estimates,
    quantile_bounds,
    quantile_bounds_of_replicates,
    replicates_of,
    trials_together,
)
from sim.expressions import NAMED, Expression, parse_condition
from sim.faults import Fault, InvalidInput
from sim.outcomes import OUTCOMES
from sim.scenario import Scenario

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
EXACT_NUMBERS = 20_000_000
"""Beyond so many numbers quantiles come from a t-digest sketch, whose error is far below a quantile's own."""
FEWEST_GIVEN = 100
"""A condition must leave at least so many trials of each strategy for an answer."""


def summarize(run: StoredRun, given: str | None = None) -> dict:
    """The summary of a run from the shards committed so far, as ``summary.json`` has it.

    Probabilities and means come from the tallies in the files' footers; quantiles are read from the trials a
    column at a time. With `given`, a condition over the columns, all is reckoned over the trials for which it
    holds. Raises `InvalidInput` for a condition that cannot be read, or that leaves too few trials.
    """
    plan = run.plan
    condition = parse_condition(given, plan.scenario) if given is not None else None
    with open_duckdb(run.folder) as database:
        strategies = {strategy: _summarize_strategy(run, strategy, condition, database) for strategy in plan.strategies}
    summary = {
        "scenario": plan.scenario.name,
        "trials": plan.trials,
        "seed": plan.seed,
        "design": plan.design,
        "complete": all(found["trials_played"] == plan.trials for found in strategies.values()),
        "method": method_note(plan.scenario, plan.design) + "; " + _quantile_note(strategies),
        "strategies": strategies,
    }
    return summary if condition is None else {"given": str(condition), **summary}


def _summarize_strategy(
    run: StoredRun, strategy: str, condition: Expression | None, database: duckdb.DuckDBPyConnection
) -> dict:
    plan, paths = run.plan, run.paths(strategy)
    replicates, together = (how(plan.scenario, plan.design) for how in (replicates_of, trials_together))
    committed = (run.committed[shard] for shard in run.shards(strategy))
    counted = reduce(merge_replicates, committed, (NO_TRIALS,) * replicates)
    played = sum(tally.trials for tally in counted)
    where = "true"
    if condition is not None:
        where = to_sql(condition)
        counted = _tally(paths, where, replicates, plan.scenario, database)
        left = sum(tally.trials for tally in counted)
        if left < FEWEST_GIVEN:
            message = (
                f"leaves {left} of {played} trials of {strategy}, too few for an answer; "
                f"at least {FEWEST_GIVEN} are needed: play more trials, or ask for less"
            )
            raise InvalidInput((Fault("given", str(condition), message),))
    total = reduce(merge, counted, NO_TRIALS)
    measures: dict[str, dict] = {}
    for name in MEASURES:
        quantiles, exact = _quantiles(paths, where, name, counted, together, database)
        measures[name] = {
            "count": total.measures[name].count,
            "mean": mean_estimate(counted, name, together),
            "quantiles": {level: found["estimate"] for level, found in quantiles.items()},
            "quantile_intervals": {
                level: {"low": found["low"], "high": found["high"]} for level, found in quantiles.items()
            },
            "quantiles_exact": exact,
        }
    if plan.scenario.deficit is not None:
        measures["balance_change_share_of_deficit"] = _scaled(measures["balance_change"], 1.0 / plan.scenario.deficit)
    return {
        "trials": total.trials,
        "trials_played": played,
        "outcome": outcome_estimates(counted, together),
        "events": event_estimates(counted, together),
        "measures": measures,
    }


def _tally(
    paths: list[str], where: str, replicates: int, scenario: Scenario, database: duckdb.DuckDBPyConnection
) -> tuple[Tally, ...]:
    """The tallies of the trials for which a condition holds."""
    if not paths:
        return (NO_TRIALS,) * replicates
    named = {name: to_sql(parse_condition(NAMED[name], scenario)) for name in (*OUTCOMES, *EVENTS)}
    sums = [f"count_if({condition})" for condition in named.values()]
    for name in MEASURES:
        number = f'"{name}"::DOUBLE'
        sums.append(
            f"struct_pack(n := count({number}), mean := avg({number}), v := var_pop({number}), "
            f"low := min({number}), high := max({number}))"
        )
    rows = database.execute(
        f"SELECT trial % {replicates}, count(*), {', '.join(sums)} FROM read_parquet(?) WHERE {where} GROUP BY 1",
        [paths],
    ).fetchall()
    tallies = [NO_TRIALS] * replicates
    for replicate, trials, *found in rows:
        counts = dict(zip(named, found, strict=False))
        moments = {
            name: Moments(one["n"], one["mean"], one["v"] * one["n"], one["low"], one["high"])
            if one["n"]
            else NO_NUMBERS
            for name, one in zip(MEASURES, found[len(named) :], strict=True)
        }
        tallies[replicate] = Tally(
            trials,
            {name: counts[name] for name in OUTCOMES},
            {name: counts[name] for name in EVENTS},
            moments,
        )
    return tuple(tallies)


def _quantiles(
    paths: list[str],
    where: str,
    name: str,
    counted: tuple[Tally, ...],
    together: int,
    database: duckdb.DuckDBPyConnection,
) -> tuple[dict[str, Estimate], bool]:
    """Quantiles of a measure over its numbers that are not null, with their 95 % intervals; and whether exact."""
    count = reduce(merge_moments, (tally.measures[name] for tally in counted), NO_NUMBERS).count
    nothing: dict[str, Estimate] = {str(level): dict.fromkeys(("estimate", "low", "high")) for level in LEVELS}
    exact = count <= EXACT_NUMBERS
    if not count:
        return nothing, exact
    values = _ask_quantiles(paths, where, name, LEVELS, exact, database)
    if len(counted) == 1:
        bounds = [quantile_bounds(count, level) for level in LEVELS]
    else:
        bounds = _bounds_of_replicates(paths, where, name, values, counted, together, database)
    known = [level for pair in bounds for level in pair if level is not None]
    at: dict[float | None, float | None] = {None: None}
    at |= zip(known, _ask_quantiles(paths, where, name, known, exact, database), strict=True)
    return {
        str(level): {"estimate": value, "low": at[low], "high": at[high]}
        for level, value, (low, high) in zip(LEVELS, values, bounds, strict=True)
    }, exact


def _ask_quantiles(
    paths: list[str],
    where: str,
    name: str,
    levels: Sequence[float],
    exact: bool,
    database: duckdb.DuckDBPyConnection,
) -> list[float]:
    if not levels:
        return []
    # quantile_disc gives the smallest value whose share is at least the level.
    aggregate = "quantile_disc" if exact else "approx_quantile"
    query = f'SELECT {aggregate}("{name}", {list(levels)}) FROM read_parquet(?) WHERE {where} AND "{name}" IS NOT NULL'
    row = database.execute(query, [paths]).fetchone()
    return [float(value) for value in row[0]] if row else []


def _bounds_of_replicates(
    paths: list[str],
    where: str,
    name: str,
    values: list[float],
    counted: tuple[Tally, ...],
    together: int,
    database: duckdb.DuckDBPyConnection,
) -> list[Bounds]:
    number = f'"{name}"::DOUBLE'
    shares = ", ".join(f"count_if({number} {sign} {value!r}::DOUBLE)" for value in values for sign in ("<", "<="))
    rows = database.execute(
        f"SELECT trial % {len(counted)}, {shares} FROM read_parquet(?) WHERE {where} GROUP BY 1", [paths]
    ).fetchall()
    found = {replicate: counts for replicate, *counts in rows}
    nothing = [0] * (2 * len(values))
    columns = list(zip(*(found.get(replicate, nothing) for replicate in range(len(counted))), strict=True))
    counts = [tally.measures[name].count for tally in counted]
    return [
        quantile_bounds_of_replicates(level, columns[2 * k], columns[2 * k + 1], counts, together)
        for k, level in enumerate(LEVELS)
    ]


def _quantile_note(strategies: dict[str, dict]) -> str:
    exact = all(one["quantiles_exact"] for found in strategies.values() for one in found["measures"].values())
    return "quantiles exact" if exact else f"quantiles of more than {EXACT_NUMBERS} numbers from a t-digest sketch"


def _scaled(measure: dict, factor: float) -> dict:
    def scale(numbers: dict) -> dict:
        return {key: None if value is None else value * factor for key, value in numbers.items()}

    return {
        **measure,
        "mean": scale(measure["mean"]),
        "quantiles": scale(measure["quantiles"]),
        "quantile_intervals": {level: scale(found) for level, found in measure["quantile_intervals"].items()},
    }
