"""Moments of numbers in groups, many groups at once."""

from dataclasses import dataclass
from functools import reduce

import numpy as np

from sim.statistics.tallies import NO_NUMBERS, Moments, merge_moments


@dataclass(frozen=True)
class GroupedMoments:
    """Count, mean, sum of squared deviations from the mean, least and greatest of each group's numbers.

    float64 arrays of one shape. An empty group has the moments of `sim.statistics.tallies.NO_NUMBERS`.
    """

    count: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    least: np.ndarray
    greatest: np.ndarray

    def merged(self, other: "GroupedMoments") -> "GroupedMoments":
        """The moments of the numbers of both, group by group (Chan, Golub & LeVeque 1983)."""
        count = self.count + other.count
        step = other.mean - self.mean
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)
        mean = np.where(self.count > 0, self.mean + step * share, other.mean)
        m2 = self.m2 + other.m2 + np.where(self.count > 0, step * step * self.count * share, 0.0)
        return GroupedMoments(
            count, mean, m2, np.minimum(self.least, other.least), np.maximum(self.greatest, other.greatest)
        )

    def only(self, columns: np.ndarray) -> "GroupedMoments":
        """The groups at some positions of the last axis."""
        return GroupedMoments(
            *(getattr(self, name)[..., columns] for name in ("count", "mean", "m2", "least", "greatest"))
        )

    def together(self) -> Moments:
        """The moments of all numbers."""
        return reduce(merge_moments, self.each(), NO_NUMBERS)

    def each(self) -> list[Moments]:
        """The moments of each group, in order."""
        fields = (self.count, self.mean, self.m2, self.least, self.greatest)
        return [Moments(int(n), *rest) for n, *rest in zip(*(field.ravel().tolist() for field in fields), strict=True)]


def no_groups(*shape: int) -> GroupedMoments:
    """The moments of no numbers in groups of a shape."""
    return GroupedMoments(
        np.zeros(shape), np.zeros(shape), np.zeros(shape), np.full(shape, np.inf), np.full(shape, -np.inf)
    )


def grouped_moments(numbers: np.ndarray, group: np.ndarray, *shape: int) -> GroupedMoments:
    """The moments of the finite numbers among some, shape (n,), in groups of a shape.

    `group` is each number's place in the groups (in C order), int64 of shape (n,).
    """
    known = np.isfinite(numbers)
    if not known.all():
        numbers, group = numbers[known], group[known]
    size = int(np.prod(shape))
    count = np.bincount(group, minlength=size).astype(np.float64)
    mean = np.bincount(group, numbers, size) / np.maximum(count, 1.0)
    m2 = np.bincount(group, np.square(numbers - mean[group]), size)
    least, greatest = np.full(size, np.inf), np.full(size, -np.inf)
    # Whole numbers of 16 bits are sorted several times as fast (radix sort).
    order = np.argsort(group.astype(np.int16) if size <= 1 << 15 else group, kind="stable")
    starts = (np.cumsum(count) - count)[count > 0].astype(np.int64)
    if starts.size:
        ordered = numbers[order]
        least[count > 0], greatest[count > 0] = (
            np.minimum.reduceat(ordered, starts),
            np.maximum.reduceat(ordered, starts),
        )
    return GroupedMoments(*(found.reshape(shape) for found in (count, mean, m2, least, greatest)))


def grouped_counts(hits: np.ndarray, known: np.ndarray) -> GroupedMoments:
    """The moments of a condition, as 0 and 1, from how often it holds (`hits`) among the trials `known`; one shape."""
    known = np.asarray(known, np.float64)
    hits = np.asarray(hits, np.float64)
    share = np.divide(hits, known, out=np.zeros_like(known), where=known > 0)
    some = known > 0
    return GroupedMoments(
        known,
        share,
        known * share * (1.0 - share),
        np.where(some, (hits == known).astype(np.float64), np.inf),
        np.where(some, (hits > 0).astype(np.float64), -np.inf),
    )
