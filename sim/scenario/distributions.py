"""Probability distributions of uncertain parameters, each by its distribution function and its inverse.

All are frozen and hashable. `quantile` takes float64 numbers in (0, 1) and `cdf` any numbers; both return
float64 of the same shape. `support` gives the least and the greatest value, and whether each is an atom.

SciPy is imported where its functions are called, because its import takes longer than reading a scenario.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from math import exp, inf, log
from typing import NamedTuple, Protocol

import numpy as np


class Support(NamedTuple):
    """The ends of a distribution, and whether each is an atom (has a positive probability)."""

    low: float
    high: float
    low_is_atom: bool = False
    high_is_atom: bool = False


FARTHEST_Z = 12.0
"""No draw of a normal distribution, truncated or not, lies more than so many standard deviations from its mean, unless
the truncation itself does: draws have levels from 2^-53 on, and a truncation leaves 1e-12 of the distribution."""


class Distribution(Protocol):
    """The interface of a distribution."""

    @property
    def support(self) -> Support:
        """The least and the greatest value."""
        ...

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse distribution function at `u` in (0, 1)."""
        ...

    def __hash__(self) -> int:
        """All are hashable."""
        ...

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The probability of a value of at most `x`."""
        ...

    def document(self) -> object:
        """The distribution as a scenario writes it."""
        ...


@dataclass(frozen=True)
class Fixed:
    """A plain number."""

    value: float

    @property
    def support(self) -> Support:
        """The number itself."""
        return Support(self.value, self.value, True, True)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The number, in the shape of `u`."""
        return np.full(np.shape(u), self.value)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A step at the number."""
        return (np.asarray(x) >= self.value).astype(np.float64)

    def document(self) -> object:
        """The number."""
        return self.value


@dataclass(frozen=True)
class Uniform:
    """Every value between `low` and `high` alike."""

    low: float
    high: float

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """A straight line."""
        return self.low + (self.high - self.low) * u

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A straight line."""
        return (np.clip(x, self.low, self.high) - self.low) / (self.high - self.low)

    def document(self) -> object:
        """``{uniform: [low, high]}``."""
        return {"uniform": [self.low, self.high]}


