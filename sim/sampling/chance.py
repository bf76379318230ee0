"""Addressed random numbers: each has an address, and reading it consumes nothing.

The generator is Philox-4x64-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), a
keyed bijection of a counter, in numpy's implementation. Its 128-bit key holds the seed and a hash of the *purpose*,
which is a plain string such as ``"threat/announcement"``; the counter is the trial. Different seeds or purposes have
different keys, so they share no stream. A trial is a position in each stream: its number does not depend on the other
trials that are drawn with it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from sim.faults import Fault, InvalidInput

MAX_SEED = 2**63 - 1
LANES = 8
"""32-bit words in one Philox block of 4 x 64 bits."""
IN_CACHE = 16_384
"""Numbers that are computed at a time, through all steps, so that they stay in a core's cache."""


class Numbers(Protocol):
    """Random numbers of some trials, one per trial and purpose."""

    @property
    def count(self) -> int:
        """The number of trials."""

    def uniform(self, purpose: str) -> np.ndarray:
        """A uniform number in (0, 1) for each trial: float64, shape (count,)."""

    def exponential(self, purpose: str) -> np.ndarray:
        """A standard exponential number for each trial: float64, shape (count,), > 0."""


@dataclass(frozen=True)
class Chance:
    """The random numbers of the trials `first` to `first + count` under a seed, one per trial and purpose.

    Raises `InvalidInput` for a seed that is not a whole number from 0 to 2^63 - 1.
    """

    seed: int
    first: int
    count: int

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def part(self, start: int, count: int) -> "Chance":
        """The chance of `count` of these trials, from position `start` on."""
        return Chance(self.seed, self.first + start, count)

    def words(self, purpose: str) -> np.ndarray:
        """A 32-bit word for each trial: uint32, shape (count,).

        Trial *i* reads lane *i* mod 8 of block *i* div 8.
        """
        result = np.empty(self.count, np.uint32)
        for place, words in self._parts(purpose):
            result[place] = words
        return result

    def uniform(self, purpose: str) -> np.ndarray:
        """A uniform number in (0, 1) for each trial: float64, shape (count,)."""
        result = np.empty(self.count)
        for place, words in self._parts(purpose):
            open_uniform(words, result[place])
        return result

    def exponential(self, purpose: str) -> np.ndarray:
        """A standard exponential number for each trial: float64, shape (count,), > 0."""
        result = np.empty(self.count)
        for place, words in self._parts(purpose):
            part = open_uniform(words, result[place])
            np.log(part, out=part)
            np.negative(part, out=part)
        return result

    def _parts(self, purpose: str) -> Iterator[tuple[slice, np.ndarray]]:
        """The words of a purpose in parts of at most `IN_CACHE`, each with the positions of its trials."""
        before = self.first % LANES
        blocks = _blocks(self.seed, purpose, self.first // LANES)
        for start in range(-before, self.count, IN_CACHE):
            stop = min(start + IN_CACHE, self.count)
            words = blocks(-(-(stop - start) // LANES))
            yield slice(max(start, 0), stop), words[max(-start, 0) : stop - start]


@dataclass(frozen=True)
class KeptChance:
    """The chance of some trials, with each number computed once and kept; its arrays must not be changed."""

    chance: Chance
    kept: dict[tuple[str, str], np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def count(self) -> int:
        """The number of trials."""
        return self.chance.count

    def uniform(self, purpose: str) -> np.ndarray:
        """See `Numbers.uniform`."""
        key = ("uniform", purpose)
        if key not in self.kept:
            self.kept[key] = self.chance.uniform(purpose)
        return self.kept[key]

    def exponential(self, purpose: str) -> np.ndarray:
        """See `Numbers.exponential`."""
        key = ("exponential", purpose)
        if key not in self.kept:
            self.kept[key] = self.chance.exponential(purpose)
        return self.kept[key]

    def at(self, trial: np.ndarray) -> "ChanceAt":
        """The chance of the trials at the given positions."""
        return ChanceAt(self, trial)


@dataclass(frozen=True)
class ChanceAt:
    """The chance of the trials at some positions of a range."""

    kept: KeptChance
    trial: np.ndarray

    @property
    def count(self) -> int:
        """The number of trials."""
        return self.trial.size

    def uniform(self, purpose: str) -> np.ndarray:
        """See `Numbers.uniform`."""
        return self.kept.uniform(purpose).take(self.trial)

    def exponential(self, purpose: str) -> np.ndarray:
        """See `Numbers.exponential`."""
        return self.kept.exponential(purpose).take(self.trial)


def happens(chance: Numbers, purpose: str, probability: np.ndarray | float) -> np.ndarray:
    """Whether an event with a probability for each trial happens: bool, shape (count,). Nothing is drawn for an event
    that never happens.
    """
    if isinstance(probability, float) and probability <= 0.0:
        return np.zeros(chance.count, bool)
    return chance.uniform(purpose) < probability


def check_seed(seed: object) -> int:
    """Return `seed` if it is a whole number from 0 to 2^63 - 1, else raise `InvalidInput`."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= MAX_SEED:
        raise InvalidInput((Fault("seed", seed, f"must be a whole number from 0 to {MAX_SEED}"),))
    return int(seed)


@lru_cache(maxsize=65_536)
def purpose_key(purpose: str) -> int:
    """The 64-bit number that stands for a purpose in a generator's key."""
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")


def _blocks(seed: int, purpose: str, first: int) -> Callable[[int], np.ndarray]:
    """What gives the words of the next so many Philox blocks of a stream, from block `first` on: uint32, 8 a block."""
    # numpy increments the counter before each block, so the counter passed is one less.
    before = (first - 1) % 2**256
    counter = np.array([(before >> shift) & 0xFFFF_FFFF_FFFF_FFFF for shift in (0, 64, 128, 192)], np.uint64)
    key = np.array([seed, purpose_key(purpose)], np.uint64)
    generator = np.random.Philox(counter=counter, key=key)
    return lambda count: generator.random_raw(4 * count).astype("<u8", copy=False).view("<u4")


def open_uniform(words: np.ndarray, result: np.ndarray) -> np.ndarray:
    """32-bit words as float64 in the open interval (0, 1): the middles of 2^32 equal cells. Writes into `result`."""
    result[...] = words
    result += 0.5
    result *= 2.0**-32
    return result
