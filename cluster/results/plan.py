"""The plan of a run: a scenario, its strategies, and how their trials are cut into shards."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from cluster.results.trial_work import shard_size
from sim.faults import Fault, InvalidInput
from sim.model.version import KERNEL_VERSION
from sim.sampling.base import Design
from sim.sampling.chance import check_seed
from sim.sampling.designs import GROWING, RANDOM, find_design
from sim.scenario import validation
from sim.scenario.scenario import Scenario, scenario_hash

MAX_TRIALS = 10**10
MANY_SHARDS = 10_000
"""Shards of all strategies in a run whose shard size is not given, at most: each costs a file and a list's entry."""
MAX_SHARDS = 99_999
"""Shards of a strategy, at most."""
MAX_SHARD_TRIALS = 10**7
Keep = Literal["all", "summary"]
"""What a run keeps: the rows of all trials; or counts of all trials, and the rows of the first ones."""
KEPT_TRIALS = 100_000
"""Trials of each strategy whose rows are kept in a run that keeps counts, at least."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of trials of one strategy; its place in the strategy is `index`.

    A shard that is `reduced` is stored as counts of its trials, without their rows.
    """

    strategy: str
    index: int
    first: int
    count: int
    reduced: bool = False


@dataclass(frozen=True)
class Plan:
    """A complete plan. It determines the content of all shards."""

    scenario: Scenario
    seed: int
    design: Design
    trials: int
    shard_trials: int
    strategies: tuple[str, ...]
    kernel_version: int = KERNEL_VERSION
    """See `sim.model.version`; a run of another version than this one can be read, but not continued."""
    kept_trials: int | None = None
    """Trials of each strategy whose rows are kept, with those of the shard that the last of them is in; None for all.
    The other shards are reduced."""

    def __post_init__(self) -> None:
        if self.design.size not in (None, self.trials):
            raise ValueError(f"a {self.design.name} design of {self.design.size} trials, not of {self.trials}")

    def shards(self) -> Iterator[Shard]:
        """All shards: the first of each strategy, then the second of each, and so on.

        In this order an unfinished run can compare its strategies.
        """
        for index, first in enumerate(range(0, self.trials, self.shard_trials)):
            count = min(self.shard_trials, self.trials - first)
            reduced = self.reduces(first)
            for strategy in self.strategies:
                yield Shard(strategy, index, first, count, reduced)

    def shard_with(self, strategy: str, trial: int) -> Shard:
        """The shard of a strategy that has a trial."""
        index = trial // self.shard_trials
        first = index * self.shard_trials
        return Shard(strategy, index, first, min(self.shard_trials, self.trials - first), self.reduces(first))

    def reduces(self, first: int) -> bool:
        """Whether the shard that begins with this trial is reduced."""
        return self.kept_trials is not None and first >= self.kept_trials

    @property
    def row_trials(self) -> int:
        """Trials of each strategy whose rows are kept: the first ones."""
        if self.kept_trials is None:
            return self.trials
        return min(self.trials, -(-self.kept_trials // self.shard_trials) * self.shard_trials)

    @property
    def keeps_all_rows(self) -> bool:
        """Whether the rows of all trials are kept, as they are of few trials whatever is to be kept."""
        return self.row_trials == self.trials

    @property
    def keep(self) -> Keep:
        """What the run keeps."""
        return "all" if self.kept_trials is None else "summary"

    @cached_property
    def scenario_sha256(self) -> str:
        """See `sim.scenario.scenario.scenario_hash`; computed once, since all shards of a plan record it."""
        return scenario_hash(self.scenario)

    @property
    def shards_per_strategy(self) -> int:
        """The number of shards of each strategy."""
        return -(-self.trials // self.shard_trials)

    @property
    def shard_count(self) -> int:
        """The number of shards of all strategies."""
        return self.shards_per_strategy * len(self.strategies)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan without its scenario as plain JSON values, as ``run.json`` and the jobs database keep it."""
    return {
        "trials": plan.trials,
        "seed": plan.seed,
        "design": plan.design.name,
        "strategies": list(plan.strategies),
        "shard_trials": plan.shard_trials,
        "kernel_version": plan.kernel_version,
        **({} if plan.kept_trials is None else {"keep": plan.keep, "kept_trials": plan.kept_trials}),
    }


def plan_from_document(scenario: Scenario, document: Mapping[str, Any]) -> Plan:
    """The plan that `plan_document` wrote. Raises `KeyError`, `TypeError`, `ValueError` or `InvalidInput`.

    Documents from before kernel versions were recorded have none: theirs was 1. Those of runs that keep all rows have
    no number of kept trials.
    """
    return Plan(
        scenario,
        document["seed"],
        find_design(document["design"], document["trials"]),
        document["trials"],
        document["shard_trials"],
        tuple(document["strategies"]),
        document.get("kernel_version", 1),
        document.get("kept_trials"),
    )


def make_plan(
    scenario: Scenario,
    *,
    trials: int,
    seed: int,
    design: str = RANDOM.name,
    strategies: tuple[str, ...] = (),
    shard_trials: int | None = None,
    keep: Keep = "all",
) -> Plan:
    """A checked plan; all of the scenario's strategies if none are named. Raises `InvalidInput`."""
    report = validation.Report()
    validation.whole(report, ("trials",), trials, 1, MAX_TRIALS)
    if shard_trials is not None:
        validation.whole(report, ("shard_trials",), shard_trials, 1, MAX_SHARD_TRIALS)
    for k, strategy in enumerate(strategies):
        if strategy not in scenario.strategies:
            known = ", ".join(scenario.strategies)
            report.fault(("strategies",), strategy, f"is not a strategy of {scenario.name}; there are {known}")
        elif strategy in strategies[:k]:
            report.fault(("strategies",), strategy, "is named more than once")
    for check in (lambda: check_seed(seed), lambda: find_design(design)):
        try:
            check()
        except InvalidInput as error:
            report.faults.extend(error.faults)
    report.raise_faults()
    points = find_design(design, trials)
    points.check(scenario, trials)
    if keep == "summary" and not points.grows:
        others = " or ".join(GROWING)
        message = f"needs the design {others}, in which the first trials are a sample, not {design}"
        raise InvalidInput((Fault("keep", keep, message),))
    least = -(-trials // MAX_SHARDS)
    if shard_trials is None:
        shard_trials = _shard_trials(scenario, trials, len(strategies) or len(scenario.strategies))
    elif shard_trials < least:
        fault = Fault("shard_trials", shard_trials, f"must be at least {least}, for at most {MAX_SHARDS} shards")
        raise InvalidInput((fault,))
    chosen = tuple(strategy for strategy in scenario.strategies if strategy in strategies or not strategies)
    kept = None if keep == "all" else KEPT_TRIALS
    return Plan(scenario, int(seed), points, int(trials), int(shard_trials), chosen, kept_trials=kept)


def _shard_trials(scenario: Scenario, trials: int, strategies: int) -> int:
    """Trials in a shard: a multiple of `shard_size` that leaves at most `MANY_SHARDS` shards, or one per strategy."""
    size = shard_size(scenario, trials)
    most = max(1, MANY_SHARDS // strategies)
    times = -(-trials // (most * size))
    return min(times * size, MAX_SHARD_TRIALS)
