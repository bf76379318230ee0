"""Rank correlations between parameters, joined by a Gaussian copula.

For a Gaussian copula Spearman's rho and the correlation r of the underlying normals are tied by
r = 2 sin(pi rho/6) (Pearson 1907), whatever the distributions of the parameters.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

TOLERANCE = 1e-10


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation between two parameters."""

    between: tuple[str, str]
    spearman: float


@lru_cache(maxsize=256)
def correlation_factor(
    correlations: tuple[Correlation, ...], order: tuple[str, ...]
) -> tuple[tuple[str, ...], np.ndarray]:
    """The correlated parameters in the given order, and the lower triangular factor that joins their normals.

    If z are independent standard normals, `factor @ z` has the correlations asked for. float64, shape (n, n).
    """
    names, spearman = correlation_matrix(correlations, order)
    if not names:
        return (), np.zeros((0, 0))
    values, vectors = np.linalg.eigh(normal_correlation(spearman))
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


def normal_correlation(spearman: np.ndarray) -> np.ndarray:
    """Correlations of the normals under a Gaussian copula with the given Spearman correlations."""
    return 2.0 * np.sin(np.pi * spearman / 6.0)


def is_correlation_matrix(matrix: np.ndarray) -> bool:
    """Whether a symmetric matrix with a unit diagonal is positive semidefinite."""
    return bool(np.linalg.eigvalsh(matrix).min() >= -TOLERANCE)
