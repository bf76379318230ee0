"""How an estimate settles as trials are added: a measure's mean after 100 trials, 200, 500 and so on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from cluster.answers.beliefs import WEIGHTED, StatedBelief, WeightedTrials, code_of, read_beliefs, weigh_trials
from cluster.answers.entry import (
    Answer,
    Computed,
    GivenRequest,
    MeasureOfChoice,
    OnProgress,
    Result,
    StrategiesRequest,
    measure_of_choice,
)
from cluster.answers.shared import FEWEST_GIVEN, condition_of, too_few_given
from cluster.query.shard_map import map_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, chosen_strategies, read_blocks, same_trials
from sim.faults import InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import TRUTH, Expression, parse_measure
from sim.statistics.estimates import UNKNOWN, Estimate
from sim.statistics.paired_differences import mean_of, share_of
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments, moments
from sim.statistics.weighted_differences import WeightedGroups
from sim.statistics.weighted_estimates import weighted_mean, weighted_share

FIRST = 100
"""The fewest trials after which an estimate is given."""
_METHOD = {
    "trials": "the first trials of the run: each estimate is what a run of so many trials would have given",
    "errors": "each interval is that of the trials up to there; later estimates contain the trials of the former",
    "random": "with independent trials the error halves with four times the trials, with a Sobol design faster",
}


class ConvergenceRequest(StrategiesRequest, GivenRequest):
    """The measure, the strategies and the condition."""

    measure: MeasureOfChoice = None


class StrategyConvergence(Result):
    """A strategy's estimates after so many trials, which are those that satisfy the condition."""

    trials: list[int]
    estimate: list[float | None]
    standard_error: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Convergence(Result):
    """How the estimate of a measure settles as trials are added."""

    measure: str
    after: list[int]
    strategies: dict[str, StrategyConvergence]


def convergence(run: StoredRun, request: ConvergenceRequest, on_progress: OnProgress) -> Computed:
    """A measure's mean (a condition's probability) under each strategy after the first 100 trials, 200, 500 and so on.

    Progress is in strategies. Raises `InvalidInput`.
    """
    scenario = run.plan.scenario
    chosen = chosen_strategies(run, request.strategies)
    measure = measure_of_choice(request.measure, scenario)
    parsed, condition = parse_measure(measure, scenario, "measure"), condition_of(run, request.given)
    after = looks(run.plan.row_trials)
    courses, evidence = {}, {}
    stated = read_beliefs(run, request.believe)
    on_progress(0, len(chosen))
    for strategy in chosen:
        courses[strategy], weighted = _course(run, strategy, parsed, condition, after, stated)
        if weighted is not None:
            evidence[strategy] = weighted.evidence()
        on_progress(len(courses), len(chosen))
    result = {"measure": measure, "after": after, "strategies": courses}
    used = sum(one["trials"][-1] for one in courses.values())
    method = (
        {**_METHOD, "weights": f"{WEIGHTED}; the beliefs hold in the trials up to each estimate"} if stated else _METHOD
    )
    return Computed(Convergence.model_validate(result), chosen, used, method, evidence or None)


def looks(trials: int) -> list[int]:
    """The numbers of trials after which an estimate is given: 1, 2 and 5 times powers of ten, and the last."""
    found = []
    power = FIRST
    while power < trials:
        found += [factor * power for factor in (1, 2, 5) if factor * power < trials]
        power *= 10
    return [*found, trials]


def _course(
    run: StoredRun,
    strategy: str,
    measure: Expression,
    condition: Expression | None,
    after: list[int],
    stated: Sequence[StatedBelief],
) -> tuple[dict[str, list[Any]], WeightedTrials | None]:
    """A strategy's estimates, and the weights of all its trials if anything is believed."""
    replicates = run.plan.design.replicates(run.plan.scenario)
    tallied = _Tallied(replicates, 2 ** len(stated), measure.kind == TRUTH)
    found: list[tuple[int, Estimate]] = []

    def look() -> None:
        found.append((int(tallied.trials.sum()), tallied.estimate(stated)))

    counting = _Counting(
        Reading((strategy,), {"measure": measure}, given=condition, code=code_of(stated)),
        tuple(after),
        *tallied.trials.shape,
    )
    for _, parts in map_shards(run, same_trials(run, counting.reading.read), partial(_count, counting), add):
        # In the order of trials, so that sums are the same to the last bit however the run is cut into tasks.
        for part in parts:
            while len(found) < part.look:
                look()
            tallied.add(part)
    while len(found) < len(after):
        look()
    count = int(tallied.trials.sum())
    if count < (1 if condition is None else FEWEST_GIVEN):
        raise too_few_given(count, strategy, condition)
    weighted = weigh_trials(stated, tallied.trials.sum(axis=0), condition) if stated else None
    estimates: dict[str, list[Any]] = {
        "trials": [trials for trials, _ in found],
        **{key: [estimate[key] for _, estimate in found] for key in ("estimate", "standard_error", "low", "high")},
    }
    return estimates, weighted


