"""A reverse stress test: how the trials in which a bound is broken differ from the others, from a stored run."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial, reduce
from math import sqrt
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import WeightedTrials, code_of, read_beliefs, weigh_trials
from cluster.answers.entry import Answer, Computed, Estimate, GivenRequest, OnProgress, Result, StrategyRequest, Text
from cluster.answers.shared import both, condition_of, uncertain_parameters
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.samples import sample
from cluster.query.shard_map import reduce_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, chosen_strategy, read_blocks, same_trials
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import TRUTH, Expression, parse_condition, parse_measure
from sim.scenario.parameters import parameter
from sim.scenario.vocabulary import DETAIL_TERMS, EVENT_TERMS, NAMED, OUTCOMES
from sim.statistics import regional_sensitivity
from sim.statistics.estimates import Estimate as Estimated
from sim.statistics.estimates import proportion
from sim.statistics.grouped_moments import GroupedMoments
from sim.statistics.paired_differences import share_of
from sim.statistics.ranked import Ranked
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments, moments
from sim.statistics.tally_estimates import method_note
from sim.statistics.weighted_differences import WeightedGroups
from sim.statistics.weighted_estimates import difference_of_groups, weighted_share
from sim.statistics.weighted_sample import quantiles

SAMPLE = 20_000
"""Distributions are compared on at most this many trials of each side, the first ones."""
FEWEST = 50
"""The least number of trials in which the bound is broken, and in which it is kept."""
WORLDS = 3
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
SURE = 0.05

ON_THE_WAY = {term.name: term.expression for term in (*EVENT_TERMS, *DETAIL_TERMS)}
"""Events before the end of a trial, as conditions."""

_METHOD = {
    "shares": "over all committed trials; a condition on a null value does not hold, so a null breaks no bound",
    "shift": "mean inside less mean outside, in standard deviations of all committed trials",
    "distance": (
        "Kolmogorov-Smirnov distance between the distributions inside and outside (0: the same; 1: no overlap), on "
        "the first trials of each side; p-values for independent trials, adjusted for all parameters together (Holm)"
    ),
    "worlds": (
        "nearest: the trials with a broken bound whose parameters are nearest to the medians of all trials, by the "
        "normal scores of their ranks; typical: those nearest to the medians of the trials in which the bound is "
        "broken, by the parameters that differ"
    ),
    "boxes": "brink discover finds the ranges of parameters in which the bound is likely to be broken",
}


_WEIGHTS = (
    "trials are weighted so that the beliefs hold (see evidence): shares, means, distances, quantiles and medians are "
    "weighted, and p-values are those for the effective numbers of trials; intervals contain the error of the weights"
)


class StressRequest(StrategyRequest, GivenRequest):
    """The bound, the strategy and the condition."""

    bound: Annotated[
        Text, Field(description="The condition that holds where the bound is broken.", examples=["sender_cost > 5"])
    ]


class Distribution(Result):
    """A parameter's distribution on one side of the bound."""

    mean: float
    quantiles: dict[str, float]


class DecileShares(Result):
    """The shares of trials up to a value, inside and outside."""

    up_to: float
    inside: float
    outside: float


class StressedParameter(Result):
    """How a parameter differs where the bound is broken."""

    name: str
    unit: str
    distance: float
    p_value: float
    shift: Annotated[Estimate, Field(description="Mean inside less mean outside, in standard deviations.")]
    inside: Distribution
    outside: Distribution
    by_decile: list[DecileShares]


class SharesInsideAndOutside(Result):
    """How often an event happens where the bound is broken, and elsewhere."""

    name: str
    inside: Estimate
    outside: Estimate
    difference: Estimate


class World(Result):
    """A trial to replay, with the parameters that differ most."""

    trial: int
    values: dict[str, float]


class Worlds(Result):
    """Trials in which the bound is broken."""

    nearest: list[World]
    typical: list[World]


class BoundTrials(Result):
    """The trials of the strategy that satisfy the condition."""

    asked: int
    broken: int


class SampledTrials(Result):
    """The trials from which distances and quantiles were computed."""

    broken: int
    kept: int
    all: int


