"""The summary of a strategy's trials, weighted so that beliefs hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cluster.answers import shared
from cluster.answers.beliefs import StatedBelief, WeightedTrials, code_of, weigh_trials
from cluster.answers.summary_document import LEVELS, with_share_of_deficit
from cluster.query.trials import CODE, StoredRun, paired_blocks
from sim.faults import Fault, InvalidInput
from sim.scenario.expressions import Expression, parse_measure
from sim.scenario.vocabulary import EVENTS, MEASURES, NAMED, OUTCOMES
from sim.statistics.estimates import Estimate
from sim.statistics.grouped_moments import GroupedMoments, grouped_counts, grouped_moments, no_groups
from sim.statistics.measure_ranges import measure_ranges
from sim.statistics.weighted_estimates import (
    change_of_mean,
    weighted_mean,
    weighted_quantile,
    weighted_quantile_bounds,
    weighted_share,
)


def weighted_summary(
    run: StoredRun,
    strategy: str,
    stated: Sequence[StatedBelief],
    condition: Expression | None,
    *,
    believed_of_all: bool = False,
) -> tuple[dict[str, object], WeightedTrials]:
    """The summary of a strategy's trials for which a condition holds, as in ``summary.json``, and their weights.

    The beliefs hold in these trials, or in all trials where they are `believed_of_all`. Raises `InvalidInput` for
    beliefs that cannot hold, and where too few trials are left.
    """
    plan = run.plan
    asked = _Asked(run, strategy, tuple(stated), condition, believed_of_all)
    counted = _count(asked)
    by_code, left = counted.trials.sum(axis=0), int(counted.inside.sum())
    if condition is not None and left < shared.FEWEST_GIVEN:
        raise shared.too_few_given(left, strategy, condition)
    found = weigh_trials(stated, by_code, None if believed_of_all else condition)
    per_point = plan.design.trials_per_point(plan.scenario)
    trials, inside = counted.trials[:, found.patterns], counted.inside[:, found.patterns]
    if condition is not None:
        _check_effective(found, inside.sum(axis=0), strategy, condition)

    def share(name: str) -> Estimate:
        return weighted_share(found.weighting, counted.conditions[name][:, found.patterns], inside, trials, per_point)

    ranges = measure_ranges(plan.scenario, strategy)
    measures: dict[str, dict[str, object]] = {}
    for name, numbers in counted.measures.items():
        own = numbers.only(found.patterns)
        quantiles = _quantiles(asked, name, counted, found, own, trials, per_point)
        measures[name] = {
            "count": int(own.count.sum()),
            "mean": weighted_mean(found.weighting, own, trials, per_point, ranges[name]),
            "quantiles": {level: one["estimate"] for level, one in quantiles.items()},
            "quantile_intervals": {level: {"low": one["low"], "high": one["high"]} for level, one in quantiles.items()},
            "quantiles_exact": True,
        }
    change = {
        kind: {
            name: change_of_mean(
                found.weighting, grouped_counts(counted.conditions[name][:, found.patterns], inside), trials
            )
            for name in names
        }
        for kind, names in (("outcome", OUTCOMES), ("events", EVENTS))
    }
    change["measures"] = {
        name: change_of_mean(found.weighting, numbers.only(found.patterns), trials)
        for name, numbers in counted.measures.items()
    }
    document = {
        "trials": left,
        "trials_played": sum(shard.count for shard in run.shards(strategy)),
        "outcome": {name: share(name) for name in OUTCOMES},
        "events": {name: share(name) for name in EVENTS},
        "measures": with_share_of_deficit(measures, plan.scenario),
        "change": change,
    }
    return document, found


def _check_effective(found: WeightedTrials, inside: np.ndarray, strategy: str, condition: Expression) -> None:
    """Raise `InvalidInput` where the trials that satisfy a condition have too small an effective number."""
    weights = found.weighting.weights
    effective = float((inside @ weights) ** 2 / (inside @ np.square(weights)))
    if effective < shared.FEWEST_GIVEN:
        raise shared.too_few_given(int(effective), strategy, condition)


@dataclass(frozen=True)
class _Asked:
    """What is read: a strategy's trials for which a condition holds, with the codes of the beliefs.

    Where beliefs are about all trials these are read too, with whether the condition holds in each (`INSIDE`).
    """

    run: StoredRun
    strategy: str
    stated: tuple[StatedBelief, ...]
    condition: Expression | None
    believed_of_all: bool

    def blocks(self, values: Mapping[str, Expression]) -> Iterator[dict[str, np.ndarray]]:
        """Values, codes and trials' numbers, a block at a time; values outside the condition are not a number."""
        code, given = code_of(self.stated), self.condition
        if self.believed_of_all and given is not None:
            values, given = {**values, INSIDE: given}, None
        for blocks in paired_blocks(self.run, (self.strategy,), values, given=given, code=code):
            block = blocks[self.strategy]
            inside = block.pop(INSIDE, None)
            block[INSIDE] = np.ones(block["trial"].size, bool) if inside is None else inside > 0.0
            if inside is not None:
                block |= {name: np.where(block[INSIDE], block[name], np.nan) for name in values if name != INSIDE}
            yield block


