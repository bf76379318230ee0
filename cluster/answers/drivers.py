"""What drives a measure: which parameters, how far, and how much is chance, from the trials of a stored run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from math import sqrt
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import rankdata

from cluster.answers.entry import (
    NET_GAIN,
    Answer,
    Computed,
    GivenRequest,
    Measure,
    OnProgress,
    Result,
    StrategyRequest,
)
from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.shared import condition_of, uncertain_parameters
from cluster.query.session import evaluate
from cluster.query.trials import StoredRun, chosen_strategy, sample
from cluster.results.trial_table import table_schema, to_table
from sim.faults import Fault, InvalidInput
from sim.model.kernel import play
from sim.sampling.chance import Chance
from sim.sampling.designs import SAMPLES
from sim.sampling.points import draw_points
from sim.scenario.expressions import TRUTH, Expression, parse_measure
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario
from sim.statistics import sensitivity
from sim.statistics.estimates import (
    UNKNOWN,
    Estimate,
    Z,
    around,
    mean,
    mean_of_replicates,
    proportion,
    proportion_of_replicates,
)
from sim.statistics.sensitivity import Jackknife
from sim.statistics.tallies import Moments, moments

MOST_READ = 250_000
"""First-order indices and deciles are computed from at most so many trials."""
PAWN_TRIALS = 20_000
PAIRS = 50_000
"""Trials played again with other chance, at most."""
FEWEST = 1000
COLUMNS_AT_A_TIME = 10
MOST_JOINT = 4
"""Correlated parameters that a joint index can be computed for."""
NOTABLE = 0.05
"""A rank correlation that is reported."""
LEFT_OUT = 0.01
"""A share of trials in none of PAWN's slices that is reported: the greatest value of a parameter of few values."""
_PLAYED_AT_A_TIME = 2**14

_METHOD = {
    "first_order": (
        "share of the measure's variance that a straight line in each of up to 100 cells of the parameter explains "
        "(cells of equal share, the outermost halved outwards; a cell a value where there are few), what the lines "
        "explain by chance subtracted, so that it may be a little below 0; 95 % intervals: Student's t around a "
        "delete-one jackknife of {groups} groups of trials"
    ),
    "pawn": (
        "the index of SALib's pawn.analyze on the first trials, 10 slices of equal share; 95 % intervals span those of "
        "the percentile and of the basic bootstrap, the lower end less its bias once more; noise is what 95 of 100 "
        "parameters without influence stay below, and what is not above it has an interval down to 0; by_value takes "
        "each value as a slice where SALib leaves out the greatest of few values"
    ),
    "deciles": (
        "mean in the trials in which the parameter is in its lowest and its highest decile; 95 % intervals: {how}"
    ),
    "variance": (
        "trials played again with the same parameters and other chance: Cov(y, y') / Var(y) (Janon et al. 2014) is "
        "the parameters' share, the rest is chance; interactions are what first-order indices leave of it"
    ),
    "correlated": (
        "first-order index, PAWN and deciles measure association: a correlated parameter's include what its partners "
        "do. A sum of first-order indices is not valid there and is replaced by one with a joint index for each "
        "group of correlated parameters"
    ),
    "missing": (
        "all is computed over the trials in which the measure is known and finite; missing_lowest and missing_highest "
        "are the index with the other trials at the least and at the greatest known value, missing that of whether "
        "it is known"
    ),
}


@dataclass(frozen=True)
class _Known:
    """The trials read: the measure of each, which of them know it, and the groups that are independent."""

    trial: np.ndarray
    measure: np.ndarray
    known: np.ndarray
    yes_or_no: bool
    replicates: int
    groups: Jackknife

    @property
    def y(self) -> np.ndarray:
        return self.measure[self.known]

    def filled(self, value: float) -> np.ndarray:
        return np.where(self.known, self.measure, value)

    def mean_where(self, chosen: np.ndarray) -> Estimate:
        """The measure's mean in some of the known trials, or its probability if it is a condition."""
        y = self.y
        by_replicate = self.trial[self.known] % self.replicates
        parts = [y[chosen & (by_replicate == k)] for k in range(self.replicates)]
        if self.yes_or_no:
            counts = [int(part.sum()) for part in parts], [part.size for part in parts]
            return proportion(counts[0][0], counts[1][0]) if self.replicates == 1 else proportion_of_replicates(*counts)
        tallied: list[Moments] = [moments(part) for part in parts]
        return mean(tallied[0]) if self.replicates == 1 else mean_of_replicates(tallied)


class DriversRequest(StrategyRequest, GivenRequest):
    """Of which measure, under which strategy and condition."""

    measure: Measure = NET_GAIN


