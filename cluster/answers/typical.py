"""Which trials of a stored run to read: a typical one of each outcome, and the extreme ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from math import isfinite
from typing import Annotated

import numpy as np
from pydantic import Field

from cluster.answers.aggregate_weights import rounded_weights
from cluster.answers.beliefs import code_of, read_beliefs, weigh_strategy
from cluster.answers.entry import Answer, Computed, GivenRequest, Measure, OnProgress, Result, StrategyRequest
from cluster.answers.shared import condition_of
from cluster.query.quantiles import Numbers, grouped_quantiles, grouped_weighted_quantiles
from cluster.query.samples import values_of
from cluster.query.shard_map import reduce_shards
from cluster.query.trials import CODE, Reading, SameTrials, StoredRun, chosen_strategy, read_blocks, same_trials
from cluster.results.trial_table import table_columns
from sim.faults import Fault, InvalidInput
from sim.scenario.columns import COMMON_COLUMNS
from sim.scenario.expressions import Expression, parse_measure, parse_over
from sim.scenario.vocabulary import MEASURE_TERMS, NAMED, OUTCOMES
from sim.statistics.grouped_moments import GroupedMoments, grouped_moments

ABSENCE = 2.0
"""The distance, in standard deviations, of a null date from a median that is not null, and the reverse."""


@dataclass(frozen=True)
class Extreme:
    """A kind of extreme trial: the one with the greatest or the least value of a column."""

    why: str
    column: str
    greatest: bool = True


EXTREMES = (
    Extreme("earliest agreement", "agreement_week", greatest=False),
    Extreme("latest agreement", "agreement_week"),
    Extreme("longest sanctions", "sanctions_weeks"),
    Extreme("costliest for the sender", "sender_cost"),
    Extreme("costliest for the target", "target_cost"),
    Extreme("best export gain", "export_gain"),
)


_WEIGHTS = (
    "trials are weighted so that the beliefs hold (see evidence): shares, medians and standard deviations within an "
    "outcome are weighted; count is the number of trials. Which trial is extreme does not depend on weights"
)


class TypicalRequest(StrategyRequest, GivenRequest):
    """The trials to choose from, and a measure to choose by."""

    measure: Annotated[Measure | None, Field(description="A further measure to choose by.")] = None


class ReplayedTrial(Result):
    """The request that replays a trial."""

    trial: int
    strategy: str


class PickedTrial(Result):
    """A trial with its outcome and numbers, and the request that replays it."""

    why: str
    trial: int
    outcome: str
    numbers: dict[str, int | float | None]
    replay: ReplayedTrial


class TypicalTrial(PickedTrial):
    """The trial nearest to its outcome's medians."""

    count: Annotated[int, Field(description="Trials with this outcome.")]
    share: float
    medians: dict[str, float | None]
    distance: float


class ExtremeTrial(PickedTrial):
    """The trials with the greatest or the least value of a column."""

    value: float


class TypicalTrials(Result):
    """A typical trial of each outcome, and the extreme ones."""

    measure: str | None
    typical: list[TypicalTrial]
    extreme: list[ExtremeTrial]


def typical(run: StoredRun, request: TypicalRequest, on_progress: OnProgress) -> Computed:
    """A typical trial of each outcome, and the extreme trials, under a strategy.

    The measure, if any, is one more feature, and its extremes are listed too. Raises `InvalidInput` for an expression
    that cannot be read, or a condition that leaves no trials.
    """
    scenario, measure = run.plan.scenario, request.measure
    chosen = chosen_strategy(run, request.strategy)
    condition = condition_of(run, request.given)
    own = {} if measure is None else {measure: parse_measure(measure, scenario)}
    features = {term.name: parse_measure(term.expression, scenario) for term in MEASURE_TERMS} | own
    extremes = list(EXTREMES)
    for name in own:
        extremes += [Extreme(f"largest {name}", name), Extreme(f"smallest {name}", name, greatest=False)]
    stated = read_beliefs(run, request.believe)
    weighted = weigh_strategy(run, chosen, stated, condition) if stated else None
    asked = _Asked(chosen, features, condition, None if weighted is None else code_of(stated), tuple(extremes))
    shards = same_trials(run, asked.reading(()).read)
    counted = reduce_shards(run, shards, partial(_count, asked, 2 ** len(stated)), _merge, None)
    if counted is None or not counted.trials.any():
        raise InvalidInput((Fault("given", str(condition), f"leaves none of the trials of {chosen}"),))
    weight = np.ones(1) if weighted is None else rounded_weights(weighted)
    spreads = _spreads(run, shards, asked, counted, None if weighted is None else weight)
    nothing: dict[int, Pick] = {}
    nearest = reduce_shards(run, shards, partial(_nearest, asked, spreads), _least, nothing)
    picked = {trial for _, trial in (*nearest.values(), *counted.extremes.values())}
    rows = _rows(run, asked, np.array(sorted(picked), np.int64))
    counts, sizes = counted.trials.sum(axis=1).tolist(), (counted.trials @ weight).tolist()
    typicals = [
        {
            "why": f"typical of {outcome.replace('_', ' ')}",
            "count": counts[k],
            "share": sizes[k] / sum(sizes),
            "medians": {name: spread.median for name, spread in spreads[k].items()},
            "distance": nearest[k][0],
            **rows[nearest[k][1]],
        }
        for k, outcome in enumerate(OUTCOMES)
        if counts[k]
    ]
    found = [(one, counted.extremes[k]) for k, one in enumerate(extremes) if counted.varies(one.column)]
    extreme = [
        {"why": one.why, "value": -value if one.greatest else value, **rows[trial]} for one, (value, trial) in found
    ]
    for one in (*typicals, *extreme):
        one["replay"] = {"trial": one["trial"], "strategy": chosen}
    result = {"measure": measure, "typical": typicals, "extreme": extreme}
    total = sum(counts)
    method = {"typical": _METHOD.format(total=total)}
    evidence = None
    if weighted is not None:
        method["weights"], evidence = _WEIGHTS, {chosen: weighted.evidence()}
    return Computed(TypicalTrials.model_validate(result), (chosen,), total, method, evidence)


