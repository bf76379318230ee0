"""The statistics of `aggregate` over weighted trials."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import duckdb
import numpy as np

from cluster.answers import shared
from cluster.answers.aggregate_groups import GroupKey
from cluster.answers.beliefs import WeightedTrials
from cluster.query.session import sql_text
from cluster.query.trials import CODE
from sim.faults import Fault, InvalidInput
from sim.statistics.grouped_moments import GroupedMoments
from sim.statistics.weighted_estimates import weighted_mean

MOST_ROWS = 2_000_000
"""Groups, times replicates and patterns of the beliefs, whose moments are read."""
_PARTS = 2**24
"""In quantiles weights are multiples of one over this number, so that their sums are exact in any order."""

METHOD = (
    "trials are weighted so that the beliefs hold (see evidence): count and sum are sums of weights, whose mean is 1, "
    "and of values times weights; known, means, deviations and quantiles are weighted; trials, min and max are of the "
    "trials as they are, and so are the edges of bins. Standard errors contain the error of the weights"
)


def check_trials(weighted: Mapping[str, WeightedTrials]) -> None:
    """Raise `InvalidInput` for more weighted trials than can be sorted in memory."""
    if sum(found.weighting.trials for found in weighted.values()) > shared.EXACT_NUMBERS:
        message = f"weighs at most {shared.EXACT_NUMBERS:,} trials here: ask with a condition that leaves fewer"
        raise InvalidInput((Fault("believe", None, message),))


def weight_sql(weighted: Mapping[str, WeightedTrials]) -> str:
    """SQL for the weight of a row of the view of trials, by its strategy and code."""
    cases = []
    for strategy, found in weighted.items():
        weights = np.round(found.by_code() * _PARTS) / _PARTS
        listed = ", ".join(f"{weight!r}::DOUBLE" for weight in weights.tolist())
        cases.append(f"WHEN {sql_text(strategy)} THEN ([{listed}])[{CODE} + 1]")
    return f"(CASE strategy {' '.join(cases)} END)"


def weighted_statistics(
    keys: Sequence[GroupKey],
    measures: int,
    levels: Mapping[str, float | None],
    replicates: int,
    per_point: int,
    weighted: Mapping[str, WeightedTrials],
    pooled: bool,
    database: duckdb.DuckDBPyConnection,
) -> tuple[list[tuple[Any, ...]], list[list[float | None]]]:
    """The groups with their trials, and the statistics of each group in order of measures.

    The view ``asked`` has the keys ``k0``, ``k1``, ..., the measures ``m0``, ``m1``, ..., ``trial``, ``strategy``,
    ``code``, and ``w``, the weight. Raises `InvalidInput` for more groups than can be held in memory.
    """
    named = [f"k{k}" for k in range(len(keys))]
    order = ", ".join(f"{key.order.format(f'k{k}')} NULLS LAST" for k, key in enumerate(keys))
    ends = f"GROUP BY {', '.join(named)} ORDER BY {order}" if keys else ""
    counts = database.execute(f"SELECT {', '.join([*named, 'count(*)'])} FROM asked {ends}").fetchall()
    patterns = max(len(found.patterns) for found in weighted.values())
    if len(counts) * replicates * patterns * len(weighted) > MOST_ROWS:
        message = f"makes more than {MOST_ROWS:,} groups of weighted trials: use fewer or wider bins, or fewer beliefs"
        raise InvalidInput((Fault("by", ", ".join(key.label for key in keys), message),))
    place = {tuple(group): k for k, (*group, _) in enumerate(counts)}
    of_group = [_Group(weighted, replicates) for _ in counts]
    summed = [
        f"count(m{k}), coalesce(favg(m{k}), 0), coalesce(var_pop(m{k}), 0), min(m{k}), max(m{k})"
        for k in range(measures)
    ]
    rows = database.execute(
        f"SELECT {', '.join([*named, 'strategy', f'trial % {replicates}', CODE, 'count(*)', *summed])} "
        f"FROM asked GROUP BY {', '.join(str(k + 1) for k in range(len(named) + 3))}"
    ).fetchall()
    for row in rows:
        group, (strategy, replicate, code, trials), numbers = (
            row[: len(keys)],
            row[len(keys) : len(keys) + 4],
            row[len(keys) + 4 :],
        )
        of_group[place[group]].add(strategy, replicate, code, trials, numbers)
    every = _whole(weighted, replicates, rows, len(keys))
    asked = [level for level in levels.values() if level is not None]
    numbers_found: list[list[float | None]] = [[] for _ in counts]
    for k in range(measures):
        quantiles = _quantiles(f"m{k}", named, asked, database) if asked else {}
        for (*key, _), one, own in zip(counts, of_group, numbers_found, strict=True):
            values = one.statistics(k, every, per_point, error="standard_error" in levels and not pooled)
            of_level = quantiles.get(tuple(key), [None] * len(asked))
            by_level = dict(zip(asked, of_level, strict=True))
            own += [values[name] if level is None else by_level[level] for name, level in levels.items()]
    return counts, numbers_found


class _Group:
    """The moments of a group's measures, by strategy, replicate and pattern."""

    def __init__(self, weighted: Mapping[str, WeightedTrials], replicates: int) -> None:
        self.weighted, self.replicates = weighted, replicates
        self.trials: dict[str, np.ndarray] = {}
        self.rows: list[tuple[str, int, int, tuple[float, ...]]] = []

    def add(self, strategy: str, replicate: int, code: int, trials: int, numbers: tuple[float, ...]) -> None:
        """Add the trials of a strategy, replicate and code."""
        found = self.weighted[strategy]
        pattern = int(np.searchsorted(found.patterns, code))
        own = self.trials.setdefault(strategy, np.zeros((self.replicates, len(found.patterns)), np.int64))
        own[replicate, pattern] = trials
        self.rows.append((strategy, replicate, pattern, numbers))

    def moments(self, strategy: str, k: int) -> GroupedMoments:
        """A measure's moments under a strategy."""
        shape = self.trials[strategy].shape
        found = [np.zeros(shape), np.zeros(shape), np.zeros(shape), np.full(shape, np.inf), np.full(shape, -np.inf)]
        for name, replicate, pattern, numbers in self.rows:
            count, mean, variance, least, greatest = numbers[5 * k : 5 * k + 5]
            if name == strategy and count:
                for array, value in zip(found, (count, mean, variance * count, least, greatest), strict=True):
                    array[replicate, pattern] = value
        return GroupedMoments(*found)

    def statistics(
        self, k: int, every: Mapping[str, np.ndarray], per_point: int, *, error: bool
    ) -> dict[str, float | None]:
        """A measure's statistics but quantiles; `every` counts all trials of a strategy by replicate and pattern."""
        parts = {strategy: self.moments(strategy, k) for strategy in self.trials}
        weights = {strategy: self.weighted[strategy].weighting.weights for strategy in parts}
        size = sum(float((trials * weights[strategy]).sum()) for strategy, trials in self.trials.items())
        known = sum(float((one.count * weights[strategy]).sum()) for strategy, one in parts.items())
        squares = sum(float((one.count * np.square(weights[strategy])).sum()) for strategy, one in parts.items())
        total = sum(float((one.count * weights[strategy] * one.mean).sum()) for strategy, one in parts.items())
        found: dict[str, float | None] = {"count": known, "known": known / size if size else None, "sum": total}
        if not known:
            return {
                **dict.fromkeys(("mean", "standard_deviation", "standard_error", "min", "max")),
                **found,
                "sum": None,
            }
        mean, effective = total / known, known * known / squares
        spread = sum(
            float((weights[strategy] * (one.m2 + one.count * np.square(one.mean - mean))).sum())
            for strategy, one in parts.items()
        )
        deviation = sqrt(spread / known * effective / (effective - 1.0)) if effective > 1.0 + 1e-9 else None
        found |= {
            "mean": mean,
            "standard_deviation": deviation,
            "standard_error": None,
            "min": min(float(one.least.min()) for one in parts.values()),
            "max": max(float(one.greatest.max()) for one in parts.values()),
        }
        if error:
            ((strategy, own),) = parts.items()
            estimate = weighted_mean(self.weighted[strategy].weighting, own, every[strategy], per_point)
            found["standard_error"] = estimate["standard_error"]
        return found


