"""Strategies compared on the same weighted trials: paired differences, regret, and leads by parameter.

As `sim.statistics.paired_differences`, for trials with the weights of `sim.statistics.soft_evidence`. Tallies are those
of groups of trials, by replicate and then by pattern of the conditions believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from sim.statistics.estimates import ANY_NUMBER, Estimate, Range, are_skewed, mean_bounds
from sim.statistics.grouped_moments import GroupedMoments, grouped_moments
from sim.statistics.paired_differences import (
    FEWEST_IN_LEAD_CELL,
    LEAD_CELLS,
    LEVEL,
    Lead,
    Pair,
    Regret,
    lead_ranges,
)
from sim.statistics.ranked import Ranked
from sim.statistics.sensitivity import cells
from sim.statistics.soft_evidence import Weighting
from sim.statistics.tallies import Moments
from sim.statistics.weighted_estimates import (
    linearise,
    weighted_difference_of_conditions,
    weighted_mean,
    weighted_quantile,
    weighted_quantile_bounds,
    weighted_share,
)


@dataclass(frozen=True)
class WeightedGroups:
    """Groups of weighted trials: `trials` counts those of each replicate and pattern, shape (replicates, patterns)."""

    weighting: Weighting
    trials: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of replicates and of patterns."""
        replicates, patterns = self.trials.shape
        return replicates, patterns

    def moments(self, tallied: Sequence[Moments]) -> GroupedMoments:
        """The moments of each group, in C order, as arrays."""
        fields = ("count", "mean", "m2", "least", "greatest")
        return GroupedMoments(
            *(np.array([getattr(one, field) for one in tallied], np.float64).reshape(self.shape) for field in fields)
        )

    def counts(self, tallied: Sequence[int]) -> np.ndarray:
        """Counts of each group, in C order, as an array."""
        return np.array(tallied, np.int64).reshape(self.shape)

    def pair_estimates(
        self, tallied: Sequence[Pair], *, condition: bool = False, within: Range = ANY_NUMBER
    ) -> dict[str, object]:
        """As `sim.statistics.paired_differences.pair_estimates`; counts of trials are not weighted."""
        differences = self.moments([one.difference for one in tallied])
        known = differences.count.astype(np.int64)
        higher, lower = (self.counts([getattr(one, name) for one in tallied]) for name in ("higher", "lower"))
        if condition:
            difference = weighted_difference_of_conditions(self.weighting, differences, higher, lower, self.trials)
        else:
            difference = weighted_mean(self.weighting, differences, self.trials, within=within)
        return {
            "difference": difference,
            **{
                name: weighted_share(self.weighting, hits, known, self.trials)
                for name, hits in (("higher", higher), ("lower", lower), ("equal", known - higher - lower))
            },
            "trials": int(known.sum()),
            "unknown": {
                "first": sum(one.only_second for one in tallied),
                "second": sum(one.only_first for one in tallied),
                "both": sum(one.neither for one in tallied),
            },
        }

    def regret_estimates(self, tallied: Sequence[Regret], strategy: int) -> dict[str, Estimate]:
        """As `sim.statistics.paired_differences.regret_estimates`."""
        short = self.moments([one.shortfall[strategy] for one in tallied])
        known = short.count.astype(np.int64)
        return {
            "mean": weighted_mean(self.weighting, short, self.trials),
            "best": weighted_share(
                self.weighting, self.counts([one.best[strategy] for one in tallied]), known, self.trials
            ),
            "best_alone": weighted_share(
                self.weighting, self.counts([one.alone[strategy] for one in tallied]), known, self.trials
            ),
        }

    def quantile_estimate(self, values: np.ndarray, level: float, group: np.ndarray) -> Estimate:
        """A weighted quantile of some trials' values with its 95 % interval; `group` is each one's place in C order."""
        order = np.argsort(values, kind="stable")
        ordered, group = values[order], group[order]
        cumulated = np.cumsum(self.weighting.weights[group % self.shape[1]])
        at = weighted_quantile(ordered, cumulated, level)

        def counts(stop: int | None) -> np.ndarray:
            return np.bincount(group[:stop], minlength=self.trials.size).reshape(self.shape)

        below, up_to = (counts(int(np.searchsorted(ordered, at, side))) for side in ("left", "right"))
        bounds = weighted_quantile_bounds(self.weighting, level, below, up_to, counts(None), self.trials)
        low, high = (None if one is None else weighted_quantile(ordered, cumulated, one) for one in bounds)
        return {"estimate": at, "low": low, "high": high}

    def leads(self, x: Ranked, values: np.ndarray, group: np.ndarray) -> list[Lead]:
        """As `sim.statistics.paired_differences.leads`, of weighted means; `group` is each trial's place in C order.

        The cells have equal shares of the trials as they were played; a lead's `trials` are the sum of the weights.
        """
        cell, count = cells(x, max(1, min(LEAD_CELLS, x.size // FEWEST_IN_LEAD_CELL)))
        weight = self.weighting.weights[group % self.shape[1]]
        size = np.bincount(cell, weight, count)
        means = np.array([np.bincount(cell, row * weight, count) for row in values]) / size
        front = means.argmax(axis=0)
        best = values[front[cell], np.arange(x.size)]
        tail = (1.0 - LEVEL) / (2.0 * max(1, count * (len(values) - 1)))
        ahead = np.array([self._least_gaps(best - row, cell, count, group, tail) <= 0.0 for row in values])
        return lead_ranges(x, np.cumsum(np.bincount(cell)), size, means, ahead)

    def _least_gaps(self, gap: np.ndarray, cell: np.ndarray, count: int, group: np.ndarray, tail: float) -> np.ndarray:
        """The lower end of the simultaneous interval of a paired difference's weighted mean in each cell."""
        low = np.full(count, -np.inf)
        for k in range(count):
            inside = cell == k
            found = linearise(self.weighting, grouped_moments(gap[inside], group[inside], *self.shape), self.trials)
            if found is None or found.whole.count < 2:
                continue
            whole = found.whole
            # Values that the trials of one cell miss may occur in those of others, with the greatest weight.
            least, greatest = (
                found.mean + self.weighting.greatest * (float(end) - found.mean) for end in (gap.min(), gap.max())
            )
            n, centre, m2, near, far = (
                np.array([value], np.float64)
                for value in (whole.count, found.mean, whole.m2, min(least, whole.least), max(greatest, whole.greatest))
            )
            if not m2[0] > 0.0:
                low[k] = found.mean
                continue
            independent = float(mean_bounds(n, centre, m2, near, far, tail)[0][0])
            low[k] = independent
            if self.shape[0] > 1:
                own = self._of_replicates(found.replicates, found.mean, tail)
                low[k] = min(own, independent) if are_skewed(n, centre, m2, near, far)[0] else own
        return low

    def _of_replicates(self, replicates: Sequence[Moments], centre: float, tail: float) -> float:
        n = np.array([one.count for one in replicates], np.float64)
        mean = np.array([one.mean for one in replicates])
        scatter = float(np.square(n / n.mean() * (mean - centre)).sum())
        return centre - float(stdtrit(n.size - 1, 1.0 - tail)) * float(np.sqrt(scatter / (n.size * (n.size - 1))))