@dataclass(frozen=True)
class LogUniform:
    """The logarithm is uniform between those of `low` and `high`, both > 0."""

    low: float
    high: float

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """An exponential curve, clipped so that rounding does not exceed its ends."""
        return np.clip(np.exp(log(self.low) + (log(self.high) - log(self.low)) * u), self.low, self.high)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A straight line in the logarithm."""
        x = np.clip(x, self.low, self.high)
        return np.clip((np.log(x) - log(self.low)) / (log(self.high) - log(self.low)), 0.0, 1.0)

    def document(self) -> object:
        """``{loguniform: [low, high]}``."""
        return {"loguniform": [self.low, self.high]}


@dataclass(frozen=True)
class Triangular:
    """A density that rises in a line to the mode and falls in a line from it."""

    low: float
    mode: float
    high: float

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Two parabolas that meet at the mode."""
        width, rise, fall = self.high - self.low, self.mode - self.low, self.high - self.mode
        u = np.asarray(u)
        return np.where(
            u * width < rise, self.low + np.sqrt(u * width * rise), self.high - np.sqrt((1.0 - u) * width * fall)
        )

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Two parabolas that meet at the mode."""
        width, rise, fall = self.high - self.low, self.mode - self.low, self.high - self.mode
        x = np.clip(x, self.low, self.high)
        with np.errstate(divide="ignore", invalid="ignore"):
            below = (x - self.low) ** 2 / (width * rise)
            above = 1.0 - (self.high - x) ** 2 / (width * fall)
        return np.where((x < self.mode) | (fall == 0.0), np.where(rise == 0.0, 0.0, below), above)

    def document(self) -> object:
        """``{triangular: [low, mode, high]}``."""
        return {"triangular": [self.low, self.mode, self.high]}


@dataclass(frozen=True)
class Beta:
    """A beta distribution, stretched to `low` and `high`."""

    alpha: float
    beta: float
    low: float = 0.0
    high: float = 1.0

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse of the incomplete beta function, stretched."""
        from scipy import special

        return self.low + (self.high - self.low) * special.betaincinv(self.alpha, self.beta, u)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The incomplete beta function."""
        from scipy import special

        z = (np.clip(x, self.low, self.high) - self.low) / (self.high - self.low)
        return special.betainc(self.alpha, self.beta, z)

    def document(self) -> object:
        """``{beta: {alpha, beta, low, high}}``."""
        return {"beta": {"alpha": self.alpha, "beta": self.beta, "low": self.low, "high": self.high}}


PERT_LAMBDA = 4.0


@dataclass(frozen=True)
class Pert:
    """The PERT distribution (lambda = 4): a beta on [low, high] with mean (low + 4 mode + high)/6."""

    low: float
    mode: float
    high: float

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    @cached_property
    def _beta(self) -> Beta:
        alpha = 1.0 + PERT_LAMBDA * (self.mode - self.low) / (self.high - self.low)
        return Beta(alpha, 2.0 + PERT_LAMBDA - alpha, self.low, self.high)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """That of the beta distribution."""
        return self._beta.quantile(u)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """That of the beta distribution."""
        return self._beta.cdf(x)

    def document(self) -> object:
        """``{pert: [low, mode, high]}``."""
        return {"pert": [self.low, self.mode, self.high]}


Z95 = 1.6448536269514722
"""The 95 % point of the standard normal."""


@dataclass(frozen=True)
class Normal:
    """A normal distribution, truncated where `low` or `high` is finite."""

    mean: float
    sd: float
    low: float = -inf
    high: float = inf

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    @property
    def reach(self) -> tuple[float, float]:
        """An interval that contains every draw."""
        far = FARTHEST_Z * self.sd
        return max(self.low, self.mean - far), min(self.high, self.mean + far)

    @cached_property
    def _tails(self) -> tuple[float, float, float]:
        """P(Z < low), P(low < Z < high), and 1 or -1 for the side of the mean on which it is computed.

        Far out on the right the distribution function is 1 to the last bit, so that side is mirrored.
        """
        from scipy import special

        a, b = (self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd
        side = -1.0 if a + b > 0.0 else 1.0
        if side < 0.0:
            a, b = -b, -a
        below = float(special.ndtr(a))
        return below, float(special.ndtr(b)) - below, side

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse of the (truncated) normal distribution function."""
        from scipy import special

        below, between, side = self._tails
        u = np.asarray(u)
        z = special.ndtri(below + between * (u if side > 0.0 else 1.0 - u))
        return np.clip(self.mean + side * self.sd * z, self.low, self.high)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The (truncated) normal distribution function."""
        from scipy import special

        below, between, side = self._tails
        with np.errstate(over="ignore"):
            z = side * (np.clip(x, self.low, self.high) - self.mean) / self.sd
        inside = np.clip((special.ndtr(z) - below) / between, 0.0, 1.0)
        return inside if side > 0.0 else 1.0 - inside

    def document(self) -> object:
        """``{normal: {mean, sd}}``, with the ends at which it is truncated."""
        return {"normal": {"mean": self.mean, "sd": self.sd} | _ends(self.low, self.high, -inf)}


@dataclass(frozen=True)
class LogNormal:
    """The logarithm is normal with mean ln(median) and standard deviation sigma; truncated where bounded."""

    median: float
    sigma: float
    low: float = 0.0
    high: float = inf

    @property
    def support(self) -> Support:
        """From `low` to `high`."""
        return Support(self.low, self.high)

    @cached_property
    def _normal(self) -> Normal:
        low = log(self.low) if self.low > 0.0 else -inf
        return Normal(log(self.median), self.sigma, low, log(self.high) if self.high < inf else inf)

    @property
    def reach(self) -> tuple[float, float]:
        """An interval that holds every draw."""
        low, high = self._normal.reach
        return max(self.low, exp(min(low, 700.0))), min(self.high, exp(min(high, 700.0)))

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The exponential of the normal's."""
        return np.clip(np.exp(self._normal.quantile(u)), self.low, self.high)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The normal's, at the logarithm."""
        with np.errstate(divide="ignore"):
            return self._normal.cdf(np.log(np.maximum(x, 0.0)))

    def document(self) -> object:
        """``{lognormal: {median, sigma}}``, with the ends at which it is truncated."""
        return {"lognormal": {"median": self.median, "sigma": self.sigma} | _ends(self.low, self.high, 0.0)}


def normal_from_percentiles(p05: float, p95: float, low: float = -inf, high: float = inf) -> Normal:
    """The normal distribution with the given 5 % and 95 % points (before it is truncated)."""
    return Normal((p05 + p95) / 2.0, (p95 - p05) / (2.0 * Z95), low, high)


def lognormal_from_percentiles(p05: float, p95: float, low: float = 0.0, high: float = inf) -> LogNormal:
    """The lognormal distribution with the given 5 % and 95 % points (before it is truncated)."""
    return LogNormal(exp((log(p05) + log(p95)) / 2.0), (log(p95) - log(p05)) / (2.0 * Z95), low, high)


