"""How an estimate settles as trials are added: a measure's mean after 100 trials, 200, 500 and so on."""

from typing import Any

import numpy as np

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
from cluster.query.trials import StoredRun, chosen_strategies, paired_blocks
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import TRUTH, Expression, parse_measure
from sim.statistics.estimates import Estimate
from sim.statistics.paired_differences import mean_of, share_of
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments, moments

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
    courses = {}
    on_progress(0, len(chosen))
    for strategy in chosen:
        courses[strategy] = _course(run, strategy, parsed, condition, after)
        on_progress(len(courses), len(chosen))
    result = {"measure": measure, "after": after, "strategies": courses}
    used = sum(one["trials"][-1] for one in courses.values())
    return Computed(Convergence.model_validate(result), chosen, used, _METHOD)


def looks(trials: int) -> list[int]:
    """The numbers of trials after which an estimate is given: 1, 2 and 5 times powers of ten, and the last."""
    found = []
    power = FIRST
    while power < trials:
        found += [factor * power for factor in (1, 2, 5) if factor * power < trials]
        power *= 10
    return [*found, trials]


def _course(
    run: StoredRun, strategy: str, measure: Expression, condition: Expression | None, after: list[int]
) -> dict[str, list[Any]]:
    replicates = run.plan.design.replicates(run.plan.scenario)
    tallied: list[Moments] = [NO_NUMBERS] * replicates
    found: list[tuple[int, Estimate]] = []
    count = 0

    def look() -> None:
        found.append((count, _estimate(tallied, condition=measure.kind == TRUTH)))

    for blocks in paired_blocks(run, (strategy,), {"measure": measure}, given=condition):
        trial, values = blocks[strategy]["trial"], blocks[strategy]["measure"]
        while trial.size:
            end = int(np.searchsorted(trial, after[len(found)]))
            known = np.isfinite(values[:end])
            for replicate in range(replicates):
                own = values[:end][known & (trial[:end] % replicates == replicate)]
                tallied[replicate] = merge_moments(tallied[replicate], moments(own))
            count += end
            if end == trial.size:
                break
            look()
            trial, values = trial[end:], values[end:]
    while len(found) < len(after):
        look()
    if condition is not None and count < FEWEST_GIVEN:
        raise too_few_given(count, strategy, condition)
    return {
        "trials": [trials for trials, _ in found],
        **{key: [estimate[key] for _, estimate in found] for key in ("estimate", "standard_error", "low", "high")},
    }


def _estimate(tallied: list[Moments], *, condition: bool) -> Estimate:
    if condition:
        return share_of([round(one.mean * one.count) for one in tallied], [one.count for one in tallied])
    return mean_of(tallied)


ANSWER = Answer(
    name="convergence",
    sentence="How the estimate of a measure and its error settle as trials are added.",
    request=ConvergenceRequest,
    result=Convergence,
    compute=convergence,
    examples=({"measure": "agreement"}, {}),
    designs=SAMPLES,
    steps="strategies",
    cannot_weigh="has no meaning here, where trials are counted as they were played: ask for a summary",
)
