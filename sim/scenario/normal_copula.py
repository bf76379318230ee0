"""The correlation of two normals that gives two parameters a Spearman correlation under a Gaussian copula.

Between two continuous parameters it is r = 2 sin(pi rho/6) (Pearson 1907), whatever their distributions. Where one has
atoms (values with a probability of their own, as a discrete distribution has) equal values share their mean rank, and
the same r gives a weaker correlation: there r is solved for numerically ("normal to anything"; Cario & Nelson 1997,
Modeling and generating random vectors with arbitrary marginal distributions and correlation matrix). Not every rank
correlation can be reached between such parameters.

SciPy is imported where it is needed, as in `sim.scenario.distributions`.
"""

from functools import lru_cache
from math import pi, sin

import numpy as np

from sim.scenario.distributions import Discrete, Distribution, Fixed, Mixture, Quantiles

GRID = 400
"""Intervals of equal probability on which ranks are taken to be constant, besides those of the atoms."""
NEARLY_ONE = 0.9999


def atoms(given: Distribution) -> dict[float, float]:
    """The values of a distribution that have a probability of their own, with that probability."""
    if isinstance(given, Discrete):
        return {value: weight for value, weight in zip(given.values, given.weights, strict=True) if weight > 0.0}
    found: dict[float, float] = {}
    if isinstance(given, Quantiles):
        for k in range(1, len(given.values)):
            if given.values[k] == given.values[k - 1]:
                found[given.values[k]] = found.get(given.values[k], 0.0) + given.levels[k] - given.levels[k - 1]
    elif isinstance(given, Mixture):
        for part, weight in zip(given.of, given.weights, strict=True):
            own = {part.value: 1.0} if isinstance(part, Fixed) else atoms(part)
            for value, probability in own.items():
                found[value] = found.get(value, 0.0) + weight * probability
    return {value: probability for value, probability in found.items() if probability > 0.0}


@lru_cache(maxsize=4096)
def normal_correlation(first: Distribution, second: Distribution, spearman: float) -> float:
    """The correlation of the normals behind two parameters with a Spearman correlation between them.

    The nearest attainable one, if `spearman` is outside the range of `attainable`.
    """
    if not (atoms(first) or atoms(second)) or not spearman:
        return 2.0 * sin(pi * spearman / 6.0)
    from scipy.optimize import brentq

    between = _Ranks(first), _Ranks(second)
    if spearman >= _spearman(*between, NEARLY_ONE):
        return 1.0
    if spearman <= _spearman(*between, -NEARLY_ONE):
        return -1.0
    return float(brentq(lambda r: _spearman(*between, r) - spearman, -NEARLY_ONE, NEARLY_ONE, xtol=1e-6))


@lru_cache(maxsize=4096)
def attainable(first: Distribution, second: Distribution) -> tuple[float, float]:
    """The least and the greatest Spearman correlation that two parameters can have under a Gaussian copula."""
    if not (atoms(first) or atoms(second)):
        return -1.0, 1.0
    between = _Ranks(first), _Ranks(second)
    return _spearman(*between, -1.0), _spearman(*between, 1.0)


class _Ranks:
    """Mean ranks as a share of 1, a step function of a uniform number: `edges`, shape (steps + 1,), and `values`."""

    def __init__(self, given: Distribution) -> None:
        inside = []
        for value, probability in atoms(given).items():
            above = float(given.cdf(np.array([value]))[0])
            inside.append((max(0.0, above - probability), min(1.0, above)))
        grid = np.linspace(0.0, 1.0, GRID + 1)
        for low, high in inside:
            grid = grid[(grid <= low) | (grid >= high)]
        self.edges = np.unique(np.concatenate([grid, *(np.array(ends) for ends in inside)]))
        self.values = (self.edges[1:] + self.edges[:-1]) / 2.0
        weights = np.diff(self.edges)
        self.scale = float(np.sqrt((weights * np.square(self.values - 0.5)).sum()))

    def at(self, u: np.ndarray) -> np.ndarray:
        return self.values[np.clip(np.searchsorted(self.edges, u, side="right") - 1, 0, self.values.size - 1)] - 0.5


def _spearman(first: _Ranks, second: _Ranks, r: float) -> float:
    """Spearman's correlation of two parameters whose normals have the correlation r."""
    from scipy.special import ndtr, ndtri

    if not first.scale * second.scale > 0.0:
        return 0.0
    edges = np.unique(np.concatenate([np.linspace(0.0, 1.0, GRID + 1), first.edges, second.edges, 1.0 - second.edges]))
    u, weights = (edges[1:] + edges[:-1]) / 2.0, np.diff(edges)
    if abs(r) == 1.0:
        expected = second.at(u if r > 0.0 else 1.0 - u)
    else:
        limits = (ndtri(second.edges) - r * ndtri(u)[:, None]) / np.sqrt(1.0 - r * r)
        expected = np.diff(ndtr(limits), axis=1) @ (second.values - 0.5)
    return float((weights * first.at(u) * expected).sum() / (first.scale * second.scale))
