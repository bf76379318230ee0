"""The errors of the designs compared: how many trials of a random design one trial of another is worth."""

import numpy as np

from sim.model.kernel import play, simulate
from sim.sampling.chance import Chance
from sim.sampling.designs import SAMPLES, find_design
from sim.sampling.points import draw_points
from sim.scenario.scenario import Scenario
from sim.scenario.vocabulary import EVENTS
from sim.statistics.tallies import Tally, tally

SIZES = (1024, 4096)
SEEDS = 80
"""With more seeds and trials the intervals are narrower, but these already take most of a minute."""
WORLDS = 40_000
STRATEGY = "threaten-and-decide-then"
MEASURES = ("agreement", "sanctions", "agreement_week", "target_cost", "export_gain", "balance_change")


def report(scenario: Scenario) -> list[str]:
    """Lines of a table: the standard error of each measure by design, and the trials of random that one is worth.

    A standard error is that of `SEEDS` seeds around their mean. The ratio of variances, which is that of the numbers of
    trials needed at equal error, has a 95 % interval: the logarithm of a ratio of two variances, each from n seeds, has
    a variance of about 4/(n - 1).
    """
    lines = [f"{'':16} {'trials':>7} {'random':>10} {'one of latin_hypercube':>24} {'one of sobol':>20} {'at most':>8}"]
    bounds = _at_most(scenario)
    for size in SIZES:
        found = {name: _estimates(scenario, name, size) for name in SAMPLES}
        for name in MEASURES:
            variance = {one: float(np.var(found[one][name], ddof=1)) for one in SAMPLES}
            worth = [_worth(variance["random"], variance[one]) for one in SAMPLES[1:]]
            lines.append(
                f"{name:16} {size:>7,} {np.sqrt(variance['random']):>10.5f} {worth[0]:>24} {worth[1]:>20} "
                f"{bounds[name]:>8.2f}"
            )
    return lines


def _estimates(scenario: Scenario, name: str, size: int) -> dict[str, np.ndarray]:
    """The estimates of every measure by each seed."""
    found = [
        _values(tally(simulate(scenario, STRATEGY, Chance(seed, 0, size), find_design(name, size))))
        for seed in range(SEEDS)
    ]
    return {name: np.array([one[name] for one in found]) for name in MEASURES}


def _values(counted: Tally) -> dict[str, float]:
    return {
        name: counted.events[name] / counted.trials if name in EVENTS else counted.measures[name].mean
        for name in MEASURES
    }


def _worth(ours: float, theirs: float) -> str:
    ratio = ours / theirs
    spread = np.exp(1.96 * np.sqrt(4.0 / (SEEDS - 1)))
    return f"{ratio:.2f} ({ratio / spread:.2f} to {ratio * spread:.2f})"


def _at_most(scenario: Scenario) -> dict[str, float]:
    """The upper bound of a design's worth, for points without any error: a trial's variance over that of chance alone.

    Two trials with the same parameters and independent chance differ by chance alone: half their mean squared
    difference is its variance.
    """
    points = draw_points(scenario, STRATEGY, Chance(1, 0, WORLDS))
    tables = [play(scenario, points, Chance(1, first, WORLDS)) for first in (0, WORLDS)]
    bounds = {}
    for name in MEASURES:
        pair = [_column(table, name) for table in tables]
        # The mean over the trials in which a measure is known varies as if the other trials had that mean.
        one, other = (np.where(np.isnan(column), np.nanmean(pair), column) for column in pair)
        bounds[name] = float(np.var([one, other]) / np.mean(np.square(one - other) / 2))
    return bounds


def _column(table: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name in EVENTS:
        return (table[f"{name}_week"] > 0).astype(float)
    column = table[name].astype(float)
    return np.where(column < 0, np.nan, column) if name.endswith("_week") else column
