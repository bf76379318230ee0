"""The sampling designs by name."""

from sim.faults import Fault, InvalidInput
from sim.sampling.base import Design
from sim.sampling.latin_hypercube import LatinHypercube
from sim.sampling.random_points import Random
from sim.sampling.saltelli import Saltelli
from sim.sampling.sobol_points import Sobol

RANDOM, SOBOL, SALTELLI = Random(), Sobol(), Saltelli()
DESIGNS: dict[str, type[Design]] = {kind.name: kind for kind in (Random, LatinHypercube, Sobol, Saltelli)}
SAMPLES = tuple(name for name, kind in DESIGNS.items() if kind.is_sample)
"""Designs whose trials are a sample of the parameters' distributions."""
GROWING = tuple(name for name, kind in DESIGNS.items() if kind.grows)
"""Designs to which trials can be added."""


def find_design(name: object, trials: int | None = None) -> Design:
    """The design of a name; `trials` is the number of trials in the whole design, which a Latin hypercube needs.

    Raises `InvalidInput` for an unknown name.
    """
    if not isinstance(name, str) or name not in DESIGNS:
        raise InvalidInput((Fault("design", name, f"must be one of {', '.join(DESIGNS)}"),))
    kind = DESIGNS[name]
    return kind(trials) if kind is LatinHypercube else kind()
