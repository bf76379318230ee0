"""The probability of each state of the dispute by week, from the stored trials."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial, reduce
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import (
    WEIGHTED,
    StatedBelief,
    WeightedTrials,
    code_of,
    read_beliefs,
    weigh_strategy,
)
from cluster.answers.entry import (
    LONGEST_NAME,
    Answer,
    Computed,
    GivenRequest,
    OnProgress,
    Result,
    StrategiesRequest,
)
from cluster.answers.shared import FEWEST_GIVEN, condition_of, too_few_given
from cluster.query.counted_trials import summed_counts
from cluster.query.session import check_time
from cluster.query.shard_columns import ShardColumns
from cluster.query.shard_map import map_shards
from cluster.query.trials import (
    CODE,
    Reading,
    SameTrials,
    StoredRun,
    blocks_of,
    chosen_strategies,
    read_blocks,
    read_values,
    same_trials,
)
from cluster.results.plan import Shard
from cluster.results.trial_table import table_columns
from sim.faults import Fault, InvalidInput
from sim.scenario.columns import Column
from sim.scenario.expressions import Expression
from sim.scenario.warnings import assumption_method
from sim.statistics.estimates import TAIL, Estimate, proportion, proportion_of_replicates
from sim.statistics.timeline import (
    STATES,
    State,
    count_spans,
    count_states,
    simultaneous_tail,
    span_places,
    state_inputs,
    state_spans,
    states_of_spans,
)
from sim.statistics.weighted_estimates import weighted_share

_THREADS = 2
_PLACES = "places in the tables of spans"


StateName = Annotated[str, Field(max_length=LONGEST_NAME)]


class TimelineRequest(StrategiesRequest, GivenRequest):
    """The strategies, the condition and the states."""

    states: Annotated[
        tuple[StateName, ...],
        Field(max_length=len(STATES), description="The states; all if none is named.", examples=[["agreement"]]),
    ] = ()


class WeekState(Result):
    """A state of the dispute, and the times to which it refers."""

    when: str
    meaning: str


class Course(Result):
    """A state's probability by week.

    `low` to `high` is a 95 % interval for each week separately, `band_low` to `band_high` a band that contains all
    weeks jointly with 95 % probability.
    """

    estimate: list[float | None]
    low: list[float | None]
    high: list[float | None]
    band_low: list[float | None]
    band_high: list[float | None]


class StrategyTimeline(Result):
    """The states under a strategy."""

    trials: int
    states: dict[str, Course]


class Timeline(Result):
    """The probability of each state in each week."""

    as_of: str | None
    weeks: list[int]
    states: dict[str, WeekState]
    strategies: dict[str, StrategyTimeline]


def timeline(run: StoredRun, request: TimelineRequest, on_progress: OnProgress) -> Computed:
    """The probability of each of `sim.statistics.timeline.STATES` in each week, with 95 % intervals.

    Every committed trial that satisfies the condition is counted, shard by shard. Progress is in strategies. Raises
    `InvalidInput` for an unknown strategy or state, and for a condition that cannot be read or leaves too few trials.
    """
    plan = run.plan
    chosen = chosen_strategies(run, request.strategies)
    states = _chosen_states(request.states)
    condition = condition_of(run, request.given)
    stated = read_beliefs(run, request.believe)
    replicates = plan.design.replicates(plan.scenario)
    on_progress(0, len(chosen))
    weighted = _weigh(run, chosen, stated, condition)
    countings = {strategy: _counting(run, strategy, states, condition, weighted.get(strategy)) for strategy in chosen}
    of_all_trials = not plan.keeps_all_rows and condition is None and not stated
    if of_all_trials:
        counted = {strategy: _from_counts(run, strategy, states) for strategy in chosen}
    else:
        counted = {strategy: _nothing(counting) for strategy, counting in countings.items()}
        shards = [one for counting in countings.values() for one in same_trials(run, counting.reading.read)]
        for last, found in map_shards(run, shards, partial(_count, countings), _merge_strategies):
            counted = _merge_strategies(counted, found)
            on_progress(chosen.index(next(iter(last))), len(chosen))
    # Threads help here: the bands are drawn without the interpreter's lock.
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = [
            pool.submit(copy_context().run, _courses, run, one, states, condition, weighted.get(one), counted[one])
            for one in chosen
        ]
        courses = {strategy: part.result() for strategy, part in zip(chosen, parts, strict=True)}
    on_progress(len(chosen), len(chosen))
    evidence = {strategy: one.evidence() for strategy, one in weighted.items()}
    result = {
        "as_of": plan.scenario.as_of,
        "weeks": list(range(1, plan.scenario.horizon_weeks + 1)),
        "states": {state.name: {"when": state.when, "meaning": state.meaning} for state in states},
        "strategies": courses,
    }
    method = {
        "errors": "counts of all trials; low and high are 95 % intervals of each week separately, band_low and "
        "band_high contain all weeks of a state jointly with 95 % probability (sup-t); "
        + ("Student's t over replicates, Wilson for rare states" if replicates > 1 else "Wilson")
    }
    if len(chosen) > 1:
        method |= assumption_method(plan.scenario, chosen)
    if stated:
        method["weights"] = WEIGHTED
    used = sum(one["trials"] for one in courses.values())
    return Computed(Timeline.model_validate(result), chosen, used, method, evidence or None, of_all_trials)


def _chosen_states(names: Sequence[str]) -> tuple[State, ...]:
    """The named states in the order of `STATES`, all if none are named. Raises `InvalidInput`."""
    known = {state.name for state in STATES}
    listed = ", ".join(state.name for state in STATES)
    faults = [Fault("states", name, f"is not a state; there are {listed}") for name in names if name not in known]
    if faults:
        raise InvalidInput(tuple(faults))
    return tuple(state for state in STATES if state.name in names or not names)


def _weigh(
    run: StoredRun, chosen: Sequence[str], stated: tuple[StatedBelief, ...], condition: Expression | None
) -> dict[str, WeightedTrials]:
    """The weights of each strategy's trials that satisfy the condition; none without beliefs."""
    return {strategy: weigh_strategy(run, strategy, stated, condition) for strategy in chosen} if stated else {}