@dataclass(frozen=True)
class _Counting:
    """What is read, the numbers of trials after which there is an estimate, and the shape of groups of trials."""

    reading: Reading
    after: tuple[int, ...]
    replicates: int
    codes: int


@dataclass(frozen=True)
class _Part:
    """Successive trials between two looks: the place of the next one, how many trials, and moments of each group."""

    look: int
    trials: np.ndarray
    moments: Mapping[int, Moments]


def _count(counting: _Counting, run: StoredRun, shards: SameTrials) -> list[_Part]:
    """The trials of a shard, in order."""
    return [part for block in read_blocks(run, shards, counting.reading) for part in _count_block(counting, block)]


def _count_block(counting: _Counting, blocks: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[_Part]:
    block = blocks[counting.reading.strategies[0]]
    trial, values = block["trial"], block["measure"]
    group = trial % counting.replicates * counting.codes + block.get(CODE, 0)
    known = np.isfinite(values)
    ends = np.searchsorted(trial, counting.after).tolist()
    for look, (first, end) in enumerate(pairwise([0, *ends])):
        if first == end:
            continue
        part = slice(first, end)
        own, finite, numbers = group[part], known[part], values[part]
        trials = np.bincount(own, minlength=counting.replicates * counting.codes)
        yield _Part(
            look,
            trials.reshape(counting.replicates, counting.codes),
            {place: moments(numbers[finite & (own == place)]) for place in np.flatnonzero(trials).tolist()},
        )


class _Tallied:
    """The trials and the measure's moments so far, by replicate and code of the beliefs (one code without beliefs)."""

    def __init__(self, replicates: int, codes: int, truth: bool) -> None:
        self.trials = np.zeros((replicates, codes), np.int64)
        self.moments: list[Moments] = [NO_NUMBERS] * (replicates * codes)
        self.truth = truth

    def add(self, part: _Part) -> None:
        """Add some trials."""
        self.trials += part.trials
        for place, own in part.moments.items():
            self.moments[place] = merge_moments(self.moments[place], own)

    def estimate(self, stated: Sequence[StatedBelief]) -> Estimate:
        """The estimate from the trials so far; not known where the beliefs leave too few of them."""
        if not stated:
            if self.truth:
                counts = [one.count for one in self.moments]
                return share_of([round(one.mean * one.count) for one in self.moments], counts)
            return mean_of(self.moments)
        if not self.trials.any():
            return UNKNOWN
        try:
            weighted = weigh_trials(stated, self.trials.sum(axis=0))
        except InvalidInput:
            return UNKNOWN
        groups = WeightedGroups(weighted.weighting, self.trials[:, weighted.patterns])
        columns = (np.arange(len(self.trials))[:, None] * self.trials.shape[1] + weighted.patterns).ravel()
        own = groups.moments([self.moments[place] for place in columns])
        if self.truth:
            hits, known = np.rint(own.mean * own.count).astype(np.int64), own.count.astype(np.int64)
            return weighted_share(weighted.weighting, hits, known, groups.trials)
        return weighted_mean(weighted.weighting, own, groups.trials)


ANSWER = Answer(
    name="convergence",
    sentence="How the estimate of a measure and its error settle as trials are added.",
    request=ConvergenceRequest,
    result=Convergence,
    compute=convergence,
    examples=({"measure": "agreement"}, {}),
    designs=SAMPLES,
    steps="strategies",
    fewest_given=FEWEST_GIVEN,
)
