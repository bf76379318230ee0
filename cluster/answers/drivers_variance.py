"""Where a measure's variance comes from: the parameters alone, the parameters together, and chance."""

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from cluster.answers.drivers_trials import FEWEST_KNOWN, KnownTrials
from cluster.answers.shared import finite_or_none
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.session import check_time
from cluster.query.trials import StoredRun
from cluster.results.trial_table import table_columns
from sim.model.kernel import play
from sim.sampling.chance import Chance
from sim.sampling.points import draw_points
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import Expression
from sim.scenario.scenario import Scenario
from sim.statistics import sensitivity
from sim.statistics.estimates import UNKNOWN, Estimate
from sim.statistics.sensitivity import Explained

PAIRS = 50_000
"""The largest number of trials that are played again with other chance."""
MOST_JOINT = 4
"""The largest number of correlated parameters for which a joint index is computed."""
_PLAYED_AT_A_TIME = 12_500


def independent_groups(
    run: StoredRun, strategy: str, names: list[str], condition: Expression | None, found: KnownTrials
) -> dict[tuple[str, ...], Explained | None] | None:
    """The parameters in independent groups, with a joint index for each group of several; None with a condition
    or beliefs, which can make parameters dependent. Groups of more than `MOST_JOINT` parameters have no index.
    """
    if condition is not None or found.weighted is not None:
        return None
    groups = {name: {name} for name in names}
    for one in run.plan.scenario.correlations:
        if one.spearman and all(name in groups for name in one.between):
            joined = groups[one.between[0]] | groups[one.between[1]]
            groups |= dict.fromkeys(joined, joined)
    indices: dict[tuple[str, ...], Explained | None] = {}
    for group in dict.fromkeys(tuple(name for name in names if name in groups[member]) for member in names):
        indices[group] = None
        if 1 < len(group) <= MOST_JOINT:
            drawn = ranked_parameters(run, strategy, group, found.trial)
            columns = [drawn[name].take(found.known) for name in group]
            indices[group] = sensitivity.explained(found.response, columns, found.groups_of_known)
    return indices


def variance_shares(
    run: StoredRun,
    strategy: str,
    value: Expression,
    condition: Expression | None,
    found: KnownTrials,
    alone: Mapping[str, Explained],
    groups: Mapping[tuple[str, ...], Explained | None] | None,
    constant: str | None,
) -> dict[str, object]:
    """Shares of the measure's variance: of all parameters, of chance, of the parameters one by one, and of
    interactions.
    """
    document: dict[str, Any] = {"parameters": UNKNOWN, "chance": UNKNOWN, "pairs": 0}
    split = _split(run, strategy, value, condition, found)
    reason = constant
    if isinstance(split, str):
        reason = reason or split
    elif constant is None:
        document |= split
    own = {group: alone[group[0]] if len(group) == 1 else index for group, index in (groups or {}).items()}
    if groups is None:
        first: Estimate = UNKNOWN
        what = "the condition makes" if found.weighted is None else "what is believed can make"
        reason_of_sum = f"{what} parameters depend on each other: their indices do not add up"
    elif any(index is None for index in own.values()):
        first, reason_of_sum = UNKNOWN, f"more than {MOST_JOINT} parameters are correlated with each other"
    else:
        summed = reduce(add, [index for index in own.values() if index is not None])
        first, reason_of_sum = summed.interval(found.groups), constant or ""
    return {
        **document,
        "reason": reason,
        "alone": {**first, "reason": reason_of_sum or None},
        "interactions": sensitivity.difference(document["parameters"], first),
    }


def _split(
    run: StoredRun, strategy: str, value: Expression, condition: Expression | None, found: KnownTrials
) -> dict[str, object] | str:
    """The shares of parameters and of chance, found by playing trials again with other chance; or why they are not
    known.
    """
    scenario = run.plan.scenario
    if found.code is not None and not _only_about(scenario, *found.code.values()):
        return "the beliefs are about events, which other chance would change"
    if condition is not None and not _only_about(scenario, condition):
        return "the condition is about events, which other chance would change"
    chosen = found.trial < PAIRS
    again = _play_again(run, strategy, value, int(found.trial[chosen][-1]) + 1 if chosen.any() else 0)
    trial = found.trial[chosen]
    pair = found.measure[chosen], again[trial]
    both = np.isfinite(pair[0]) & np.isfinite(pair[1])
    if both.sum() < FEWEST_KNOWN:
        return f"{int(both.sum())} trials have a known measure with both chances; at least {FEWEST_KNOWN} are needed"
    groups = found.groups.of(chosen).of(both)
    weights = None if found.weights is None else found.weights[chosen]
    share = sensitivity.paired_share(pair[0][both], pair[1][both], groups, None if weights is None else weights[both])
    document: dict[str, Any] = {
        "parameters": groups.interval(share),
        "chance": groups.interval(1.0 - share),
        "pairs": int(both.sum()),
    }
    if not both.all():
        for name, filler in (("missing_lowest", found.y.min()), ("missing_highest", found.y.max())):
            filled = [np.where(np.isfinite(one), one, filler) for one in pair]
            document["parameters"][name] = finite_or_none(
                sensitivity.paired_share(filled[0], filled[1], found.groups.of(chosen), weights)[0]
            )
    return document


def _only_about(scenario: Scenario, *expressions: Expression) -> bool:
    """Whether expressions read uncertain parameters alone."""
    return all(one.columns() <= set(scenario.uncertain) for one in expressions)


def _play_again(run: StoredRun, strategy: str, value: Expression, count: int) -> np.ndarray:
    """The measure of the first trials, played with the same parameters and the chance of the next seed.

    A process keeps it, since it does not depend on a condition.
    """
    plan = run.plan
    of_plan = (plan.scenario_sha256, plan.kernel_version, plan.seed, plan.design.name, plan.trials)
    played = [np.empty(0)]
    for first in range(0, count, _PLAYED_AT_A_TIME):
        if run.cache is None:
            played.append(_play_some_again(run, strategy, value, first, min(_PLAYED_AT_A_TIME, count - first)))
            continue
        key = ("played again", *of_plan, strategy, value, first)
        part: np.ndarray | None = run.cache.find(key)
        if part is None:
            size = min(_PLAYED_AT_A_TIME, plan.trials - first)
            part = _play_some_again(run, strategy, value, first, size)
            run.cache.put(key, part, part.nbytes)
        played.append(part)
    return np.concatenate(played)[:count]


def _play_some_again(run: StoredRun, strategy: str, value: Expression, first: int, size: int) -> np.ndarray:
    check_time()
    plan = run.plan
    known = {column.name: column for column in table_columns(plan.scenario) if column.name in value.columns()}
    points = draw_points(plan.scenario, strategy, Chance(plan.seed, first, size), plan.design)
    arrays = play(plan.scenario, points, Chance((plan.seed + 1) % 2**63, first, size))
    # Numbers are rounded as in storage, so that a measure reads the same values both times.
    table = {
        name: arrays[name].astype(np.float32) if column.kind == "float32" else arrays[name]
        for name, column in known.items()
    }
    return evaluate(value, {"trial": arrays["trial"], **table}, known).astype(np.float64)
