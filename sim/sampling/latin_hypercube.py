"""Latin hypercube sampling (McKay, Beckman & Conover 1979): one trial in each of equal strata of each parameter."""

from dataclasses import dataclass

import numpy as np

from sim.faults import Fault, InvalidInput
from sim.sampling.base import Design, Uniforms
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class LatinHypercube(Design):
    """A Latin hypercube of `size` trials."""

    name = "latin_hypercube"
    grows = False
    is_sample = True

    def check_holds(self, stop: int) -> None:
        """See `Design.check_holds`."""
        if self.size is None or stop > self.size:
            message = f"must be given, and at least {stop}, in a latin_hypercube design"
            raise InvalidInput((Fault("trials", self.size, message),))

    def uniforms(self, scenario: Scenario, chance: Chance) -> Uniforms:
        """See `Design.uniforms`."""
        size = self.size or 0
        trials = np.arange(chance.first, chance.first + chance.count, dtype=np.uint64)

        def uniforms(parameter: str) -> np.ndarray:
            purpose = f"parameter/{parameter}"
            stratum = permuted(trials, size, chance.seed, purpose)
            return np.clip((stratum + chance.uniform(purpose)) / size, 2.0**-60, 1.0 - 2.0**-53)

        return uniforms


def permuted(index: np.ndarray, size: int, seed: int, purpose: str) -> np.ndarray:
    """The images of the given indices under a random permutation of range(size); uint64, each computed independently.

    A Feistel network on the next power of two, repeated until the result is in the range (Black & Rogaway 2002,
    "Ciphers with arbitrary finite domains"): no table of the permutation is stored.
    """
    bits = max(2, (size - 1).bit_length())
    keys = Chance(seed, 0, 16).words(f"permutation/{purpose}").astype(np.uint64).reshape(8, 2)
    result = index
    outside = np.arange(index.size)
    while outside.size:
        walked = _feistel(result[outside], bits, keys)
        result = result.copy() if result is index else result
        result[outside] = walked
        outside = outside[walked >= size]
    return result


def _feistel(value: np.ndarray, bits: int, keys: np.ndarray) -> np.ndarray:
    low_bits, high_bits = bits // 2, bits - bits // 2
    low = value & np.uint64((1 << low_bits) - 1)
    high = value >> np.uint64(low_bits)
    for add, multiply in keys:
        mixed = (low + add) * (multiply << np.uint64(32) | np.uint64(0x9E3779B9))
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        low, high = high ^ (mixed & np.uint64((1 << high_bits) - 1)), low
        low_bits, high_bits = high_bits, low_bits
    return high << np.uint64(low_bits) | low
