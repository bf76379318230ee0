"""Answers from a result folder: the summary of what is committed."""

import tempfile
from functools import reduce
from pathlib import Path

import duckdb

from cluster.plan import Plan
from cluster.store import committed_tally, shard_path
from sim.estimates import (
    MEASURES,
    NO_TRIALS,
    Tally,
    event_estimates,
    mean,
    merge,
    method_note,
    outcome_estimates,
)

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MEMORY_LIMIT = "1GB"


def summarize(plan: Plan, folder: Path) -> dict:
    """The summary of a run from the shards committed so far, as ``summary.json`` has it.

    Probabilities and means come from the tallies in the files' footers; quantiles are exact, read from the
    trials a column at a time.
    """
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        database.execute("SET temp_directory = ?", [scratch])
        strategies = {strategy: _summarize_strategy(plan, folder, strategy, database) for strategy in plan.strategies}
    return {
        "scenario": plan.scenario.name,
        "trials": plan.trials,
        "seed": plan.seed,
        "design": plan.design,
        "complete": all(found["trials"] == plan.trials for found in strategies.values()),
        "method": method_note(plan.scenario, plan.design) + "; quantiles exact",
        "strategies": strategies,
    }


def _summarize_strategy(plan: Plan, folder: Path, strategy: str, database: duckdb.DuckDBPyConnection) -> dict:
    found = [
        (str(folder / shard_path(shard)), counted)
        for shard in plan.shards()
        if shard.strategy == strategy and (counted := committed_tally(folder, plan, shard)) is not None
    ]
    total = reduce(merge, (counted for _, counted in found), NO_TRIALS)
    quantiles = _quantiles([path for path, _ in found], total, database)
    deficit = plan.scenario.deficit
    measures = {
        name: {"count": numbers.count, "mean": mean(numbers), "quantiles": quantiles[name]}
        for name, numbers in total.measures.items()
    }
    if deficit is not None:
        measures["balance_change_share_of_deficit"] = _scaled(measures["balance_change"], 1.0 / deficit)
    return {
        "trials": total.trials,
        "outcome": outcome_estimates(total),
        "events": event_estimates(total),
        "measures": measures,
    }


def _quantiles(
    paths: list[str], total: Tally, database: duckdb.DuckDBPyConnection
) -> dict[str, dict[str, float | None]]:
    """Exact quantiles of every measure over its numbers that are not null."""
    found: dict[str, dict[str, float | None]] = {}
    for name in MEASURES:
        values: list | None = None
        if total.measures[name].count:
            query = f'SELECT quantile_disc("{name}", {list(LEVELS)}) FROM read_parquet(?)'
            row = database.execute(query, [paths]).fetchone()
            values = row[0] if row else None
        found[name] = {str(level): None if values is None else float(values[k]) for k, level in enumerate(LEVELS)}
    return found


def _scaled(measure: dict, factor: float) -> dict:
    def scale(numbers: dict) -> dict:
        return {key: None if value is None else value * factor for key, value in numbers.items()}

    return {**measure, "mean": scale(measure["mean"]), "quantiles": scale(measure["quantiles"])}
