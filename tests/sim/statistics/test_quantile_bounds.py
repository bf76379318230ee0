"""Bounds of quantiles come from the binomial distribution's exact quantiles."""

import numpy as np
import pytest
from scipy.stats import binom

from sim.statistics.quantile_bounds import _binomial_quantile

LEVELS = np.array([0.001, 0.01, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999])


@pytest.mark.parametrize("probability", [0.025, 0.975])
def test_quantiles_of_the_binomial_are_scipys(probability):
    """For every small number of trials, and for some up to ten thousand million."""
    large = (10.0 ** np.random.default_rng(5).uniform(2.5, 10.0, 500)).astype(np.int64)
    trials = np.concatenate([np.arange(1, 500), large])[:, None]
    found = _binomial_quantile(probability, trials, LEVELS)
    np.testing.assert_array_equal(found, binom.ppf(probability, trials, LEVELS))
