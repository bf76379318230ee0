"""Strategies of a stored run compared on the same trials: differences, regret, and who leads given what beliefs."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from itertools import combinations
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import WEIGHTED, StatedBelief, WeightedTrials, code_of, read_beliefs, weigh_trials
from cluster.answers.entry import (
    NET_GAIN,
    Answer,
    Computed,
    Estimate,
    GivenRequest,
    Measure,
    OnProgress,
    QuantileEstimate,
    Result,
    StrategiesRequest,
    measure_of_choice,
)
from cluster.answers.shared import beliefs_of, condition_of, paired_strategies, too_few_paired
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.samples import paired_sample
from cluster.query.shard_map import map_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, read_blocks, same_trials
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import TRUTH, Expression, parse_measure
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, OUTCOMES
from sim.scenario.warnings import assumption_method
from sim.statistics import paired_differences
from sim.statistics.estimates import ANY_NUMBER, Range
from sim.statistics.estimates import Estimate as Estimates
from sim.statistics.measure_ranges import difference_range, measure_ranges
from sim.statistics.paired_differences import NO_PAIRS, Lead, Pair, Regret
from sim.statistics.ranked import Ranked
from sim.statistics.tallies import common_term
from sim.statistics.tally_estimates import method_note
from sim.statistics.weighted_differences import WeightedGroups

FLAGS = (*OUTCOMES, *EVENTS)
"""Conditions whose probabilities are compared."""
SAMPLE = 250_000
"""Leads and quantiles of regret are computed from at most this many trials, the first ones."""
FEWEST = 100
MOST_MEASURES = 12
_THREADS = 2

Couple = tuple[str, str]
T = TypeVar("T")

_METHOD = {
    "difference": (
        "the first strategy's value less the second's in the same trial, over the trials that know both; its error is "
        "that of these paired differences; a condition's interval is that of Bonett & Price (2012), in a sobol run "
        "only where few trials differ"
    ),
    "better": (
        "higher, lower and equal are shares of those trials; for a measure of choice higher is better: put a minus "
        "before a cost. A condition counts as 1 where it holds, else 0. A null is neither better nor worse: such "
        "trials are left out and counted under unknown"
    ),
    "regret": (
        "how far a strategy is below the best in the same trial, over the trials that know the measure under "
        "every strategy; best: no other does better, best_alone: all others do worse"
    ),
    "leads": (
        "the range of a parameter is cut into twenty parts of equal share; in each the strategy with the best mean "
        "is compared with every other by paired differences; it leads if all differences are above zero, with "
        "intervals that hold jointly over the parameter with 95 % (Bonferroni); otherwise several are listed as "
        "ahead: too close to call"
    ),
}


Sampled = Annotated[
    int | None,
    Field(
        ge=1000,
        description="Which strategy leads by parameter, and quantiles of regret, are from at most this many of the "
        "first trials: they come sooner, with wider intervals. All else is from all trials.",
    ),
]


class CompareRequest(StrategiesRequest, GivenRequest):
    """Which strategies, at least two, by which measures of choice, under which condition."""

    measures: Annotated[
        tuple[Measure, ...],
        Field(
            max_length=MOST_MEASURES,
            description="Measures of choice, of which more is better; if none is named, the scenario's `choice`, or "
            f"{NET_GAIN}.",
        ),
    ] = ()
    sampled: Sampled = None


class UnknownPairs(Result):
    """Trials left out because the measure is null or infinite, by the strategy under which it is."""

    first: int
    second: int
    both: int


class PairedDifference(Result):
    """The first strategy less the second in the same trials, and which has the higher value how often."""

    difference: Estimate
    higher: Estimate
    lower: Estimate
    equal: Estimate
    trials: int
    unknown: UnknownPairs


class StrategyPair(Result):
    """Two strategies compared."""

    first: str
    second: str
    outcome: dict[str, PairedDifference]
    events: dict[str, PairedDifference]
    measures: dict[str, PairedDifference]


class StrategyRegret(Result):
    """How far a strategy is below the best one in the same trial."""

    mean: Estimate
    best: Estimate
    best_alone: Estimate
    quantiles: Annotated[
        dict[str, QuantileEstimate], Field(description="Empty where no trial that was sampled has the measure.")
    ]


class LeadRange(Result):
    """A range of a parameter, and the strategies that lead in it."""

    low: float
    high: float
    share: float
    cells: int
    leads: Annotated[str | None, Field(description="The strategy that leads; null if it is too close to call.")]
    ahead: list[str]
    means: dict[str, float]


class ParameterLeads(Result):
    """Which strategies lead over the range of a parameter."""

    name: str
    unit: str
    changes_hands: bool
    ranges: list[LeadRange]


class Choice(Result):
    """Strategies by a measure of choice."""

    measure: str
    trials: int
    unknown: Annotated[int, Field(description="Trials in which the measure is null or infinite under some strategy.")]
    regret: dict[str, StrategyRegret]
    leads: list[ParameterLeads]


class ComparedTrials(Result):
    """Trials that were compared, of each strategy."""

    compared: int
    sampled: Annotated[int, Field(description="Trials from which leads and quantiles of regret were computed.")]


class Comparison(Result):
    """Strategies compared on the same trials."""

    trials: ComparedTrials
    pairs: list[StrategyPair]
    choices: list[Choice]
    set_by_strategies: Annotated[
        dict[str, list[str]], Field(description="Parameters that strategies set, and which strategies set them.")
    ]


def compare(run: StoredRun, request: CompareRequest, on_progress: OnProgress) -> Computed:
    """How strategies of a run differ on the same trials.

    For every pair: the difference in the probability of each outcome and event and in the mean of each measure, with
    errors from paired differences, and how often either strategy has the higher value in the same trial. For each
    measure of choice: every strategy's regret, and the strategies that lead in each range of each uncertain parameter
    that no strategy sets. With a condition, all is computed over the trials for which it holds under every strategy
    compared. Trials are counted shard by shard; progress is in trials. Raises `InvalidInput`.
    """
    plan, scenario = run.plan, run.plan.scenario
    chosen = paired_strategies(run, request.strategies)
    condition = condition_of(run, request.given)
    choices = read_measures(request.measures or (measure_of_choice(None, scenario),), scenario)
    described = (
        choices if request.measures else {**{name: parse_measure(name, scenario) for name in MEASURES}, **choices}
    )
    replicates = plan.design.replicates(scenario)
    stated = read_beliefs(run, request.believe)
    code = code_of(stated)

    grouping = _Grouping(replicates, 2 ** len(stated))
    reading = Reading(chosen, described, condition, code, {_flag(name): common_term(name) for name in FLAGS})
    conditions = frozenset(name for name, one in described.items() if one.kind == TRUTH)
    counting = _Counting(reading, tuple(described), conditions, tuple(choices), grouping)
    by_group: Tallies = {}
    for last, found in map_shards(run, same_trials(run, reading.read), partial(_count, counting), _merge):
        by_group = _merge(by_group, found)
        shard = last[chosen[0]]
        on_progress(shard.first + shard.count, plan.row_trials)
    nothing = _nothing(counting)
    groups = [by_group.get(group, nothing) for group in range(grouping.count)]
    trials = np.array([one.trials for one in groups])
    compared = int(trials.sum())
    if compared < FEWEST:
        raise too_few_paired(compared, request.given, chosen, FEWEST)
    beliefs, decided = beliefs_of(scenario, chosen)
    most = min(SAMPLE, request.sampled or SAMPLE)
    sampled = paired_sample(run, chosen, choices, given=condition, code=code, most=most)
    parameters = ranked_parameters(run, chosen[0], beliefs, sampled[chosen[0]]["trial"])
    weighted = _weigh(stated, trials, grouping, condition)
    of_sample = _weigh(stated, grouping.counts(sampled[chosen[0]]), grouping, condition)
    result = {
        "trials": {"compared": compared, "sampled": sampled[chosen[0]]["trial"].size},
        "pairs": _pairs(counting, groups, {one: measure_ranges(scenario, one) for one in chosen}, weighted),
        "choices": [
            {
                "measure": name,
                **_regrets(name, [one.regrets[name] for one in groups], chosen, sampled, grouping, weighted, of_sample),
                "leads": _leads(name, parameters, chosen, sampled, grouping, of_sample),
            }
            for name in choices
        ],
        "set_by_strategies": decided,
    }
    method = {
        **_METHOD,
        **assumption_method(scenario, chosen),
        "errors": method_note(scenario, plan.design),
    }
    evidence = None
    if weighted is not None:
        method["weights"] = WEIGHTED
        evidence = dict.fromkeys(chosen, weighted.trials.evidence())
    return Computed(Comparison.model_validate(result), chosen, compared * len(chosen), method, evidence)


def compare_first(run: StoredRun, measure: str | None = None, *, trials: int) -> Comparison | None:
    """The strategies of a run compared by one measure, on the first trials that are committed under all of them.

    Without a `measure` it is the scenario's measure of choice. Outcomes, events, leads and quantiles of regret are left
    out, so that this takes about a second. None if there are fewer than two strategies or fewer than `FEWEST` trials.
    Raises `InvalidInput`.
    """
    plan = run.plan
    measure = measure_of_choice(measure, plan.scenario)
    chosen, replicates = plan.strategies, plan.design.replicates(plan.scenario)
    if len(chosen) < 2:
        return None
    sampled = paired_sample(run, chosen, {measure: parse_measure(measure, plan.scenario)}, most=trials)
    values, known = _known(measure, chosen, sampled)
    if known.sum() < FEWEST:
        return None
    number = sampled[chosen[0]]["trial"] % replicates
    parts = [values[:, number == replicate] for replicate in range(replicates)]
    regrets = [paired_differences.regret(part) for part in parts]
    pairs = [
        {
            "first": chosen[a],
            "second": chosen[b],
            "outcome": {},
            "events": {},
            "measures": {
                measure: paired_differences.pair_estimates(
                    [paired_differences.pair(part[a], part[b]) for part in parts]
                )
            },
        }
        for a, b in combinations(range(len(chosen)), 2)
    ]
    choice = {
        "measure": measure,
        "trials": int(known.sum()),
        "unknown": int((~known).sum()),
        "regret": {
            name: {**paired_differences.regret_estimates(regrets, k), "quantiles": {}} for k, name in enumerate(chosen)
        },
        "leads": [],
    }
    counts = {"compared": number.size, "sampled": number.size}
    return Comparison.model_validate({"trials": counts, "pairs": pairs, "choices": [choice], "set_by_strategies": {}})


def read_measures(measures: Sequence[str], scenario: Scenario) -> dict[str, Expression]:
    """Measures by their text. Raises `InvalidInput` with the faults of all of them."""
    found: dict[str, Expression] = {}
    faults: list[Fault] = []
    for k, text in enumerate(measures):
        try:
            found[text] = parse_measure(text, scenario, f"measures[{k}]")
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(tuple(faults))
    return found


def _flag(name: str) -> str:
    """The name under which a condition is read; no measure has it, even if it is the same condition."""
    return f"{name}?"


@dataclass(frozen=True)
class _Grouping:
    """Groups of trials: by replicate, and by the code of the beliefs' conditions (one code without beliefs)."""

    replicates: int
    codes: int

    @property
    def count(self) -> int:
        """The number of groups."""
        return self.replicates * self.codes

    def group(self, block: Mapping[str, np.ndarray]) -> np.ndarray:
        """The group of each trial of a block's first strategy."""
        replicate = block["trial"] % self.replicates
        return replicate * self.codes + block[CODE] if CODE in block else replicate

    def counts(self, block: Mapping[str, np.ndarray]) -> np.ndarray:
        """The number of trials of each group."""
        return np.bincount(self.group(block), minlength=self.count)


