"""Two stored runs compared: which inputs differ, and which answers, pair by pair where both had the same chance."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.compare import MOST_MEASURES, read_measures
from cluster.answers.entry import Estimate, OnProgress, Result, RunFacts, measure_of_choice, quiet
from cluster.answers.shared import FEWEST_GIVEN, condition_of
from cluster.query.trials import StoredRun, kept_rows_note, paired_blocks
from cluster.results.plan import Plan
from sim.faults import Fault, InvalidInput
from sim.scenario.differences import scenario_differences
from sim.scenario.expressions import TRUTH, Expression, parse_measure
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS, MEASURES, NAMED, OUTCOMES
from sim.statistics.estimates import ANY_NUMBER, Range
from sim.statistics.estimates import Estimate as Estimates
from sim.statistics.independent_differences import difference_of_independent
from sim.statistics.measure_ranges import difference_range, measure_ranges
from sim.statistics.paired_differences import (
    NO_PAIRS,
    Pair,
    mean_of,
    merge_pairs,
    pair,
    pair_estimates,
    pair_of_changes,
    share_of,
)
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments, moments

_METHOD = {
    "change": "the second run's value less the first's",
    "paired": (
        "both runs have the same seed and design, so that trial by trial they meet the same chance: the change is the "
        "mean difference over the trials in which both know the measure, with the error of these differences; a "
        "condition's interval is that of Bonett & Price (2012)"
    ),
    "unpaired": (
        "the change is the difference of two independent estimates, and its interval is made from theirs (Zou & Donner "
        "2008)"
    ),
    "equal": "the share of the same trials in which both runs have the same value; null where they are not paired",
}


class InputDifference(Result):
    """A field with two values; null where one of the two lacks it."""

    field: str
    first: Any
    second: Any


class DiffSide(Result):
    """One of the two runs."""

    scenario: str
    run: RunFacts


class AnswerDifference(Result):
    """A probability or a mean in both runs, and its change: the second run's less the first's."""

    first: Estimate
    second: Estimate
    change: Estimate
    equal: Annotated[
        Estimate | None, Field(description="The share of the same trials with the same value; null if unpaired.")
    ]


class DiffTrials(Result):
    """The trials from which a strategy's numbers were computed. Of paired runs they are the same trials."""

    first: int
    second: int


class StrategyDifference(Result):
    """A strategy of the first run compared with the same strategy of the second run."""

    first: Annotated[str, Field(description="The strategy in the first run.")]
    second: Annotated[str, Field(description="The strategy in the second run.")]
    trials: DiffTrials
    outcome: dict[str, AnswerDifference]
    events: dict[str, AnswerDifference]
    measures: dict[str, AnswerDifference]


class RunDifference(Result):
    """Two runs compared."""

    first: DiffSide
    second: DiffSide
    given: str | None
    run: Annotated[list[InputDifference], Field(description="What differs in how the runs were played.")]
    inputs: Annotated[list[InputDifference], Field(description="Fields of the scenarios that differ.")]
    paired: bool
    reason: Annotated[str, Field(description="Why the trials are paired, or are not.")]
    strategies: list[StrategyDifference]
    only_first: Annotated[list[str], Field(description="Strategies that only the first run has.")]
    only_second: Annotated[list[str], Field(description="Strategies that only the second run has.")]
    method: dict[str, str]