class ReverseStressTest(Result):
    """What differs where a bound is broken."""

    bound: str
    trials: BoundTrials
    sampled: SampledTrials
    probability: Estimate
    parameters: list[StressedParameter]
    events: list[SharesInsideAndOutside]
    outcome: list[SharesInsideAndOutside]
    worlds: Worlds


def stress(run: StoredRun, request: StressRequest, on_progress: OnProgress) -> Computed:
    """How the trials of a strategy in which a bound is broken differ from the others.

    Reports how likely that is; the distribution of every uncertain parameter inside (where the bound is broken) and
    outside, those that differ most first; events inside and outside; and trials to replay. Raises `InvalidInput`, also
    if the bound is broken, or kept, in too few trials.
    """
    plan, scenario = run.plan, run.plan.scenario
    broken = parse_condition(request.bound, scenario, "bound")
    condition = condition_of(run, request.given)
    chosen = chosen_strategy(run, request.strategy)
    names = uncertain_parameters(scenario, chosen)
    replicates = plan.design.replicates(scenario)
    stated = read_beliefs(run, request.believe)
    code, groups = code_of(stated), replicates * 2 ** len(stated)

    def draw(given: Expression | None) -> dict[str, np.ndarray]:
        """The numbers of the first trials with a condition, and their codes."""
        return sample(run, chosen, {}, given=given, code=code, most=SAMPLE)

    def draw_and_rank() -> tuple[list[dict[str, np.ndarray]], tuple[dict[str, Ranked], ...]]:
        """The first trials in which the bound is broken, those in which it is kept, and both, with their parameters."""
        kept = Expression("not", TRUTH, (broken,))
        drawn = [draw(both(condition, broken)), draw(both(condition, kept)), draw(condition)]
        return drawn, _ranked(run, chosen, names, *(one["trial"] for one in drawn))

    with ThreadPoolExecutor(1) as pool:
        # Both at once; the thread has the limit of time of this one.
        drawing = pool.submit(copy_context().run, draw_and_rank)
        outside, inside = _count(run, chosen, broken, condition, code, names, replicates, groups)
        hits, trials = sum(inside.trials), sum(inside.trials) + sum(outside.trials)
        if min(hits, trials - hits) < FEWEST:
            raise _one_sided(request.bound, request.given, chosen, hits, trials)
        drawn, ranked = drawing.result()

    estimator = _Estimator(None, None)
    if stated:
        counts = np.array(inside.trials) + np.array(outside.trials)
        weighted = weigh_trials(stated, counts.reshape(replicates, -1).sum(axis=0), condition)
        groups_of = WeightedGroups(weighted.weighting, counts.reshape(replicates, -1)[:, weighted.patterns])
        estimator = _Estimator(weighted, groups_of)

    trial = drawn[0]["trial"]
    read = {name: one["trial"].size for name, one in zip(("broken", "kept", "all"), drawn, strict=True)}
    of_there, of_elsewhere, of_whole = (
        None if estimator.weighted is None else estimator.weighted.weight(one[CODE]) for one in drawn
    )
    weights = None if of_there is None or of_elsewhere is None else (of_there, of_elsewhere)
    of_inside, of_outside, of_all = ranked
    differing = regional_sensitivity.distances(of_inside, of_outside, weights)
    parameters = [
        _parameter(
            name,
            (inside.numbers[name], outside.numbers[name]),
            (of_inside[name], of_outside[name]),
            differing[name],
            weights,
            estimator,
        )
        for name in sorted(names, key=lambda name: -differing[name][0])
    ]
    result = {
        "bound": request.bound,
        "trials": {"asked": trials, "broken": hits},
        "sampled": read,
        "probability": estimator.share(
            inside.trials, [a + b for a, b in zip(inside.trials, outside.trials, strict=True)]
        ),
        "parameters": parameters,
        "events": _events(ON_THE_WAY, inside, outside, estimator),
        "outcome": _events({name: NAMED[name] for name in OUTCOMES}, inside, outside, estimator),
        "worlds": _worlds(
            (trial, of_inside, of_there),
            (of_all, of_whole),
            [one["name"] for one in parameters if one["p_value"] < SURE],
        ),
    }
    method = {**_METHOD, "errors": method_note(scenario, plan.design)}
    evidence = None
    if estimator.weighted is not None:
        method["weights"], evidence = _WEIGHTS, {chosen: estimator.weighted.evidence()}
    return Computed(ReverseStressTest.model_validate(result), (chosen,), trials, method, evidence)


