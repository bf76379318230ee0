"""The trials of a stored run: which are committed, and reading them without loading them all."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb
import numpy as np

from cluster.query.committed import CommittedShards, damaged, finished_shards, read_footers
from cluster.query.memory_cache import MemoryCache
from cluster.query.parquet_files import open_parquet, read_row_group
from cluster.query.session import check_time, open_duckdb, sql_text
from cluster.query.shard_columns import ShardColumns, open_shard
from cluster.results.plan import Plan, Shard
from cluster.results.result_folder import (
    RUN,
    SCENARIO,
    committed_tallies,
    read_json,
    recorded_plan,
    shard_path,
)
from cluster.results.shard_blocks import Block, place_of, read_block
from cluster.results.trial_table import table_columns
from cluster.storage.address import open_folder
from cluster.storage.base import Entry, Folder
from sim.faults import Fault, InvalidInput
from sim.scenario.columns import Column
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import TRUTH, Expression
from sim.scenario.scenario import scenario_hash
from sim.statistics.tallies import Tally

BLOCK = 262_144
"""Trials read at a time: four row groups."""
CODE = "code"
"""The name of a block's sum over strategies; no column is called so."""


@dataclass(frozen=True)
class StoredRun:
    """A run in its result folder, finished or not.

    `cache` holds what answers of this process have read of stored runs. `ray_address` is that of a Ray on which answers
    are computed if the run is large (see `cluster.query.shard_map`); its nodes reach `folder` under the same address.
    """

    plan: Plan
    folder: Folder
    cache: MemoryCache[Any] | None = None
    ray_address: str | None = None

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.folder.entries()}

    @cached_property
    def _read(self) -> CommittedShards:
        found = read_footers(self.folder, self.plan, self._entries, self.cache)
        if self._finished is not None:
            read = {shard for own in found.shards.values() for shard in own}
            lost = next((shard for own in self._finished.values() for shard in own if shard not in read), None)
            if lost is not None:
                # The file is no longer as it was. If it cannot be opened, that error says more.
                with self.folder.open(shard_path(lost)):
                    raise damaged(shard_path(lost))
        return found

    @cached_property
    def _finished(self) -> Mapping[str, list[Shard]] | None:
        return finished_shards(self.folder, self.plan, self._entries, self.cache)

    @cached_property
    def _shards(self) -> Mapping[str, list[Shard]]:
        """By strategy the committed shards. Raises `DamagedTrials`."""
        return self._read.shards if self._finished is None else self._finished

    def all_shards(self, strategy: str) -> list[Shard]:
        """A strategy's committed shards, with their rows or reduced, in the order of their trials.

        Raises `DamagedTrials` if a file that was committed before, as the manifest says, is missing or damaged.
        """
        return self._shards[strategy]

    def block(self, shards: Sequence[Shard]) -> Block | None:
        """The stored block of just these shards, None if there is none (see `cluster.results.shard_blocks`)."""
        return read_block(self.folder, self.plan, place_of(shards[0]), self._entries, shards)

    @property
    def committed(self) -> list[Shard]:
        """The committed shards of all strategies, strategy by strategy."""
        return [shard for shards in self._shards.values() for shard in shards]

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the folder's files by name; none without a cache. A file with the same tag is the same."""
        return {} if self.cache is None else self._tags

    @cached_property
    def _tags(self) -> dict[str, str]:
        return {name: entry.tag for name, entry in self._entries.items()}

    def open_shard(self, shard: Shard) -> AbstractContextManager[ShardColumns]:
        """The columns of a committed shard."""
        return open_shard(self.folder, shard, self.cache, self.tags.get(shard_path(shard)))

    def shards(self, strategy: str) -> list[Shard]:
        """A strategy's committed shards whose rows are kept, in the order of their trials."""
        return [shard for shard in self.all_shards(strategy) if not shard.reduced]

    def tallies(self, strategy: str) -> tuple[Tally, ...]:
        """The tallies of each replicate of a strategy's committed trials. Raises `DamagedTrials`."""
        return self._read.tallies[strategy]

    def files(self, strategy: str) -> list[str]:
        """The names of the Parquet files of `shards`."""
        return [shard_path(shard) for shard in self.shards(strategy)]


