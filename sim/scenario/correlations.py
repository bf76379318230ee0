"""Rank correlations between parameters, joined by a Gaussian copula.

The correlations of the normals follow from the parameters' Spearman correlations and their distributions in the base
(see `sim.scenario.normal_copula`). A strategy that overrides a distribution keeps the normals, so that the other
parameters do not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.scenario import validation
from sim.scenario.distributions import Distribution, Fixed
from sim.scenario.normal_copula import atoms, attainable, normal_correlation
from sim.scenario.places import Path
from sim.scenario.validation import Report

MAX_CORRELATIONS = 500
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation between two parameters."""

    between: tuple[str, str]
    spearman: float


@lru_cache(maxsize=256)
def correlation_factor(
    correlations: tuple[Correlation, ...], margins: tuple[tuple[str, Distribution], ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The correlated parameters in the order of `margins`, and the lower triangular factor that joins their normals.

    `margins` are the base's parameters with their distributions. If z are independent standard normals, `factor @ z`
    gives parameters with the Spearman correlations. float64, shape (n, n).
    """
    base = dict(margins)
    names, spearman = correlation_matrix(correlations, tuple(base))
    if not names:
        return (), np.zeros((0, 0))
    values, vectors = np.linalg.eigh(normal_correlations(correlations, names, spearman, base))
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    # A Cholesky factor that also exists where the matrix is singular.
    lower = np.linalg.qr(root.T).R.T
    return names, lower * np.where(np.diag(lower) < 0.0, -1.0, 1.0)


def correlation_matrix(
    correlations: tuple[Correlation, ...], order: tuple[str, ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The parameters that appear in the correlations, in the given order, and their Spearman matrix."""
    linked = {name for correlation in correlations for name in correlation.between}
    names = tuple(name for name in order if name in linked)
    matrix = np.eye(len(names))
    for correlation in correlations:
        i, j = (names.index(name) for name in correlation.between)
        matrix[i, j] = matrix[j, i] = correlation.spearman
    return names, matrix


def normal_correlations(
    correlations: tuple[Correlation, ...],
    names: tuple[str, ...],
    spearman: np.ndarray,
    base: Mapping[str, Distribution],
) -> np.ndarray:
    """Correlations of the normals behind the parameters `names`, whose Spearman correlations are given."""
    matrix = 2.0 * np.sin(np.pi * spearman / 6.0)
    for correlation in correlations:
        first, second = (base[name] for name in correlation.between)
        if atoms(first) or atoms(second):
            i, j = (names.index(name) for name in correlation.between)
            matrix[i, j] = matrix[j, i] = normal_correlation(first, second, correlation.spearman)
    return matrix


def is_correlation_matrix(matrix: np.ndarray) -> bool:
    """Whether a symmetric matrix with a unit diagonal is positive semidefinite."""
    return bool(np.linalg.eigvalsh(matrix).min() >= -TOLERANCE)


def read_correlations(
    report: Report,
    given: object,
    base: Mapping[str, Distribution],
    strategies: Mapping[str, Mapping[str, Distribution]],
) -> tuple[Correlation, ...]:
    """The rank correlations, checked for parameters that can correlate and for being jointly possible."""
    entries = validation.sequence(
        report, ("correlations",), [] if given is None else given, "correlations", MAX_CORRELATIONS
    )
    found: list[Correlation] = []
    before = len(report.faults)
    for k, value in enumerate(entries):
        path: Path = ("correlations", k)
        body = validation.mapping(report, path, value, "between and spearman")
        validation.known_keys(report, path, body, ("between", "spearman"))
        pair = body.get("between")
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            report.fault((*path, "between"), pair, "must be a list of two parameters")
            continue
        rho = validation.number(report, (*path, "spearman"), body.get("spearman"))
        if rho is not None and abs(rho) > 1.0:
            report.fault((*path, "spearman"), rho, "must lie in [-1, 1]")
        known = True
        for one in pair:
            if one not in base:
                validation.known_keys(report, (*path, "between"), {one: None}, base)
                known = False
            elif all(isinstance(world.get(one, base[one]), Fixed) for world in (base, *strategies.values())):
                report.fault((*path, "between"), one, "is fixed in every strategy; only uncertain parameters correlate")
        if pair[0] == pair[1]:
            report.fault((*path, "between"), pair[0], "must be two different parameters")
        elif any(set(pair) == set(other.between) for other in found):
            report.fault((*path, "between"), list(pair), "is given more than once")
        elif known and rho is not None:
            found.append(Correlation((pair[0], pair[1]), rho))
    if len(report.faults) == before and found:
        for k, correlation in enumerate(found):
            least, greatest = attainable(*(base[name] for name in correlation.between))
            if not least - TOLERANCE <= correlation.spearman <= greatest + TOLERANCE:
                report.fault(
                    ("correlations", k, "spearman"),
                    correlation.spearman,
                    f"must lie in [{least:.3f}, {greatest:.3f}]: these parameters have single values with a "
                    "probability of their own, and share ranks there",
                )
        names, spearman = correlation_matrix(tuple(found), tuple(base))
        normals = normal_correlations(tuple(found), names, spearman, base)
        if not (is_correlation_matrix(spearman) and is_correlation_matrix(normals)):
            report.fault(
                ("correlations",), None, f"cannot all hold at once between {', '.join(names)}: no correlation matrix"
            )
    return tuple(found)
