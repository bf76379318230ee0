"""The summary of a strategy's trials, weighted so that beliefs hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import numpy as np

from cluster.answers import shared
from cluster.answers.beliefs import StatedBelief, WeightedTrials, code_of, weigh_trials
from cluster.answers.summary_document import LEVELS, with_share_of_deficit
from cluster.query.shard_map import map_shards, reduce_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, read_blocks, same_trials
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
    replicates = plan.design.replicates(plan.scenario)
    asked = _Asked(strategy, tuple(stated), condition, believed_of_all, replicates)
    counted = _count(run, asked)
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
        quantiles = _quantiles(run, asked, name, counted, found, own, trials, per_point)
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

    strategy: str
    stated: tuple[StatedBelief, ...]
    condition: Expression | None
    believed_of_all: bool
    replicates: int

    @property
    def shape(self) -> tuple[int, int]:
        """The groups of trials: replicates, and codes of the beliefs."""
        return self.replicates, 2 ** len(self.stated)

    def reading(self, values: Mapping[str, Expression]) -> Reading:
        """What is read for some values."""
        given = self.condition
        if self.believed_of_all and given is not None:
            values, given = {**values, INSIDE: given}, None
        return Reading((self.strategy,), values, given=given, code=code_of(self.stated))

    def blocks(
        self, values: Mapping[str, Expression], run: StoredRun, shards: SameTrials
    ) -> Iterator[dict[str, np.ndarray]]:
        """Values, codes and trials' numbers of a shard's trials, a block at a time; values outside the condition are
        not a number.
        """
        for blocks in read_blocks(run, shards, self.reading(values)):
            block = blocks[self.strategy]
            inside = block.pop(INSIDE, None)
            block[INSIDE] = np.ones(block["trial"].size, bool) if inside is None else inside > 0.0
            if inside is not None:
                block |= {name: np.where(block[INSIDE], block[name], np.nan) for name in values}
            yield block


INSIDE = "inside"
"""The name of a block's truth values of the condition; no value is called so."""


@dataclass(frozen=True)
class _Numbers:
    """A measure's known numbers as float32, each with its trial's code and replicate."""

    values: np.ndarray
    code: np.ndarray
    replicate: np.ndarray


@dataclass(frozen=True)
class _Counts:
    """Trials, conditions and measures by replicate and code: arrays of shape (replicates, 2 ** beliefs).

    `kept` holds the measures' numbers if all of them are few enough.
    """

    trials: np.ndarray
    inside: np.ndarray
    """The trials for which the condition holds."""
    conditions: Mapping[str, np.ndarray]
    measures: Mapping[str, GroupedMoments]
    kept: Mapping[str, list[_Numbers]] | None

    def merged(self, other: "_Counts") -> "_Counts":
        """The counts of both."""
        return _Counts(
            self.trials + other.trials,
            self.inside + other.inside,
            {name: counts + other.conditions[name] for name, counts in self.conditions.items()},
            {name: own.merged(other.measures[name]) for name, own in self.measures.items()},
            None
            if self.kept is None or other.kept is None
            else {name: [*own, *other.kept[name]] for name, own in self.kept.items()},
        )


def _count(run: StoredRun, asked: _Asked) -> _Counts:
    scenario = run.plan.scenario
    values = {name: parse_measure(name, scenario) for name in MEASURES}
    values |= {name: parse_measure(NAMED[name], scenario) for name in (*OUTCOMES, *EVENTS)}
    shards = same_trials(run, asked.reading(values).read)
    keep = sum(one[asked.strategy].count for one in shards) * len(MEASURES) <= shared.EXACT_NUMBERS
    shape = asked.shape
    nothing = _Counts(
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        {name: np.zeros(shape, np.int64) for name in (*OUTCOMES, *EVENTS)},
        {name: no_groups(*shape) for name in MEASURES},
        {name: [] for name in MEASURES} if keep else None,
    )
    # Block by block, so that sums are the same to the last bit however the run is cut into tasks.
    blocks = map_shards(run, shards, partial(_count_shard, asked, values, keep), add)
    return reduce(_Counts.merged, (block for _, found in blocks for block in found), nothing)


def _count_shard(
    asked: _Asked, values: Mapping[str, Expression], keep: bool, run: StoredRun, shards: SameTrials
) -> list[_Counts]:
    return [_count_block(asked, block, keep) for block in asked.blocks(values, run, shards)]


def _count_block(asked: _Asked, block: Mapping[str, np.ndarray], keep: bool) -> _Counts:
    shape = asked.shape
    replicate = block["trial"] % asked.replicates
    group = replicate * shape[1] + block[CODE]

    def counts(of: np.ndarray) -> np.ndarray:
        return np.bincount(of, minlength=shape[0] * shape[1]).reshape(shape)

    return _Counts(
        counts(group),
        counts(group[block[INSIDE]]),
        {name: counts(group[block[name] > 0.0]) for name in (*OUTCOMES, *EVENTS)},
        {name: grouped_moments(block[name], group, *shape) for name in MEASURES},
        {name: [_known(block, name, replicate)] for name in MEASURES} if keep else None,
    )


def _known(block: Mapping[str, np.ndarray], name: str, replicate: np.ndarray) -> _Numbers:
    known = np.isfinite(block[name])
    return _Numbers(
        block[name][known].astype(np.float32), block[CODE][known].astype(np.int16), replicate[known].astype(np.int16)
    )


def _known_of_shard(asked: _Asked, name: str, value: Expression, run: StoredRun, shards: SameTrials) -> list[_Numbers]:
    blocks = asked.blocks({name: value}, run, shards)
    return [_known(block, name, block["trial"] % asked.replicates) for block in blocks]


def _numbers(run: StoredRun, asked: _Asked, name: str, counted: _Counts) -> _Numbers:
    """A measure's known numbers over all trials. Raises `InvalidInput` for more than are held in memory."""
    if counted.kept is not None:
        parts = counted.kept[name]
    else:
        count = int(counted.measures[name].count.sum())
        if count > shared.EXACT_NUMBERS:
            message = (
                f"weighs at most {shared.EXACT_NUMBERS:,} trials in a summary, whose quantiles are found in memory, "
                f"not {count:,}: ask with a condition that leaves fewer"
            )
            raise InvalidInput((Fault("believe", str(asked.stated[0]), message),))
        value = parse_measure(name, run.plan.scenario)
        shards = same_trials(run, asked.reading({name: value}).read)
        parts = reduce_shards(run, shards, partial(_known_of_shard, asked, name, value), add, [])
    return _Numbers(
        *(np.concatenate([getattr(one, field) for one in parts]) for field in ("values", "code", "replicate"))
    )


def _quantiles(
    run: StoredRun,
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
    numbers = _numbers(run, asked, name, counted)
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