def open_run(address: str | os.PathLike[str], ray_address: str | None = None) -> StoredRun:
    """The run in a result folder. Raises `InvalidInput` if there is none, or none of its trials is committed.

    `ray_address` is as in `StoredRun`.
    """
    folder = open_folder(address)
    try:
        found = StoredRun(recorded_plan(folder), folder, ray_address=ray_address)
    except (FileNotFoundError, NotADirectoryError):
        held = {entry.name for entry in folder.entries()}
        lacking = next((name for name in (SCENARIO, RUN) if name not in held), RUN)
        what = f"it holds no {lacking}" if held else "there is no such folder, or it is empty"
        raise InvalidInput((Fault("run", folder.address, f"must be a run's result folder: {what}"),)) from None
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


def kept_rows_note(run: StoredRun) -> str:
    """A note for an answer from rows about a run that does not keep all of them."""
    plan = run.plan
    return (
        f"from the rows of the first {plan.row_trials:,} of {plan.trials:,} trials of each strategy: the run keeps no "
        "others"
    )


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
    shard = plan.shard_with(strategy, trial)
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
def trials_table(run: StoredRun, strategies: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the committed trials of some strategies as the view ``trials``, the strategy among its columns."""
    files = {strategy: run.files(strategy) for strategy in strategies}
    if not any(files.values()):
        raise NoTrialsYet(
            (Fault("run", run.folder.address, f"has no committed trials of {', '.join(strategies)} yet"),)
        )
    with open_duckdb(run.folder) as database:
        parts = [
            f"SELECT *, {sql_text(strategy)} AS strategy FROM committed([{', '.join(map(sql_text, names))}])"
            for strategy, names in files.items()
            if names
        ]
        database.execute(f"CREATE VIEW trials AS {' UNION ALL BY NAME '.join(parts)}")
        yield database


@dataclass(frozen=True)
class Reading:
    """What is read of the same trials of several strategies: values, flags, and under which condition.

    `flags` are conditions that are read as truth values, where `values` has 0 and 1 for them.

    `code` has a number of each of some strategies, which need not be among `strategies` and whose trials need not
    agree with the condition. The sum of these numbers in the same trial is returned under the first strategy as
    ``code`` (int64).
    """

    strategies: tuple[str, ...]
    values: Mapping[str, Expression]
    given: Expression | None = None
    code: Mapping[str, Expression] | None = None
    flags: Mapping[str, Expression] = field(default_factory=dict)

    @property
    def codes(self) -> Mapping[str, Expression]:
        """The numbers whose sum is a trial's code, by strategy."""
        return self.code or {}

    @property
    def read(self) -> tuple[str, ...]:
        """The strategies whose files are read."""
        return tuple(dict.fromkeys((*self.strategies, *self.codes)))

    def of_strategy(self, strategy: str) -> dict[str, Expression]:
        """What is read of a strategy."""
        return {
            **(self.values if strategy in self.strategies else {}),
            **({CODE: self.codes[strategy]} if strategy in self.codes else {}),
        }


def paired_blocks(
    run: StoredRun,
    strategies: Sequence[str],
    values: Mapping[str, Expression],
    *,
    given: Expression | None = None,
) -> Iterator[dict[str, dict[str, np.ndarray]]]:
    """The values of the same trials under several strategies, a block at a time in the order of trials.

    Each block maps a strategy to float64 arrays by name (NaN for null; a condition as 0 and 1), with the trials'
    numbers as ``trial`` (int64). All arrays of a block have the same shape, and rows at the same position are the same
    trial. With a condition `given`, only the trials for which it holds under each of the strategies. Trials that are
    not committed under all strategies are left out.
    """
    reading = Reading(tuple(strategies), values, given)
    for shards in same_trials(run, reading.read):
        yield from read_blocks(run, shards, reading)


def blocks_of(shard: Shard) -> Iterator[tuple[int, int]]:
    """The first trial and the number of trials of each block that is read at a time."""
    stop = shard.first + shard.count
    return ((first, min(BLOCK, stop - first)) for first in range(shard.first, stop, BLOCK))


SameTrials = Mapping[str, Shard]
"""Shards of the same trials, by strategy."""


def same_trials(run: StoredRun, strategies: Sequence[str]) -> list[SameTrials]:
    """The trials that are committed under all of some strategies, as their shards, in order."""
    shards = [{shard.index: shard for shard in run.shards(strategy)} for strategy in strategies]
    return [
        dict(zip(strategies, (own[index] for own in shards), strict=True))
        for index in shards[0]
        if all(index in own for own in shards)
    ]


def read_blocks(
    run: StoredRun, shards: SameTrials, reading: Reading, most: int | None = None
) -> Iterator[dict[str, dict[str, np.ndarray]]]:
    """The blocks of some shards, of all strategies that are read. As `paired_blocks`; blocks without trials are left
    out, and after the first `most` trials nothing is read.
    """
    strategies = reading.strategies
    first = strategies[0]
    shard = shards[first]
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    with ExitStack() as opened:
        files = {strategy: opened.enter_context(run.open_shard(shards[strategy])) for strategy in reading.read}
        for start, count in blocks_of(shard):
            check_time()
            rows = _rows(files, known, reading, start, count, most)
            size = count if rows is None else rows.size
            if not size:
                continue
            most = None if most is None else most - size
            trial = np.arange(start, start + count) if rows is None else rows + start
            block = {
                strategy: {"trial": trial, **_read(file, known, reading.of_strategy(strategy), start, count, rows)}
                for strategy, file in files.items()
            }
            if reading.flags:
                for strategy in strategies:
                    found = read_values(files[strategy], known, reading.flags.values(), start, count, rows)
                    block[strategy] |= {name: found[value] for name, value in reading.flags.items()}
            if reading.codes:
                total = np.sum([block[strategy].pop(CODE) for strategy in reading.codes], axis=0)
                block = {strategy: block[strategy] for strategy in strategies}
                block[first][CODE] = total.astype(np.int64)
            yield block
            if most == 0:
                return


def _rows(
    files: Mapping[str, ShardColumns],
    known: Mapping[str, Column],
    reading: Reading,
    start: int,
    count: int,
    most: int | None,
) -> np.ndarray | None:
    """The first places in a block, at most `most`, where the condition holds under each strategy; None for all."""
    given = reading.given
    if given is None:
        return None if most is None or most >= count else np.arange(most)
    held = [read_values(files[strategy], known, [given], start, count)[given] for strategy in reading.strategies]
    rows = np.flatnonzero(np.logical_and.reduce(held))[:most]
    return None if rows.size == count else rows


def _read(
    file: ShardColumns,
    known: Mapping[str, Column],
    values: Mapping[str, Expression],
    start: int,
    count: int,
    rows: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Values of the trials of a block, of all without `rows`."""
    found = read_values(file, known, values.values(), start, count, rows)
    return {name: found[value].astype(np.float64, copy=False) for name, value in values.items()}


def read_values(
    file: ShardColumns,
    known: Mapping[str, Column],
    wanted: Iterable[Expression],
    first: int,
    count: int,
    rows: np.ndarray | None = None,
) -> dict[Expression, np.ndarray]:
    """The values of expressions in `count` trials of a shard, from the trial `first` on, as `evaluate` has them.

    With `rows`, of the trials at these places alone. Values are kept in memory as columns are, so that a condition is
    evaluated once for all answers. A mere column is kept as it is. A condition that holds in none of the trials by the
    statistics of the file is not evaluated. The arrays must not be changed.
    """
    wanted = list(dict.fromkeys(wanted))
    found = {one: None if one.operation == "column" else file.find(one, first, count) for one in wanted}
    missing = [one for one, values in found.items() if values is None]
    nowhere = [one for one in missing if one.kind == TRUTH and not file.may_hold(one, first, count)]
    missing = [one for one in missing if one not in nowhere]
    columns = set().union(*(one.columns() for one in missing))
    values = {one: _at(values, rows) for one, values in found.items() if values is not None}
    values |= dict.fromkeys(nowhere, np.zeros(count if rows is None else rows.size, bool))
    if not missing:
        return values
    table = file.read([known[name] for name in sorted(columns)], first, count)
    for one in missing:
        if one.operation == "column":
            # Its trials are taken before they are converted.
            own = {name: _at(table[name], rows) for name in ("trial", str(one.value))}
            values[one] = evaluate(one, own, known)
            continue
        whole = evaluate(one, table, known)
        file.put(one, first, count, whole)
        values[one] = _at(whole, rows)
    return values


def _at(values: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    return values if rows is None else values.take(rows)
