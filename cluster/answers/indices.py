"""First- and total-order Sobol indices of a measure, from a run of the saltelli design."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import add
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cluster.answers.entry import (
    Answer,
    Computed,
    MeasureOfChoice,
    OnProgress,
    Result,
    StrategyRequest,
    measure_of_choice,
)
from cluster.answers.entry import Estimate as EstimateResult
from cluster.answers.shared import finite_or_none
from cluster.query.session import check_time
from cluster.query.shard_map import map_tasks
from cluster.query.trials import BLOCK, StoredRun, chosen_strategy, read_values
from cluster.results.plan import Shard
from cluster.results.trial_table import table_columns
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import SALTELLI
from sim.sampling.saltelli import PLAYS, inputs, trials_per_point
from sim.sampling.sobol_points import REPLICATES
from sim.scenario.distributions import Fixed
from sim.scenario.expressions import Expression, parse_measure
from sim.scenario.scenario import Scenario
from sim.statistics.estimates import UNKNOWN, Estimate
from sim.statistics.sobol_indices import MOST_LEFT_OUT, Indices, Sums, sums
from sim.statistics.sobol_indices import indices as sobol_indices

_METHOD = {
    "first_order": (
        "share of the variance of E[measure | parameters] that would be removed, on average, if this input were "
        "known: Saltelli et al. (2010), on the means of {plays} plays of each point"
    ),
    "total_order": (
        "share of it that would remain if all other inputs were known: Jansen (1999), on the same means, less the "
        "variance that the scatter of the plays adds"
    ),
    "plain": "both without removal of the noise of chance, as SALib computes them from the points' means",
    "inputs": (
        "inputs must be independent of each other: correlated parameters are one input, are exchanged together, and "
        "have a joint index; an index of one of them would not be valid and is not computed"
    ),
    "intervals": "95 %: Student's t over a jackknife of the {replicates} randomised replicates",
    "missing": (
        "a point's mean is over the plays in which the measure is known, at least two; there is no index if more "
        "than {most:.0%} of the base points lack such a mean. missing_lowest and missing_highest are the index with "
        "null and infinite values replaced by the least, or the greatest, known value; missing is the index of "
        "whether the measure is known"
    ),
}


class IndicesRequest(StrategyRequest):
    """The measure and the strategy."""

    measure: MeasureOfChoice = None


class IndexEstimate(EstimateResult):
    """An index, and what it would be if trials in which the measure is unknown had an extreme value."""

    missing_lowest: float | None = None
    missing_highest: float | None = None
    missing: Annotated[
        EstimateResult | None, Field(description="The index of whether the measure is known at all.")
    ] = None


class PlainIndices(Result):
    """Both indices without removal of the noise of chance."""

    first_order: float | None
    total_order: float | None


class InputIndices(Result):
    """The indices of an input: a parameter, or several that are correlated."""

    parameters: list[str]
    first_order: IndexEstimate
    total_order: IndexEstimate
    plain: PlainIndices
    left_out: int
    reason: Annotated[str | None, Field(description="Why it has no index, if so.")]


class IndexVariance(Result):
    """Where a measure's variance comes from."""

    of_expectation: Annotated[float | None, Field(description="The variance of E[measure | parameters].")]
    parameters: IndexEstimate
    chance: EstimateResult
    alone: Annotated[EstimateResult, Field(description="Of the parameters' part: the sum of the inputs' own shares.")]
    interactions: Annotated[EstimateResult, Field(description="Of the parameters' part: the share of interactions.")]


class IndicesTrials(Result):
    """The trials that were read."""

    read: int
    known: int
    null: int
    infinite: int


class SobolIndices(Result):
    """First- and total-order indices of a measure."""

    measure: str
    base_samples: int
    plays: int
    trials: IndicesTrials
    reason: Annotated[str | None, Field(description="Why there are no indices, if so.")]
    variance: IndexVariance
    inputs: list[InputIndices]
    fixed: Annotated[list[list[str]], Field(description="Inputs that the strategy fixes.")]


