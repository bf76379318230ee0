"""The summary of a run: outcomes, events and measures of each strategy, with their Monte Carlo error."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, reduce
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa

from cluster.answers import shared
from cluster.answers.entry import (
    Answer,
    Computed,
    Estimate,
    GivenRequest,
    OnProgress,
    Result,
    StrategiesRequest,
)
from cluster.answers.held_trials import HeldTrials, held_together, ranks
from cluster.answers.recount import RecountedTrials
from cluster.query.session import open_duckdb, to_sql
from cluster.query.trials import StoredRun, chosen_strategies
from cluster.results.plan import Plan
from cluster.results.result_folder import SUMMARY, TRIALS_FOLDER, read_json
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression, parse_condition
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, NAMED, OUTCOMES, SHARE_OF_DEFICIT
from sim.scenario.warnings import scenario_warnings, warning_documents
from sim.statistics.measure_ranges import measure_ranges
from sim.statistics.quantile_bounds import quantile_bounds_of_counts, quantile_bounds_of_replicates
from sim.statistics.tallies import NO_NUMBERS, NO_TRIALS, Moments, Tally, merge, merge_moments, merge_replicates
from sim.statistics.tally_estimates import event_estimates, mean_estimate, method_note, outcome_estimates

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
BINS = 65_536


class SummaryRequest(StrategiesRequest, GivenRequest):
    """Under which strategies and condition."""


class QuantileInterval(Result):
    """A quantile's 95 % interval; null where it has no bound."""

    low: float | None
    high: float | None


class MeasureSummary(Result):
    """A measure over the trials that know it."""

    count: int
    mean: Estimate
    quantiles: dict[str, float | None]
    quantile_intervals: dict[str, QuantileInterval]
    quantiles_exact: bool


class StrategySummary(Result):
    """What became of a strategy's trials."""

    trials: int
    trials_played: int
    outcome: dict[str, Estimate]
    events: dict[str, Estimate]
    measures: dict[str, MeasureSummary]


class ScenarioWarning(Result):
    """A value of the scenario that is allowed but is probably a mistake."""

    field: str
    message: str


class Summary(Result):
    """The summary of a run, in the form of ``summary.json``."""

    given: str | None = None
    scenario: str
    trials: int
    seed: int
    design: str
    complete: bool
    method: str
    strategies: dict[str, StrategySummary]
    warnings: tuple[ScenarioWarning, ...] = ()


def summary(run: StoredRun, request: SummaryRequest, on_progress: OnProgress) -> Computed:
    """The summary as `summarize` makes it."""
    found = Summary.model_validate(summarize(run, request.given, strategies=request.strategies))
    used = sum(one.trials for one in found.strategies.values())
    return Computed(found, tuple(found.strategies), used, {"errors": found.method})


def summarize(run: StoredRun, given: str | None = None, *, strategies: Sequence[str] = ()) -> dict:
    """The summary of a run from the shards committed so far, as ``summary.json`` has it.

    Probabilities and means come from the tallies in the files' footers; quantiles are read from the trials a
    column at a time. With `given`, a condition over the columns, all is computed over the trials for which it
    holds; with `strategies`, under these alone. Raises `InvalidInput` for a strategy that was not played, and for a
    condition that cannot be read or leaves too few trials.
    """
    plan = run.plan
    condition = parse_condition(given, plan.scenario) if given is not None else None
    chosen = chosen_strategies(run, strategies)
    with ExitStack() as opened:
        # Opened where it is needed alone: it takes longer than a small run's summary.
        database = cache(lambda: opened.enter_context(open_duckdb(run.folder)))
        summaries = {strategy: _summarize_strategy(run, strategy, condition, database) for strategy in chosen}
    summary = _document(plan, summaries)
    return summary if condition is None else {"given": str(condition), **summary}


def recount(run: StoredRun) -> dict:
    """The summary of a run, counted from its files alone: neither their footers nor DuckDB are used.

    Raises `ValueError` if a file's trials are not those that it should hold.
    """
    summaries = {}
    for strategy in run.plan.strategies:
        trials = RecountedTrials(run, strategy)
        counted = trials.tallies()
        played = sum(tally.trials for tally in counted)
        summaries[strategy] = _strategy_document(run.plan, strategy, counted, played, trials)
    return _document(run.plan, summaries)


def _document(plan: Plan, summaries: dict[str, dict]) -> dict:
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
    return summary


def verify_summary(run: StoredRun) -> list[str]:
    """Where ``summary.json`` differs from the stored trials, a line a finding; nothing without one.

    The numbers are counted again from the files by `recount`, which shares no reader with `summarize`. They may
    differ by a billionth, because other versions of the libraries round the last bits in another way.
    """
    try:
        stored = read_json(run.folder, SUMMARY)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [f"{SUMMARY}: cannot be read: {error}"]
    try:
        recounted = json.loads(json.dumps(recount(run)))
    except (OSError, ValueError, pa.ArrowException) as error:
        return [f"{TRIALS_FOLDER}: cannot be counted: {error}"]
    return [f"{SUMMARY}: {place} is not what the trials give" for place in _differing(stored, recounted, ())]


def _differing(stored: object, recounted: object, path: tuple[str, ...]) -> Iterator[str]:
    """The places at which two JSON documents differ."""
    if isinstance(stored, dict) and isinstance(recounted, dict):
        for name in {**recounted, **stored}:
            yield from _differing(stored.get(name), recounted.get(name), (*path, name))
    elif isinstance(stored, float) and isinstance(recounted, float):
        if not math.isclose(stored, recounted, rel_tol=1e-9, abs_tol=1e-12):
            yield ".".join(path)
    elif stored != recounted:
        yield ".".join(path) or "as a whole, it"


