"""The parameter points that a design gives a range of trials.

Each uncertain parameter has its own stream of uniform numbers, addressed by the parameter's name. Fixing one
parameter, or overriding it in a strategy, therefore does not change the values of the others.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special

from sim.sampling.base import Design
from sim.sampling.chance import Chance
from sim.sampling.designs import RANDOM
from sim.sampling.quantile_tables import draw
from sim.scenario.correlations import correlation_factor
from sim.scenario.distributions import Distribution, Fixed
from sim.scenario.scenario import Scenario

Points = dict[str, np.ndarray | float]
"""A value for each parameter of a scenario: a float where it is fixed, else float64, shape (count,)."""


class PointsAt(Points):
    """The parameters of the trials at some positions of a range, each computed when it is first used."""

    def __init__(self, points: Points, trial: np.ndarray) -> None:
        super().__init__()
        self._points, self._trial = points, trial

    def __missing__(self, name: str) -> np.ndarray | float:
        value = self._points[name]
        self[name] = value.take(self._trial) if isinstance(value, np.ndarray) and value.ndim else value
        return self[name]


def draw_points(scenario: Scenario, strategy: str, chance: Chance, design: Design = RANDOM) -> Points:
    """The parameters of the trials of `chance` under a strategy. Raises `InvalidInput` for trials not in the design."""
    return draw_points_of_strategies(scenario, (strategy,), chance, design)[strategy]


def draw_points_of_strategies(
    scenario: Scenario, strategies: Sequence[str], chance: Chance, design: Design = RANDOM
) -> dict[str, Points]:
    """The parameters of the trials of `chance` under each strategy; those that strategies share are drawn once.

    Raises `InvalidInput` for trials not in the design.
    """
    design.check_holds(chance.first + chance.count)
    linked, factor = correlation_factor(scenario.correlations, tuple(scenario.base.items()))
    uniforms = design.uniforms(scenario, chance)
    cells: dict[str, np.ndarray] = {}
    drawn: dict[tuple[str, Distribution], np.ndarray | float] = {}

    def value(name: str, given: Distribution) -> np.ndarray | float:
        if isinstance(given, Fixed):
            return given.value
        if (name, given) not in drawn:
            if name in linked and name not in cells:
                # All linked parameters are drawn, including those that a strategy fixes, so that the others do not
                # change.
                cells.update(_copula({other: uniforms(other) for other in linked}, factor))
            elif name not in cells:
                cells[name] = uniforms(name)
            drawn[name, given] = draw(given, cells[name])
        return drawn[name, given]

    return {
        strategy: {name: value(name, given) for name, given in scenario.parameters(strategy).items()}
        for strategy in strategies
    }


def _copula(cells: dict[str, np.ndarray], factor: np.ndarray) -> dict[str, np.ndarray]:
    """Uniform numbers correlated by a Gaussian copula with the given lower triangular factor.

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