@dataclass(frozen=True)
class Discrete:
    """Finitely many values, in increasing order, with weights that sum to 1."""

    values: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def support(self) -> Support:
        """The least and the greatest value of positive weight."""
        likely = [value for value, weight in zip(self.values, self.weights, strict=True) if weight > 0.0]
        return Support(likely[0], likely[-1], True, True)

    @cached_property
    def _steps(self) -> np.ndarray:
        return np.cumsum(self.weights)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The least value whose distribution function reaches `u`."""
        steps = self._steps[:-1]
        last = max(k for k, weight in enumerate(self.weights) if weight > 0.0)
        return np.asarray(self.values)[np.minimum(np.searchsorted(steps, u, side="left"), last)]

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A staircase."""
        reached = np.searchsorted(self.values, x, side="right")
        return np.minimum(np.concatenate([[0.0], self._steps])[reached], 1.0)

    def document(self) -> object:
        """``{discrete: {values, weights}}``."""
        return {"discrete": {"values": list(self.values), "weights": list(self.weights)}}


@dataclass(frozen=True)
class Quantiles:
    """A distribution by some of its quantiles, a straight line between each two: `levels` from 0 to 1."""

    levels: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def support(self) -> Support:
        """The first and the last quantile."""
        return Support(
            self.values[0], self.values[-1], self.values[0] == self.values[1], self.values[-1] == self.values[-2]
        )

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Linear between the points."""
        return np.interp(u, self.levels, self.values)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Linear between the points; at equal values the step's upper end."""
        x = np.asarray(x, np.float64)
        values, levels = np.asarray(self.values), np.asarray(self.levels)
        right = np.searchsorted(values, x, side="right")
        k = np.clip(right, 1, len(values) - 1)
        width = values[k] - values[k - 1]
        inner = np.clip(x, values[0], values[-1])
        share = np.divide(inner - values[k - 1], width, out=np.ones_like(x), where=width > 0.0)
        inside = levels[k - 1] + np.clip(share, 0.0, 1.0) * (levels[k] - levels[k - 1])
        return np.where(right == 0, 0.0, np.where(right == len(values), 1.0, inside))

    def document(self) -> object:
        """``{quantiles: {level: value}}``."""
        return {"quantiles": {repr(level): value for level, value in zip(self.levels, self.values, strict=True)}}


@dataclass(frozen=True)
class Mixture:
    """Several distributions pooled: a linear opinion pool of experts' ranges, with weights that sum to 1."""

    of: tuple[Distribution, ...]
    weights: tuple[float, ...]

    @property
    def support(self) -> Support:
        """The ends of the widest component at each side; an atom where a component that reaches it has one."""
        supports = [given.support for given, weight in zip(self.of, self.weights, strict=True) if weight > 0.0]
        low, high = min(s.low for s in supports), max(s.high for s in supports)
        return Support(
            low,
            high,
            any(s.low == low and s.low_is_atom for s in supports),
            any(s.high == high and s.high_is_atom for s in supports),
        )

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The weighted mean of the components'."""
        return sum(
            (weight * given.cdf(x) for given, weight in zip(self.of, self.weights, strict=True)),
            start=np.zeros(np.shape(x)),
        )

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The least value whose distribution function reaches `u`, by bisection.

        It lies between the least and the greatest of the components' quantiles at `u`.
        """
        u = np.asarray(u, np.float64)
        each = np.stack([g.quantile(u) for g, weight in zip(self.of, self.weights, strict=True) if weight > 0.0])
        low, high = each.min(axis=0), each.max(axis=0)
        # Where the lower end reaches u already, it is the answer; else the answer is in (low, high].
        high = np.where(self.cdf(low) >= u, low, high)
        for _ in range(200):
            middle = low + (high - low) / 2.0
            if not np.any((low < middle) & (middle < high)):
                break
            reached = self.cdf(middle) >= u
            high = np.where(reached, middle, high)
            low = np.where(reached, low, middle)
        return high

    def document(self) -> object:
        """``{mixture: {of, weights}}``."""
        return {"mixture": {"of": [given.document() for given in self.of], "weights": list(self.weights)}}


def _ends(low: float, high: float, least: float) -> dict[str, float]:
    return ({"low": low} if low > least else {}) | ({"high": high} if high < inf else {})


def has_atoms(distribution: Distribution) -> bool:
    """Whether a single value of the distribution has a probability of its own."""
    if isinstance(distribution, Quantiles):
        return any(a == b for a, b in itertools.pairwise(distribution.values))
    if isinstance(distribution, Mixture):
        return any(has_atoms(one) for one in distribution.of)
    return isinstance(distribution, Fixed | Discrete)
