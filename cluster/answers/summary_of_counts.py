"""Quantiles of a run's measures from the counts of all its trials, for a run that does not keep all rows.

A measure in whole numbers is counted by value, so that its quantiles are exact. Any other is counted in bins that are
at most 0.1 % wide (`sim.statistics.bins`): a quantile is in the bin of its rank, and both are known exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.statistics.bins import bin_edges, bins_of
from sim.statistics.selection import ranks
from sim.statistics.tallies import Moments
from sim.statistics.trial_counts import REAL, Counts

QUANTILES_COUNTED = (
    "quantiles of measures in whole numbers exact, those of others within 0.1 %, from counts of all trials in bins, "
    "with intervals between edges of bins"
)


@dataclass(frozen=True)
class CountedValues:
    """The measures of a strategy's trials, counted."""

    counts: Mapping[str, Counts]

    def quantiles(
        self, levels: Mapping[str, Sequence[float]], numbers: Mapping[str, Moments]
    ) -> dict[str, dict[float, float]]:
        """By measure and level about the smallest value whose share is at least the level, in the same bin.

        The numbers of a bin are taken to be evenly distributed over it, within the least and the greatest number.
        """
        found: dict[str, dict[float, float]] = {}
        for name, known in numbers.items():
            key, count = self._by_key(name)
            up_to = np.cumsum(count)
            rank = ranks(levels[name], known.count)
            place = np.searchsorted(up_to, rank)
            at = key[place].astype(np.float64)
            if name in REAL:
                low, high = bin_edges(key[place])
                low, high = np.maximum(low, known.least), np.minimum(high, known.greatest)
                within = (rank - 0.5 - (up_to[place] - count[place])) / count[place]
                # As float32, which the numbers are, so that the value cannot round out of its bin.
                at = np.clip((low + within * (high - low)).astype(np.float32).astype(np.float64), low, high)
            found[name] = dict(zip(levels[name], at.tolist(), strict=True))
        return found

    def bracket(self, name: str, value: float) -> tuple[float, float]:
        """The least and the greatest number that may stand behind a value that `quantiles` found."""
        if name not in REAL:
            return value, value
        low, high = bin_edges(bins_of(np.array([value], np.float32)))
        return float(low[0]), float(high[0])

    def below(
        self, at: Mapping[str, Mapping[float, float]], replicates: int
    ) -> dict[str, dict[float, tuple[list[int], list[int]]]]:
        """By measure and level how many numbers of each replicate are in lower bins than the value there, and in those
        and its own.
        """
        found: dict[str, dict[float, tuple[list[int], list[int]]]] = {}
        for name, own in at.items():
            counted = self.counts[name]
            values = np.array(list(own.values()))
            key = bins_of(values.astype(np.float32)) if name in REAL else values.astype(np.int64)
            less, most = (
                [
                    np.bincount(counted.replicate[held], counted.count[held], replicates).astype(np.int64).tolist()
                    for held in held_by_level
                ]
                for held_by_level in (
                    [counted.key < one for one in key],
                    [counted.key <= one for one in key],
                )
            )
            found[name] = dict(zip(own, zip(less, most, strict=True), strict=True))
        return found

    def _by_key(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The keys of a measure in increasing order, and the number of each in all replicates."""
        counted = self.counts[name]
        key, place = np.unique(counted.key, return_inverse=True)
        return key, np.bincount(place, counted.count, key.size).astype(np.int64)
