"""Exact quantiles of many numbers in several groups, from counts of the digits of their keys.

A number's key is a whole number of 64 bits in the order of the numbers. Each round counts the numbers of those parts of
the order that contain a wanted rank by the next 16 bits of their keys; counts of disjoint sets of numbers add up. When
few enough numbers are left, or after four rounds, the numbers of the wanted ranks are known exactly (radix selection).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DIGIT_BITS = 16
DIGITS = 4
_SIGN = np.uint64(1 << 63)
_LAST = np.uint64((1 << DIGIT_BITS) - 1)


@dataclass(frozen=True)
class Counts:
    """Distinct codes in increasing order, int64, and how many numbers have each."""

    code: np.ndarray
    count: np.ndarray


NO_COUNTS = Counts(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Targets:
    """The ranks that are looked for: `rank` counts from 1 within a part of the order, whose place is `part`.

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


def inside(targets: Targets, group: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in the parts that contain a wanted rank: the place of the part, and the key, of each."""
    part = group
    for digit, codes in enumerate(targets.parts):
        code = part << DIGIT_BITS | _digit(key, digit)
        place = np.searchsorted(codes, code).clip(max=codes.size - 1)
        rows = np.flatnonzero(codes.take(place) == code)
        part, key = place.take(rows), key.take(rows)
    return part, key


def count_digits(targets: Targets, group: np.ndarray, key: np.ndarray) -> Counts:
    """The numbers in these parts, by the place of the part and the next 16 bits of the key."""
    part, key = inside(targets, group, key)
    code, count = np.unique(part << DIGIT_BITS | _digit(key, len(targets.parts)), return_counts=True)
    return Counts(code, count)


def add_counts(a: Counts, b: Counts) -> Counts:
    """The counts of two disjoint sets of numbers together."""
    code, place = np.unique(np.concatenate([a.code, b.code]), return_inverse=True)
    counts = np.zeros(code.size, np.int64)
    np.add.at(counts, place, np.concatenate([a.count, b.count]))
    return Counts(code, counts)


def narrowed(targets: Targets, counts: Counts) -> tuple[Targets, int]:
    """The targets within the next, smaller parts, and how many numbers these have."""
    up_to = np.cumsum(counts.count)
    before = np.concatenate([[0], up_to])
    base = before[np.searchsorted(counts.code, targets.part << DIGIT_BITS)]
    at = np.searchsorted(up_to, base + targets.rank)
    chosen, part = np.unique(at, return_inverse=True)
    found = Targets(part, base + targets.rank - before[at], (*targets.parts, counts.code[chosen]))
    return found, int(counts.count[chosen].sum())


def numbers_of_targets(targets: Targets, part: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The numbers of the wanted ranks, from all numbers in the parts: shape (targets,)."""
    order = np.lexsort((key, part))
    first = np.searchsorted(part[order], targets.part)
    return numbers_of_keys(key[order[first + targets.rank - 1]])


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