@dataclass(frozen=True)
class _Weighted:
    """Weighted trials: the groups whose codes occur, and how these are estimated from."""

    trials: WeightedTrials
    codes: int
    estimates: WeightedGroups

    def chosen(self, tallied: list[T]) -> list[T]:
        """The tallies of the groups whose codes occur."""
        return [one for k, one in enumerate(tallied) if k % self.codes in set(self.trials.patterns.tolist())]

    def group(self, group: np.ndarray) -> np.ndarray:
        """The groups' places among those whose codes occur."""
        return group // self.codes * len(self.trials.patterns) + self.trials.place(group % self.codes)


def _weigh(
    stated: Sequence[StatedBelief], counts: np.ndarray, grouping: _Grouping, condition: Expression | None
) -> _Weighted | None:
    """The weights that beliefs give to trials, of which `counts` has the number of each group; None without beliefs."""
    if not stated:
        return None
    by_code = counts.reshape(grouping.replicates, grouping.codes)
    found = weigh_trials(stated, by_code.sum(axis=0), condition)
    return _Weighted(found, grouping.codes, WeightedGroups(found.weighting, by_code[:, found.patterns]))


@dataclass(frozen=True)
class _Counting:
    """How trials are counted: what is read, the measures by name, those that are conditions, and those of choice."""

    reading: Reading
    measures: tuple[str, ...]
    conditions: frozenset[str]
    choices: tuple[str, ...]
    grouping: _Grouping

    @property
    def strategies(self) -> tuple[str, ...]:
        """The strategies that are compared."""
        return self.reading.strategies

    @property
    def couples(self) -> list[Couple]:
        """Every two strategies."""
        return list(combinations(self.strategies, 2))


