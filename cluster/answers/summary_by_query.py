"""Trials of a run for which a condition holds, or too many to be held in memory, read by DuckDB for the summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from cluster.answers.summary_in_memory import measures_by_memory, ranks
from cluster.query.session import to_sql
from sim.scenario.expressions import parse_condition
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, NAMED, OUTCOMES
from sim.statistics.tallies import NO_NUMBERS, NO_TRIALS, Moments, Tally

BINS = 65_536
"""Bins of equal width in which numbers are counted where they do not fit in memory."""


@dataclass(frozen=True)
class QueriedTrials:
    """The trials of files for which a condition holds, read by DuckDB."""

    files: list[str]
    where: str
    database: duckdb.DuckDBPyConnection

    def tallies(self, scenario: Scenario, replicates: int) -> tuple[Tally, ...]:
        """The tallies of each replicate."""
        if not self.files:
            return (NO_TRIALS,) * replicates
        named = {name: to_sql(parse_condition(NAMED[name], scenario)) for name in (*OUTCOMES, *EVENTS)}
        sums = [f"count_if({condition})" for condition in named.values()]
        for name in MEASURES:
            number = f'"{name}"::DOUBLE'
            sums.append(
                f"struct_pack(n := count({number}), mean := avg({number}), v := var_pop({number}), "
                f"low := min({number}), high := max({number}))"
            )
        rows = self.database.execute(
            f"SELECT trial % {replicates}, count(*), {', '.join(sums)} FROM committed(?) WHERE {self.where} GROUP BY 1",
            [self.files],
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

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level the smallest value whose share is at least the level.

        One query covers as many measures as can be held in memory together, so that files are read less often.
        """
        found: dict[str, dict[float, float]] = {}
        for names in measures_by_memory(numbers):
            asked = ", ".join(f'quantile_disc("{name}", {list(levels[name])}::DOUBLE[])' for name in names)
            row = (
                self.database.execute(f"SELECT {asked} FROM committed(?) WHERE {self.where}", [self.files]).fetchone()
                or ()
            )
            for name, values in zip(names, row, strict=True):
                found[name] = dict(zip(levels[name], map(float, values), strict=True))
        for name in numbers.keys() - found.keys():
            if not levels[name]:
                found[name] = {}
                continue
            source = f'FROM committed(?) WHERE {self.where} AND "{name}" IS NOT NULL'
            values = _select(f'"{name}"::DOUBLE', source, self.files, levels[name], numbers[name], self.database)
            found[name] = dict(zip(levels[name], values, strict=True))
        return found

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are less than, and at most, the value there."""
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


def _select(
    number: str,
    source: str,
    paths: list[str],
    levels: Sequence[float],
    numbers: Moments,
    database: duckdb.DuckDBPyConnection,
) -> list[float]:
    """Exact quantiles of more numbers than fit in memory: count them by bin, then by value in the bins of the
    quantiles.
    """
    width = (numbers.greatest - numbers.least) / BINS or 1.0
    place = f"least({BINS - 1}, floor(({number} - {numbers.least!r}::DOUBLE) / {width!r}::DOUBLE)::INTEGER)"
    binned = database.execute(
        f"SELECT {place} AS bin, count(*) {source} GROUP BY bin ORDER BY bin", [paths]
    ).fetchnumpy()
    bins, up_to = np.asarray(binned["bin"]), np.cumsum(binned["count_star()"])
    wanted = ranks(levels, numbers.count)
    chosen = np.unique(np.searchsorted(up_to, wanted))
    # The numbers in the bins between the chosen ones are counted but not read.
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
