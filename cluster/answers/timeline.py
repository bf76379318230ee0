"""The probability of each state of the dispute by week, from the stored trials."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np

from cluster.answers.beliefs import (
    WEIGHTED,
    StatedBelief,
    WeightedTrials,
    code_of,
    read_beliefs,
    weigh_trials,
)
from cluster.answers.entry import Answer, Computed, GivenRequest, OnProgress, Result, StrategiesRequest
from cluster.answers.shared import FEWEST_GIVEN, condition_of, too_few_given
from cluster.query.trials import CODE, StoredRun, chosen_strategies, paired_blocks
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import Expression, parse_measure
from sim.scenario.warnings import assumption_method
from sim.statistics.estimates import TAIL, Estimate, proportion, proportion_of_replicates
from sim.statistics.timeline import (
    CONDITIONS,
    COUNTS,
    DURATIONS,
    STATES,
    WEEKS,
    count_spans,
    count_states,
    simultaneous_tail,
    state_spans,
    states_of_spans,
)
from sim.statistics.weighted_estimates import weighted_share

_THREADS = 2


class TimelineRequest(StrategiesRequest, GivenRequest):
    """The strategies and the condition."""


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

    Every committed trial that satisfies the condition is counted, one block at a time. Raises `InvalidInput` for an
    unknown strategy, and for a condition that cannot be read or leaves too few trials. Progress is in strategies.
    """
    plan = run.plan
    chosen = chosen_strategies(run, request.strategies)
    condition = condition_of(run, request.given)
    stated = read_beliefs(run, request.believe)
    replicates = plan.design.replicates(plan.scenario)
    courses, evidence = {}, {}
    on_progress(0, len(chosen))

    def course(strategy: str) -> tuple[dict[str, Any], WeightedTrials | None]:
        weighted = _weigh(run, strategy, stated, condition)
        return _strategy(run, strategy, condition, weighted), weighted

    with ThreadPoolExecutor(_THREADS) as pool:
        # Each thread has the limit of time of this one.
        parts = [pool.submit(copy_context().run, course, strategy) for strategy in chosen]
        for strategy, part in zip(chosen, parts, strict=True):
            courses[strategy], weighted = part.result()
            if weighted is not None:
                evidence[strategy] = weighted.evidence()
            on_progress(len(courses), len(chosen))
    result = {
        "as_of": plan.scenario.as_of,
        "weeks": list(range(1, plan.scenario.horizon_weeks + 1)),
        "states": {state.name: {"when": state.when, "meaning": state.meaning} for state in STATES},
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
    return Computed(Timeline.model_validate(result), chosen, used, method, evidence or None)


def _weigh(
    run: StoredRun, strategy: str, stated: Sequence[StatedBelief], condition: Expression | None
) -> WeightedTrials | None:
    """The weights of a strategy's trials that satisfy the condition; None without beliefs."""
    if not stated:
        return None
    counts = np.zeros(2 ** len(stated), np.int64)
    for blocks in paired_blocks(run, (strategy,), {}, given=condition, code=code_of(stated)):
        counts += np.bincount(blocks[strategy][CODE], minlength=counts.size)
    if condition is not None and counts.sum() < FEWEST_GIVEN:
        raise too_few_given(int(counts.sum()), strategy, condition)
    return weigh_trials(stated, counts, condition)


def _strategy(
    run: StoredRun, strategy: str, condition: Expression | None, weighted: WeightedTrials | None
) -> dict[str, Any]:
    scenario = run.plan.scenario
    replicates = run.plan.design.replicates(scenario)
    patterns = 1 if weighted is None else len(weighted.patterns)
    horizon = scenario.horizon_weeks
    distributions = scenario.parameters(strategy)
    fixed = {
        name: given.value
        for name in DURATIONS
        if name not in scenario.uncertain and isinstance(given := distributions[name], Fixed)
    }
    read = [*WEEKS, *COUNTS, *CONDITIONS, *(name for name in DURATIONS if name not in fixed)]
    values = {name: parse_measure(name, scenario) for name in read}
    groups = replicates * patterns
    trials = np.zeros(groups, np.int64)
    counts = {state.name: np.zeros((groups, horizon), np.int64) for state in STATES}
    entries = {state.name: np.zeros((horizon + 2, horizon + 2)) for state in STATES}
    code = None if weighted is None else code_of(weighted.stated)
    for blocks in paired_blocks(run, (strategy,), values, given=condition, code=code):
        block = blocks[strategy]
        group = block["trial"] % replicates
        # Squared weights, since those are what the weeks' errors have in common.
        squares = None
        if weighted is not None:
            group = group * patterns + weighted.place(block[CODE])
            squares = np.square(weighted.weight(block[CODE]))
        trials += np.bincount(group, minlength=groups)
        durations = {name: np.full(group.shape, value) for name, value in fixed.items()}
        spans = state_spans({**block, **durations}, horizon)
        tables = count_spans(spans, horizon, squares)
        for name, table in tables.items():
            entries[name] += table
        together = groups == 1 and squares is None
        found = _counted_together(tables) if together else count_states(spans, group, groups, horizon)
        for name, count in found.items():
            counts[name] += count
    total = int(trials.sum())
    if condition is not None and total < FEWEST_GIVEN:
        raise too_few_given(total, strategy, condition)
    return {
        "trials": total,
        "states": {
            name: _course(
                count, trials, run.plan.design.trials_together(scenario), simultaneous_tail(entries[name]), weighted
            )
            for name, count in counts.items()
        },
    }


def _counted_together(tables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: states_of_spans(table) for name, table in tables.items()}


def _course(
    count: np.ndarray, trials: np.ndarray, together: int, simultaneous: float, weighted: WeightedTrials | None
) -> dict[str, list[float | None]]:
    """A state's estimates, bounds and band, week by week; `simultaneous` is the tail of the band's intervals."""
    weeks = [tuple(own) for own in count.T.tolist()]

    def estimates(tail: float) -> list[Estimate]:
        """One estimate per week; weeks with the same counts share one."""
        known = {hits: _share(list(hits), trials.tolist(), together, tail, weighted) for hits in set(weeks)}
        return [known[hits] for hits in weeks]

    found, band = estimates(TAIL), estimates(simultaneous)
    return {key: [one[key] for one in found] for key in ("estimate", "low", "high")} | {
        f"band_{key}": [one[key] for one in band] for key in ("low", "high")
    }


def _share(hits: list[int], trials: list[int], together: int, tail: float, weighted: WeightedTrials | None) -> Estimate:
    if weighted is not None:
        own, of = (np.array(counts).reshape(-1, len(weighted.patterns)) for counts in (hits, trials))
        return weighted_share(weighted.weighting, own, of, of, together, tail)
    if len(trials) == 1:
        return proportion(hits[0], trials[0], tail)
    return proportion_of_replicates(hits, trials, together, tail)


ANSWER = Answer(
    name="timeline",
    sentence="The probability of each state of the dispute in each week.",
    request=TimelineRequest,
    result=Timeline,
    compute=timeline,
    examples=({"given": "filing_week is null"}, {}),
    steps="strategies",
)
