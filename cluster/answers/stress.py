"""A reverse stress test: how the trials in which a bound is broken differ from the others, from a stored run."""

from collections.abc import Mapping, Sequence
from functools import reduce
from math import sqrt
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import THINNED, thin_trials
from cluster.answers.entry import Answer, Computed, Estimate, GivenRequest, OnProgress, Result, StrategyRequest, Text
from cluster.answers.shared import condition_of, uncertain_parameters
from cluster.query.session import to_sql
from cluster.query.trials import StoredRun, Thinning, chosen_strategy, sample, trials_table
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import TRUTH, Expression, parse_condition, parse_measure
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import DETAIL_TERMS, EVENT_TERMS, NAMED, OUTCOMES
from sim.statistics import regional_sensitivity
from sim.statistics.estimates import proportion
from sim.statistics.paired_differences import share_of
from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments
from sim.statistics.tally_estimates import method_note

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
    thinned = thin_trials(run, (chosen,), request.believe, condition)
    kept = None if thinned is None else thinned.thinning
    sides = _count(run, chosen, broken, condition, kept, names, replicates)
    inside, outside = sides[True], sides[False]
    hits, trials = sum(inside.trials), sum(inside.trials) + sum(outside.trials)
    if min(hits, trials - hits) < FEWEST:
        raise _one_sided(request.bound, request.given, chosen, hits, trials)

    values = {name: parse_measure(name, scenario) for name in names}
    whole = sample(run, chosen, values, given=condition, thinned=kept, most=SAMPLE)
    there = sample(run, chosen, values, given=_both(condition, broken), thinned=kept, most=SAMPLE)
    elsewhere = sample(
        run, chosen, values, given=_both(condition, Expression("not", TRUTH, (broken,))), thinned=kept, most=SAMPLE
    )
    trial = there.pop("trial")
    read = {"broken": trial.size, "kept": elsewhere.pop("trial").size, "all": whole.pop("trial").size}
    differing = regional_sensitivity.distances(there, elsewhere)
    parameters = [
        _parameter(name, inside.numbers[name], outside.numbers[name], there[name], elsewhere[name], differing[name])
        for name in sorted(names, key=lambda name: -differing[name][0])
    ]
    result = {
        "bound": request.bound,
        "trials": {"asked": trials, "broken": hits},
        "sampled": read,
        "probability": share_of(inside.trials, [a + b for a, b in zip(inside.trials, outside.trials, strict=True)]),
        "parameters": parameters,
        "events": _events(ON_THE_WAY, inside, outside),
        "outcome": _events({name: NAMED[name] for name in OUTCOMES}, inside, outside),
        "worlds": _worlds(trial, there, whole, [one["name"] for one in parameters if one["p_value"] < SURE]),
    }
    method = {**_METHOD, "errors": method_note(scenario, plan.design)}
    evidence = None
    if thinned is not None:
        method["weights"], evidence = THINNED, {chosen: thinned.evidence}
    return Computed(ReverseStressTest.model_validate(result), (chosen,), trials, method, evidence)


class _Side:
    """The trials on one side of a bound: counts of them and of events, and moments of parameters, by replicate."""

    def __init__(self, replicates: int) -> None:
        self.trials = [0] * replicates
        self.events: dict[str, list[int]] = {name: [0] * replicates for name in (*ON_THE_WAY, *OUTCOMES)}
        self.numbers: dict[str, list[Moments]] = {}