def indices(run: StoredRun, request: IndicesRequest, on_progress: OnProgress) -> Computed:
    """First- and total-order indices of a measure under a strategy, from a run of the saltelli design.

    Reads the stored trials in parts of base points, twice if the measure is unknown in some. Progress is in base
    points. Raises `InvalidInput` for a run that is not finished, and for a measure that cannot be read or is
    never known.
    """
    plan, scenario, measure = run.plan, run.plan.scenario, measure_of_choice(request.measure, run.plan.scenario)
    value = parse_measure(measure, scenario)
    chosen = chosen_strategy(run, request.strategy)
    groups, fixed = _inputs_under(scenario, chosen)
    committed = sum(shard.count for shard in run.shards(chosen))
    if committed < plan.trials:
        message = f"is not finished: {committed} of {plan.trials} trials of {chosen} are committed"
        raise InvalidInput((Fault("run", run.folder.address, message),))

    asked = _Asked(value, tuple(groups.values()), trials_per_point(scenario))
    counted, counts = _sums(asked, run, chosen, on_progress)
    if counted is None or not counts.known:
        raise InvalidInput((Fault("measure", measure, f"is known in none of the trials of {chosen}"),))
    found = sobol_indices(counted)
    filled = _filled(asked, run, chosen, counts, on_progress) if counts.known < counts.read else {}
    base_samples = plan.trials // trials_per_point(scenario)
    reason = _reason(found, counts)
    parts = []
    for k, group in enumerate(groups):
        left_out = int(found.left_out[k])
        refused = f"{left_out} of {base_samples} base points have a known measure in fewer than two plays"
        parts.append(
            {
                "parameters": list(group),
                "first_order": _with_filled(found.first[k], {name: one.first[k] for name, one in filled.items()}),
                "total_order": _with_filled(found.total[k], {name: one.total[k] for name, one in filled.items()}),
                "plain": {
                    "first_order": finite_or_none(found.plain[0, k]),
                    "total_order": finite_or_none(found.plain[1, k]),
                },
                "left_out": left_out,
                "reason": reason or (refused if found.total[k]["estimate"] is None else None),
            }
        )
    result = {
        "measure": measure,
        "base_samples": base_samples,
        "plays": PLAYS,
        "trials": {name: getattr(counts, name) for name in ("read", "known", "null", "infinite")},
        "reason": reason,
        "variance": {
            "of_expectation": finite_or_none(found.variance),
            "parameters": _with_filled(found.parameters, {name: one.parameters for name, one in filled.items()}),
            "chance": found.chance,
            "alone": found.alone,
            "interactions": _rest(found.alone),
        },
        "inputs": sorted(parts, key=_importance, reverse=True),
        "fixed": [list(group) for group in fixed],
    }
    method = {
        name: text.format(plays=PLAYS, replicates=REPLICATES, most=MOST_LEFT_OUT) for name, text in _METHOD.items()
    }
    return Computed(SobolIndices.model_validate(result), (chosen,), counts.known, method)


def _inputs_under(scenario: Scenario, strategy: str) -> tuple[dict[tuple[str, ...], int], list[tuple[str, ...]]]:
    """The inputs that a strategy leaves uncertain, with their matrices in the design; and those that it fixes."""
    distributions = scenario.parameters(strategy)
    left, fixed = {}, []
    for matrix, group in enumerate(inputs(scenario), start=1):
        uncertain = tuple(name for name in group if not isinstance(distributions[name], Fixed))
        if uncertain:
            left[uncertain] = matrix
        else:
            fixed.append(group)
    if not left:
        raise InvalidInput((Fault("strategy", strategy, "leaves no parameter uncertain"),))
    return left, fixed


@dataclass(frozen=True)
class _Asked:
    """The measure, the matrices of the design that are read, and how many trials a base point has."""

    value: Expression
    matrices: tuple[int, ...]
    per_point: int


@dataclass(frozen=True)
class _Points:
    """Successive trials of some base points, from `first` on, and the shards that have them, in order."""

    first: int
    count: int
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class _Known:
    """How many values are read, known, null and infinite; the least and the greatest known one."""

    read: int = 0
    known: int = 0
    null: int = 0
    infinite: int = 0
    least: float = np.inf
    greatest: float = -np.inf

    def merged(self, other: "_Known") -> "_Known":
        """Of the values of both."""
        return _Known(
            self.read + other.read,
            self.known + other.known,
            self.null + other.null,
            self.infinite + other.infinite,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
        )