@dataclass(frozen=True)
class _Tallied:
    """What is counted of the trials of one group, for each pair of strategies.

    `changes` counts the trials in which each of `FLAGS` holds under one strategy alone, as
    `sim.statistics.paired_differences.changes` has them.
    """

    trials: int
    changes: Mapping[Couple, np.ndarray]
    measures: Mapping[tuple[Couple, str], Pair]
    regrets: Mapping[str, Regret]


Tallies = Mapping[int, _Tallied]
"""The tallies of those groups that have trials."""


def _count(counting: _Counting, run: StoredRun, shards: SameTrials) -> Tallies:
    """The tallies of shards of the same trials."""
    return reduce(_merge, (_count_block(counting, block) for block in read_blocks(run, shards, counting.reading)), {})


def _count_block(counting: _Counting, block: Mapping[str, Mapping[str, np.ndarray]]) -> Tallies:
    group = counting.grouping.group(block[counting.strategies[0]])
    found = {}
    for one in np.flatnonzero(np.bincount(group)).tolist():
        own = slice(None) if counting.grouping.count == 1 else np.flatnonzero(group == one)
        found[one] = _tally(
            counting, {name: {key: values[own] for key, values in part.items()} for name, part in block.items()}
        )
    return found


def _tally(counting: _Counting, part: Mapping[str, Mapping[str, np.ndarray]]) -> _Tallied:
    strategies, couples = counting.strategies, counting.couples
    flags = {one: paired_differences.packed([part[one][_flag(name)] for name in FLAGS]) for one in strategies}
    return _Tallied(
        part[strategies[0]]["trial"].size,
        {couple: paired_differences.changes(*(flags[one] for one in couple)) for couple in couples},
        {
            (couple, name): paired_differences.pair(*(part[strategy][name] for strategy in couple))
            for couple in couples
            for name in counting.measures
        },
        {
            name: paired_differences.regret(np.stack([part[strategy][name] for strategy in strategies]))
            for name in counting.choices
        },
    )


