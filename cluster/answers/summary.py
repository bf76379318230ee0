"""The summary of a run: outcomes, events and measures of each strategy, with their Monte Carlo error."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

import duckdb
import numpy as np

from cluster.query.session import open_duckdb, to_sql
from cluster.query.trials import StoredRun, chosen_strategies
from cluster.results.result_folder import SUMMARY, read_json
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression, parse_condition
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, NAMED, OUTCOMES, SHARE_OF_DEFICIT
from sim.scenario.warnings import scenario_warnings, warning_documents
from sim.statistics.estimates import (
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
)
from sim.statistics.measure_ranges import measure_ranges

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
EXACT_NUMBERS = 20_000_000
"""Beyond so many numbers a quantile is not reckoned with all of them in memory."""
BINS = 65_536
FEWEST_GIVEN = 100
"""A condition must leave at least so many trials of each strategy for an answer."""


def summarize(run: StoredRun, given: str | None = None, *, strategies: Sequence[str] = ()) -> dict:
    """The summary of a run from the shards committed so far, as ``summary.json`` has it.

    Probabilities and means come from the tallies in the files' footers; quantiles are read from the trials a
    column at a time. With `given`, a condition over the columns, all is reckoned over the trials for which it
    holds; with `strategies`, under these alone. Raises `InvalidInput` for a strategy that was not played, and for a
    condition that cannot be read or leaves too few trials.
    """
    plan = run.plan
    condition = parse_condition(given, plan.scenario) if given is not None else None
    chosen = chosen_strategies(run, strategies)
    with open_duckdb(run.folder) as database:
        summaries = {strategy: _summarize_strategy(run, strategy, condition, database) for strategy in chosen}
    summary = {
        "scenario": plan.scenario.name,
        "trials": plan.trials,
        "seed": plan.seed,
        "design": plan.design.name,
        "complete": all(found["trials_played"] == plan.trials for found in summaries.values()),
        "method": method_note(plan.scenario, plan.design) + "; quantiles exact",
        "strategies": summaries,
    }
    warnings = warning_documents(scenario_warnings(plan.scenario))
    if warnings:
        summary["warnings"] = warnings
    return summary if condition is None else {"given": str(condition), **summary}


def verify_summary(run: StoredRun) -> list[str]:
    """Where ``summary.json`` is other than the summary of the stored trials, a line a finding; nothing without one.

    Numbers may differ by a billionth, as other versions of the libraries round the last bits otherwise.
    """
    try:
        stored = read_json(run.folder, SUMMARY)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [f"{SUMMARY}: cannot be read: {error}"]
    reckoned = json.loads(json.dumps(summarize(run)))
    return [f"{SUMMARY}: {place} is not what the trials give" for place in _differing(stored, reckoned, ())]


def _differing(stored: object, reckoned: object, path: tuple[str, ...]) -> Iterator[str]:
    """The places at which two JSON documents differ."""
    if isinstance(stored, dict) and isinstance(reckoned, dict):
        for name in {**reckoned, **stored}:
            yield from _differing(stored.get(name), reckoned.get(name), (*path, name))
    elif isinstance(stored, float) and isinstance(reckoned, float):
        if not math.isclose(stored, reckoned, rel_tol=1e-9, abs_tol=1e-12):
            yield ".".join(path)
    elif stored != reckoned:
        yield ".".join(path) or "as a whole, it"


def _summarize_strategy(
    run: StoredRun, strategy: str, condition: Expression | None, database: duckdb.DuckDBPyConnection
) -> dict:
    plan, paths = run.plan, run.files(strategy)
    replicates, together = plan.design.replicates(plan.scenario), plan.design.trials_together(plan.scenario)
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
                f"at least {FEWEST_GIVEN} are needed: play more trials, ask for less, or leave the strategy out"
            )
            raise InvalidInput((Fault("given", str(condition), message),))
    total = reduce(merge, counted, NO_TRIALS)
    ranges = measure_ranges(plan.scenario, strategy)
    measures: dict[str, dict] = {}
    for name, quantiles in _quantiles(paths, where, counted, together, database).items():
        measures[name] = {
            "count": total.measures[name].count,
            "mean": mean_estimate(counted, name, together, ranges[name]),
            "quantiles": {level: found["estimate"] for level, found in quantiles.items()},
            "quantile_intervals": {
                level: {"low": found["low"], "high": found["high"]} for level, found in quantiles.items()
            },
            "quantiles_exact": True,
        }
    if plan.scenario.deficit is not None:
        measures[SHARE_OF_DEFICIT] = _scaled(measures["balance_change"], 1.0 / plan.scenario.deficit)
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
        f"SELECT trial % {replicates}, count(*), {', '.join(sums)} FROM committed(?) WHERE {where} GROUP BY 1",
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
    counted: tuple[Tally, ...],
    together: int,
    database: duckdb.DuckDBPyConnection,
) -> dict[str, dict[str, Estimate]]:
    """Quantiles of each measure over its numbers that are not null, with their 95 % intervals."""
    numbers = {
        name: reduce(merge_moments, (tally.measures[name] for tally in counted), NO_NUMBERS) for name in MEASURES
    }
    numbers = {name: found for name, found in numbers.items() if found.count}
    at: dict[str, dict[float, float]] = {name: {} for name in numbers}
    if len(counted) == 1:
        bounds = {name: [quantile_bounds(found.count, level) for level in LEVELS] for name, found in numbers.items()}
    else:
        at = _ask_quantiles(paths, where, dict.fromkeys(numbers, LEVELS), numbers, database)
        bounds = _bounds_of_replicates(paths, where, at, counted, together, database)
    wanted = {
        name: sorted({level for pair in pairs for level in pair if level is not None}.union(LEVELS) - at[name].keys())
        for name, pairs in bounds.items()
    }
    asked = _ask_quantiles(paths, where, wanted, numbers, database)
    nothing: dict[str, Estimate] = {str(level): dict.fromkeys(("estimate", "low", "high")) for level in LEVELS}
    quantiles = dict.fromkeys(MEASURES, nothing)
    for name, pairs in bounds.items():
        values: dict[float | None, float | None] = dict([(None, None), *at[name].items(), *asked[name].items()])
        quantiles[name] = {
            str(level): {"estimate": values[level], "low": values[low], "high": values[high]}
            for level, (low, high) in zip(LEVELS, pairs, strict=True)
        }
    return quantiles


def _ask_quantiles(
    paths: list[str],
    where: str,
    levels: Mapping[str, Sequence[float]],
    numbers: Mapping[str, Moments],
    database: duckdb.DuckDBPyConnection,
) -> dict[str, dict[float, float]]:
    """By measure and level the smallest value whose share is at least the level.

    As many measures are asked about at once as can be held in memory together: fewer reads of the same files.
    """
    found: dict[str, dict[float, float]] = {}
    for names in _held_together(numbers):
        asked = ", ".join(f'quantile_disc("{name}", {list(levels[name])}::DOUBLE[])' for name in names)
        row = database.execute(f"SELECT {asked} FROM committed(?) WHERE {where}", [paths]).fetchone() or ()
        for name, values in zip(names, row, strict=True):
            found[name] = dict(zip(levels[name], map(float, values), strict=True))
    for name in numbers.keys() - found.keys():
        if not levels[name]:
            found[name] = {}
            continue
        source = f'FROM committed(?) WHERE {where} AND "{name}" IS NOT NULL'
        values = _select(f'"{name}"::DOUBLE', source, paths, levels[name], numbers[name], database)
        found[name] = dict(zip(levels[name], values, strict=True))
    return found


def _held_together(numbers: Mapping[str, Moments]) -> list[list[str]]:
    """Measures in groups of at most `EXACT_NUMBERS` numbers; without those that have more by themselves."""
    groups: list[list[str]] = []
    room = 0
    for name, found in numbers.items():
        if found.count > EXACT_NUMBERS:
            continue
        if found.count > room:
            groups.append([])
            room = EXACT_NUMBERS
        groups[-1].append(name)
        room -= found.count
    return groups


def _select(
    number: str,
    source: str,
    paths: list[str],
    levels: Sequence[float],
    numbers: Moments,
    database: duckdb.DuckDBPyConnection,
) -> list[float]:
    """Exact quantiles of more numbers than can be held: count them by bins, then by value in the bins that matter."""
    width = (numbers.greatest - numbers.least) / BINS or 1.0
    place = f"least({BINS - 1}, floor(({number} - {numbers.least!r}::DOUBLE) / {width!r}::DOUBLE)::INTEGER)"
    binned = database.execute(
        f"SELECT {place} AS bin, count(*) {source} GROUP BY bin ORDER BY bin", [paths]
    ).fetchnumpy()
    bins, up_to = np.asarray(binned["bin"]), np.cumsum(binned["count_star()"])
    ranks = np.ceil(np.round(np.array(levels) * numbers.count, 6)).clip(1, numbers.count).astype(np.int64)
    chosen = np.unique(np.searchsorted(up_to, ranks))
    # Numbers of the bins between the chosen ones are counted, not looked at.
    valued = database.execute(
        f"SELECT {place} AS bin, {number} AS value, count(*) AS trials {source} "
        f"AND {place} IN ({', '.join(map(str, bins[chosen]))}) GROUP BY bin, value ORDER BY value",
        [paths],
    ).fetchnumpy()
    values, trials = np.asarray(valued["value"]), np.asarray(valued["trials"])
    inside = np.searchsorted(bins[chosen], np.asarray(valued["bin"]))
    before = (up_to - np.diff(up_to, prepend=0))[chosen]
    within = np.cumsum(trials) - np.concatenate([[0], np.cumsum(np.bincount(inside, trials))])[inside].astype(np.int64)
    return [float(value) for value in values[np.searchsorted(before[inside] + within, ranks)]]


def _bounds_of_replicates(
    paths: list[str],
    where: str,
    quantiles: Mapping[str, Mapping[float, float]],
    counted: tuple[Tally, ...],
    together: int,
    database: duckdb.DuckDBPyConnection,
) -> dict[str, list[Bounds]]:
    """The levels between which each measure's quantiles lie: from the replicates' shares of numbers below them."""
    shares = [
        f'count_if("{name}"::DOUBLE {sign} {at[level]!r}::DOUBLE)'
        for name, at in quantiles.items()
        for level in LEVELS
        for sign in ("<", "<=")
    ]
    asked = ", ".join([f"trial % {len(counted)}", *shares])
    rows = database.execute(f"SELECT {asked} FROM committed(?) WHERE {where} GROUP BY 1", [paths]).fetchall()
    found = {replicate: counts for replicate, *counts in rows}
    nothing = [0] * len(shares)
    columns = iter(zip(*(found.get(replicate, nothing) for replicate in range(len(counted))), strict=True))
    return {
        name: [
            quantile_bounds_of_replicates(
                level, next(columns), next(columns), [tally.measures[name].count for tally in counted], together
            )
            for level in LEVELS
        ]
        for name in quantiles
    }


def _scaled(measure: dict, factor: float) -> dict:
    def scale(numbers: dict) -> dict:
        return {key: None if value is None else value * factor for key, value in numbers.items()}

    return {
        **measure,
        "mean": scale(measure["mean"]),
        "quantiles": scale(measure["quantiles"]),
        "quantile_intervals": {level: scale(found) for level, found in measure["quantile_intervals"].items()},
    }
