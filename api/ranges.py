"""A scenario's parameters with what is believed of each: its range, the density over it, its source and its default."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.scenario.distributions import Distribution, Fixed
from sim.scenario.parameters import parameter
from sim.scenario.scenario import Scenario

CELLS = 48
"""Cells of equal width in which a density is given."""
_TAIL = 0.001
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def ranges_document(scenario: Scenario) -> list[dict[str, Any]]:
    """Every parameter of a scenario, in the model's order, as plain JSON values."""
    return [_entry(scenario, name, distribution) for name, distribution in scenario.base.items()]


def settings_document(given: Mapping[str, Distribution]) -> dict[str, dict[str, Any]]:
    """What a strategy or an intervention sets, by parameter: the distribution and its density, as plain JSON values."""
    return {name: {"distribution": one.document(), "density": density(one)} for name, one in given.items()}


def _entry(scenario: Scenario, name: str, distribution: Distribution) -> dict[str, Any]:
    about = parameter(name)
    default = about.default
    return {
        "name": name,
        "group": about.group,
        "decided_by": about.decided_by,
        "meaning": about.meaning,
        "unit": about.unit,
        "domain": str(about.domain),
        "default": default,
        "is_default": isinstance(distribution, Fixed) and distribution.value == default,
        "distribution": distribution.document(),
        "source": scenario.sources.get(name),
        "density": density(distribution),
        "set_by": [strategy for strategy, sets in scenario.strategies.items() if name in sets],
    }


def density(distribution: Distribution) -> dict[str, Any] | None:
    """A distribution's probability in cells of equal width, from its 0.1 % to its 99.9 % quantile; None if it is fixed.

    `shares` are the cells' probabilities, `quantiles` its values at some levels.
    """
    if isinstance(distribution, Fixed):
        return None
    low, high = (float(value) for value in distribution.quantile(np.array([_TAIL, 1.0 - _TAIL])))
    levels = distribution.quantile(np.array(_LEVELS))
    if not low < high:
        return None
    edges = np.linspace(low, high, CELLS + 1)
    # The first cell holds its lower edge too, where a discrete distribution may have a value.
    below = distribution.cdf(edges)
    below[0] = distribution.cdf(np.array([np.nextafter(low, -np.inf)]))[0]
    return {
        "low": low,
        "high": high,
        "shares": [float(share) for share in np.diff(below)],
        "quantiles": {f"{level:g}": float(value) for level, value in zip(_LEVELS, levels, strict=True)},
    }