INSIDE = "inside"
"""The name of a block's truth values of the condition; no value is called so."""


@dataclass(frozen=True)
class _Numbers:
    """A measure's known numbers as float32, each with its trial's code and replicate."""

    values: np.ndarray
    code: np.ndarray
    replicate: np.ndarray


@dataclass
class _Counts:
    """Trials, conditions and measures by replicate and code: arrays of shape (replicates, 2 ** beliefs).

    `kept` holds the measures' numbers where there are few enough of them.
    """

    trials: np.ndarray
    inside: np.ndarray
    """The trials for which the condition holds."""
    conditions: dict[str, np.ndarray]
    measures: dict[str, GroupedMoments]
    kept: dict[str, list[_Numbers]] | None


def _count(asked: _Asked) -> _Counts:
    plan = asked.run.plan
    replicates = plan.design.replicates(plan.scenario)
    shape = (replicates, 2 ** len(asked.stated))
    names = (*OUTCOMES, *EVENTS)
    values = {name: parse_measure(name, plan.scenario) for name in MEASURES}
    values |= {name: parse_measure(NAMED[name], plan.scenario) for name in names}
    found = _Counts(
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        {name: np.zeros(shape, np.int64) for name in names},
        {name: no_groups(*shape) for name in MEASURES},
        {name: [] for name in MEASURES},
    )
    held = 0
    for block in asked.blocks(values):
        replicate = block["trial"] % replicates
        group = replicate * shape[1] + block[CODE]
        found.trials += np.bincount(group, minlength=found.trials.size).reshape(shape)
        found.inside += np.bincount(group[block[INSIDE]], minlength=found.trials.size).reshape(shape)
        for name, counts in found.conditions.items():
            counts += np.bincount(group[block[name] > 0.0], minlength=counts.size).reshape(shape)
        for name in MEASURES:
            found.measures[name] = found.measures[name].merged(grouped_moments(block[name], group, *shape))
        held += group.size * len(MEASURES)
        if held > shared.EXACT_NUMBERS:
            found.kept = None
        if found.kept is not None:
            for name in MEASURES:
                found.kept[name].append(_known(block, name, replicate))
    return found


def _known(block: Mapping[str, np.ndarray], name: str, replicate: np.ndarray) -> _Numbers:
    known = np.isfinite(block[name])
    return _Numbers(
        block[name][known].astype(np.float32), block[CODE][known].astype(np.int16), replicate[known].astype(np.int16)
    )


def _numbers(asked: _Asked, name: str, counted: _Counts) -> _Numbers:
    """A measure's known numbers over all trials. Raises `InvalidInput` for more than are held in memory."""
    if counted.kept is not None:
        parts = counted.kept.pop(name)
    else:
        count = int(counted.measures[name].count.sum())
        if count > shared.EXACT_NUMBERS:
            message = (
                f"weighs at most {shared.EXACT_NUMBERS:,} trials in a summary, whose quantiles are found in memory, "
                f"not {count:,}: ask with a condition that leaves fewer"
            )
            raise InvalidInput((Fault("believe", str(asked.stated[0]), message),))
        plan = asked.run.plan
        replicates = plan.design.replicates(plan.scenario)
        blocks = asked.blocks({name: parse_measure(name, plan.scenario)})
        parts = [_known(block, name, block["trial"] % replicates) for block in blocks]
    return _Numbers(
        *(np.concatenate([getattr(one, field) for one in parts]) for field in ("values", "code", "replicate"))
    )


def _quantiles(
    asked: _Asked,
    name: str,
    counted: _Counts,
    found: WeightedTrials,
    moments: GroupedMoments,
    trials: np.ndarray,
    per_point: int,
) -> dict[str, dict[str, float | None]]:
    """A measure's weighted quantiles with their 95 % intervals."""
    known = moments.count.astype(np.int64)
    if not known.any():
        return {str(level): dict.fromkeys(("estimate", "low", "high")) for level in LEVELS}
    numbers = _numbers(asked, name, counted)
    order = np.argsort(numbers.values, kind="stable")
    ordered, place = numbers.values[order], found.place(numbers.code[order])
    group = numbers.replicate[order].astype(np.int64) * len(found.patterns) + place
    cumulated = np.cumsum(found.weighting.weights[place])

    def counts(value: float, side: str) -> np.ndarray:
        """The numbers less than a value, or at most it."""
        stop = int(np.searchsorted(ordered, np.float32(value), side))  # type: ignore[call-overload]
        return np.bincount(group[:stop], minlength=trials.size).reshape(trials.shape)

    result: dict[str, dict[str, float | None]] = {}
    for level in LEVELS:
        at = weighted_quantile(ordered, cumulated, level)
        bounds = weighted_quantile_bounds(
            found.weighting, level, counts(at, "left"), counts(at, "right"), known, trials, per_point
        )
        low, high = (None if one is None else weighted_quantile(ordered, cumulated, one) for one in bounds)
        result[str(level)] = {"estimate": at, "low": low, "high": high}
    return result
