"""Slow inverse distribution functions at many levels, from few exact values.

In the normal score z of the level u = Phi(z), the inverse of a beta distribution, seen through the logit of its place
between the ends of the support, is nearly a straight line: a Chebyshev interpolant through 32 exact values agrees with
it nearly to the last bits (Trefethen 2013, "Approximation Theory and Approximation Practice", ch. 8). A mixture is
smooth between the values at which one of its parts begins or ends: each such stretch is seen in the same way, between
its own ends. A stretch whose interpolant misses the exact inverse at a probe is halved; what is still missed when it is
short is computed exactly.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from sim.scenario.distributions import Discrete, Distribution, Mixture, Quantiles, Triangular

NODES = 32
PROBES = 12
PRECISION = 1e-10
"""Greatest error at a probe, as a share of the range from the 0.1 % to the 99.9 % quantile."""
FEWEST = 2 * (NODES + PROBES)
"""A stretch of fewer levels than this is computed exactly."""


@dataclass(frozen=True)
class Stretch:
    """A range of levels and of values between which a distribution has no corner."""

    low: float
    high: float
    level_below: float
    level_above: float
    scores: np.ndarray
    """Normal scores of the levels asked for, as places between `level_below` and `level_above`."""
    first: int
    """The position of the first of these levels."""

    def halves(self) -> list["Stretch"]:
        """The same in two parts."""
        middle = self.scores.size // 2
        ends = self.low, self.high, self.level_below, self.level_above
        return [
            Stretch(*ends, self.scores[:middle], self.first),
            Stretch(*ends, self.scores[middle:], self.first + middle),
        ]


def interpolated_quantiles(distribution: Distribution, levels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The quantiles of a distribution at many levels: float64, shape of `levels`.

    `levels` are in (0, 1) and rise; `scores` are their normal scores. Every interpolant is compared with the exact
    inverse at `PROBES` places between its nodes.
    """
    from scipy import special

    spread = np.diff(distribution.quantile(np.array([0.001, 0.999])))[0]
    result, stretches = _stretches(distribution, levels, scores)
    nodes, to_coefficients, probes, to_probes = _chebyshev()
    while stretches:
        for short in (one for one in stretches if one.scores.size < FEWEST):
            asked = slice(short.first, short.first + short.scores.size)
            result[asked] = distribution.quantile(levels[asked])
        long = [one for one in stretches if one.scores.size >= FEWEST]
        stretches = []
        if not long:
            break
        # All are asked at once: an inverse by bisection takes hardly longer for many levels than for few.
        middle = np.array([(one.scores[-1] + one.scores[0]) / 2.0 for one in long])
        reach = np.array([(one.scores[-1] - one.scores[0]) / 2.0 for one in long])
        places = special.ndtr(middle[:, None] + reach[:, None] * np.append(nodes, probes))
        below, above = (np.array([[getattr(one, end)] for one in long]) for end in ("level_below", "level_above"))
        exact = distribution.quantile((below + (above - below) * places).ravel()).reshape(places.shape)
        for one, centre, half, value in zip(long, middle, reach, exact, strict=True):
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                # Sums are written out: the last bits of a product by BLAS depend on its number of threads.
                coefficients = (to_coefficients * _straightened(value[:NODES], one)).sum(axis=1)
                guess = _bent((to_probes * coefficients).sum(axis=1), one)
            if np.all(np.abs(guess - value[NODES:]) <= PRECISION * spread):
                series = _chebyshev_series((one.scores - centre) / half, coefficients)
                result[one.first : one.first + one.scores.size] = _bent(series, one)
            else:
                stretches += one.halves()
    return result


def _stretches(distribution: Distribution, levels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, list[Stretch]]:
    """The stretches between a distribution's corners, and an array with the values of the levels that are in none."""
    from scipy import special

    if not isinstance(distribution, Mixture):
        low, high, *_ = distribution.support
        return np.empty(levels.shape), [Stretch(low, high, 0.0, 1.0, scores, 0)]
    corner = np.array(_corners(distribution))
    reached, nearly = distribution.cdf(corner), distribution.cdf(np.nextafter(corner, -np.inf))
    begin = np.append(np.searchsorted(levels, reached, side="right"), levels.size)
    result = np.empty(levels.shape)
    result[: begin[0]] = corner[0]
    found = []
    for k in range(1, corner.size):
        first, end = begin[k - 1], max(begin[k - 1], np.searchsorted(levels, nearly[k]))
        # Levels above the limit on the left, and up to the corner's own, have the corner's value, which may be an atom.
        result[end : begin[k] if k < corner.size - 1 else levels.size] = corner[k]
        limit = slice(end, max(end, np.searchsorted(levels, nearly[k], side="right")))
        result[limit] = distribution.quantile(levels[limit])
        if end > first:
            place = (levels[first:end] - reached[k - 1]) / (nearly[k] - reached[k - 1])
            ends = float(corner[k - 1]), float(corner[k]), float(reached[k - 1]), float(nearly[k])
            found.append(Stretch(*ends, special.ndtri(place), int(first)))
    return result, found


def _corners(mixture: Mixture) -> list[float]:
    """The values at which a mixture's distribution function may have a corner or a step, and its ends; rising."""
    values: set[float] = set()
    for part, weight in zip(mixture.of, mixture.weights, strict=True):
        if weight > 0.0:
            values |= {part.support.low, part.support.high}
            if isinstance(part, Discrete | Quantiles):
                values |= set(part.values)
            elif isinstance(part, Triangular):
                values.add(part.mode)
    return sorted(values)


def _straightened(value: np.ndarray, ends: Stretch) -> np.ndarray:
    """Values of a stretch as numbers without ends, nearly straight in the normal score."""
    if np.isfinite(ends.low) and np.isfinite(ends.high):
        return np.log(value - ends.low) - np.log(ends.high - value)
    if np.isfinite(ends.low):
        return np.log(value - ends.low)
    return -np.log(ends.high - value) if np.isfinite(ends.high) else value


def _bent(straight: np.ndarray, ends: Stretch) -> np.ndarray:
    """The values that `_straightened` made straight."""
    if np.isfinite(ends.low) and np.isfinite(ends.high):
        return ends.low + (ends.high - ends.low) / (1.0 + np.exp(-straight))
    if np.isfinite(ends.low):
        return ends.low + np.exp(straight)
    return ends.high - np.exp(-straight) if np.isfinite(ends.high) else straight


@cache
def _chebyshev() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nodes in (-1, 1) and the matrix from values there to coefficients; probes, and the matrix from coefficients."""
    orders, angles = np.arange(NODES), np.pi * (np.arange(NODES) + 0.5) / NODES
    to_coefficients = 2.0 / NODES * np.cos(np.outer(orders, angles))
    to_coefficients[0] /= 2.0
    between = np.pi * np.linspace(0, NODES, PROBES).round() / NODES
    return np.cos(angles), to_coefficients, np.cos(between), np.cos(np.outer(between, orders))


def _chebyshev_series(place: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """A Chebyshev series at places in [-1, 1], by Clenshaw's recurrence (1955)."""
    twice = 2.0 * place
    before, latest, spare = np.zeros_like(twice), np.zeros_like(twice), np.empty_like(twice)
    for coefficient in coefficients[:0:-1]:
        np.multiply(twice, latest, out=spare)
        spare -= before
        spare += coefficient
        before, latest, spare = latest, spare, before
    return place * latest - before + coefficients[0]