def _nothing(counting: _Counting) -> _Tallied:
    """The tallies of no trials."""
    couples = counting.couples
    return _Tallied(
        0,
        {couple: np.zeros((2, len(FLAGS)), np.int64) for couple in couples},
        {(couple, name): NO_PAIRS for couple in couples for name in counting.measures},
        {name: paired_differences.no_regret(len(counting.strategies)) for name in counting.choices},
    )


def _merge(a: Tallies, b: Tallies) -> Tallies:
    return {**a, **{group: _merge_tallied(a[group], own) if group in a else own for group, own in b.items()}}


def _merge_tallied(a: _Tallied, b: _Tallied) -> _Tallied:
    return _Tallied(
        a.trials + b.trials,
        {couple: counts + b.changes[couple] for couple, counts in a.changes.items()},
        {name: paired_differences.merge_pairs(own, b.measures[name]) for name, own in a.measures.items()},
        {name: paired_differences.merge_regrets(own, b.regrets[name]) for name, own in a.regrets.items()},
    )


def _pairs(
    counting: _Counting,
    groups: Sequence[_Tallied],
    ranges: Mapping[str, Mapping[str, Range]],
    weighted: _Weighted | None,
) -> list[dict[str, object]]:
    """The estimates of every pair; `ranges` holds each strategy's `sim.statistics.measure_ranges`."""

    def estimates(tallied: list[Pair], *, condition: bool = True, within: Range = ANY_NUMBER) -> dict[str, object]:
        if weighted is None:
            return paired_differences.pair_estimates(tallied, condition=condition, within=within)
        return weighted.estimates.pair_estimates(weighted.chosen(tallied), condition=condition, within=within)

    def of_flags(names: Sequence[str], couple: Couple) -> dict[str, object]:
        """The estimates of some of `FLAGS`."""
        changed = [one.changes[couple].tolist() for one in groups]
        return {
            name: estimates(
                [
                    paired_differences.pair_of_changes(one.trials, higher[k], lower[k])
                    for one, (higher, lower) in zip(groups, changed, strict=True)
                ]
            )
            for k, name in enumerate(FLAGS)
            if name in names
        }

    return [
        {
            "first": couple[0],
            "second": couple[1],
            "outcome": of_flags(OUTCOMES, couple),
            "events": of_flags(EVENTS, couple),
            "measures": {
                name: estimates(
                    [one.measures[couple, name] for one in groups],
                    condition=name in counting.conditions,
                    within=difference_range(*(ranges[strategy].get(name, ANY_NUMBER) for strategy in couple)),
                )
                for name in counting.measures
            },
        }
        for couple in counting.couples
    ]


