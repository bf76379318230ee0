"""What drives a measure: which parameters, how strongly, and how much is chance, from the trials of a stored run."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import read_beliefs
from cluster.answers.drivers_parameters import PAWN_TRIALS, Influence, parameter_influences, partners_of
from cluster.answers.drivers_trials import FEWEST_KNOWN, KnownTrials, read_known_trials
from cluster.answers.drivers_variance import independent_groups, variance_shares
from cluster.answers.entry import (
    Answer,
    Computed,
    GivenRequest,
    MeasureOfChoice,
    OnProgress,
    Result,
    SampleRequest,
    StrategyRequest,
    measure_of_choice,
)
from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.shared import both, by_parameters, condition_of, uncertain_parameters
from cluster.query.trials import StoredRun, chosen_strategy
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import parse_measure
from sim.statistics import sensitivity
from sim.statistics.sensitivity import Explained

_METHOD = {
    "first_order": (
        "share of the measure's variance that is explained by a straight line in each of up to 100 cells of the "
        "parameter (cells of equal share, the outermost ones halved repeatedly; one cell per value where there are "
        "few values), less what the lines explain by chance, so that it may be slightly below 0; 95 % intervals: "
        "Student's t around a delete-one jackknife of {groups} groups of trials, the upper end higher by twice what "
        "four times as many cells explain more (a joint index: what its cells explain more than half as many a side), "
        "which lines miss of a curve or a step"
    ),
    "pawn": (
        "the index of SALib's pawn.analyze on the first trials, 10 slices of equal share; 95 % intervals span the "
        "percentile and the basic bootstrap interval, with the bias subtracted once more from the lower end; noise "
        "is the 95 % quantile of the index of a parameter without influence, and an index that is not above it has "
        "an interval that reaches 0; by_value uses each value as a slice where a parameter has few values, of which "
        "SALib leaves out the greatest"
    ),
    "deciles": (
        "mean in the trials in which the parameter is in its lowest and its highest decile; 95 % intervals: {how}"
    ),
    "variance": (
        "trials played again with the same parameters and other chance: Cov(y, y') / Var(y) (Janon et al. 2014) is "
        "the parameters' share, and the rest is chance; interactions are that share less the sum of the first-order "
        "indices"
    ),
    "correlated": (
        "first-order index, PAWN and deciles measure association: those of a correlated parameter include the "
        "effect of the parameters it is correlated with. Their first-order indices must not be added up; the sum "
        "uses one joint index for each group of correlated parameters instead"
    ),
    "missing": (
        "computed over the trials in which the measure is known and finite; missing_lowest and missing_highest are "
        "the index if the other trials had the least, or the greatest, known value; missing is the index of whether "
        "the measure is known"
    ),
}


_WEIGHTS = (
    "trials are weighted so that the beliefs hold (see evidence): sums, deciles, slices and distribution functions are "
    "weighted. Intervals of means contain the error of the weights; those of indices take the weights as known before, "
    "and the jackknife and the bootstrap leave out and draw trials with their weights"
)


class DriversRequest(StrategyRequest, GivenRequest, SampleRequest):
    """The measure, the strategy and the condition."""

    measure: MeasureOfChoice = None
    pawn: Annotated[bool, Field(description="Whether PAWN is computed too, which takes longer than all the rest.")] = (
        True
    )


class ShareEstimate(EstimateResult):
    """A share of the variance, and what it would be if trials in which the measure is unknown had an extreme value."""

    missing_lowest: float | None = None
    missing_highest: float | None = None


class FirstOrder(ShareEstimate):
    """A first-order index: the number of cells, and the index of whether the measure is known at all."""

    cells: int | None = None
    missing: EstimateResult | None = None


class Alone(EstimateResult):
    """The sum of the first-order indices, and why it is not known, if so."""

    reason: str | None


class Variance(Result):
    """Where a measure's variance comes from."""

    parameters: ShareEstimate
    chance: EstimateResult
    pairs: Annotated[int, Field(description="Trials played again with other chance.")]
    reason: str | None
    alone: Annotated[Alone, Field(description="The sum of the parameters' own shares.")]
    interactions: Annotated[EstimateResult, Field(description="The share of interactions between parameters.")]


class PawnByValue(Result):
    """PAWN with each of a parameter's values as a slice."""

    median: EstimateResult
    maximum: EstimateResult


class Pawn(PawnByValue):
    """PAWN of a parameter: median and maximum over slices."""

    above_noise: bool
    in_no_slice: int
    by_value: PawnByValue | None = None


class LowestDecile(Result):
    """The measure where a parameter is in its lowest decile."""

    up_to: float
    trials: int
    mean: EstimateResult


class HighestDecile(Result):
    """The measure where a parameter is in its highest decile."""

    from_: Annotated[float, Field(alias="from")]
    trials: int
    mean: EstimateResult


class Partner(Result):
    """A parameter that is correlated with another."""

    name: str
    spearman: float


class DrivingParameter(Result):
    """A parameter's influence on the measure."""

    name: str
    unit: str
    reason: Annotated[str | None, Field(description="Why it has no index, if so.")]
    first_order: FirstOrder
    pawn: Pawn | None
    lowest_decile: LowestDecile | None
    highest_decile: HighestDecile | None
    swing: Annotated[EstimateResult, Field(description="The mean in the highest decile less that in the lowest.")]
    correlated_with: list[Partner]


class JointIndex(Result):
    """The first-order index of correlated parameters together."""

    parameters: list[str]
    first_order: EstimateResult


class PawnNoise(Result):
    """The 95 % quantile of the index of a parameter without influence."""

    slices: int
    median: float | None
    maximum: float | None