def diff(
    first: StoredRun,
    second: StoredRun,
    *,
    strategies: Sequence[str] = (),
    measures: Sequence[str] = (),
    given: str | None = None,
    on_progress: OnProgress = quiet,
) -> RunDifference:
    """What differs between two runs: in the inputs, and in the answers of the strategies that both have.

    If neither has a strategy of the other's and each has one alone, these are compared. Without `measures`, of those
    of the summary and the measure of choice. With a condition, over the trials for which it holds: in both runs if
    they are paired. Progress is in trials. Raises `InvalidInput`.
    """
    for run in (first, second):
        if not run.plan.design.is_sample:
            message = "is a design for Sobol indices, whose trials are not a sample: compare runs of other designs"
            raise InvalidInput((Fault("run", run.plan.design.name, message),))
    couples = compared_strategies(first.plan.strategies, second.plan.strategies, strategies)
    paired, reason = pairing(first.plan, second.plan)
    conditions = (condition_of(first, given), condition_of(second, given))
    described = [_described(run.plan.scenario, measures, (first, second)) for run in (first, second)]
    sides = [
        _Side(run, condition, values)
        for run, condition, values in zip((first, second), conditions, described, strict=True)
    ]
    each = [run.plan.row_trials for run in (first, second)]
    total = 2 * min(each) if paired else sum(each)
    found = []
    for k, couple in enumerate(couples):

        def step(done: int, before: int = k * total) -> None:
            on_progress(before + done, total * len(couples))

        compared = _paired(sides, couple, step) if paired else _unpaired(sides, couple, step)
        if min(compared.trials.first, compared.trials.second) < FEWEST_GIVEN:
            raise _too_few(compared, given)
        found.append(compared)
    names = tuple({couple[k] for couple in couples} for k in (0, 1))
    return RunDifference(
        first=_facts(first, names[0]),
        second=_facts(second, names[1]),
        given=None if conditions[0] is None else str(conditions[0]),
        run=_run_differences(first.plan, second.plan),
        inputs=input_differences(first.plan.scenario, second.plan.scenario),
        paired=paired,
        reason=reason,
        strategies=found,
        only_first=_only(first.plan, second.plan, names[0]),
        only_second=_only(second.plan, first.plan, names[1]),
        method={key: text for key, text in _METHOD.items() if key != ("unpaired" if paired else "paired")}
        | {
            f"rows_{name}": kept_rows_note(run)
            for name, run in (("first", first), ("second", second))
            if not run.plan.keeps_all_rows
        },
    )


def input_differences(first: Scenario, second: Scenario) -> list[InputDifference]:
    """The fields of two scenarios that differ."""
    return [
        InputDifference(field=one.field, first=one.first, second=one.second)
        for one in scenario_differences(first, second)
    ]