class ShareEstimate(EstimateResult):
    """A share of the variance, and what it would be if trials that do not know the measure had an extreme value."""

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
    alone: Annotated[Alone, Field(description="The parameters one by one, summed.")]
    interactions: Annotated[EstimateResult, Field(description="What the parameters do together only.")]


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
    """What 95 % of parameters without influence stay below."""

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
    reason: Annotated[str | None, Field(description="Why nothing is known of what drives it, if so.")]
    variance: Variance
    pawn_noise: PawnNoise
    groups: list[JointIndex]
    parameters: list[DrivingParameter]


def drivers(run: StoredRun, request: DriversRequest, on_progress: OnProgress) -> Computed:
    """What drives a measure under a strategy, from its stored trials.

    For every uncertain parameter its first-order index, PAWN, and the measure's mean in the parameter's lowest and
    highest decile, all with intervals; and the shares of the measure's variance that come from the parameters and
    from chance. Reads at most the first `MOST_READ` for which the condition holds, a few columns at a time. Progress is
    in parameters. Raises `InvalidInput` for what cannot be read, or leaves too few trials.
    """
    scenario = run.plan.scenario
    value = parse_measure(request.measure, scenario)
    condition = condition_of(run, request.given)
    chosen = chosen_strategy(run, request.strategy)
    names = uncertain_parameters(scenario, chosen)
    found = _read(run, chosen, value, condition)
    if found.known.sum() < FEWEST:
        raise _too_few(found, request.measure, request.given, chosen)

    y = found.y
    constant = "the measure is the same in all trials" if np.ptp(y) == 0.0 else None
    noise = (None, None) if constant else sensitivity.pawn_noise(y[:PAWN_TRIALS])
    parts: dict[str, dict] = {}
    alone: dict[str, np.ndarray] = {}
    ranks: dict[str, np.ndarray] = {}
    on_progress(0, len(names))
    for start in range(0, len(names), COLUMNS_AT_A_TIME):
        some = names[start : start + COLUMNS_AT_A_TIME]
        for name, part, index, rank in _parameters(run, chosen, some, condition, found, noise, constant):
            parts[name], alone[name] = part, index
            if rank is not None:
                ranks[name] = rank
        on_progress(len(parts), len(names))
    partners = _partners(scenario, ranks)
    groups = _groups(run, chosen, [name for name in names if name in ranks], condition, found)
    ordered = sorted(parts, key=lambda name: -np.nan_to_num(alone[name][0], nan=-np.inf))
    known = int(found.known.sum())
    how = f"over {found.replicates} replicates of the design" if found.replicates > 1 else "Wilson or Student"
    result = {
        "measure": request.measure,
        "trials": {
            "read": found.trial.size,
            "first": int(found.trial[0]),
            "last": int(found.trial[-1]),
            "known": known,
            "null": int(np.isnan(found.measure).sum()),
            "infinite": int(np.isinf(found.measure).sum()),
            "pawn": min(known, PAWN_TRIALS),
        },
        "mean": found.mean_where(np.ones(known, bool)),
        "standard_deviation": float(y.std()),
        "reason": constant,
        "variance": _variance(run, chosen, value, condition, found, alone, groups, constant),
        "pawn_noise": {"slices": sensitivity.SLICES, "median": noise[0], "maximum": noise[1]},
        "groups": [
            {"parameters": list(group), "first_order": found.groups.interval(index)}
            for group, index in (groups or {}).items()
            if len(group) > 1 and index is not None
        ],
        "parameters": [{**parts[name], "correlated_with": partners.get(name, [])} for name in ordered],
    }
    method = {name: text.format(groups=found.groups.groups, how=how) for name, text in _METHOD.items()}
    return Computed(Drivers.model_validate(result), (chosen,), known, method)


def _read(run: StoredRun, strategy: str, value: Expression, condition: Expression | None) -> _Known:
    drawn = sample(run, strategy, {"measure": value}, given=condition, most=MOST_READ)
    replicates = run.plan.design.replicates(run.plan.scenario)
    groups = replicates if replicates > 1 else sensitivity.GROUPS
    known = np.isfinite(drawn["measure"])
    jackknife = Jackknife(drawn["trial"] % groups, groups)
    return _Known(drawn["trial"], drawn["measure"], known, value.kind == TRUTH, replicates, jackknife)


def _too_few(found: _Known, measure: str, given: str | None, strategy: str) -> InvalidInput:
    message = (
        f"leaves {int(found.known.sum())} of the {found.trial.size} trials of {strategy} read, in which {measure} is "
        f"known and finite, too few for an answer; at least {FEWEST} are needed: play more trials, or ask for less"
    )
    return InvalidInput((Fault("measure" if given is None else "given", given or measure, message),))


