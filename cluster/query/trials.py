"""The trials of a stored run: which are committed, and reading them without loading them all."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import duckdb
import numpy as np

from cluster.query.parquet_files import open_parquet, read_row_group
from cluster.query.session import check_time, open_duckdb, sql_text, to_sql
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import RUN, SCENARIO, committed_tallies, read_json, recorded_plan, shard_path
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression
from sim.scenario.scenario import scenario_hash
from sim.statistics.tallies import Tally

BLOCK = 250_000
"""Trials read at a time."""
CODE = "code"
"""The name of a block's sum over strategies; no column is called so."""


@dataclass(frozen=True)
class StoredRun:
    """A run in its result folder, finished or not."""

    plan: Plan
    folder: Folder

    @cached_property
    def committed(self) -> dict[Shard, tuple[Tally, ...]]:
        """The committed shards in the plan's order, each with its tallies."""
        found = {}
        for shard in self.plan.shards():
            check_time()
            tallies = committed_tallies(self.folder, self.plan, shard)
            if tallies is not None:
                found[shard] = tallies
        return found

    def shards(self, strategy: str) -> list[Shard]:
        """A strategy's committed shards, in the order of their trials."""
        return [shard for shard in self.committed if shard.strategy == strategy]

    def files(self, strategy: str) -> list[str]:
        """The names of the Parquet files of a strategy's committed shards, in the order of their trials."""
        return [shard_path(shard) for shard in self.shards(strategy)]


def open_run(address: str | os.PathLike[str]) -> StoredRun:
    """The run in a result folder. Raises `InvalidInput` if there is none, or none of its trials is committed."""
    folder = open_folder(address)
    held = {entry.name for entry in folder.entries()}
    lacking = next((name for name in (SCENARIO, RUN) if name not in held), None)
    if lacking is not None:
        what = f"it holds no {lacking}" if held else "there is no such folder, or it is empty"
        raise InvalidInput((Fault("run", folder.address, f"must be a run's result folder: {what}"),))
    try:
        found = StoredRun(recorded_plan(folder), folder)
    except InvalidInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"must be a run's result folder: its {RUN} cannot be read ({error})"
        raise InvalidInput((Fault("run", folder.address, message),)) from None
    document = read_json(folder, RUN)
    recorded = document.get("scenario_sha256") if isinstance(document, dict) else None
    if recorded != scenario_hash(found.plan.scenario):
        message = (
            f"was made from another scenario, or by a version of Brink with other parameters ({RUN} names the "
            f"scenario {str(recorded)[:12]}...): run it again into a new folder"
        )
        raise InvalidInput((Fault("run", folder.address, message),))
    check_any(found)
    return found


class NoTrialsYet(InvalidInput):
    """No trials are committed yet; the same request may succeed later."""


def check_any(run: StoredRun) -> None:
    """Raise `NoTrialsYet` unless some trials of the run are committed."""
    if not run.committed:
        raise NoTrialsYet((Fault("run", run.folder.address, "has no committed trials yet"),))


def chosen_strategies(run: StoredRun, strategies: Sequence[str] = ()) -> tuple[str, ...]:
    """The named strategies of a run in its order, all if none are named. Raises `InvalidInput`."""
    faults = [
        Fault("strategies", name, f"is not a strategy of this run; there are {', '.join(run.plan.strategies)}")
        for name in strategies
        if name not in run.plan.strategies
    ]
    if faults:
        raise InvalidInput(tuple(faults))
    return tuple(name for name in run.plan.strategies if name in strategies or not strategies)


def chosen_strategy(run: StoredRun, strategy: str | None = None) -> str:
    """The named strategy of a run, its first one if none is named. Raises `InvalidInput`."""
    if strategy is None:
        return run.plan.strategies[0]
    if strategy not in run.plan.strategies:
        known = ", ".join(run.plan.strategies)
        raise InvalidInput((Fault("strategy", strategy, f"is not a strategy of this run; there are {known}"),))
    return strategy


def shard_of(run: StoredRun, strategy: str, trial: int) -> Shard | None:
    """The committed shard that holds a trial of a strategy; None if it is not committed. Reads one footer."""
    check_time()
    plan = run.plan
    index = trial // plan.shard_trials
    first = index * plan.shard_trials
    shard = Shard(strategy, index, first, min(plan.shard_trials, plan.trials - first))
    return None if committed_tallies(run.folder, plan, shard) is None else shard


def stored_row(run: StoredRun, shard: Shard, trial: int) -> dict[str, object] | None:
    """A trial's row in a committed shard as plain values by column; None if the file does not have it at its position.

    Reads only the trial's row group. Raises `OSError` or `pyarrow.ArrowException` if the file is damaged.
    """
    place = trial - shard.first
    with open_parquet(run.folder, shard_path(shard)) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if place < rows:
                row: dict[str, object] = read_row_group(file, group).slice(place, 1).to_pylist()[0]
                return row if row.get("trial") == trial else None
            place -= rows
    return None