@dataclass(frozen=True)
class _Counting:
    """How a strategy's trials are counted: in which states, what is read, and the durations that are the same in all
    trials.
    """

    states: tuple[State, ...]
    reading: Reading
    fixed: Mapping[str, float]
    replicates: int
    horizon: int
    weighted: WeightedTrials | None

    @property
    def groups(self) -> int:
        """Groups of trials: by replicate, and by the codes of the beliefs' conditions that occur."""
        return self.replicates * (1 if self.weighted is None else len(self.weighted.patterns))


@dataclass(frozen=True)
class _Counted:
    """The trials of a strategy by group; by state those that are in it in each week, shape (groups, weeks); and the
    spans of weeks (see `count_spans`), whose counts are squared weights if trials are weighted.
    """

    trials: np.ndarray
    states: Mapping[str, np.ndarray]
    spans: Mapping[str, np.ndarray]


def _counting(
    run: StoredRun,
    strategy: str,
    states: tuple[State, ...],
    condition: Expression | None,
    weighted: WeightedTrials | None,
) -> _Counting:
    scenario = run.plan.scenario
    values, fixed = state_inputs(scenario, strategy)
    code = None if weighted is None else code_of(weighted.stated)
    reading = Reading((strategy,), values, given=condition, code=code)
    return _Counting(states, reading, fixed, run.plan.design.replicates(scenario), scenario.horizon_weeks, weighted)


def _count(countings: Mapping[str, _Counting], run: StoredRun, shards: SameTrials) -> dict[str, _Counted]:
    """The trials of a strategy's shard."""
    strategy = next(iter(shards))
    counting = countings[strategy]
    if counting.weighted is None:
        return {strategy: _count_places(counting, run, shards[strategy])}
    weighted = counting.weighted
    blocks = (block[strategy] for block in read_blocks(run, shards, counting.reading))
    return {
        strategy: reduce(_merge, (_count_weighted(counting, weighted, block) for block in blocks), _nothing(counting))
    }


def _count_weighted(counting: _Counting, weighted: WeightedTrials, block: Mapping[str, np.ndarray]) -> _Counted:
    horizon, groups = counting.horizon, counting.groups
    group = block["trial"] % counting.replicates * len(weighted.patterns) + weighted.place(block[CODE])
    durations = {name: np.full(group.shape, value) for name, value in counting.fixed.items()}
    every = state_spans({**block, **durations}, horizon)
    spans = {state.name: every[state.name] for state in counting.states}
    # Squared weights, since those are what the weeks' errors have in common.
    tables = count_spans(spans, horizon, np.square(weighted.weight(block[CODE])))
    return _Counted(np.bincount(group, minlength=groups), count_states(spans, group, groups, horizon), tables)


def _count_places(counting: _Counting, run: StoredRun, shard: Shard) -> _Counted:
    """The trials of a shard, each with the same weight, by their places in the tables of spans.

    These do not depend on the condition, and are kept.
    """
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    width, groups, given = counting.horizon + 2, counting.groups, counting.reading.given
    counted = _nothing(counting)
    with run.open_shard(shard) as file:
        for first, count in blocks_of(shard):
            check_time()
            rows = np.arange(count)
            if given is not None:
                rows = np.flatnonzero(read_values(file, known, [given], first, count)[given])
            group = (first + rows) % groups
            states, spans = {}, {}
            places = _places(counting, file, known, first, count, rows)
            for state, place in zip(counting.states, places, strict=True):
                at = place if groups == 1 else group * (width * width) + place
                tables = np.bincount(at, minlength=groups * width * width).reshape(groups, width, width)
                states[state.name] = np.concatenate([states_of_spans(table) for table in tables])
                spans[state.name] = tables.sum(axis=0)
            counted = _merge(counted, _Counted(np.bincount(group, minlength=groups), states, spans))
    return counted


