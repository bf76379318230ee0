"""The statistics of `aggregate` over weighted trials."""

from collections.abc import Mapping
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from cluster.answers.aggregate_by_shards import (
    Groups,
    GroupsAsked,
    count_groups,
    groups_with_trials,
    numbers_of,
    shards_of,
    with_the_only_group,
)
from cluster.answers.beliefs import WeightedTrials
from cluster.query.quantiles import grouped_weighted_quantiles
from cluster.query.trials import StoredRun
from sim.statistics.grouped_moments import GroupedMoments
from sim.statistics.weighted_estimates import weighted_mean

_PARTS = 2**24
"""In quantiles weights are multiples of one over this number, so that their sums are exact in any order."""

METHOD = (
    "trials are weighted so that the beliefs hold (see evidence): count and sum are sums of weights, whose mean is 1, "
    "and of values times weights; known, means, deviations and quantiles are weighted; trials, min and max are of the "
    "trials as they are, and so are the edges of bins. Standard errors contain the error of the weights"
)


def rounded_weights(weighted: WeightedTrials) -> np.ndarray:
    """The weight of a trial of each code, whose sums are exact in any order; 0 for codes that no trial has."""
    return np.asarray(np.round(weighted.by_code() * _PARTS) / _PARTS)


def weighted_rows(
    run: StoredRun,
    asked: GroupsAsked,
    levels: Mapping[str, float | None],
    weighted: Mapping[str, WeightedTrials],
    pooled: bool,
) -> tuple[list[tuple[Any, ...]], list[list[float | None]]]:
    """The groups and their statistics, as `cluster.answers.aggregate_by_shards.group_rows`.

    `asked` has the code and the patterns of the beliefs. Raises `InvalidInput` for more groups than can be held in
    memory.
    """
    groups = with_the_only_group(asked, count_groups(run, asked))
    per_point = run.plan.design.trials_per_point(run.plan.scenario)
    every = _by_strategy(asked, groups.trials.sum(axis=0), weighted)
    wanted = [level for level in levels.values() if level is not None]
    error = "standard_error" in levels and not pooled
    numbers: list[list[float | None]] = [[] for _ in groups.code]
    for k in range(len(asked.measures)):
        quantiles = _quantiles(run, asked, k, groups, weighted, wanted)
        for place, own in enumerate(numbers):
            values = _statistics(asked, groups, k, place, every, weighted, per_point, error=error)
            by_level = dict(zip(wanted, quantiles[place].tolist(), strict=True))
            own += [values[name] if level is None else by_level[level] for name, level in levels.items()]
    return groups_with_trials(asked, groups), numbers


def _by_strategy(
    asked: GroupsAsked, cells: np.ndarray, weighted: Mapping[str, WeightedTrials]
) -> dict[str, np.ndarray]:
    """What a group's cells have, by strategy: shape (replicates, patterns)."""
    parts = cells.reshape(asked.shape)
    return {name: part[:, : weighted[name].patterns.size] for name, part in zip(asked.strategies, parts, strict=True)}


def _quantiles(
    run: StoredRun,
    asked: GroupsAsked,
    k: int,
    groups: Groups,
    weighted: Mapping[str, WeightedTrials],
    levels: list[float],
) -> np.ndarray:
    """The weighted quantiles of a measure in each group: shape (groups, levels)."""
    weight = np.zeros(asked.shape)
    for own, name in zip(weight, asked.strategies, strict=True):
        patterns = weighted[name].patterns
        own[:, : patterns.size] = rounded_weights(weighted[name])[patterns]
    count = groups.count[k]
    read = partial(numbers_of, asked, k, groups.code, weight.ravel())
    return grouped_weighted_quantiles(
        run, shards_of(run, asked), read, count.sum(axis=1), count @ weight.ravel(), levels
    )


def _statistics(
    asked: GroupsAsked,
    groups: Groups,
    k: int,
    place: int,
    every: Mapping[str, np.ndarray],
    weighted: Mapping[str, WeightedTrials],
    per_point: int,
    *,
    error: bool,
) -> dict[str, float | None]:
    """A measure's statistics but quantiles in a group; `every` counts all trials of a strategy."""
    of_group = _by_strategy(asked, groups.trials[place], weighted)
    of_group = {strategy: trials for strategy, trials in of_group.items() if trials.any()}
    fields = {
        field: _by_strategy(asked, getattr(groups, field)[k, place], weighted)
        for field in ("count", "total", "squares", "least", "greatest")
    }
    parts = {
        strategy: GroupedMoments(
            fields["count"][strategy].astype(np.float64),
            fields["total"][strategy] / np.maximum(fields["count"][strategy], 1),
            *(fields[field][strategy] for field in ("squares", "least", "greatest")),
        )
        for strategy in of_group
    }
    weights = {strategy: weighted[strategy].weighting.weights for strategy in parts}
    size = sum(float((trials * weights[strategy]).sum()) for strategy, trials in of_group.items())
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
        estimate = weighted_mean(weighted[strategy].weighting, own, every[strategy], per_point)
        found["standard_error"] = estimate["standard_error"]
    return found