def _base_points(run: StoredRun, strategy: str, per_point: int) -> Iterator[list[_Points]]:
    """The trials of a strategy in parts of complete base points.

    Parts do not depend on how the run was cut into shards, so that sums are the same to the last bit.
    """
    step = max(1, BLOCK // (per_point * REPLICATES)) * per_point * REPLICATES
    shards, first_shard = run.shards(strategy), 0
    for first in range(0, run.plan.trials, step):
        count = min(step, run.plan.trials - first)
        while shards[first_shard].first + shards[first_shard].count <= first:
            first_shard += 1
        last = first_shard
        while shards[last].first + shards[last].count < first + count:
            last += 1
        yield [_Points(first, count, tuple(shards[first_shard : last + 1]))]


def _measured(asked: _Asked, run: StoredRun, part: _Points) -> np.ndarray:
    """The measure at base points: shape (points, matrices + 2, plays, replicates)."""
    check_time()
    known = {column.name: column for column in table_columns(run.plan.scenario)}
    values = []
    for shard in part.shards:
        first = max(part.first, shard.first)
        count = min(part.first + part.count, shard.first + shard.count) - first
        with run.open_shard(shard) as file:
            values.append(read_values(file, known, [asked.value], first, count)[asked.value].astype(np.float64))
    points = np.concatenate(values).reshape(-1, asked.per_point // PLAYS, PLAYS, REPLICATES)
    return points[:, [0, *asked.matrices, -1]]


def _centre(asked: _Asked, run: StoredRun, strategy: str) -> float:
    """The mean of the first part that has known values; 0 if none has any."""
    for part in _base_points(run, strategy, asked.per_point):
        for _, centre in map_tasks(run, [part], partial(_mean, asked), max):
            if np.isfinite(centre):
                return centre
    return 0.0


def _mean(asked: _Asked, run: StoredRun, part: _Points) -> float:
    values = _measured(asked, run, part)
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def _sums(asked: _Asked, run: StoredRun, strategy: str, on_progress: OnProgress) -> tuple[Sums | None, _Known]:
    """The sums over all base points, and how many values are known."""
    total: Sums | None = None
    counts = _Known()
    summed = partial(_sums_of, asked, _centre(asked, run, strategy))
    for last, parts in map_tasks(run, _base_points(run, strategy, asked.per_point), summed, add):
        for found, known in parts:
            total = found if total is None else total + found
            counts = counts.merged(known)
        on_progress((last.first + last.count) // asked.per_point, run.plan.trials // asked.per_point)
    return total, counts


def _sums_of(asked: _Asked, centre: float, run: StoredRun, part: _Points) -> list[tuple[Sums, _Known]]:
    values = _measured(asked, run, part)
    known = values[np.isfinite(values)]
    null = int(np.isnan(values).sum())
    least, greatest = (float(known.min()), float(known.max())) if known.size else (np.inf, -np.inf)
    counts = _Known(values.size, known.size, null, values.size - known.size - null, least, greatest)
    return [(sums(values, centre), counts)]


def _filled(
    asked: _Asked, run: StoredRun, strategy: str, counts: _Known, on_progress: OnProgress
) -> dict[str, Indices]:
    """The indices with unknown values at the least and at the greatest known one; and of whether they are known."""
    total: dict[str, Sums] = {}
    filled = partial(_filled_of, asked, counts.least, counts.greatest)
    for last, parts in map_tasks(run, _base_points(run, strategy, asked.per_point), filled, add):
        for found in parts:
            total = {name: total[name] + one for name, one in found.items()} if total else found
        on_progress((last.first + last.count) // asked.per_point, run.plan.trials // asked.per_point)
    return {name: sobol_indices(one) for name, one in total.items()}


def _filled_of(asked: _Asked, least: float, greatest: float, run: StoredRun, part: _Points) -> list[dict[str, Sums]]:
    values = _measured(asked, run, part)
    known, centre = np.isfinite(values), (least + greatest) / 2.0
    return [
        {
            "missing_lowest": sums(np.where(known, values, least), centre),
            "missing_highest": sums(np.where(known, values, greatest), centre),
            "missing": sums((~known).astype(np.float64), 0.5),
        }
    ]


def _reason(found: Indices, counts: _Known) -> str | None:
    if counts.least == counts.greatest:
        return "the measure has the same value in all trials in which it is known"
    if (found.parameters["low"] or 0.0) <= 0.0:
        return "the parameters' share of the variance is not significantly above 0 with so few base samples"
    return None


def _with_filled(estimate: Estimate, filled: Mapping[str, Estimate]) -> dict[str, object]:
    """An estimate, with its values for unknown values at either extreme, and the index of being known."""
    return {
        **estimate,
        **{name: one if name == "missing" else one["estimate"] for name, one in filled.items()},
    }


def _rest(alone: Estimate) -> Estimate:
    """One less a share."""
    if alone["estimate"] is None or alone["low"] is None or alone["high"] is None:
        return UNKNOWN
    return {
        "estimate": 1.0 - alone["estimate"],
        "standard_error": alone["standard_error"],
        "low": 1.0 - alone["high"],
        "high": 1.0 - alone["low"],
    }


def _importance(part: Mapping[str, Any]) -> float:
    """The key by which inputs are sorted: total order, or its greatest possible value."""
    total = part["total_order"]
    estimate: float | None = total["estimate"]
    if estimate is not None:
        return estimate
    known = (total.get("missing_lowest"), total.get("missing_highest"))
    return max((one for one in known if one is not None), default=-np.inf)


ANSWER = Answer(
    name="indices",
    sentence="First- and total-order Sobol indices of a measure, from a run of the saltelli design.",
    request=IndicesRequest,
    result=SobolIndices,
    compute=indices,
    examples=({"measure": "export_gain"},),
    designs=(SALTELLI.name,),
    steps="base points",
    cannot_weigh="cannot weigh the trials of a saltelli run, which share points: ask drivers of another run",
)
