"""Exact quantiles of many numbers in several groups, from counts of the digits of their keys.

A number's key is a whole number of 64 bits in the order of the numbers. Each round counts the numbers of those parts of
the order that contain a wanted rank by the next 16 bits of their keys; counts of disjoint sets of numbers add up. When
few enough numbers are left, the numbers of the wanted ranks are known exactly (radix selection). They are also known
where all numbers of a part are the same, as they are after four rounds.

Numbers may have weights, of which ranks are then sums. Sums of weights must be exact in any order, as those of
multiples of a power of 2 are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

DIGIT_BITS = 16
DIGITS = 4
_SIGN = np.uint64(1 << 63)
_LAST = np.uint64((1 << DIGIT_BITS) - 1)
_DENSE = 4
"""Codes are counted in an array of all possible ones up to this many for each number."""


@dataclass(frozen=True)
class Counts:
    """Distinct codes in increasing order, int64; how many numbers have each, and the sum of their weights, if any.

    `key` is the key of one of the numbers, and `same` says whether all have it.
    """

    code: np.ndarray
    count: np.ndarray
    key: np.ndarray
    same: np.ndarray
    weight: np.ndarray | None = None

    @property
    def amount(self) -> np.ndarray:
        """The sums of weights; the counts without weights."""
        return self.count if self.weight is None else self.weight


NO_COUNTS = Counts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64), np.empty(0, bool))
NO_WEIGHTS = replace(NO_COUNTS, weight=np.empty(0))


@dataclass(frozen=True)
class Targets:
    """The ranks that are looked for: `rank` counts from 1 within a part of the order, whose place is `part`.

    With weights it is the sum of weights, above 0, that is reached there.

    `parts` has the codes of the parts in each round so far. Before the first, parts are the groups.
    """

    part: np.ndarray
    rank: np.ndarray
    parts: tuple[np.ndarray, ...] = ()


ALL_GROUPS = Targets(np.empty(0, np.int64), np.empty(0, np.int64))
"""Before the first round, when the numbers of all groups are counted."""


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
        place, size = code - low, high - low + 1
        count = np.bincount(place, minlength=size)
        found = np.flatnonzero(count)
        one, same = _one_key(place, key, size)
        summed = None if weight is None else np.bincount(place, weight, size)[found]
        return Counts(found + low, count[found], one[found], same[found], summed)
    codes, place, count = np.unique(code, return_inverse=True, return_counts=True)
    summed = None if weight is None else np.bincount(place, weight, codes.size)
    return Counts(codes, count, *_one_key(place, key, codes.size), summed)


def _one_key(place: np.ndarray, key: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The key of one of the numbers at each place, and whether all that are there have it."""
    one = np.empty(size, np.uint64)
    one[place] = key
    same = np.ones(size, bool)
    same[place[key != one[place]]] = False
    return one, same


def add_counts(a: Counts, b: Counts) -> Counts:
    """The counts of two disjoint sets of numbers together."""
    code, place = np.unique(np.concatenate([a.code, b.code]), return_inverse=True)
    counts = np.zeros(code.size, np.int64)
    np.add.at(counts, place, np.concatenate([a.count, b.count]))
    one, same = _one_key(place, np.concatenate([a.key, b.key]), code.size)
    same[place[~np.concatenate([a.same, b.same])]] = False
    if a.weight is None or b.weight is None:
        return Counts(code, counts, one, same)
    return Counts(code, counts, one, same, np.bincount(place, np.concatenate([a.weight, b.weight]), code.size))


@dataclass(frozen=True)
class Narrowed:
    """The targets within the next, smaller parts, and how many numbers these have.

    Targets in parts whose numbers are all the same are left out: `known` says which of the former ones they are, and
    `numbers` has their numbers.
    """

    targets: Targets
    held: int
    known: np.ndarray
    numbers: np.ndarray


def narrowed(targets: Targets, counts: Counts) -> Narrowed:
    """The targets after a round."""
    up_to = np.cumsum(counts.amount)
    before = np.concatenate([[0], up_to])
    base = before[np.searchsorted(counts.code, targets.part << DIGIT_BITS)]
    at = np.searchsorted(up_to, base + targets.rank)
    known = counts.same[at]
    left = ~known
    chosen, part = np.unique(at[left], return_inverse=True)
    rank = (base + targets.rank - before[at])[left]
    found = Targets(part, rank, (*targets.parts, counts.code[chosen]))
    return Narrowed(found, int(counts.count[chosen].sum()), known, numbers_of_keys(counts.key[at[known]]))


def numbers_of_targets(
    targets: Targets, part: np.ndarray, key: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """The numbers of the wanted ranks, from all numbers in the parts: shape (targets,)."""
    # Whole numbers of 16 bits are sorted several times as fast (radix sort).
    few = targets.part.size == 0 or int(targets.part.max()) < 1 << 15
    order = np.argsort(part.astype(np.int16) if few else part, kind="stable")
    bounds = np.searchsorted(part.take(order), np.stack([targets.part, targets.part + 1]))
    found = np.empty(targets.part.size, np.uint64)
    for one in np.unique(targets.part).tolist():
        mine = np.flatnonzero(targets.part == one)
        rows = order[bounds[0, mine[0]] : bounds[1, mine[0]]]
        keys = key.take(rows)
        if weight is None:
            places = targets.rank[mine] - 1
            found[mine] = np.partition(keys, np.unique(places)).take(places)
        else:
            ordered = np.argsort(keys, kind="stable")
            up_to = np.cumsum(weight.take(rows).take(ordered))
            found[mine] = keys.take(ordered.take(np.searchsorted(up_to, targets.rank[mine])))
    return numbers_of_keys(found)


def ranks(levels: Sequence[float], count: int | np.ndarray) -> np.ndarray:
    """The ranks, from 1, of the smallest of `count` numbers whose share is at least each level: shape (levels,).

    Where `count` has shape (groups,), the ranks have shape (groups, levels).
    """
    most = np.asarray(count)[..., None]
    return np.ceil(np.round(most * np.array(levels), 6)).clip(1, most).astype(np.int64)


def _digit(key: np.ndarray, digit: int) -> np.ndarray:
    shift = np.uint64(DIGIT_BITS * (DIGITS - 1 - digit))
    return (key >> shift & _LAST).astype(np.int64)
