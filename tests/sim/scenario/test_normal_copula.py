"""Rank correlations are reached whatever the distributions, or refused with what can be reached."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from sim.faults import InvalidInput
from sim.sampling.chance import Chance
from sim.sampling.points import draw_points
from sim.scenario.distributions import Discrete, Mixture, Quantiles, Uniform
from sim.scenario.normal_copula import atoms, attainable, normal_correlation
from tests.support.examples import scenario

TRIALS = 100_000
COIN = {"discrete": {"values": [0, 1], "weights": [0.5, 0.5]}}
RARE = {"discrete": {"values": [1, 2, 5], "weights": [0.85, 0.1, 0.05]}}
FLOOR = {"quantiles": {0: 1, 0.4: 1, 0.8: 4, 1: 8}}
POOL = {"mixture": {"of": [2.0, {"uniform": [1, 8]}], "weights": [0.5, 0.5]}}
SMOOTH = {"uniform": [1, 8]}


def with_correlation(first: dict, second: dict, spearman: float):
    parameters = {"sanctioned_trade": first, "tariff_rate": second}
    return scenario(parameters=parameters, correlations=[{"between": list(parameters), "spearman": spearman}])


@pytest.mark.parametrize(
    ("first", "second"),
    [(COIN, SMOOTH), (COIN, RARE), (RARE, FLOOR), (FLOOR, SMOOTH), (POOL, COIN), (POOL, FLOOR), (SMOOTH, SMOOTH)],
)
@pytest.mark.parametrize("spearman", [0.35, -0.2])
def test_spearman_correlations_are_reached(first, second, spearman):
    """Within four standard errors of a rank correlation, which is at most 1 / sqrt(trials), 0.3 points.

    Parameters are taken to six digits, as they are stored: tabulated quantiles reach an atom within 1e-7.
    """
    points = draw_points(with_correlation(first, second, spearman), "base", Chance(5, 0, TRIALS))
    found = spearmanr(*(np.round(points[name], 6) for name in ("sanctioned_trade", "tariff_rate"))).statistic
    assert found == pytest.approx(spearman, abs=4.0 / np.sqrt(TRIALS))


def test_what_cannot_be_reached_is_refused_with_what_can():
    """Between two fair coins everything can be reached; between a coin and a uniform parameter sqrt(3) / 2."""
    coin, rare = Discrete((0.0, 1.0), (0.5, 0.5)), Discrete((0.0, 1.0), (0.9, 0.1))
    assert attainable(coin, coin) == pytest.approx((-1.0, 1.0), abs=1e-9)
    assert attainable(coin, Uniform(0.0, 1.0)) == pytest.approx((-np.sqrt(0.75), np.sqrt(0.75)), abs=1e-3)
    assert attainable(coin, rare) == pytest.approx((-1 / 3, 1 / 3), abs=1e-9)
    with pytest.raises(InvalidInput, match=r"correlations\[0\].spearman: must lie in \[-0.866, 0.866\].*found 0.9"):
        with_correlation(COIN, SMOOTH, 0.9)


def test_two_coins_have_the_correlation_of_an_orthant():
    """Sheppard (1899): the correlation of two fair coins is 2/pi arcsin r."""
    coin = Discrete((0.0, 1.0), (0.5, 0.5))
    for r in (0.1, 0.5, 0.95, -0.7):
        assert normal_correlation(coin, coin, 2.0 / np.pi * np.arcsin(r)) == pytest.approx(r, abs=2e-4)


def test_continuous_parameters_keep_pearsons_formula():
    smooth = Uniform(0.0, 1.0)
    for spearman in (-1.0, -0.3, 0.0, 0.6, 1.0):
        assert normal_correlation(smooth, smooth, spearman) == 2.0 * np.sin(np.pi * spearman / 6.0)


def test_atoms_are_found():
    assert atoms(Quantiles((0.0, 0.3, 0.7, 1.0), (1.0, 1.0, 2.0, 2.0))) == pytest.approx({1.0: 0.3, 2.0: 0.3})
    assert atoms(Mixture((Discrete((1.0, 2.0), (0.5, 0.5)), Uniform(0.0, 3.0)), (0.4, 0.6))) == {1.0: 0.2, 2.0: 0.2}
    assert atoms(Uniform(0.0, 1.0)) == {}