def _summarize_strategy(
    run: StoredRun,
    strategy: str,
    condition: Expression | None,
    database: Callable[[], duckdb.DuckDBPyConnection],
) -> dict:
    plan, paths = run.plan, run.files(strategy)
    replicates = plan.design.replicates(plan.scenario)
    committed = (run.committed[shard] for shard in run.shards(strategy))
    counted = reduce(merge_replicates, committed, (NO_TRIALS,) * replicates)
    played = sum(tally.trials for tally in counted)
    where = "true"
    if condition is not None:
        where = to_sql(condition)
        counted = _tally(paths, where, replicates, plan.scenario, database())
        left = sum(tally.trials for tally in counted)
        if left < shared.FEWEST_GIVEN:
            message = (
                f"leaves {left} of {played} trials of {strategy}, too few for an answer; "
                f"at least {shared.FEWEST_GIVEN} are needed: play more trials, ask for less, or leave the strategy out"
            )
            raise InvalidInput((Fault("given", str(condition), message),))
    trials: _Trials
    if condition is None and played <= shared.EXACT_NUMBERS:
        trials = HeldTrials(run, strategy)
    else:
        trials = _BySql(paths, where, database())
    return _strategy_document(plan, strategy, counted, played, trials)


def _strategy_document(plan: Plan, strategy: str, counted: tuple[Tally, ...], played: int, trials: "_Trials") -> dict:
    together = plan.design.trials_together(plan.scenario)
    total = reduce(merge, counted, NO_TRIALS)
    ranges = measure_ranges(plan.scenario, strategy)
    measures: dict[str, dict] = {}
    for name, quantiles in _quantiles(trials, counted, together).items():
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


class _Trials(Protocol):
    """Trials whose numbers can be selected and counted."""

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level the smallest value whose share is at least the level."""
        ...

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are less than, and at most, the value there."""
        ...


@dataclass(frozen=True)
class _BySql:
    """The trials of files for which a condition holds, read by DuckDB."""

    files: list[str]
    where: str
    database: duckdb.DuckDBPyConnection

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        return _ask_quantiles(self.files, self.where, levels, numbers, self.database)

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        shares = [
            f'count_if("{name}"::DOUBLE {sign} {value!r}::DOUBLE)'
            for name, values in at.items()
            for value in values.values()
            for sign in ("<", "<=")
        ]
        asked = ", ".join([f"trial % {replicates}", *shares])
        query = f"SELECT {asked} FROM committed(?) WHERE {self.where} GROUP BY 1"
        found = {replicate: counts for replicate, *counts in self.database.execute(query, [self.files]).fetchall()}
        nothing = [0] * len(shares)
        columns = iter(zip(*(found.get(replicate, nothing) for replicate in range(replicates)), strict=True))
        return {
            name: {level: (list(next(columns)), list(next(columns))) for level in values} for name, values in at.items()
        }


def _quantiles(
    trials: _Trials, counted: tuple[Tally, ...], together: int
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Quantiles of each measure over its numbers that are not null, with their 95 % intervals."""
    numbers = {
        name: reduce(merge_moments, (tally.measures[name] for tally in counted), NO_NUMBERS) for name in MEASURES
    }
    numbers = {name: found for name, found in numbers.items() if found.count}
    at: dict[str, dict[float, float]] = {name: {} for name in numbers}
    if len(counted) == 1:
        counts = [found.count for found in numbers.values()]
        bounds = dict(zip(numbers, quantile_bounds_of_counts(counts, LEVELS), strict=True))
    else:
        at = trials.quantiles(dict.fromkeys(numbers, LEVELS), numbers)
        bounds = {
            name: [
                quantile_bounds_of_replicates(
                    level, *found[level], [tally.measures[name].count for tally in counted], together
                )
                for level in LEVELS
            ]
            for name, found in trials.below(at, len(counted)).items()
        }
    wanted = {
        name: sorted({level for pair in pairs for level in pair if level is not None}.union(LEVELS) - at[name].keys())
        for name, pairs in bounds.items()
    }
    asked = trials.quantiles(wanted, numbers)
    nothing: dict[str, dict[str, float | None]] = {
        str(level): dict.fromkeys(("estimate", "low", "high")) for level in LEVELS
    }
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
    for names in held_together(numbers):
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
    wanted = ranks(levels, numbers.count)
    chosen = np.unique(np.searchsorted(up_to, wanted))
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
    return [float(value) for value in values[np.searchsorted(before[inside] + within, wanted)]]


def _scaled(measure: dict, factor: float) -> dict:
    def scale(numbers: dict) -> dict:
        return {key: None if value is None else value * factor for key, value in numbers.items()}

    return {
        **measure,
        "mean": scale(measure["mean"]),
        "quantiles": scale(measure["quantiles"]),
        "quantile_intervals": {level: scale(found) for level, found in measure["quantile_intervals"].items()},
    }


ANSWER = Answer(
    name="summary",
    sentence="Outcomes, events and measures of each strategy, with their Monte Carlo error.",
    request=SummaryRequest,
    result=Summary,
    compute=summary,
    examples=({"given": "agreement_week > 2"}, {}),
    bare=True,
)