def _places(
    counting: _Counting, file: ShardColumns, known: Mapping[str, Column], first: int, count: int, rows: np.ndarray
) -> list[np.ndarray]:
    """The place of some trials of a block in each state's table, by state."""
    names = [state.name for state in counting.states]
    kept = [file.find((_PLACES, name), first, count) for name in names]
    found = [place for place in kept if place is not None]
    if len(found) < len(names):
        # Where nothing is kept, only of the trials that are wanted.
        wanted = rows if file.cache is None and rows.size < count else None
        values = read_values(file, known, counting.reading.values.values(), first, count, wanted)
        block = {name: values[one].astype(np.float64) for name, one in counting.reading.values.items()}
        size = count if wanted is None else wanted.size
        block |= {name: np.full(size, value) for name, value in counting.fixed.items()}
        spans = state_spans(block, counting.horizon)
        narrow = np.uint16 if (counting.horizon + 2) ** 2 <= 1 << 16 else np.uint32
        made = span_places({name: spans[name] for name in names}, counting.horizon)
        found = [made[name].astype(narrow) for name in names]
        if file.cache is None:
            return found
        for name, place in zip(names, found, strict=True):
            file.put((_PLACES, name), first, count, place)
    return found if rows.size == count else [place.take(rows) for place in found]


def _from_counts(run: StoredRun, strategy: str, chosen: Sequence[State]) -> _Counted:
    """All trials of a strategy, of a run that keeps their counts."""
    scenario = run.plan.scenario
    replicates, width = run.plan.design.replicates(scenario), scenario.horizon_weeks + 2
    counts = summed_counts(run, strategy)
    states, spans = {}, {}
    for state in chosen:
        own = counts[f"state.{state.name}"]
        tables = np.zeros((replicates, width, width), np.int64)
        tables.reshape(replicates, -1)[own.replicate, own.key] = own.count
        states[state.name] = np.concatenate([states_of_spans(table) for table in tables])
        spans[state.name] = tables.sum(axis=0)
    return _Counted(np.array([tally.trials for tally in run.tallies(strategy)], np.int64), states, spans)


def _nothing(counting: _Counting) -> _Counted:
    groups, horizon = counting.groups, counting.horizon
    return _Counted(
        np.zeros(groups, np.int64),
        {state.name: np.zeros((groups, horizon), np.int64) for state in counting.states},
        {state.name: np.zeros((horizon + 2, horizon + 2)) for state in counting.states},
    )


def _merge(a: _Counted, b: _Counted) -> _Counted:
    return _Counted(
        a.trials + b.trials,
        {name: count + b.states[name] for name, count in a.states.items()},
        {name: count + b.spans[name] for name, count in a.spans.items()},
    )


def _merge_strategies(a: Mapping[str, _Counted], b: Mapping[str, _Counted]) -> dict[str, _Counted]:
    return {**a, **{strategy: _merge(a[strategy], own) if strategy in a else own for strategy, own in b.items()}}


def _courses(
    run: StoredRun,
    strategy: str,
    states: Sequence[State],
    condition: Expression | None,
    weighted: WeightedTrials | None,
    counted: _Counted,
) -> dict[str, Any]:
    """A strategy's part of the document."""
    total = int(counted.trials.sum())
    if condition is not None and total < FEWEST_GIVEN:
        raise too_few_given(total, strategy, condition)
    per_point = run.plan.design.trials_per_point(run.plan.scenario)
    return {
        "trials": total,
        "states": {
            state.name: _course(
                counted.states[state.name],
                counted.trials,
                per_point,
                simultaneous_tail(counted.spans[state.name]),
                weighted,
            )
            for state in states
        },
    }


def _course(
    count: np.ndarray, trials: np.ndarray, per_point: int, simultaneous: float, weighted: WeightedTrials | None
) -> dict[str, list[float | None]]:
    """A state's estimates, bounds and band, week by week; `simultaneous` is the tail of the band's intervals."""
    weeks = [tuple(own) for own in count.T.tolist()]

    def estimates(tail: float) -> list[Estimate]:
        """One estimate per week; weeks with the same counts share one."""
        known = {hits: _share(list(hits), trials.tolist(), per_point, tail, weighted) for hits in set(weeks)}
        return [known[hits] for hits in weeks]

    found, band = estimates(TAIL), estimates(simultaneous)
    return {key: [one[key] for one in found] for key in ("estimate", "low", "high")} | {
        f"band_{key}": [one[key] for one in band] for key in ("low", "high")
    }


def _share(
    hits: list[int], trials: list[int], per_point: int, tail: float, weighted: WeightedTrials | None
) -> Estimate:
    if weighted is not None:
        own, of = (np.array(counts).reshape(-1, len(weighted.patterns)) for counts in (hits, trials))
        return weighted_share(weighted.weighting, own, of, of, per_point, tail)
    if len(trials) == 1:
        return proportion(hits[0], trials[0], tail)
    return proportion_of_replicates(hits, trials, per_point, tail)


ANSWER = Answer(
    name="timeline",
    sentence="The probability of each state of the dispute in each week.",
    request=TimelineRequest,
    result=Timeline,
    compute=timeline,
    examples=({"given": "filing_week is null"}, {}),
    steps="strategies",
    fewest_given=FEWEST_GIVEN,
)
