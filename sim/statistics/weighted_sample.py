"""Weighted trials in arrays: shares, means, differences and quantiles, with intervals that allow for the weights.

As `sim.statistics.weighted_estimates`, for trials that are in memory. All arrays have shape (trials,).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.statistics.estimates import Estimate
from sim.statistics.grouped_moments import GroupedMoments, grouped_moments
from sim.statistics.soft_evidence import Weighting
from sim.statistics.weighted_estimates import weighted_mean, weighted_quantile, weighted_share


@dataclass(frozen=True)
class WeightedSample:
    """Trials with the pattern of the beliefs' conditions (`place`) and the replicate of each, int64.

    The weighting is that of these trials, or of more of which these are some: then `everyone` counts all of them by
    replicate and pattern.
    """

    weighting: Weighting
    place: np.ndarray
    replicate: np.ndarray
    replicates: int
    everyone: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of replicates and of patterns."""
        return self.replicates, self.weighting.counts.size

    @cached_property
    def weight(self) -> np.ndarray:
        """The weight of each trial; their mean is 1."""
        return self.weighting.weights[self.place]

    @cached_property
    def group(self) -> np.ndarray:
        """The group of each trial: its replicate, and then its pattern, in C order."""
        return self.replicate * self.shape[1] + self.place

    @cached_property
    def trials(self) -> np.ndarray:
        """The number of trials of each replicate and pattern of which the weighting is."""
        return self.count(np.ones(self.place.size, bool)) if self.everyone is None else self.everyone

    def only(self, chosen: np.ndarray) -> "WeightedSample":
        """Some of the trials, with the weights that they have among all."""
        return WeightedSample(self.weighting, self.place[chosen], self.replicate[chosen], self.replicates, self.trials)

    def count(self, chosen: np.ndarray) -> np.ndarray:
        """How many of some trials are of each replicate and pattern."""
        return np.bincount(self.group[chosen], minlength=int(np.prod(self.shape))).reshape(self.shape)

    def moments(self, values: np.ndarray, chosen: np.ndarray) -> GroupedMoments:
        """The moments of the values of some trials by replicate and pattern."""
        return grouped_moments(values[chosen], self.group[chosen], *self.shape)

    def share(self, hits: np.ndarray, of: np.ndarray) -> Estimate:
        """The weighted share of hits among some trials, with its 95 % interval."""
        return weighted_share(self.weighting, self.count(hits & of), self.count(of), self.trials)

    def mean(self, values: np.ndarray, of: np.ndarray) -> Estimate:
        """The weighted mean of the values of some trials, with its 95 % interval."""
        return weighted_mean(self.weighting, self.moments(values, of), self.trials)


def effective_number(weight: np.ndarray) -> float:
    """The effective number of trials with some weights (Kish 1965, Survey Sampling); 0 of none."""
    squares = float(np.square(weight).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0.0 else 0.0


def quantiles(values: np.ndarray, weight: np.ndarray, levels: Sequence[float]) -> list[float]:
    """The smallest of some values whose weighted share is at least each level."""
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weight[order])
    return [weighted_quantile(values[order], cumulated, level) for level in levels]
