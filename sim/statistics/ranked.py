"""Numbers by their rank, so that cells and quantiles of some of them need counts alone.

The ranks of a parameter's values do not depend on a condition: those of all trials are found once, and the trials for
which a condition holds are counted by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_FEW = 4
"""So many times fewer numbers than values are few."""


@dataclass(frozen=True)
class Ranked:
    """Numbers in terms of the distinct values of some numbers, of which they may be a part.

    `code`, int32 of shape (n,), is the place of each number among the `values`, which are in increasing order and not
    NaN. Some of the values may be those of none of the numbers.
    """

    code: np.ndarray
    values: np.ndarray

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.code.size

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers, float64."""
        return self.values.take(self.code).astype(np.float64)

    @cached_property
    def up_to(self) -> np.ndarray:
        """How many of the numbers are at most each of the values."""
        return np.cumsum(np.bincount(self.code, minlength=self.values.size))

    @cached_property
    def distinct(self) -> int:
        """How many different numbers there are."""
        return int(np.count_nonzero(np.diff(self.up_to, prepend=0)))

    def take(self, rows: np.ndarray) -> "Ranked":
        """The numbers at some places, or those of which a mask of shape (n,) is true."""
        code = self.code.compress(rows) if rows.dtype == np.bool_ else self.code.take(rows)
        if _FEW * code.size > self.values.size:
            return Ranked(code, self.values)
        # Of few numbers, their own values alone: counts by value take time for each value.
        present = np.zeros(self.values.size, bool)
        present[code] = True
        return Ranked((np.cumsum(present, dtype=np.int32) - np.int32(1)).take(code), self.values.compress(present))

    def codes_at(self, ranks: np.ndarray) -> np.ndarray:
        """The codes of the numbers at some ranks, from 0, in increasing order of the numbers."""
        return np.searchsorted(self.up_to, ranks, side="right")

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """The smallest number whose share is at least each level, float64: numpy's method ``inverted_cdf``."""
        ranks = np.ceil(self.size * np.asarray(levels) - 1.0).astype(np.int64)
        return self.values[self.codes_at(ranks.clip(0, self.size - 1))].astype(np.float64)


def rank(numbers: np.ndarray) -> Ranked:
    """Some numbers, floats of shape (n,) without NaN, by their rank."""
    # Parameters are drawn in float32, which is sorted in half the time.
    narrow = numbers.astype(np.float32)
    numbers = narrow if np.array_equal(narrow, numbers) else numbers
    order = np.argsort(numbers)
    ordered = numbers[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: numbers.size]
    code = np.empty(numbers.size, np.int32)
    code[order] = np.cumsum(first, dtype=np.int32) - 1
    return Ranked(code, ordered[first])