_OUTCOME = "which outcome"
"""The name of the outcome's number among the values that are read."""
_NUMBER = parse_over(COMMON_COLUMNS, " + ".join(f"{k} * ({NAMED[name]})" for k, name in enumerate(OUTCOMES)), _OUTCOME)
Pick = tuple[float, int]
"""The least value of some trials, and the first trial that has it."""


@dataclass(frozen=True)
class _Asked:
    """What is read: a strategy's trials for which a condition holds, with features, and the codes of beliefs."""

    strategy: str
    features: Mapping[str, Expression]
    condition: Expression | None
    code: Mapping[str, Expression] | None
    extremes: tuple[Extreme, ...]

    def reading(self, names: Iterable[str]) -> Reading:
        """What is read for some features: these by their names, and the outcome."""
        values = {f"feature {name}": self.features[name] for name in names}
        return Reading((self.strategy,), {**values, _OUTCOME: _NUMBER}, given=self.condition, code=self.code)

    def blocks(
        self, names: Sequence[str], run: StoredRun, shards: SameTrials
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
        """The number, the outcome and the code of each trial, and features, NaN where they are not known."""
        for blocks in read_blocks(run, shards, self.reading(names)):
            block = blocks[self.strategy]
            values = {name: block[f"feature {name}"] for name in names}
            known = {
                name: np.where(np.isfinite(own), own, np.nan) if np.isinf(own).any() else own
                for name, own in values.items()
            }
            trial, outcome = block["trial"], block[_OUTCOME].astype(np.int64)
            yield trial, outcome, block.get(CODE, np.zeros(trial.size, np.int64)), known


@dataclass(frozen=True)
class _Counted:
    """Trials and the moments of features, by outcome and code of the beliefs; and the extreme trials.

    `extremes` are by their places among those asked, the greatest ones by the least of their negatives.
    """

    trials: np.ndarray
    moments: Mapping[str, GroupedMoments]
    extremes: dict[int, Pick]

    def varies(self, name: str) -> bool:
        """Whether trials have different known values of a feature."""
        own = self.moments[name]
        return bool(own.count.any() and own.least.min() < own.greatest.max())


def _count(asked: _Asked, codes: int, run: StoredRun, shards: SameTrials) -> _Counted | None:
    found: _Counted | None = None
    for trial, outcome, code, features in asked.blocks(tuple(asked.features), run, shards):
        group, shape = outcome * codes + code, (len(OUTCOMES), codes)
        picks = {}
        for k, one in enumerate(asked.extremes):
            values = -features[one.column] if one.greatest else features[one.column]
            if not np.isnan(values).all():
                at = int(np.nanargmin(values))
                picks[k] = float(values[at]), int(trial[at])
        own = _Counted(
            np.bincount(group, minlength=shape[0] * codes).reshape(shape),
            {name: grouped_moments(values, group, *shape) for name, values in features.items()},
            picks,
        )
        found = _merge(found, own)
    return found


def _merge(a: _Counted | None, b: _Counted | None) -> _Counted | None:
    if a is None or b is None:
        return b if a is None else a
    return _Counted(
        a.trials + b.trials,
        {name: own.merged(b.moments[name]) for name, own in a.moments.items()},
        _least(a.extremes, b.extremes),
    )


def _least(a: dict[int, Pick], b: dict[int, Pick]) -> dict[int, Pick]:
    """Of each pick the one with the least value; of equal ones the first trial."""
    return {**a, **{k: min(a[k], one) if k in a else one for k, one in b.items()}}


@dataclass(frozen=True)
class _Spread:
    """A feature's median and standard deviation within an outcome; None where most of its values are null."""

    median: float | None
    deviation: float


def _spreads(
    run: StoredRun, shards: Sequence[SameTrials], asked: _Asked, counted: _Counted, weight: np.ndarray | None
) -> dict[int, dict[str, _Spread]]:
    """The spread of each feature within each outcome that occurs; `weight` has the weight of each code, if any."""
    names, outcomes = tuple(asked.features), len(OUTCOMES)
    moments = [counted.moments[name] for name in names]
    each = np.ones(1) if weight is None else weight
    sizes, known = counted.trials @ each, np.stack([own.count @ each for own in moments])
    count = np.stack([own.count.sum(axis=1) for own in moments]).astype(np.int64)
    read = partial(_numbers, asked, weight)
    if weight is None:
        medians = grouped_quantiles(run, shards, read, count.ravel(), (0.5,))
    else:
        medians = grouped_weighted_quantiles(run, shards, read, count.ravel(), known.ravel(), (0.5,))
    median = medians.reshape(len(names), outcomes)
    found: dict[int, dict[str, _Spread]] = {}
    for outcome in np.flatnonzero(counted.trials.any(axis=1)).tolist():
        found[outcome] = {}
        for k, (name, own) in enumerate(zip(names, moments, strict=True)):
            size = known[k, outcome]
            centre = (own.count[outcome] * own.mean[outcome]) @ each / size if size else 0.0
            squares = (own.m2[outcome] + own.count[outcome] * np.square(own.mean[outcome] - centre)) @ each
            # The order of additions must not matter for which trial is nearest.
            deviation = float(f"{np.sqrt(squares / size) if size else 0.0:.6g}")
            absent = 2.0 * size < sizes[outcome]
            found[outcome][name] = _Spread(None if absent else float(median[k, outcome]), deviation)
    return found


def _numbers(asked: _Asked, weight: np.ndarray | None, run: StoredRun, shards: SameTrials) -> Iterator[Numbers]:
    """The known values of each feature, in a group for each feature and outcome."""
    names = tuple(asked.features)
    for _, outcome, code, features in asked.blocks(names, run, shards):
        for k, name in enumerate(names):
            rows = np.flatnonzero(~np.isnan(features[name]))
            group = k * len(OUTCOMES) + outcome.take(rows)
            yield features[name].take(rows), group, None if weight is None else weight.take(code.take(rows))


def _nearest(
    asked: _Asked, spreads: Mapping[int, Mapping[str, _Spread]], run: StoredRun, shards: SameTrials
) -> dict[int, Pick]:
    """For each outcome the distance of the trial nearest to its medians, and the trial."""
    found: dict[int, Pick] = {}
    for trial, outcome, _, features in asked.blocks(tuple(asked.features), run, shards):
        for place, own in spreads.items():
            rows = np.flatnonzero(outcome == place)
            if rows.size:
                squares = [_square(features[name].take(rows), spread) for name, spread in own.items()]
                distance = np.sqrt(reduce(np.add, squares))
                at = int(np.argmin(distance))
                found = _least(found, {place: (float(distance[at]), int(trial[rows[at]]))})
    return found


def _square(values: np.ndarray, spread: _Spread) -> np.ndarray:
    """The squared distance of values from a median, in standard deviations."""
    null = np.isnan(values)
    if spread.median is None:
        return np.where(null, 0.0, ABSENCE**2)
    away = values - spread.median
    square = away * away / spread.deviation**2 if spread.deviation else np.zeros(values.size)
    return np.where(null, ABSENCE**2, square)


def _rows(run: StoredRun, asked: _Asked, trial: np.ndarray) -> dict[int, dict[str, object]]:
    """The outcome and the features of some trials, whose numbers increase."""
    kinds = {column.name: column.kind for column in table_columns(run.plan.scenario)}
    values = values_of(run, asked.strategy, {**asked.features, _OUTCOME: _NUMBER}, trial)
    found = {}
    for k, number in enumerate(trial.tolist()):
        numbers: dict[str, object] = {}
        for name, feature in asked.features.items():
            value = float(values[name][k])
            whole = feature.operation == "column" and kinds[str(feature.value)].startswith("int")
            numbers[name] = None if not isfinite(value) else int(value) if whole else value
        found[number] = {"trial": number, "outcome": OUTCOMES[int(values[_OUTCOME][k])], "numbers": numbers}
    return found


_METHOD = (
    "over all of {total} trials: typical is the trial nearest to the outcome's medians (exact), each "
    f"feature in units of its standard deviation within the outcome; a null date counts as {ABSENCE:g} of them "
    "if the median is not null, and the reverse; of equally near trials the first is chosen"
)


ANSWER = Answer(
    name="typical",
    sentence="A typical trial of each outcome and the extreme ones, to be replayed.",
    request=TypicalRequest,
    result=TypicalTrials,
    compute=typical,
    examples=({"measure": "export_gain - sender_cost"}, {}),
)