def _ranked(run: StoredRun, strategy: str, names: Sequence[str], *trials: np.ndarray) -> tuple[dict[str, Ranked], ...]:
    """Parameters in several sets of trials, with codes of the same values. Each set has its trials' numbers, rising."""
    every = np.unique(np.concatenate(trials))
    found = ranked_parameters(run, strategy, names, every)
    places = [np.searchsorted(every, one) for one in trials]
    return tuple({name: Ranked(one.code.take(rows), one.values) for name, one in found.items()} for rows in places)


@dataclass(frozen=True)
class _Estimator:
    """How estimates are made from groups of trials: by replicate, and by pattern of the beliefs if there are any."""

    weighted: WeightedTrials | None
    groups: WeightedGroups | None

    def _columns(self) -> np.ndarray:
        """The places of the groups whose patterns occur, in the order of all groups."""
        assert self.weighted is not None
        assert self.groups is not None
        codes = 2 ** len(self.weighted.stated)
        return (np.arange(self.groups.shape[0])[:, None] * codes + self.weighted.patterns).ravel()

    def share(self, hits: Sequence[int], trials: Sequence[int]) -> Estimated:
        """A share of trials with its 95 % interval."""
        if self.groups is None:
            return share_of(hits, trials)
        own, of = (self.groups.counts(np.array(one)[self._columns()].tolist()) for one in (hits, trials))
        return weighted_share(self.groups.weighting, own, of, self.groups.trials)

    def moments(self, tallied: Sequence[Moments]) -> GroupedMoments:
        """The moments of the groups whose patterns occur."""
        assert self.groups is not None
        return self.groups.moments([tallied[place] for place in self._columns()])

    def mean(self, tallied: Sequence[Moments]) -> float:
        """The mean of some numbers."""
        if self.groups is None:
            return reduce(merge_moments, tallied).mean
        return float(self._total(tallied)[1])

    def deviation(self, inside: Sequence[Moments], outside: Sequence[Moments]) -> float:
        """The standard deviation of the numbers inside and outside together."""
        if self.groups is None:
            total = reduce(merge_moments, (*inside, *outside))
            return sqrt(total.m2 / total.count)
        size, _, squares = self._total([merge_moments(a, b) for a, b in zip(inside, outside, strict=True)])
        return sqrt(squares / size)

    def _total(self, tallied: Sequence[Moments]) -> tuple[float, float, float]:
        """The sum of weights, the weighted mean, and the weighted squares around it."""
        assert self.groups is not None
        own, weights = self.moments(tallied), self.groups.weighting.weights
        size = float((own.count * weights).sum())
        mean = float((own.count * weights * own.mean).sum() / size)
        return size, mean, float((weights * (own.m2 + own.count * np.square(own.mean - mean))).sum())

    def difference(self, inside: Sequence[Moments], outside: Sequence[Moments], scale: float = 1.0) -> Estimated:
        """The mean inside less the mean outside, with its 95 % interval."""
        if self.groups is None:
            return regional_sensitivity.difference_of_means(inside, outside, scale)
        own, other = self.moments(inside), self.moments(outside)
        return difference_of_groups(self.groups.weighting, own, other, self.groups.trials, scale)


@dataclass(frozen=True)
class _Side:
    """The trials on one side of a bound by group: counts of them and of events, and moments of parameters.

    A group has the trials of one replicate with one code of the beliefs. Lists have an entry for each group.
    """

    trials: list[int]
    events: Mapping[str, list[int]]
    numbers: Mapping[str, list[Moments]]

    def merged(self, other: "_Side") -> "_Side":
        """The trials of both."""
        return _Side(
            _added(self.trials, other.trials),
            {name: _added(own, other.events[name]) for name, own in self.events.items()},
            {
                name: [merge_moments(a, b) for a, b in zip(own, other.numbers[name], strict=True)]
                for name, own in self.numbers.items()
            },
        )