def _parameters(
    run: StoredRun,
    strategy: str,
    names: tuple[str, ...],
    condition: Expression | None,
    found: _Known,
    noise: tuple[float | None, float | None],
    constant: str | None,
) -> Iterator[tuple[str, dict, np.ndarray, np.ndarray | None]]:
    """Each parameter's part of the document, its first-order index by jackknife, and its first trials' ranks."""
    values = {name: parse_measure(name, run.plan.scenario) for name in names}
    drawn = sample(run, strategy, values, given=condition, most=found.trial.size)
    varying = {name: drawn[name] for name in names if np.ptp(drawn[name][found.known][:PAWN_TRIALS]) > 0.0}
    first = {name: column[found.known][:PAWN_TRIALS] for name, column in varying.items()}
    y = found.y[:PAWN_TRIALS]
    median, maximum = noise
    distances = {}
    if first and median is not None and maximum is not None:
        distances = sensitivity.pawn(first, y, (median, maximum))
    for name in names:
        part: dict = {"name": name, "unit": parameter(name).unit, "reason": constant}
        if name not in varying:
            part |= {"reason": "has one value in the trials read", "first_order": UNKNOWN, "pawn": None}
            yield name, part | _outer_deciles(found, drawn[name]), np.full(1, np.nan), None
            continue
        index, part["first_order"] = _first_order(found, varying[name])
        part["pawn"] = _pawn(first[name], y, distances[name], maximum) if name in distances else None
        yield name, part | _outer_deciles(found, varying[name]), index, rankdata(first[name])


def _first_order(found: _Known, column: np.ndarray) -> tuple[np.ndarray, dict]:
    known = found.known
    pieces = sensitivity.pieces([column[known]])
    groups = found.groups.of(known)
    index = sensitivity.first_order(found.y, pieces, groups)
    document: dict = {**groups.interval(index), "cells": pieces.count}
    if not known.all():
        pieces = sensitivity.pieces([column])
        for name, value in (("missing_lowest", found.y.min()), ("missing_highest", found.y.max())):
            document[name] = _number(sensitivity.first_order(found.filled(value), pieces, found.groups)[0])
        missing = sensitivity.first_order((~known).astype(np.float64), pieces, found.groups)
        document["missing"] = found.groups.interval(missing)
    return index, document


def _pawn(column: np.ndarray, y: np.ndarray, distance: dict[str, Estimate], noise: float | None) -> dict:
    left_out = int((sensitivity.slices(column) == sensitivity.SLICES).sum())
    document: dict = {
        **distance,
        "above_noise": bool((distance["maximum"]["estimate"] or 0.0) > (noise or 0.0)),
        "in_no_slice": left_out,
    }
    if left_out > LEFT_OUT * y.size:
        document["by_value"] = sensitivity.pawn_by_value(column, y)
    return document


def _outer_deciles(found: _Known, column: np.ndarray) -> dict:
    x = column[found.known]
    bounds = sensitivity.outer_deciles(x)
    if bounds is None:
        return {"lowest_decile": None, "highest_decile": None, "swing": UNKNOWN}
    low, high = x <= bounds[0], x >= bounds[1]
    means = found.mean_where(low), found.mean_where(high)
    return {
        "lowest_decile": {"up_to": bounds[0], "trials": int(low.sum()), "mean": means[0]},
        "highest_decile": {"from": bounds[1], "trials": int(high.sum()), "mean": means[1]},
        "swing": sensitivity.difference(means[1], means[0]),
    }


def _partners(scenario: Scenario, ranks: Mapping[str, np.ndarray]) -> dict[str, list[dict]]:
    """The parameters that are correlated with each, as the scenario says or as the trials show (Spearman)."""
    names = list(ranks)
    if len(names) < 2:
        return {}
    matrix = np.corrcoef(np.stack([ranks[name] for name in names]))
    declared = {frozenset(one.between) for one in scenario.correlations if one.spearman}
    partners: dict[str, list[dict]] = {}
    for i, j in combinations(range(len(names)), 2):
        if abs(matrix[i, j]) >= NOTABLE or frozenset((names[i], names[j])) in declared:
            for one, other in ((i, j), (j, i)):
                pair = {"name": names[other], "spearman": float(matrix[i, j])}
                partners.setdefault(names[one], []).append(pair)
    return partners


def _groups(
    run: StoredRun, strategy: str, names: list[str], condition: Expression | None, found: _Known
) -> dict[tuple[str, ...], np.ndarray | None] | None:
    """The parameters in groups that are independent of each other, with joint indices of those of several.

    None where a condition makes parameters dependent that were not; no index for groups of more than `MOST_JOINT`.
    """
    if condition is not None:
        return None
    groups = {name: {name} for name in names}
    for one in run.plan.scenario.correlations:
        if one.spearman and all(name in groups for name in one.between):
            joined = groups[one.between[0]] | groups[one.between[1]]
            groups |= dict.fromkeys(joined, joined)
    indices: dict[tuple[str, ...], np.ndarray | None] = {}
    for group in dict.fromkeys(tuple(name for name in names if name in groups[member]) for member in names):
        indices[group] = None
        if 1 < len(group) <= MOST_JOINT:
            values = {name: parse_measure(name, run.plan.scenario) for name in group}
            drawn = sample(run, strategy, values, most=found.trial.size)
            pieces = sensitivity.pieces([drawn[name][found.known] for name in group])
            indices[group] = sensitivity.first_order(found.y, pieces, found.groups.of(found.known))
    return indices