def _count(
    run: StoredRun,
    strategy: str,
    broken: Expression,
    condition: Expression | None,
    thinned: Thinning | None,
    names: Sequence[str],
    replicates: int,
) -> dict[bool, _Side]:
    scenario = run.plan.scenario
    sides = {where: _Side(replicates) for where in (True, False)}
    for side in sides.values():
        side.numbers = {name: [NO_NUMBERS] * replicates for name in names}
    conditions = ON_THE_WAY | {name: NAMED[name] for name in OUTCOMES}
    counted = [f"count_if({to_sql(parse_condition(text, scenario))})" for text in conditions.values()]
    summed = [_moments_sql(name, scenario) for name in names]
    where = "true" if condition is None else to_sql(condition)
    # With several threads the order of additions varies, and with it the last bits of the sums.
    with trials_table(run, (strategy,), threads=1, thinned={strategy: thinned} if thinned else None) as database:
        rows = database.execute(
            f"SELECT trial % {replicates}, {to_sql(broken)}, count(*), {', '.join([*counted, *summed])} "
            f"FROM trials WHERE {where} GROUP BY 1, 2"
        ).fetchall()
    for replicate, is_broken, trials, *found in rows:
        side = sides[is_broken]
        side.trials[replicate] = trials
        for name, count in zip(conditions, found, strict=False):
            side.events[name][replicate] = count
        for name, one in zip(names, found[len(conditions) :], strict=True):
            side.numbers[name][replicate] = Moments(
                trials, one["mean"], one["variance"] * trials, one["least"], one["greatest"]
            )
    return sides


def _moments_sql(name: str, scenario: Scenario) -> str:
    number = f"({to_sql(parse_measure(name, scenario))})::DOUBLE"
    return (
        f"struct_pack(mean := avg({number}), variance := var_pop({number}), least := min({number}), "
        f"greatest := max({number}))"
    )


def _both(condition: Expression | None, other: Expression) -> Expression:
    return other if condition is None else Expression("and", TRUTH, (condition, other))


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
    inside: Sequence[Moments],
    outside: Sequence[Moments],
    there: np.ndarray,
    elsewhere: np.ndarray,
    distance: tuple[float, float],
) -> dict[str, Any]:
    total = reduce(merge_moments, (*inside, *outside))
    deviation = sqrt(total.m2 / total.count)
    return {
        "name": name,
        "unit": parameter(name).unit,
        "distance": distance[0],
        "p_value": distance[1],
        "shift": regional_sensitivity.difference_of_means(inside, outside, deviation),
        "inside": _distribution(inside, there),
        "outside": _distribution(outside, elsewhere),
        "by_decile": [
            {"up_to": end, "inside": a, "outside": b}
            for end, a, b in regional_sensitivity.shares_by_decile(there, elsewhere)
        ],
    }


def _distribution(tallied: Sequence[Moments], values: np.ndarray) -> dict[str, object]:
    found = np.quantile(values, LEVELS, method="inverted_cdf")
    return {
        "mean": reduce(merge_moments, tallied).mean,
        "quantiles": {str(level): float(value) for level, value in zip(LEVELS, found, strict=True)},
    }


def _events(conditions: Mapping[str, str], inside: _Side, outside: _Side) -> list[dict[str, Any]]:
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
                "inside": share_of(inside.events[name], inside.trials),
                "outside": share_of(outside.events[name], outside.trials),
                "difference": regional_sensitivity.difference_of_means(there, elsewhere),
            }
        )
    return sorted(found, key=lambda one: -abs(one["difference"]["estimate"]))


def _worlds(
    trial: np.ndarray, there: Mapping[str, np.ndarray], whole: Mapping[str, np.ndarray], differing: list[str]
) -> dict[str, object]:
    """Trials to replay, with the values of the parameters that differ most."""
    scores = {name: regional_sensitivity.normal_scores(column, whole[name]) for name, column in there.items()}
    every = np.stack(list(scores.values()))
    some = np.stack([scores[name] for name in differing or scores])
    places = {
        "nearest": regional_sensitivity.nearest(every, np.zeros(len(every)), WORLDS),
        "typical": regional_sensitivity.nearest(some, np.median(some, axis=1), WORLDS),
    }
    shown = (differing or list(there))[:5]
    return {
        kind: [{"trial": int(trial[at]), "values": {name: float(there[name][at]) for name in shown}} for at in found]
        for kind, found in places.items()
    }


ANSWER = Answer(
    name="stress",
    sentence="How the trials in which a bound is broken differ from the others, and which of them to replay.",
    request=StressRequest,
    result=ReverseStressTest,
    compute=stress,
    examples=({"bound": "sanctions"},),
    designs=SAMPLES,
)