def compared_strategies(
    first: Sequence[str], second: Sequence[str], wanted: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """The strategies to compare, by their names in the first run and in the second: those that both have.

    If they have none in common and one each, that one. Raises `InvalidInput`.
    """
    faults = [
        Fault(
            "strategies",
            name,
            f"must be a strategy of both; the first has {', '.join(first)}, the second {', '.join(second)}",
        )
        for name in wanted
        if name not in first or name not in second
    ]
    if faults:
        raise InvalidInput(tuple(faults))
    common = [(name, name) for name in first if name in second and (name in wanted or not wanted)]
    if not common and len(first) == len(second) == 1:
        return [(first[0], second[0])]
    if not common:
        message = f"must have a strategy in common; the first has {', '.join(first)}, the second {', '.join(second)}"
        raise InvalidInput((Fault("strategies", None, message),))
    return common


def pairing(first: Plan, second: Plan) -> tuple[bool, str]:
    """Whether trials of the same number meet the same chance in two runs, and why."""
    if first.seed != second.seed:
        return False, f"the seeds differ ({first.seed} and {second.seed})"
    if first.design.name != second.design.name:
        return False, f"the designs differ ({first.design.name} and {second.design.name})"
    if first.design != second.design:
        return False, f"a {first.design.name} design of another number of trials has other points"
    replicates = {plan.design.replicates(plan.scenario) for plan in (first, second)}
    if len(replicates) > 1:
        return False, f"the {first.design.name} designs have other numbers of replicates"
    return True, f"the same seed ({first.seed}) and the same design ({first.design.name})"


@dataclass(frozen=True)
class _Side:
    """A run with the condition on its trials and its measures."""

    run: StoredRun
    condition: Expression | None
    measures: Mapping[str, Expression]

    @property
    def replicates(self) -> int:
        return self.run.plan.design.replicates(self.run.plan.scenario)

    def blocks(self, strategy: str) -> Iterator[dict[str, np.ndarray]]:
        """The values of a strategy's trials, a block at a time in the order of trials."""
        scenario = self.run.plan.scenario
        values = {"outcome": _code(OUTCOMES, scenario), "events": _bits(EVENTS, scenario), **self.measures}
        for block in paired_blocks(self.run, (strategy,), values, given=self.condition):
            yield block[strategy]


@dataclass
class _Tally:
    """What is counted of one run's trials, by replicate."""

    replicates: int
    trials: list[int] = field(default_factory=list)
    outcomes: np.ndarray = field(init=False)
    events: np.ndarray = field(init=False)
    measures: dict[str, list[Moments]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.trials = [0] * self.replicates
        self.outcomes = np.zeros((self.replicates, len(OUTCOMES)), np.int64)
        self.events = np.zeros((self.replicates, 2 ** len(EVENTS)), np.int64)

    def add(self, block: Mapping[str, np.ndarray], measures: Sequence[str]) -> None:
        """Count a block's trials."""
        for replicate, part in _by_replicate(block, self.replicates):
            self.trials[replicate] += part["trial"].size
            self.outcomes[replicate] += np.bincount(part["outcome"].astype(np.int64), minlength=len(OUTCOMES))
            self.events[replicate] += np.bincount(part["events"].astype(np.int64), minlength=2 ** len(EVENTS))
            for name in measures:
                tallied = self.measures.setdefault(name, [NO_NUMBERS] * self.replicates)
                values = part[name]
                tallied[replicate] = merge_moments(tallied[replicate], moments(values[np.isfinite(values)]))

    def share(self, kind: str, k: int) -> Estimates:
        """The probability of an outcome or an event, by its number."""
        hits = self.outcomes[:, k] if kind == "outcome" else self.events[:, _holding(k)].sum(axis=1)
        return share_of(hits.tolist(), self.trials)

    def measure(self, name: str, *, condition: bool, within: Range) -> Estimates:
        """A measure's mean, or the probability of a condition."""
        tallied = self.measures[name]
        if condition:
            return share_of([round(one.mean * one.count) for one in tallied], [one.count for one in tallied])
        return mean_of(tallied, within)


@dataclass
class _PairTally:
    """What is counted of the same trials in both runs, by replicate; the second run comes first in a difference."""

    replicates: int
    outcomes: np.ndarray = field(init=False)
    events: np.ndarray = field(init=False)
    measures: dict[str, list[Pair]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outcomes = np.zeros((self.replicates, len(OUTCOMES), len(OUTCOMES)), np.int64)
        self.events = np.zeros((self.replicates, 2, 2 ** len(EVENTS)), np.int64)

    def add(self, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray], measures: Sequence[str]) -> None:
        """Count a block's trials, which stand at the same positions in both."""
        parts = zip(_by_replicate(first, self.replicates), _by_replicate(second, self.replicates), strict=True)
        for (replicate, one), (_, other) in parts:
            code = other["outcome"].astype(np.int64) * len(OUTCOMES) + one["outcome"].astype(np.int64)
            joint = self.outcomes[replicate]
            joint += np.bincount(code, minlength=joint.size).reshape(joint.shape)
            before, after = one["events"].astype(np.int64), other["events"].astype(np.int64)
            for k, only in enumerate((after & ~before, before & ~after)):
                self.events[replicate, k] += np.bincount(only, minlength=self.events.shape[2])
            for name in measures:
                tallied = self.measures.setdefault(name, [NO_PAIRS] * self.replicates)
                tallied[replicate] = merge_pairs(tallied[replicate], pair(other[name], one[name]))

    def share(self, kind: str, k: int) -> tuple[Estimates, Estimates]:
        """An outcome's or event's change, and the share of trials in which it is the same."""
        trials = self.outcomes.sum(axis=(1, 2)).tolist()
        if kind == "outcome":
            both = self.outcomes[:, k, k]
            changed = (self.outcomes[:, k, :].sum(axis=1) - both, self.outcomes[:, :, k].sum(axis=1) - both)
        else:
            changed = (self.events[:, 0, _holding(k)].sum(axis=1), self.events[:, 1, _holding(k)].sum(axis=1))
        counted = zip(trials, *(part.tolist() for part in changed), strict=True)
        return _change([pair_of_changes(*one) for one in counted], condition=True)

    def measure(self, name: str, *, condition: bool, within: Range) -> tuple[Estimates, Estimates]:
        """As `share`, of a measure."""
        return _change(self.measures[name], condition=condition, within=within)


def _change(tallied: list[Pair], *, condition: bool, within: Range = ANY_NUMBER) -> tuple[Estimates, Estimates]:
    found = pair_estimates(tallied, condition=condition, within=within)
    return found["difference"], found["equal"]


def _paired(sides: Sequence[_Side], couple: tuple[str, str], step: Any) -> StrategyDifference:
    tallies = [_Tally(side.replicates) for side in sides]
    pairs = _PairTally(sides[0].replicates)
    names = list(sides[0].measures)
    with closing(sides[0].blocks(couple[0])) as first, closing(sides[1].blocks(couple[1])) as second:  # type: ignore[type-var]
        for blocks in _aligned(first, second):
            for tally, block in zip(tallies, blocks, strict=True):
                tally.add(block, names)
            pairs.add(*blocks, names)
            step(2 * (int(blocks[0]["trial"][-1]) + 1))
    return _document(sides, couple, tallies, pairs)


def _unpaired(sides: Sequence[_Side], couple: tuple[str, str], step: Any) -> StrategyDifference:
    tallies = []
    done = 0
    for side, strategy in zip(sides, couple, strict=True):
        tally = _Tally(side.replicates)
        for block in side.blocks(strategy):
            tally.add(block, list(side.measures))
            step(done + int(block["trial"][-1]) + 1)
        done += side.run.plan.row_trials
        tallies.append(tally)
    return _document(sides, couple, tallies, None)


def _document(
    sides: Sequence[_Side], couple: tuple[str, str], tallies: Sequence[_Tally], pairs: _PairTally | None
) -> StrategyDifference:
    counts = [sum(tally.trials) for tally in tallies]
    trials = DiffTrials(first=counts[0], second=counts[1])
    shares: dict[str, dict[str, Any]] = {"outcome": {}, "events": {}}
    means: dict[str, Any] = {}
    if min(counts):
        for kind, names in (("outcome", OUTCOMES), ("events", EVENTS)):
            for k, name in enumerate(names):
                own = [tally.share(kind, k) for tally in tallies]
                shares[kind][name] = _entry(own, None if pairs is None else pairs.share(kind, k))
        ranges = [
            measure_ranges(side.run.plan.scenario, strategy) for side, strategy in zip(sides, couple, strict=True)
        ]
        for name, measure in sides[0].measures.items():
            condition = measure.kind == TRUTH
            within = [own.get(name, ANY_NUMBER) for own in ranges]
            own = [
                tally.measure(name, condition=condition, within=one) for tally, one in zip(tallies, within, strict=True)
            ]
            change = None
            if pairs is not None:
                change = pairs.measure(name, condition=condition, within=difference_range(within[1], within[0]))
            means[name] = _entry(own, change)
    return StrategyDifference.model_validate(
        {"first": couple[0], "second": couple[1], "trials": trials, **shares, "measures": means}
    )


def _entry(own: Sequence[Estimates], paired: tuple[Estimates, Estimates] | None) -> dict[str, Any]:
    first, second = own
    change, equal = paired or (difference_of_independent(second, first), None)
    return {"first": first, "second": second, "change": change, "equal": equal}


def _aligned(
    first: Iterator[dict[str, np.ndarray]], second: Iterator[dict[str, np.ndarray]]
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """The trials that two streams of blocks share, at the same positions. Both are in the order of trials."""
    one, other = next(first, None), next(second, None)
    while one is not None and other is not None:
        last = min(one["trial"][-1], other["trial"][-1])
        head, one = _cut(one, last)
        other_head, other = _cut(other, last)
        if not np.array_equal(head["trial"], other_head["trial"]):
            _, at, other_at = np.intersect1d(
                head["trial"], other_head["trial"], assume_unique=True, return_indices=True
            )
            head = {name: column[at] for name, column in head.items()}
            other_head = {name: column[other_at] for name, column in other_head.items()}
        if head["trial"].size:
            yield head, other_head
        one = one if one["trial"].size else next(first, None)
        other = other if other["trial"].size else next(second, None)


def _cut(block: dict[str, np.ndarray], last: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A block up to a trial, and its rest."""
    end = int(np.searchsorted(block["trial"], last, "right"))
    return {name: column[:end] for name, column in block.items()}, {
        name: column[end:] for name, column in block.items()
    }


def _by_replicate(block: Mapping[str, np.ndarray], replicates: int) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
    if replicates == 1:
        yield 0, block
        return
    number = block["trial"] % replicates
    for replicate in range(replicates):
        own = np.flatnonzero(number == replicate)
        yield replicate, {name: column[own] for name, column in block.items()}


def _described(scenario: Scenario, measures: Sequence[str], runs: Sequence[StoredRun]) -> dict[str, Expression]:
    """The measures of a request as a scenario has them; else those of the summary and the measures of choice."""
    if len(measures) > MOST_MEASURES:
        raise InvalidInput((Fault("measures", len(measures), f"must be at most {MOST_MEASURES}"),))
    if measures:
        return read_measures(measures, scenario)
    chosen = dict.fromkeys(measure_of_choice(None, run.plan.scenario) for run in runs)
    both = [name for name in chosen if all(_has(run.plan.scenario, name) for run in runs)]
    return {name: parse_measure(name, scenario) for name in dict.fromkeys([*both, *MEASURES])}


def _has(scenario: Scenario, measure: str) -> bool:
    """Whether a scenario's trials have the columns of a measure."""
    try:
        parse_measure(measure, scenario)
    except InvalidInput:
        return False
    return True


def _code(names: Sequence[str], scenario: Scenario) -> Expression:
    """Which of some disjoint conditions holds, as a number from 0."""
    return parse_measure(" + ".join(f"{k} * ({NAMED[name]})" for k, name in enumerate(names)), scenario)


def _bits(names: Sequence[str], scenario: Scenario) -> Expression:
    """Which conditions hold, one binary digit each."""
    return parse_measure(" + ".join(f"{2**k} * ({NAMED[name]})" for k, name in enumerate(names)), scenario)


def _holding(k: int) -> np.ndarray:
    """The sets of events, as binary numbers, that have the event of a number."""
    return np.flatnonzero(np.arange(2 ** len(EVENTS)) >> k & 1)


def _only(plan: Plan, other: Plan, compared: set[str]) -> list[str]:
    """The strategies that another run lacks and that are not compared."""
    return [name for name in plan.strategies if name not in other.strategies and name not in compared]


def _facts(run: StoredRun, strategies: set[str]) -> DiffSide:
    plan = run.plan
    committed = sum(len(run.all_shards(strategy)) for strategy in strategies)
    complete = committed * len(plan.strategies) == plan.shard_count * len(strategies)
    facts = RunFacts(trials=plan.trials, seed=plan.seed, design=plan.design.name, complete=complete)
    return DiffSide(scenario=plan.scenario.name, run=facts)


def _run_differences(first: Plan, second: Plan) -> list[InputDifference]:
    found = [
        ("trials", first.trials, second.trials),
        ("seed", first.seed, second.seed),
        ("design", first.design.name, second.design.name),
        ("keep", first.keep, second.keep),
        ("strategies", list(first.strategies), list(second.strategies)),
        ("kernel_version", first.kernel_version, second.kernel_version),
    ]
    return [InputDifference(field=name, first=one, second=other) for name, one, other in found if one != other]


def _too_few(found: StrategyDifference, given: str | None) -> InvalidInput:
    trials = found.trials
    count = min(trials.first, trials.second)
    where = "there are" if given is None else "the condition leaves"
    message = f"{where} {count:,} trials of {found.first} to compare; at least {FEWEST_GIVEN} are needed"
    return InvalidInput((Fault("run" if given is None else "given", given, message),))
