"""Differences of independent estimates: their intervals hold the truth as often as they say."""

import numpy as np
import pytest

from sim.statistics.estimates import UNKNOWN, mean, proportion
from sim.statistics.independent_differences import difference_of_independent
from sim.statistics.tallies import moments

SAMPLES = 4000
"""At a coverage of 95 % the share of samples has a standard error of 0.34 points."""


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.4), (0.02, 0.001), (0.003, 0.003)])
def test_the_interval_of_two_probabilities_holds_their_difference(p, q):
    rng = np.random.default_rng(5)
    hits = 0
    for a, b in zip(rng.binomial(1000, p, SAMPLES), rng.binomial(1500, q, SAMPLES), strict=True):
        found = difference_of_independent(proportion(int(a), 1000), proportion(int(b), 1500))
        hits += found["low"] <= p - q <= found["high"]
    assert hits / SAMPLES > 0.935


def test_the_interval_of_two_means_holds_their_difference():
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(SAMPLES):
        one, other = mean(moments(rng.normal(3, 1, 50))), mean(moments(rng.normal(2.5, 2, 80)))
        found = difference_of_independent(one, other)
        assert found["standard_error"] == pytest.approx(np.hypot(one["standard_error"], other["standard_error"]))
        hits += found["low"] <= 0.5 <= found["high"]
    assert 0.94 < hits / SAMPLES < 0.97


def test_what_is_not_known_of_either_is_not_known_of_the_difference():
    known = proportion(3, 10)
    assert difference_of_independent(known, UNKNOWN) == UNKNOWN
    alone = {"estimate": 1.0, "standard_error": None, "low": None, "high": 2.0}
    found = difference_of_independent(known, alone)
    assert found["standard_error"] is None
    assert found["low"] is not None
    assert found["high"] is None