def _whole(
    weighted: Mapping[str, WeightedTrials], replicates: int, rows: Sequence[tuple[Any, ...]], keys: int
) -> dict[str, np.ndarray]:
    """All trials of each strategy by replicate and pattern."""
    found = {name: np.zeros((replicates, len(one.patterns)), np.int64) for name, one in weighted.items()}
    for row in rows:
        strategy, replicate, code, trials = row[keys : keys + 4]
        found[strategy][replicate, int(np.searchsorted(weighted[strategy].patterns, code))] += trials
    return found


def _quantiles(
    measure: str, named: Sequence[str], levels: Sequence[float], database: duckdb.DuckDBPyConnection
) -> dict[tuple[Any, ...], list[float | None]]:
    """The smallest value of each group whose weighted share is at least each level."""
    partition = f"PARTITION BY {', '.join(named)}" if named else ""
    listed = "".join(f"{name}, " for name in named)
    chosen = ", ".join(f"min(m) FILTER (c >= {level!r} * t * {1.0 - 1e-12!r})" for level in levels)
    groups = f"GROUP BY {', '.join(named)}" if named else ""
    rows = database.execute(
        f"SELECT {listed}{chosen} FROM (SELECT {listed}{measure} AS m, "
        f"sum(w) OVER ({partition} ORDER BY {measure} ROWS UNBOUNDED PRECEDING) AS c, sum(w) OVER ({partition}) AS t "
        f"FROM asked WHERE {measure} IS NOT NULL) {groups}"
    ).fetchall()
    return {tuple(row[: len(named)]): list(row[len(named) :]) for row in rows}