class DriversTrials(Result):
    """The trials that were read, from the first to the last."""

    read: int
    first: int
    last: int
    known: int
    null: int
    infinite: int
    pawn: Annotated[int, Field(description="Trials from which PAWN was computed.")]


class Drivers(Result):
    """What drives a measure: every uncertain parameter, and chance."""

    measure: str
    trials: DriversTrials
    mean: EstimateResult
    standard_deviation: float
    reason: Annotated[str | None, Field(description="Why no shares and indices could be computed, if so.")]
    variance: Variance
    pawn_noise: PawnNoise
    groups: list[JointIndex]
    parameters: list[DrivingParameter]


def drivers(run: StoredRun, request: DriversRequest, on_progress: OnProgress) -> Computed:
    """What drives a measure under a strategy, from its stored trials.

    For every uncertain parameter: its first-order index, PAWN, and the measure's mean in the parameter's lowest and
    highest decile, all with intervals. And the shares of the measure's variance that come from the parameters and from
    chance. Reads at most the first `MOST_READ` trials for which the condition holds, fewer if the request says so, a
    few columns at a time. Progress is in parameters. Raises `InvalidInput` for an expression that cannot be read or
    that leaves too few trials.
    """
    return drivers_within(run, request, on_progress, None)


def drivers_within(run: StoredRun, request: DriversRequest, on_progress: OnProgress, domain: str | None) -> Computed:
    """As `drivers`, over the trials for which a further condition holds too; beliefs are not about these alone."""
    scenario = run.plan.scenario
    measure = measure_of_choice(request.measure, scenario)
    value = parse_measure(measure, scenario)
    condition, inside = condition_of(run, request.given), condition_of(run, domain)
    chosen = chosen_strategy(run, request.strategy)
    names = uncertain_parameters(scenario, chosen)
    stated = read_beliefs(run, request.believe)
    if inside is not None and not stated:
        condition, inside = both(condition, inside), None
    found = read_known_trials(run, chosen, value, condition, inside, stated, request.trials)
    if found.known.sum() < FEWEST_KNOWN:
        raise _too_few(found, measure, request.given, chosen)

    y = found.y
    constant = "the measure is the same in all trials" if np.ptp(y) == 0.0 else None
    noise = None
    if constant is None and request.pawn:
        noise = sensitivity.pawn_noise(y[:PAWN_TRIALS], found.some_weights(PAWN_TRIALS))
    parts: dict[str, dict[str, Any]] = {}
    alone: dict[str, Explained] = {}
    ranks: dict[str, np.ndarray] = {}
    on_progress(0, len(names))

    def influences(some: Sequence[str]) -> list[Influence]:
        return parameter_influences(run, chosen, some, found, noise, constant)

    for some in by_parameters(influences, names, found.trial.size):
        for name, part, index, rank in some:
            parts[name] = part
            if index is not None and rank is not None:
                alone[name], ranks[name] = index, rank
        on_progress(len(parts), len(names))
    partners = partners_of(scenario, ranks, found.some_weights(PAWN_TRIALS))
    groups = independent_groups(run, chosen, [name for name in names if name in ranks], condition, found)
    if inside is not None:
        condition = both(condition, inside)
    estimates = {name: part["first_order"]["estimate"] for name, part in parts.items()}
    ordered = sorted(parts, key=lambda name: (estimates[name] is None, -(estimates[name] or 0.0)))
    known = int(found.known.sum())
    how = f"over {found.replicates} replicates of the design" if found.replicates > 1 else "Wilson or Student"
    if found.weighted is not None:
        how += ", for the effective number of trials"
    result = {
        "measure": measure,
        "trials": {
            "read": found.trial.size,
            "first": int(found.trial[0]),
            "last": int(found.trial[-1]),
            "known": known,
            "null": int(np.isnan(found.measure).sum()),
            "infinite": int(np.isinf(found.measure).sum()),
            "pawn": min(known, PAWN_TRIALS) if request.pawn else 0,
        },
        "mean": found.mean_where(np.ones(known, bool)),
        "standard_deviation": found.standard_deviation(),
        "reason": constant,
        "variance": variance_shares(run, chosen, value, condition, found, alone, groups, constant),
        "pawn_noise": {
            "slices": sensitivity.SLICES,
            **dict(zip(("median", "maximum"), noise or (None, None), strict=True)),
        },
        "groups": [
            {"parameters": list(group), "first_order": index.interval(found.groups)}
            for group, index in (groups or {}).items()
            if len(group) > 1 and index is not None
        ],
        "parameters": [{**parts[name], "correlated_with": partners.get(name, [])} for name in ordered],
    }
    method = {name: text.format(groups=found.groups.groups, how=how) for name, text in _METHOD.items()}
    evidence = None
    if found.weighted is not None:
        method["weights"], evidence = _WEIGHTS, {chosen: found.weighted.trials.evidence()}
    return Computed(Drivers.model_validate(result), (chosen,), known, method, evidence)


def _too_few(found: KnownTrials, measure: str, given: str | None, strategy: str) -> InvalidInput:
    message = (
        f"{int(found.known.sum()):,} of {found.trial.size:,} trials of {strategy} have a finite {measure}, too few for "
        f"an answer; at least {FEWEST_KNOWN:,} are needed: play more trials"
        + ("" if given is None else ", or ask without it")
    )
    return InvalidInput((Fault("run" if given is None else "given", given, message),))


ANSWER = Answer(
    name="drivers",
    sentence="Which parameters drive a measure, how strongly, and how much of it is chance.",
    request=DriversRequest,
    result=Drivers,
    compute=drivers,
    examples=({"measure": "export_gain"},),
    designs=SAMPLES,
    steps="parameters",
    fewest_trials=FEWEST_KNOWN,
    fewest_given=FEWEST_KNOWN,
)
