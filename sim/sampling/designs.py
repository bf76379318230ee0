"""Where the parameter points lie: plain random, Latin hypercube, Sobol or Saltelli, each addressed by trial.

Every uncertain parameter has a stream of uniform numbers of its own, named after it, so that fixing one
parameter, or overriding it in a strategy, leaves the others' values where they were.
"""

from collections.abc import Callable

import numpy as np
from scipy import special

from sim.faults import Fault, InvalidInput
from sim.sampling import saltelli
from sim.sampling.chance import uniform, words
from sim.sampling.quantile_tables import draw
from sim.sampling.sobol_points import MAX_POINTS, REPLICATES, shuffled, sobol_order, sobol_uniform
from sim.scenario.correlations import correlation_factor
from sim.scenario.distributions import Fixed
from sim.scenario.scenario import Scenario

DESIGNS = ("random", "latin_hypercube", "sobol", "saltelli")
Points = dict[str, np.ndarray | float]
"""A value for each parameter of a scenario: a float where it is fixed, else float64, shape (count,)."""


def draw_points(
    scenario: Scenario, strategy: str, *, seed: int, first: int, count: int, design: str, trials: int | None
) -> Points:
    """The parameters of the trials `first` to `first + count` under a strategy.

    `trials` is the number of trials in the whole design, which a Latin hypercube needs. Raises
    `InvalidInput` for an unknown design, or for trials that lie outside it.
    """
    check_design(design, first + count, trials)
    distributions = scenario.parameters(strategy)
    uncertain = [name for name, given in distributions.items() if not isinstance(given, Fixed)]
    linked, factor = correlation_factor(scenario.correlations, tuple(scenario.base))

    place = sobol_order(seed, first, count) if design == "sobol" else None
    sampled = _saltelli(scenario, seed, first, count) if design == "saltelli" else None

    def cell(name: str) -> np.ndarray:
        purpose = f"parameter/{name}"
        if sampled is not None:
            return sampled(name)
        if place is not None:
            return sobol_uniform(seed, purpose, _dimension(scenario, name), *place)
        if design == "latin_hypercube" and trials is not None:
            return _latin_hypercube(seed, purpose, first, count, trials)
        return uniform(seed, purpose, first, count)

    cells = {name: cell(name) for name in uncertain if name not in linked}
    if any(name in linked for name in uncertain):
        # All the linked parameters are drawn, those that this strategy fixes too: the others must not move.
        cells |= _copula({name: cell(name) for name in linked}, factor)
    return {
        name: given.value if isinstance(given, Fixed) else draw(given, cells[name])
        for name, given in distributions.items()
    }


def check_design(design: object, stop: int, trials: int | None) -> None:
    """Raise `InvalidInput` unless `design` is known and can hold the trials before `stop`."""
    if design not in DESIGNS:
        raise InvalidInput((Fault("design", design, f"must be one of {', '.join(DESIGNS)}"),))
    if design == "sobol" and stop > MAX_POINTS:
        raise InvalidInput((Fault("trials", stop, f"must be at most {MAX_POINTS} in a sobol design"),))
    if design == "latin_hypercube" and (trials is None or stop > trials):
        raise InvalidInput(
            (Fault("trials", trials, f"must be given, and at least {stop}, in a latin_hypercube design"),)
        )


def _copula(cells: dict[str, np.ndarray], factor: np.ndarray) -> dict[str, np.ndarray]:
    """Uniform numbers joined by a Gaussian copula with the given lower triangular factor.

    The sum is written out: a matrix product's last bits would depend on the number of trials.
    """
    normal = [special.ndtri(cell) for cell in cells.values()]
    joined = {}
    for name, row in zip(cells, factor, strict=True):
        total = np.zeros_like(normal[0])
        for weight, z in zip(row, normal, strict=True):
            if weight != 0.0:
                total += weight * z
        joined[name] = np.clip(special.ndtr(total), 2.0**-60, 1.0 - 2.0**-53)
    return joined


def _saltelli(scenario: Scenario, seed: int, first: int, count: int) -> Callable[[str], np.ndarray]:
    """What gives a parameter's uniform numbers in a Saltelli design: from A, or from B where it is exchanged."""
    replicate, point, matrix = saltelli.places(scenario, first, count)
    least, most = int(point[0]), int(point[-1])
    # Many trials share a base point: each point is scrambled once, and then dealt out.
    every_replicate, every_point = np.tile(np.arange(REPLICATES), most - least + 1), np.arange(least, most + 1)
    order = shuffled(seed, every_replicate, np.repeat(every_point, REPLICATES))
    row = (point - least) * REPLICATES + replicate
    exchanged = saltelli.from_b(scenario, matrix)

    def cell(name: str) -> np.ndarray:
        dimension = scenario.uncertain.index(name)
        a = sobol_uniform(seed, f"parameter/{name}", dimension, every_replicate, order)
        b = sobol_uniform(seed, f"parameter/{name}/b", len(scenario.uncertain) + dimension, every_replicate, order)
        return np.where(exchanged[name], b[row], a[row])

    return cell


def _latin_hypercube(seed: int, purpose: str, first: int, count: int, trials: int) -> np.ndarray:
    """One uniform number in each of `trials` equal strata, in a random order of strata."""
    stratum = _permuted(np.arange(first, first + count, dtype=np.uint64), trials, seed, purpose)
    return np.clip((stratum + uniform(seed, purpose, first, count)) / trials, 2.0**-60, 1.0 - 2.0**-53)


def _permuted(index: np.ndarray, size: int, seed: int, purpose: str) -> np.ndarray:
    """Where a random permutation of range(size) takes the given indices; uint64, computed one by one.

    A Feistel network on the next power of two, walked until it falls back into the range (Black & Rogaway
    2002, "Ciphers with arbitrary finite domains"): no table of the whole permutation is held.
    """
    bits = max(2, (size - 1).bit_length())
    keys = words(seed, f"permutation/{purpose}", 0, 16).astype(np.uint64).reshape(8, 2)
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


def _dimension(scenario: Scenario, name: str) -> int:
    """A parameter's dimension in the Sobol sequence.

    The base's uncertain parameters come first; one that only a strategy makes uncertain has its place behind
    them by its place in the catalogue, whatever the other strategies are.
    """
    uncertain = [other for other, given in scenario.base.items() if not isinstance(given, Fixed)]
    if name in uncertain:
        return uncertain.index(name)
    return len(uncertain) + list(scenario.base).index(name)