def _regrets(
    name: str,
    tallied: list[Regret],
    strategies: tuple[str, ...],
    sampled: Mapping[str, Mapping[str, np.ndarray]],
    grouping: _Grouping,
    weighted: _Weighted | None,
    of_sample: _Weighted | None,
) -> dict[str, object]:
    """Every strategy's regret, with quantiles from the trials sampled."""
    values, known = _known(name, strategies, sampled)
    total = reduce(paired_differences.merge_regrets, tallied)
    document: dict[str, object] = {"trials": total.shortfall[0].count, "unknown": total.unknown, "regret": {}}
    if not total.shortfall[0].count:
        return document
    rows = np.flatnonzero(known)
    group = grouping.group(sampled[strategies[0]]).take(rows)
    short = paired_differences.shortfalls(values if known.all() else values.take(rows, axis=1))
    levels = paired_differences.REGRET_LEVELS

    def quantiles(values: np.ndarray) -> dict[float, Estimates]:
        if not values.size:
            return {}
        if of_sample is None:
            return paired_differences.quantile_estimates(values, levels, group, grouping.replicates)
        places, own = of_sample.group(group), of_sample.estimates
        return {level: own.quantile_estimate(values, level, places) for level in levels}

    document["regret"] = {
        strategy: {
            **(
                paired_differences.regret_estimates(tallied, k)
                if weighted is None
                else weighted.estimates.regret_estimates(weighted.chosen(tallied), k)
            ),
            "quantiles": {str(level): found for level, found in quantiles(short[k]).items()},
        }
        for k, strategy in enumerate(strategies)
    }
    return document


def _leads(
    name: str,
    parameters: Mapping[str, Ranked],
    strategies: tuple[str, ...],
    sampled: Mapping[str, Mapping[str, np.ndarray]],
    grouping: _Grouping,
    weighted: _Weighted | None,
) -> list[dict[str, Any]]:
    """For each parameter the ranges in which strategies lead. Parameters over which the lead changes come first."""
    values, known = _known(name, strategies, sampled)
    if not known.any():
        return []
    rows = np.flatnonzero(known)
    values = values if known.all() else values.take(rows, axis=1)
    group = grouping.group(sampled[strategies[0]]).take(rows)
    columns = [one if known.all() else one.take(rows) for one in parameters.values()]
    if weighted is None:
        size = max(1, -(-len(columns) // _THREADS))
        parts = [columns[first : first + size] for first in range(0, len(columns), size)]

        def some(part: list[Ranked]) -> list[list[Lead]]:
            return paired_differences.leads(part, values, group, grouping.replicates)

        # Threads help here: a product with a matrix does not hold the interpreter's lock.
        with ThreadPoolExecutor(_THREADS) as pool:
            every = [one for part in pool.map(some, parts) for one in part]
    else:
        every = [weighted.estimates.leads(column, values, weighted.group(group)) for column in columns]
    found = []
    for belief, ranges in zip(parameters, every, strict=True):
        clear = {lead.ahead[0] for lead in ranges if len(lead.ahead) == 1}
        found.append(
            {
                "name": belief,
                "unit": parameter(belief).unit,
                "changes_hands": len(clear) > 1,
                "ranges": [_range(lead, strategies, sum(one.trials for one in ranges)) for lead in ranges],
            }
        )
    return sorted(found, key=lambda one: (not one["changes_hands"], -len(one["ranges"])))


def _range(lead: Lead, strategies: tuple[str, ...], trials: float) -> dict[str, object]:
    return {
        "low": lead.low,
        "high": lead.high,
        "share": lead.trials / trials,
        "cells": lead.cells,
        "leads": strategies[lead.ahead[0]] if len(lead.ahead) == 1 else None,
        "ahead": [strategies[k] for k in lead.ahead],
        "means": dict(zip(strategies, lead.means, strict=True)),
    }


def _known(
    name: str, strategies: tuple[str, ...], sampled: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """A measure of choice in the trials sampled, shape (strategies, trials), and the trials in which it is finite under
    all.
    """
    values = np.stack([sampled[strategy][name] for strategy in strategies])
    return values, np.isfinite(values).all(axis=0)


ANSWER = Answer(
    name="compare",
    sentence=(
        "Strategies on the same trials: differences, regret, and which strategy leads as a function of each parameter."
    ),
    request=CompareRequest,
    result=Comparison,
    compute=compare,
    examples=({"measures": [NET_GAIN]}, {}),
    designs=SAMPLES,
    steps="trials",
    fewest_trials=FEWEST,
    fewest_given=FEWEST,
)
