"""Exact quantiles of many numbers in several groups, from counts of the digits of their keys.

A number's key is a whole number of 64 bits in the order of the numbers. Each round counts the numbers of those parts of
the order that contain a wanted rank by the next 16 bits of their keys; counts of disjoint sets of numbers add up. When
few enough numbers are left, or after four rounds, the numbers of the wanted ranks are known exactly (radix selection).

Numbers may have weights, of which ranks are then sums. Sums of weights must be exact in any order, as those of
multiples of a power of 2 are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DIGIT_BITS = 16
DIGITS = 4
_SIGN = np.uint64(1 << 63)
_LAST = np.uint64((1 << DIGIT_BITS) - 1)
_DENSE = 4
"""Codes are counted in an array of all possible ones up to this many for each number."""


@dataclass(frozen=True)
class Counts:
    """Distinct codes in increasing order, int64, how many numbers have each, and the sum of their weights, if any."""

    code: np.ndarray
    count: np.ndarray
    weight: np.ndarray | None = None

    @property
    def amount(self) -> np.ndarray:
        """The sums of weights; the counts without weights."""
        return self.count if self.weight is None else self.weight


NO_COUNTS = Counts(np.empty(0, np.int64), np.empty(0, np.int64))
NO_WEIGHTS = Counts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Targets:
    """The ranks that are looked for: `rank` counts from 1 within a part of the order, whose place is `part`.

    With weights it is the sum of weights, above 0, that is reached there.

    `parts` has the codes of the parts in each round so far. Before the first, parts are the groups.
    """

    part: np.ndarray
    rank: np.ndarray
    parts: tuple[np.ndarray, ...] = ()


def ordered_keys(numbers: np.ndarray) -> np.ndarray:
    """Numbers, float64 and none of them NaN, as uint64 in the same order; -0.0 and 0.0 have the same key."""
    bits = (numbers + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def numbers_of_keys(keys: np.ndarray) -> np.ndarray:
    """The numbers of keys."""
    return np.where(keys & _SIGN, keys & ~_SIGN, ~keys).view(np.float64)


def inside(
    targets: Targets, group: np.ndarray, key: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The numbers in the parts that contain a wanted rank: the place of the part, the key and the weight of each."""
    part = group
    for digit, codes in enumerate(targets.parts):
        rows, part = _found(codes, part << DIGIT_BITS | _digit(key, digit))
        key, weight = key.take(rows), None if weight is None else weight.take(rows)
    return part, key, weight


def _found(codes: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows whose code is among some, which increase, and the places of theirs."""
    low, size = int(codes[0]), int(codes[-1] - codes[0]) + 1
    rows = np.flatnonzero((code >= low) & (code < low + size))
    code = code.take(rows) - low
    if size <= _DENSE * code.size:
        places = np.full(size, -1, np.int32)
        places[codes - low] = np.arange(codes.size)
        of_code = places.take(code)
        chosen = np.flatnonzero(of_code >= 0)
        return rows.take(chosen), of_code.take(chosen).astype(np.int64)
    place = np.searchsorted(codes - low, code)
    chosen = np.flatnonzero(codes.take(place) == code + low)
    return rows.take(chosen), place.take(chosen)


def count_digits(targets: Targets, group: np.ndarray, key: np.ndarray, weight: np.ndarray | None = None) -> Counts:
    """The numbers in these parts, by the place of the part and the next 16 bits of the key."""
    part, key, weight = inside(targets, group, key, weight)
    code = part << DIGIT_BITS | _digit(key, len(targets.parts))
    if not code.size:
        return NO_COUNTS if weight is None else NO_WEIGHTS
    low, high = int(code.min()), int(code.max())
    if high - low < _DENSE * code.size:
        code -= low
        every = np.bincount(code)
        found = np.flatnonzero(every)
        summed = None if weight is None else np.bincount(code, weight)[found]
        return Counts(found + low, every[found], summed)
    found, place, count = np.unique(code, return_inverse=True, return_counts=True)
    return Counts(found, count, None if weight is None else np.bincount(place, weight, found.size))


def add_counts(a: Counts, b: Counts) -> Counts:
    """The counts of two disjoint sets of numbers together."""
    code, place = np.unique(np.concatenate([a.code, b.code]), return_inverse=True)
    counts = np.zeros(code.size, np.int64)
    np.add.at(counts, place, np.concatenate([a.count, b.count]))
    if a.weight is None or b.weight is None:
        return Counts(code, counts)
    return Counts(code, counts, np.bincount(place, np.concatenate([a.weight, b.weight]), code.size))


def narrowed(targets: Targets, counts: Counts) -> tuple[Targets, int]:
    """The targets within the next, smaller parts, and how many numbers these have."""
    up_to = np.cumsum(counts.amount)
    before = np.concatenate([[0], up_to])
    base = before[np.searchsorted(counts.code, targets.part << DIGIT_BITS)]
    at = np.searchsorted(up_to, base + targets.rank)
    chosen, part = np.unique(at, return_inverse=True)
    found = Targets(part, base + targets.rank - before[at], (*targets.parts, counts.code[chosen]))
    return found, int(counts.count[chosen].sum())


def numbers_of_targets(
    targets: Targets, part: np.ndarray, key: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """The numbers of the wanted ranks, from all numbers in the parts: shape (targets,)."""
    order = np.lexsort((key, part))
    first = np.searchsorted(part[order], targets.part)
    if weight is None:
        at = first + targets.rank - 1
    else:
        up_to = np.cumsum(weight[order])
        at = np.searchsorted(up_to, np.concatenate([[0.0], up_to])[first] + targets.rank)
    return numbers_of_keys(key[order[at]])


def numbers_of_parts(targets: Targets) -> np.ndarray:
    """The numbers of the wanted ranks after all rounds, when all numbers of a part are the same: shape (targets,)."""
    key = np.zeros(targets.part.size, np.uint64)
    part = targets.part
    for digit in reversed(range(DIGITS)):
        code = targets.parts[digit][part]
        key |= (code.astype(np.uint64) & _LAST) << np.uint64(DIGIT_BITS * (DIGITS - 1 - digit))
        part = code >> DIGIT_BITS
    return numbers_of_keys(key)


def ranks(levels: Sequence[float], count: int | np.ndarray) -> np.ndarray:
    """The ranks, from 1, of the smallest of `count` numbers whose share is at least each level: shape (levels,).

    Where `count` has shape (groups,), the ranks have shape (groups, levels).
    """
    most = np.asarray(count)[..., None]
    return np.ceil(np.round(most * np.array(levels), 6)).clip(1, most).astype(np.int64)


def _digit(key: np.ndarray, digit: int) -> np.ndarray:
    shift = np.uint64(DIGIT_BITS * (DIGITS - 1 - digit))
    return (key >> shift & _LAST).astype(np.int64)