def _variance(
    run: StoredRun,
    strategy: str,
    value: Expression,
    condition: Expression | None,
    found: _Known,
    alone: Mapping[str, np.ndarray],
    groups: Mapping[tuple[str, ...], np.ndarray | None] | None,
    constant: str | None,
) -> dict:
    """Shares of the measure's variance: the parameters', chance's, and what the parameters do alone and together."""
    document: dict = {"parameters": UNKNOWN, "chance": UNKNOWN, "pairs": 0}
    split = _split(run, strategy, value, condition, found)
    reason = constant
    if isinstance(split, str):
        reason = reason or split
    elif constant is None:
        document |= split
    own = {group: alone[group[0]] if len(group) == 1 else index for group, index in (groups or {}).items()}
    if groups is None:
        first: Estimate = UNKNOWN
        reason_of_sum = "the condition makes parameters depend on each other: their indices do not add up"
    elif any(index is None for index in own.values()):
        first, reason_of_sum = UNKNOWN, f"more than {MOST_JOINT} parameters are correlated with each other"
    else:
        summed = reduce(np.add, [index for index in own.values() if index is not None])
        first, reason_of_sum = found.groups.interval(summed), constant or ""
    return {
        **document,
        "reason": reason,
        "alone": {**first, "reason": reason_of_sum or None},
        "interactions": _less(document["parameters"], first),
    }


def _split(run: StoredRun, strategy: str, value: Expression, condition: Expression | None, found: _Known) -> dict | str:
    """The shares of parameters and of chance by playing trials again with other chance; or why they are not known."""
    scenario = run.plan.scenario
    if condition is not None and not condition.columns() <= set(scenario.uncertain):
        return "the condition is about events, which other chance would change"
    chosen = found.trial < PAIRS
    again = _play_again(run, strategy, value, int(found.trial[chosen][-1]) + 1 if chosen.any() else 0)
    trial = found.trial[chosen]
    pair = found.measure[chosen], again[trial]
    both = np.isfinite(pair[0]) & np.isfinite(pair[1])
    if both.sum() < FEWEST:
        return f"{int(both.sum())} trials know the measure under both chances; at least {FEWEST} are needed"
    groups = found.groups.of(chosen).of(both)
    share = sensitivity.paired_share(pair[0][both], pair[1][both], groups)
    document: dict = {
        "parameters": groups.interval(share),
        "chance": groups.interval(1.0 - share),
        "pairs": int(both.sum()),
    }
    if not both.all():
        for name, filler in (("missing_lowest", found.y.min()), ("missing_highest", found.y.max())):
            filled = [np.where(np.isfinite(one), one, filler) for one in pair]
            document["parameters"][name] = _number(
                sensitivity.paired_share(filled[0], filled[1], found.groups.of(chosen))[0]
            )
    return document


def _play_again(run: StoredRun, strategy: str, value: Expression, count: int) -> np.ndarray:
    """The measure of the first trials, played with the same parameters and the chance of the next seed."""
    plan = run.plan
    schema = table_schema(plan.scenario, {})
    played = [np.empty(0)]
    for first in range(0, count, _PLAYED_AT_A_TIME):
        size = min(_PLAYED_AT_A_TIME, count - first)
        points = draw_points(plan.scenario, strategy, Chance(plan.seed, first, size), plan.design)
        arrays = play(plan.scenario, points, Chance((plan.seed + 1) % 2**63, first, size))
        # Parameters as they are stored, so that a measure reads the same values in both playings.
        table = to_table(plan.scenario, schema, arrays)
        played.append(evaluate(table, {"measure": value})["measure"])
    return np.concatenate(played)


def _less(a: Estimate, b: Estimate) -> Estimate:
    """The difference of two shares, with a normal interval as if they were independent."""
    pair = a["estimate"], b["estimate"], a["standard_error"], b["standard_error"]
    if None in pair:
        return UNKNOWN
    first, second, error, other = (float(number or 0.0) for number in pair)
    return around(first - second, sqrt(error**2 + other**2), Z)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


ANSWER = Answer(
    name="drivers",
    sentence="Which parameters drive a measure, how far, and how much of it is chance.",
    request=DriversRequest,
    result=Drivers,
    compute=drivers,
    examples=({"measure": "export_gain"},),
    designs=SAMPLES,
    steps="parameters",
)