@contextmanager
def trials_table(
    run: StoredRun, strategies: Sequence[str], *, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the committed trials of some strategies as the view ``trials``, the strategy among its columns."""
    files = {strategy: run.files(strategy) for strategy in strategies}
    if not any(files.values()):
        raise NoTrialsYet(
            (Fault("run", run.folder.address, f"has no committed trials of {', '.join(strategies)} yet"),)
        )
    with open_duckdb(run.folder, threads=threads) as database:
        parts = [
            f"SELECT *, {sql_text(strategy)} AS strategy FROM committed([{', '.join(map(sql_text, names))}])"
            for strategy, names in files.items()
            if names
        ]
        database.execute(f"CREATE VIEW trials AS {' UNION ALL BY NAME '.join(parts)}")
        yield database


def sample(
    run: StoredRun,
    strategy: str,
    values: Mapping[str, Expression],
    *,
    given: Expression | None = None,
    code: Mapping[str, Expression] | None = None,
    most: int,
) -> dict[str, np.ndarray]:
    """The values of the first trials of a strategy (at most `most`) for which a condition holds.

    float64 arrays by name, NaN for null, and the trials' numbers as ``trial`` (int64). The first trials are a random
    sample: trials of a `random` design are independent, and those of the other designs are in random order. Raises
    `InvalidInput` for a saltelli run, whose trials are not a sample.
    """
    return paired_sample(run, (strategy,), values, given=given, code=code, most=most)[strategy]


def paired_sample(
    run: StoredRun,
    strategies: Sequence[str],
    values: Mapping[str, Expression],
    *,
    shared: Mapping[str, Expression] | None = None,
    given: Expression | None = None,
    code: Mapping[str, Expression] | None = None,
    most: int,
) -> dict[str, dict[str, np.ndarray]]:
    """The first trials (at most `most`) of several strategies in one, as `paired_blocks` gives them in blocks.

    Raises `InvalidInput` for a saltelli run, whose trials share points and are not a sample.
    """
    if not run.plan.design.is_sample:
        message = "has trials that share points, for indices: play a run of another design for this answer"
        raise InvalidInput((Fault("run", run.plan.design.name, message),))
    blocks = []
    found = 0
    for block in paired_blocks(run, strategies, values, shared=shared, given=given, code=code):
        blocks.append(block)
        found += len(block[strategies[0]]["trial"])
        if found >= most:
            break
    if blocks:
        return {
            strategy: {name: np.concatenate([block[strategy][name] for block in blocks])[:most] for name in own}
            for strategy, own in blocks[0].items()
        }
    nothing = {"trial": np.empty(0, np.int64), **{name: np.empty(0) for name in values}}
    of_first = {name: np.empty(0) for name in shared or {}} | ({CODE: np.empty(0, np.int64)} if code else {})
    return {strategy: nothing | (of_first if strategy == strategies[0] else {}) for strategy in strategies}


def paired_blocks(
    run: StoredRun,
    strategies: Sequence[str],
    values: Mapping[str, Expression],
    *,
    shared: Mapping[str, Expression] | None = None,
    given: Expression | None = None,
    code: Mapping[str, Expression] | None = None,
) -> Iterator[dict[str, dict[str, np.ndarray]]]:
    """The values of the same trials under several strategies, a block at a time in the order of trials.

    Each block maps a strategy to float64 arrays by name (NaN for null; a condition as 0 and 1), with the trials'
    numbers as ``trial`` (int64). All arrays of a block have the same shape, and rows at the same position are the same
    trial. With a condition `given`, only the trials for which it holds under each of the strategies. Trials that are
    not committed under all strategies are left out. The `shared` values, which are the same under all strategies, are
    read and returned under the first only.
    `code` has a number of each of some strategies, which need not be among `strategies` and whose trials need not
    agree with the condition. The sum of these numbers in the same trial is returned under the first strategy as
    ``code`` (int64).
    """
    first = strategies[0]
    read = {strategy: dict(values) for strategy in strategies}
    read[first] |= shared or {}
    for strategy, number in (code or {}).items():
        read.setdefault(strategy, {})[CODE] = number
    shards = {strategy: {shard.index: shard for shard in run.shards(strategy)} for strategy in read}
    with open_duckdb(run.folder) as database:
        for index, shard in shards[first].items():
            if not all(index in shards[strategy] for strategy in read):
                continue
            for start in range(shard.first, shard.first + shard.count, BLOCK):
                check_time()
                block = {
                    strategy: _read(
                        database,
                        shard_path(shards[strategy][index]),
                        own,
                        given if strategy in strategies else None,
                        start,
                    )
                    for strategy, own in read.items()
                }
                held = np.logical_and.reduce([part.pop("given") for part in block.values()])
                if code:
                    total = np.sum([block[strategy].pop(CODE) for strategy in code], axis=0)
                    block = {strategy: block[strategy] for strategy in strategies}
                    block[first][CODE] = total.astype(np.int64)
                if held.any():
                    yield {
                        strategy: {name: column[held] for name, column in part.items()}
                        for strategy, part in block.items()
                    }


def _read(
    database: duckdb.DuckDBPyConnection,
    file: str,
    values: Mapping[str, Expression],
    given: Expression | None,
    start: int,
) -> dict[str, np.ndarray]:
    wanted = [f"({to_sql(value)})::DOUBLE AS v{k}" for k, value in enumerate(values.values())]
    held = "true" if given is None else to_sql(given)
    columns = database.execute(
        f"SELECT {', '.join(['trial', f'{held} AS given', *wanted])} FROM committed(?) "
        "WHERE trial >= ? AND trial < ? ORDER BY trial",
        [[file], start, start + BLOCK],
    ).fetchnumpy()
    return {
        "trial": np.asarray(columns["trial"]),
        "given": np.asarray(columns["given"]),
        **{name: np.ma.filled(columns[f"v{k}"], np.nan) for k, name in enumerate(values)},
    }