Sides = tuple[_Side, _Side]
"""The trials in which the bound is kept, and those in which it is broken."""


def _added(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [one + other for one, other in zip(a, b, strict=True)]


@dataclass(frozen=True)
class _Counting:
    """How trials are counted: what is read, the names of events and parameters in it, and the groups of trials."""

    reading: Reading
    events: tuple[str, ...]
    parameters: tuple[str, ...]
    replicates: int
    groups: int


_BROKEN = "broken"
_EVENT = "event "
"""What an event's name begins with among the values that are read, which have parameters by their names too."""


def _count(
    run: StoredRun,
    strategy: str,
    broken: Expression,
    condition: Expression | None,
    code: Mapping[str, Expression],
    names: Sequence[str],
    replicates: int,
    groups: int,
) -> Sides:
    scenario = run.plan.scenario
    events = ON_THE_WAY | {name: NAMED[name] for name in OUTCOMES}
    values = {
        _BROKEN: broken,
        **{_EVENT + name: parse_condition(text, scenario) for name, text in events.items()},
        **{name: parse_measure(name, scenario) for name in names},
    }
    reading = Reading((strategy,), values, given=condition, code=code)
    counting = _Counting(reading, tuple(events), tuple(names), replicates, groups)
    shards = same_trials(run, reading.read)
    return reduce_shards(run, shards, partial(_count_shards, counting), _merge_sides, _nobody(counting))


def _nobody(counting: _Counting) -> Sides:
    side = _Side(
        [0] * counting.groups,
        {name: [0] * counting.groups for name in counting.events},
        {name: [NO_NUMBERS] * counting.groups for name in counting.parameters},
    )
    return side, side


def _merge_sides(a: Sides, b: Sides) -> Sides:
    return a[0].merged(b[0]), a[1].merged(b[1])


def _count_shards(counting: _Counting, run: StoredRun, shards: SameTrials) -> Sides:
    strategy = counting.reading.strategies[0]
    blocks = (block[strategy] for block in read_blocks(run, shards, counting.reading))
    return reduce(_merge_sides, (_count_block(counting, block) for block in blocks), _nobody(counting))


def _count_block(counting: _Counting, block: Mapping[str, np.ndarray]) -> Sides:
    group = block["trial"] % counting.replicates
    if CODE in block:
        group = group * (counting.groups // counting.replicates) + block[CODE]
    # The trials in the order of their sides and groups, so that those of each lie together.
    place = (block[_BROKEN] > 0.0) * counting.groups + group
    count = 2 * counting.groups
    order, sizes = np.argsort(place, kind="stable"), np.bincount(place, minlength=count)
    ends = np.cumsum(sizes).tolist()
    parts = [slice(end - size, end) for end, size in zip(ends, sizes.tolist(), strict=True)]
    hits = {name: np.bincount(place, block[_EVENT + name], count) for name in counting.events}
    numbers: dict[str, list[Moments]] = {}
    for name in counting.parameters:
        # One column at a time: memory that is used again costs less than fresh memory.
        column = block[name].take(order)
        numbers[name] = [moments(column[part]) for part in parts]

    def side(own: slice) -> _Side:
        return _Side(
            sizes[own].tolist(),
            {name: found[own].astype(np.int64).tolist() for name, found in hits.items()},
            {name: found[own] for name, found in numbers.items()},
        )

    return side(slice(counting.groups)), side(slice(counting.groups, None))


def _one_sided(bound: str, given: str | None, strategy: str, hits: int, trials: int) -> InvalidInput:
    asked = f"{trials:,} trials of {strategy}" + (f" that satisfy {given}" if given is not None else "")
    found = proportion(hits, trials)
    if hits < FEWEST:
        high = found["high"]
        message = (
            f"is broken in {hits} of the {asked}"
            + (f" (95 %: at most {100 * high:.2g} % of trials)" if high is not None else "")
            + f"; at least {FEWEST} are needed: play more trials, or choose a bound that is broken more often"
        )
    else:
        message = (
            f"is kept in {trials - hits} of the {asked}; at least {FEWEST} are needed: choose a bound that is kept "
            "more often"
        )
    return InvalidInput((Fault("bound", bound, message),))


def _parameter(
    name: str,
    tallied: tuple[Sequence[Moments], Sequence[Moments]],
    values: tuple[Ranked, Ranked],
    distance: tuple[float, float],
    weights: regional_sensitivity.Weights | None,
    estimator: _Estimator,
) -> dict[str, Any]:
    """A parameter inside and outside: its moments by group on either side, and the values of the first trials."""
    inside, outside = tallied
    of_there, of_elsewhere = (None, None) if weights is None else weights
    return {
        "name": name,
        "unit": parameter(name).unit,
        "distance": distance[0],
        "p_value": distance[1],
        "shift": estimator.difference(inside, outside, estimator.deviation(inside, outside)),
        "inside": _distribution(estimator.mean(inside), values[0], of_there),
        "outside": _distribution(estimator.mean(outside), values[1], of_elsewhere),
        "by_decile": [
            {"up_to": end, "inside": a, "outside": b}
            for end, a, b in regional_sensitivity.shares_by_decile(*values, weights)
        ],
    }


def _distribution(mean: float, values: Ranked, weight: np.ndarray | None) -> dict[str, object]:
    found = values.quantiles(LEVELS) if weight is None else quantiles(values.numbers, weight, LEVELS)
    return {
        "mean": mean,
        "quantiles": {str(level): float(value) for level, value in zip(LEVELS, found, strict=True)},
    }


def _events(
    conditions: Mapping[str, str], inside: _Side, outside: _Side, estimator: _Estimator
) -> list[dict[str, Any]]:
    """How often each condition holds on each side, those that differ most first."""
    found: list[dict[str, Any]] = []
    for name in conditions:
        there, elsewhere = (
            [
                regional_sensitivity.of_counts(hits, trials)
                for hits, trials in zip(side.events[name], side.trials, strict=True)
            ]
            for side in (inside, outside)
        )
        found.append(
            {
                "name": name,
                "inside": estimator.share(inside.events[name], inside.trials),
                "outside": estimator.share(outside.events[name], outside.trials),
                "difference": estimator.difference(there, elsewhere),
            }
        )
    return sorted(found, key=lambda one: -abs(one["difference"]["estimate"]))


def _worlds(
    inside: tuple[np.ndarray, Mapping[str, Ranked], np.ndarray | None],
    everywhere: tuple[Mapping[str, Ranked], np.ndarray | None],
    differing: list[str],
) -> dict[str, object]:
    """Trials to replay, with the values of the parameters that differ most.

    `inside` has the numbers, parameters and weights of trials in which the bound is broken, `everywhere` those of all.
    """
    (trial, there, weight), (whole, of_whole) = inside, everywhere
    scores = {name: regional_sensitivity.normal_scores(column, whole[name], of_whole) for name, column in there.items()}
    every = np.stack(list(scores.values()))
    some = np.stack([scores[name] for name in differing or scores])
    places = {
        "nearest": regional_sensitivity.nearest(every, np.zeros(len(every)), WORLDS),
        "typical": regional_sensitivity.nearest(some, _medians(some, weight), WORLDS),
    }
    shown = (differing or list(there))[:5]
    return {
        kind: [
            {"trial": int(trial[at]), "values": {name: float(there[name].numbers[at]) for name in shown}}
            for at in found
        ]
        for kind, found in places.items()
    }


def _medians(rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The median of each row."""
    if weight is None:
        return np.asarray(np.median(rows, axis=1))
    return np.array([quantiles(row, weight, (0.5,))[0] for row in rows])


ANSWER = Answer(
    name="stress",
    sentence="How the trials in which a bound is broken differ from the others, and which of them to replay.",
    request=StressRequest,
    result=ReverseStressTest,
    compute=stress,
    examples=({"bound": "sanctions"},),
    designs=SAMPLES,
    fewest_trials=2 * FEWEST,
    fewest_given=2 * FEWEST,
    fewest_cases=FEWEST,
)
