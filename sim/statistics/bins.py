"""Bins of float32 numbers that are at most 0.1 % wide, so that counts by bin give quantiles to within 0.1 %.

A bin has the numbers with the same sign, exponent and first `FRACTION_BITS` bits of the fraction: a histogram whose
bins grow with the numbers (Masson, Rim & Lee 2019, DDSketch). Counts of disjoint sets of numbers add up exactly, in any
order, which samples of the numbers such as KLL's do not. Numbers nearer to 0 than `SMALLEST` count as 0.
"""

import numpy as np

FRACTION_BITS = 10
"""Bits of the fraction that tell bins apart: a bin is at most 2^-10 of its numbers wide."""
BINS = 1 << (9 + FRACTION_BITS)
"""The number of bins, of which the unknown number NaN has one."""
SMALLEST = 2.0**-100
"""About 1e-30, and the least number of a bin."""
RELATIVE_WIDTH = 2.0**-FRACTION_BITS
"""The largest width of a bin, relative to each of its numbers."""
_LEFT = np.uint32(23 - FRACTION_BITS)
"""Bits of a number that its bin leaves out."""
_SIGN = np.uint32(1 << 31)
_HALF_BITS = np.uint32(16)


def ordered_keys(numbers: np.ndarray) -> np.ndarray:
    """Known numbers, float32, as uint32 in their order; NaN has a key that no number has."""
    # Adding 0 makes -0.0 the 0.0 that it equals.
    bits = (numbers + np.float32(0)).view(np.uint32)
    # All bits of a negative number are turned round, and only the sign of any other.
    return bits ^ (np.negative(bits >> np.uint32(31)) | _SIGN)


def numbers_of_keys(keys: np.ndarray) -> np.ndarray:
    """The numbers of keys, float64."""
    return np.where(keys & _SIGN, keys & ~_SIGN, ~keys).astype(np.uint32).view(np.float32).astype(np.float64)


def at_ranks(numbers: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The numbers at some ranks, from 1, of known numbers in float32; float64, shape (ranks,).

    The numbers are counted by the upper half of their keys, and those of the halves with a wanted rank are sorted: of
    many different numbers this takes a third of the time that sorting all of them does (radix selection).
    """
    keys = ordered_keys(numbers)
    half = (keys >> _HALF_BITS).astype(np.uint16)
    up_to = np.cumsum(np.bincount(half, minlength=1 << 16))
    wanted = np.searchsorted(up_to, ranks)
    chosen = np.zeros(up_to.size, bool)
    chosen[wanted] = True
    some = keys.compress(chosen.take(half))
    some.sort()
    # A rank counts on from the first of the numbers of its half.
    before = np.where(wanted > 0, up_to[wanted - 1], 0)
    return numbers_of_keys(some[np.searchsorted(some, wanted.astype(np.uint32) << _HALF_BITS) + ranks - 1 - before])


def bins_of(numbers: np.ndarray) -> np.ndarray:
    """The bin of each known number, float32: int64 from 0, in the order of the numbers."""
    return (ordered_keys(_small_as_zero(numbers)) >> _LEFT).astype(np.int64)


def bin_edges(bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest number of each bin, float64."""
    first = bins.astype(np.uint32) << _LEFT
    least, greatest = numbers_of_keys(first), numbers_of_keys(first | ((np.uint32(1) << _LEFT) - np.uint32(1)))
    return _small_as_zero(least), _small_as_zero(greatest)


def _small_as_zero(numbers: np.ndarray) -> np.ndarray:
    return np.where(np.abs(numbers) < SMALLEST, numbers.dtype.type(0), numbers)
