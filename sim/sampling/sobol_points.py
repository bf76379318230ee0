"""Scrambled Sobol points, addressed by trial: each dimension and each point can be computed alone.

The trials alternate between `REPLICATES` sequences that are scrambled independently: trial *i* is point i div 16 of
replicate i mod 16, so that a run of any size has sixteen randomised replicates, whose variance gives its error. Both
the points and the order in which they come are scrambled by a nested uniform permutation of binary digits (Owen 1995;
shuffled as in Burley 2020, "Practical hash-based Owen scrambling"). Every aligned run of 2^k points of a replicate
stays a net, and two seeds share neither points nor their order.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.sampling.base import Design, Uniforms, too_many
from sim.sampling.chance import Chance, purpose_key
from sim.scenario.distributions import Fixed
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario

BITS = 32
MAX_POINTS = 2**BITS
REPLICATES = 16
_CHUNKS = ((0, 11), (11, 11), (22, 10))
"""An index's bits by chunks (first bit, bits), each with a table of the points of its own bits."""


@dataclass(frozen=True)
class Sobol(Design):
    """Scrambled Sobol points in `REPLICATES` replicates."""

    name = "sobol"
    grows = True
    is_sample = True

    def check_holds(self, stop: int) -> None:
        """See `Design.check_holds`."""
        if stop > MAX_POINTS:
            raise too_many(self, stop, MAX_POINTS)

    def replicates(self, scenario: Scenario) -> int:
        """See `Design.replicates`."""
        return REPLICATES if scenario.uncertain else 1

    def uniforms(self, scenario: Scenario, chance: Chance) -> Uniforms:
        """See `Design.uniforms`."""
        trials = np.arange(chance.first, chance.first + chance.count)
        replicate = trials % REPLICATES
        order = shuffled(chance.seed, replicate, trials // REPLICATES)
        return lambda parameter: sobol_uniform(
            chance.seed, f"parameter/{parameter}", _dimension(scenario, parameter), replicate, order
        )


def _dimension(scenario: Scenario, name: str) -> int:
    """A parameter's dimension in the Sobol sequence.

    The base's uncertain parameters come first; one that only a strategy makes uncertain comes after them, in the order
    of the catalogue and independent of other strategies. Parameters of a later extension of the model come after those
    of the earlier ones.
    """
    ordered = sorted(scenario.base, key=lambda other: parameter(other).added)
    uncertain = [other for other in ordered if not isinstance(scenario.base[other], Fixed)]
    if name in uncertain:
        return uncertain.index(name)
    return len(uncertain) + ordered.index(name)


def shuffled(seed: int, replicate: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The positions in a replicate's sequence of its first, second, ... point: uint32."""
    return _scrambled(point.astype(np.uint32), f"sobol/order/{seed}", replicate)


def sobol_uniform(seed: int, purpose: str, dimension: int, replicate: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The given points of one dimension, scrambled for a seed and a purpose: float64 in (0, 1), shape (count,)."""
    points = np.zeros(order.shape, np.uint32)
    for (start, bits), table in zip(_CHUNKS, _tables(dimension), strict=True):
        points ^= table.take((order >> np.uint32(start)) & np.uint32((1 << bits) - 1))
    return (_scrambled(points, f"sobol/{purpose}/{seed}", replicate) + 0.5) * 2.0**-BITS


@lru_cache(maxsize=512)
def _tables(dimension: int) -> tuple[np.ndarray, ...]:
    """For each chunk of an index's bits, the exclusive or of their direction numbers (Joe & Kuo 2008)."""
    from scipy.stats import qmc

    # SciPy has the direction numbers, but not under a public name.
    directions = qmc.Sobol(dimension + 1, scramble=False, bits=BITS)._sv[dimension]  # type: ignore[attr-defined]
    tables = []
    for start, bits in _CHUNKS:
        table = np.zeros(1, np.uint32)
        for direction in directions[start : start + bits].astype(np.uint32):
            table = np.concatenate([table, table ^ direction])
        tables.append(table)
    return tuple(tables)


def _scrambled(digits: np.ndarray, purpose: str, replicate: np.ndarray) -> np.ndarray:
    """A nested uniform permutation of binary digits by hash (Laine & Karras 2011), another for each replicate.

    On reversed bits each step lets a bit depend on the bits below it alone, so that in the right order each
    digit is flipped or not by a hash of the digits before it. uint32 in, uint32 out.
    """
    add, multiply, flip = (key.take(replicate) for key in _keys(purpose))
    x = _reversed_bits(digits)
    x ^= x * np.uint32(0x3D20ADEA)
    x += add
    x *= multiply
    x ^= x * np.uint32(0x05526C56)
    x ^= x * np.uint32(0x53A22864)
    x ^= flip
    return _reversed_bits(x)


@lru_cache(maxsize=4096)
def _keys(purpose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    keys = np.array([purpose_key(f"{purpose}/{replicate}") for replicate in range(REPLICATES)], np.uint64)
    low, high = keys.astype(np.uint32), (keys >> np.uint64(32)).astype(np.uint32)
    return low, (low >> np.uint32(16)) | np.uint32(1), high


def _reversed_bits(x: np.ndarray) -> np.ndarray:
    x = x.byteswap()
    for shift, mask in ((4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        half = np.uint32(mask)
        x = ((x >> np.uint32(shift)) & half) | ((x & half) << np.uint32(shift))
    return x
