"""The value of learning parameters before a strategy is chosen, from the trials of a stored run."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.beliefs import code_of, read_beliefs, weigh_sample
from cluster.answers.entry import (
    NET_GAIN,
    Answer,
    Computed,
    Evidence,
    GivenRequest,
    MeasureOfChoice,
    OnProgress,
    Result,
    SampleRequest,
    StrategiesRequest,
    measure_of_choice,
)
from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.shared import beliefs_of, by_parameters, condition_of, paired_strategies, too_few_paired
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.samples import paired_sample
from cluster.query.trials import CODE, StoredRun
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SAMPLES
from sim.scenario.expressions import parse_measure
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario
from sim.scenario.warnings import assumption_method
from sim.statistics import value_of_information
from sim.statistics.estimates import Estimate
from sim.statistics.paired_differences import share_of
from sim.statistics.tally_estimates import method_note
from sim.statistics.value_of_information import MOST_CELLS, MOST_IN_PRODUCTS, Choice, Worth

MOST_READ = 250_000
"""Single parameters are valued on at most this many trials, the first ones."""
GROUP_TRIALS = 50_000
"""Groups of parameters are valued on at most this many."""
FEWEST = 1000
MOST_GROUPS = 20
ALL = "all of these"
"""The group of all parameters together."""
ParameterName = Annotated[str, Field(max_length=200)]

_METHOD = {
    "value": (
        "expected value of partial perfect information (EVPPI): the expected gain in the measure if these "
        "parameters were learned exactly before the strategy is chosen, while everything else, including chance, "
        "stayed unknown. Strategies are chosen by regressions on three quarters of the trials and valued on the "
        "remaining quarter, each quarter in turn. The interval is that of the gain from these choices, which on "
        "average is at most the EVPPI, and less with few or noisy trials; it may be slightly below 0"
    ),
    "promised": (
        "for single parameters: the gain that the regression predicts on the trials to which it was fitted, which "
        "is biased upwards. If it is far above the value, more trials would help"
    ),
    "parameters": (
        f"penalised spline over up to {MOST_CELLS} cells of equal share, with a smoothness (up to a constant) chosen "
        "by cross-validation on the same trials. A correlated parameter's value includes what is learned about the "
        "parameters it is correlated with"
    ),
    "groups": (
        f"a quadratic form of the parameters' normal scores, with the products of the {MOST_IN_PRODUCTS} on which the "
        "gain depends most, and boosted regression trees (scikit-learn) of up to twelve leaves over these, grown on "
        "the other half of the trials; mixed by their squared errors on other trials (stacking). Where choices by "
        "them gain nothing on other trials, the best strategy is kept. Dependence that they do not find is not "
        "valued: a group is worth at least as much as its best member"
    ),
    "everything": (
        "the value of knowing everything in advance, including chance, with the same chance under all strategies: "
        "the mean regret of the strategy that is best on average. No parameter or group is worth more"
    ),
}


_WEIGHTS = (
    "trials are weighted so that the beliefs hold (see evidence): means, regressions, trees and their mixture are "
    "weighted; intervals contain the error of the weights, which are estimated from the same trials (calibration)"
)


class WorthRequest(StrategiesRequest, GivenRequest, SampleRequest):
    """The strategies to choose from, the measure to choose by, and groups of parameters to learn together."""

    measure: MeasureOfChoice = None
    groups: Annotated[
        dict[ParameterName, Annotated[tuple[ParameterName, ...], Field(max_length=1000)]],
        Field(default_factory=dict, description="Parameters learned together.", examples=[{"court": ["target_win"]}]),
    ]
    all_together: Annotated[
        bool,
        Field(description="Whether to value learning all parameters together, which takes longer than all the rest."),
    ] = True


class Learned(Result):
    """The value of learning some parameters."""

    name: str
    value: EstimateResult
    share_of_everything: float | None
    chosen: Annotated[
        dict[str, float], Field(description="The share of trials in which each strategy would be chosen.")
    ]


class LearnedParameter(Learned):
    """The value of learning a parameter."""

    unit: str
    promised: Annotated[
        float, Field(description="The value that the regression predicts on the trials to which it was fitted.")
    ]


class LearnedGroup(Learned):
    """The value of learning several parameters together."""

    parameters: list[str]


class OtherStrategy(Result):
    """A strategy that is not the best on average."""

    short_by: Annotated[EstimateResult, Field(description="The best strategy's mean less this one's.")]
    better_in: Annotated[EstimateResult, Field(description="The share of trials in which it does better.")]


class ChoiceNow(Result):
    """The choice without learning anything."""

    best: str
    means: dict[str, EstimateResult]
    others: dict[str, OtherStrategy]


class WorthTrials(Result):
    """Trials of each strategy that were read."""

    read: int
    known: int
    unknown: Annotated[int, Field(description="Trials in which the measure is null or infinite under some strategy.")]
    groups: Annotated[int, Field(description="Trials from which groups were valued.")]


class ValueOfInformation(Result):
    """The value of learning parameters before a strategy is chosen."""

    measure: str
    trials: WorthTrials
    now: ChoiceNow
    everything: EstimateResult
    parameters: list[LearnedParameter]
    groups: list[LearnedGroup]
    set_by_strategies: Annotated[
        dict[str, list[str]], Field(description="Parameters that strategies set, and which strategies set them.")
    ]


def worth(run: StoredRun, request: WorthRequest, on_progress: OnProgress) -> Computed:
    """The value of learning each uncertain parameter, groups of them, and all (unless left out), before choosing a
    strategy.

    The choice is between strategies by a measure of which more is better. With a condition, over the trials for
    which it holds under every strategy. Reads at most the first `MOST_READ`, fewer if the request says so; progress is
    in parameters and groups. Raises `InvalidInput`.
    """
    plan, scenario = run.plan, run.plan.scenario
    chosen = paired_strategies(run, request.strategies)
    measure = measure_of_choice(request.measure, scenario)
    value = parse_measure(measure, scenario)
    condition = condition_of(run, request.given)
    beliefs, decided = beliefs_of(scenario, chosen)
    together = {ALL: beliefs} if request.all_together and len(beliefs) > 1 else {}
    together |= _checked_groups(request.groups, beliefs, decided, scenario)
    stated = read_beliefs(run, request.believe)
    code = code_of(stated)
    most = min(MOST_READ, request.trials or MOST_READ)
    drawn = paired_sample(run, chosen, {"measure": value}, given=condition, code=code, most=most)
    values = np.stack([drawn[strategy].pop("measure") for strategy in chosen])
    known = np.isfinite(values).all(axis=0)
    if known.sum() < FEWEST:
        raise too_few_paired(int(known.sum()), request.given, chosen, FEWEST)
    trial = drawn[chosen[0]]["trial"][known]
    replicates = plan.design.replicates(scenario)
    read = drawn[chosen[0]]
    columns = ranked_parameters(run, chosen[0], beliefs, read["trial"])
    columns = columns if known.all() else {name: one.take(known) for name, one in columns.items()}

    def choice_of(count: int) -> tuple[Choice, Evidence | None]:
        """The choice on the first known trials; the beliefs hold in the trials read up to the last of them."""
        own, numbers = values[:, known][:, :count], trial[:count]
        if not stated:
            return value_of_information.choice(own, numbers, replicates), None
        end = int(np.flatnonzero(known)[count - 1]) + 1
        found = weigh_sample(stated, read[CODE][:end], condition)
        sampled = found.sample(read[CODE][:end], read["trial"][:end], replicates).only(known[:end])
        return value_of_information.choice(own, numbers, replicates, sampled), found.evidence()

    (choice, weighted), (fewer, _) = choice_of(trial.size), choice_of(min(GROUP_TRIALS, trial.size))
    everything = value_of_information.value_of_everything(choice)

    done, total = 0, len(beliefs) + len(together)
    on_progress(done, total)
    alone = []

    def value_each(some: Sequence[str]) -> list[tuple[str, Worth]]:
        valued = value_of_information.worth_of_each(choice, [columns[name] for name in some])
        return list(zip(some, valued, strict=True))

    for some in by_parameters(value_each, beliefs, trial.size):
        for name, found in some:
            own = {"name": name, "unit": parameter(name).unit, "promised": found.promised}
            alone.append({**own, **_document(found, everything, chosen)})
        on_progress(done := done + len(some), total)
    few = {name: one.take(np.arange(min(GROUP_TRIALS, one.size))) for name, one in columns.items()}
    jointly = []
    for name, members in together.items():
        found = value_of_information.worth_of_several(fewer, [few[member] for member in members])
        jointly.append({"name": name, "parameters": list(members), **_document(found, everything, chosen)})
        on_progress(done := done + 1, total)
    result = {
        "measure": measure,
        "trials": {
            "read": known.size,
            "known": trial.size,
            "unknown": int((~known).sum()),
            "groups": fewer.trial.size,
        },
        "now": _now(choice, values[:, known], chosen),
        "everything": everything,
        "parameters": sorted(alone, key=lambda one: -one["value"]["estimate"]),
        "groups": jointly,
        "set_by_strategies": decided,
    }
    method = {**_METHOD, **assumption_method(scenario, chosen), "errors": method_note(scenario, plan.design)}
    evidence = None
    if weighted is not None:
        method["weights"], evidence = _WEIGHTS, dict.fromkeys(chosen, weighted)
    return Computed(ValueOfInformation.model_validate(result), chosen, trial.size * len(chosen), method, evidence)


def _checked_groups(
    groups: Mapping[str, Sequence[str]], beliefs: Sequence[str], decided: Mapping[str, list[str]], scenario: Scenario
) -> dict[str, tuple[str, ...]]:
    faults: list[Fault] = []
    if len(groups) > MOST_GROUPS:
        faults.append(Fault("groups", len(groups), f"must be at most {MOST_GROUPS}"))
    for group, members in groups.items():
        if group == ALL or not group:
            faults.append(Fault("groups", group, "must have another name", path=("groups", group)))
        if not members:
            faults.append(Fault("groups", group, "must have parameters in it", path=("groups", group)))
        for name in members:
            if name in decided:
                by = ", ".join(decided[name])
                message = f"is set by {by}: a decision, not something to learn; compare strategies that do not set it"
                faults.append(Fault("groups", name, message, path=("groups", group)))
            elif name not in beliefs:
                message = f"is not an uncertain parameter of {scenario.name}; there are {', '.join(beliefs)}"
                faults.append(Fault("groups", name, message, path=("groups", group)))
    if faults:
        raise InvalidInput(tuple(faults))
    return {group: tuple(dict.fromkeys(members)) for group, members in groups.items()}


def _document(found: Worth, everything: Estimate, strategies: tuple[str, ...]) -> dict[str, Any]:
    whole = everything["estimate"] or 0.0
    return {
        "value": found.value,
        "share_of_everything": (found.value["estimate"] or 0.0) / whole if whole > 0.0 else None,
        "chosen": dict(zip(strategies, found.chosen, strict=True)),
    }


def _now(choice: Choice, values: np.ndarray, strategies: tuple[str, ...]) -> dict[str, object]:
    """The strategy that is best on average, the mean of every strategy, and how far the others are below the best."""
    if choice.weighted is not None:
        everywhere = np.ones(choice.trial.size, bool)
        better = [choice.weighted.share(gain > 0.0, everywhere) for gain in choice.gains]
    else:
        better = _shares_better(choice)
    return {
        "best": strategies[choice.best],
        "means": {strategy: choice.mean(row) for strategy, row in zip(strategies, values, strict=True)},
        "others": {
            strategy: {"short_by": choice.mean(-choice.gains[k]), "better_in": better[k]}
            for k, strategy in enumerate(strategies)
            if k != choice.best
        },
    }


def _shares_better(choice: Choice) -> list[Estimate]:
    """The share of trials in which each strategy does better than the best on average."""
    by_replicate = choice.trial % choice.replicates
    beaten = [[int((gain[by_replicate == k] > 0.0).sum()) for k in range(choice.replicates)] for gain in choice.gains]
    counts = [int((by_replicate == k).sum()) for k in range(choice.replicates)]
    return [share_of(own, counts) for own in beaten]


ANSWER = Answer(
    name="worth",
    sentence="The value of learning parameters before a strategy is chosen.",
    request=WorthRequest,
    result=ValueOfInformation,
    compute=worth,
    examples=({"measure": NET_GAIN},),
    designs=SAMPLES,
    steps="parameters and groups",
    fewest_trials=FEWEST,
    fewest_given=FEWEST,
)
