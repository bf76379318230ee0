"""The influence of each parameter on a measure: first-order index, PAWN, and the means in its outermost deciles."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from cluster.answers.drivers_trials import KnownTrials
from cluster.answers.shared import finite_or_none
from cluster.query.ranked_columns import ranked_parameters
from cluster.query.trials import StoredRun
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario
from sim.statistics import sensitivity
from sim.statistics.estimates import UNKNOWN, Estimate
from sim.statistics.ranked import Ranked
from sim.statistics.sensitivity import Explained

PAWN_TRIALS = 20_000
"""PAWN is computed from at most this many known trials, the first ones."""
NOTABLE = 0.05
"""The smallest rank correlation that is reported."""
LEFT_OUT = 0.01
"""PAWN by value is added if more than this share of the trials is in none of PAWN's slices. SALib's slices leave out
the greatest value of a parameter with few values."""


Influence = tuple[str, dict[str, Any], Explained | None, np.ndarray | None]
"""A parameter with its part of the document, its first-order index, and the ranks of its first values."""


def parameter_influences(
    run: StoredRun,
    strategy: str,
    names: Sequence[str],
    found: KnownTrials,
    noise: tuple[float, float] | None,
    constant: str | None,
) -> list[Influence]:
    """Each parameter's part of the document, its first-order index, and first trials' ranks; null if it is fixed.

    PAWN is computed if its `noise` is given.
    """
    drawn = ranked_parameters(run, strategy, names, found.trial)
    known = drawn if found.known.all() else {name: one.take(found.known) for name, one in drawn.items()}
    first = {name: one.take(np.arange(min(PAWN_TRIALS, one.size))) for name, one in known.items()}
    first = {name: one for name, one in first.items() if np.ptp(one.code) > 0}
    y, weights = found.y[:PAWN_TRIALS], found.some_weights(PAWN_TRIALS)
    sliced, distances = {}, {}
    if first and noise is not None:
        sliced = {name: sensitivity.slices(one.numbers, weights) for name, one in first.items()}
        distances = sensitivity.pawn(sliced, y, noise, weights)
    influences: list[Influence] = []
    for name in names:
        part: dict[str, object] = {"name": name, "unit": parameter(name).unit, "reason": constant}
        if name not in first:
            part |= {"reason": "has one value in the trials read", "first_order": UNKNOWN, "pawn": None}
            influences.append((name, part | _outer_deciles(found, known[name]), None, None))
            continue
        index, part["first_order"] = _first_order(found, known[name], drawn[name])
        part["pawn"] = None
        if noise is not None and name in distances:
            part["pawn"] = _pawn(first[name], y, sliced[name], distances[name], noise[1], weights)
        ranks = sensitivity.average_ranks(first[name], weights)
        influences.append((name, part | _outer_deciles(found, known[name]), index, ranks))
    return influences


def _first_order(found: KnownTrials, x: Ranked, drawn: Ranked) -> tuple[Explained, dict[str, object]]:
    """The index of a parameter, of which `x` has the values in the known trials, and `drawn` those in all."""
    known = found.known
    index = sensitivity.explained(found.response, [x], found.groups_of_known)
    document: dict[str, object] = {**index.interval(found.groups_of_known), "cells": index.cells}
    if not known.all():
        pieces = sensitivity.pieces([drawn])
        for name, value in (("missing_lowest", found.y.min()), ("missing_highest", found.y.max())):
            filled = sensitivity.first_order(found.filled(value), pieces, found.groups, found.weights)
            document[name] = finite_or_none(filled[0])
        missing = sensitivity.first_order((~known).astype(np.float64), pieces, found.groups, found.weights)
        document["missing"] = found.groups.interval(missing)
    return index, document


def _pawn(
    x: Ranked,
    y: np.ndarray,
    sliced: np.ndarray,
    distance: dict[str, Estimate],
    noise: float,
    weights: np.ndarray | None,
) -> dict[str, object]:
    left_out = int((sliced == sensitivity.SLICES).sum())
    document: dict[str, object] = {
        **distance,
        "above_noise": bool((distance["maximum"]["estimate"] or 0.0) > noise),
        "in_no_slice": left_out,
    }
    if left_out > LEFT_OUT * y.size:
        document["by_value"] = sensitivity.pawn_by_value(x, y, weights)
    return document


def _outer_deciles(found: KnownTrials, x: Ranked) -> dict[str, object]:
    bounds = sensitivity.outer_deciles(x, found.some_weights())
    if bounds is None:
        return {"lowest_decile": None, "highest_decile": None, "swing": UNKNOWN}
    low, high = x.numbers <= bounds[0], x.numbers >= bounds[1]
    means = found.mean_where(low), found.mean_where(high)
    return {
        "lowest_decile": {"up_to": bounds[0], "trials": int(low.sum()), "mean": means[0]},
        "highest_decile": {"from": bounds[1], "trials": int(high.sum()), "mean": means[1]},
        "swing": sensitivity.difference(means[1], means[0]),
    }


def partners_of(
    scenario: Scenario, ranks: Mapping[str, np.ndarray], weights: np.ndarray | None
) -> dict[str, list[dict[str, object]]]:
    """For each parameter those correlated with it, by the scenario or in the trials (Spearman)."""
    names = list(ranks)
    if len(names) < 2:
        return {}
    rows = np.stack([ranks[name] for name in names])
    if weights is None:
        matrix = np.corrcoef(rows)
    else:
        covariance = np.cov(rows, aweights=weights)
        scale = np.sqrt(np.diag(covariance))
        matrix = covariance / np.outer(scale, scale)
    declared = {frozenset(one.between) for one in scenario.correlations if one.spearman}
    partners: dict[str, list[dict[str, object]]] = {}
    for i, j in combinations(range(len(names)), 2):
        if abs(matrix[i, j]) >= NOTABLE or frozenset((names[i], names[j])) in declared:
            for one, other in ((i, j), (j, i)):
                pair = {"name": names[other], "spearman": float(matrix[i, j])}
                partners.setdefault(names[one], []).append(pair)
    return partners
