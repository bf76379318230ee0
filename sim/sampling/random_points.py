"""Plain random sampling: each trial's point is independent of the others."""

from dataclasses import dataclass

from sim.sampling.base import Design, Uniforms
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class Random(Design):
    """Independent points."""

    name = "random"
    grows = True
    is_sample = True

    def uniforms(self, scenario: Scenario, chance: Chance) -> Uniforms:
        """See `Design.uniforms`."""
        return lambda parameter: chance.uniform(f"parameter/{parameter}")
