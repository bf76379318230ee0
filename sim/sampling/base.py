"""What a sampling design is: where the parameter points of a range of trials lie, each addressed by its trial."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.faults import Fault, InvalidInput
from sim.sampling.chance import Chance
from sim.sampling.names import DesignName
from sim.scenario.scenario import Scenario

Uniforms = Callable[[str], np.ndarray]
"""Gives the uniform numbers in (0, 1) of a range of trials for a parameter's name: float64, shape (count,)."""


@dataclass(frozen=True)
class Design(ABC):
    """A sampling design. Two designs are equal if they place the same points."""

    name: ClassVar[DesignName]
    """The name in files, options and requests."""
    grows: ClassVar[bool]
    """Whether a trial is the same whatever the number of trials, so that trials can be added to a run."""
    is_sample: ClassVar[bool]
    """Whether the trials are a sample of the parameters' distributions, as an estimate needs."""

    size: int | None = None
    """The number of trials in the whole design, where its points depend on it; else None."""

    @abstractmethod
    def uniforms(self, scenario: Scenario, chance: Chance) -> Uniforms:
        """The uniform numbers of the trials of `chance`, by parameter."""

    def check(self, scenario: Scenario, trials: int) -> None:
        """Raise `InvalidInput` unless a run of a scenario with this number of trials can have the design."""
        self.check_holds(trials)

    def check_holds(self, stop: int) -> None:
        """Raise `InvalidInput` unless the design has a point for every trial before `stop`."""
        return

    def replicates(self, scenario: Scenario) -> int:
        """The number of independent replicates into which the trials fall; 1 if the trials themselves are independent.

        Trial *i* belongs to replicate *i* mod `replicates`.
        """
        return 1

    def trials_per_point(self, scenario: Scenario) -> int:
        """The number of trials of a replicate that share a base point, and carry little more information than one."""
        return 1

    def __str__(self) -> str:
        return self.name


def too_many(design: Design, trials: int, most: int) -> InvalidInput:
    """The error for a design with fewer points than requested."""
    return InvalidInput((Fault("trials", trials, f"must be at most {most} in a {design.name} design"),))
