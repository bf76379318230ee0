"""Bootstrap intervals of means over a few cases, and the number of cases that a difference takes."""

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from sim.statistics.bootstrap import bootstrap_means, cases_needed


def test_intervals_agree_with_scipy():
    values = np.random.default_rng(3).exponential(size=(12, 2))
    found = bootstrap_means(values)
    for column, one in zip(values.T, found, strict=True):
        other = bootstrap((column,), np.mean, n_resamples=20_000, method="percentile", rng=5)
        assert one["estimate"] == pytest.approx(column.mean())
        error = other.standard_error
        assert one["standard_error"] == pytest.approx(error, rel=0.03)
        # A quantile of 20,000 resamples has a standard error of about 0.02 of the mean's.
        assert one["low"] == pytest.approx(other.confidence_interval.low, abs=0.1 * error)
        assert one["high"] == pytest.approx(other.confidence_interval.high, abs=0.1 * error)


def test_a_weighted_mean_weighs_each_case():
    values, weights = np.array([[1.0], [2.0], [6.0]]), np.array([1.0, 1.0, 2.0])
    (found,) = bootstrap_means(values, weights)
    assert found["estimate"] == 3.75
    (even,), (unweighted,) = bootstrap_means(values, np.full(3, 7.0)), bootstrap_means(values)
    assert even == pytest.approx(unweighted)


def test_equal_differences_are_certain_and_one_case_is_not_known():
    (same,) = bootstrap_means(np.full((4, 1), 0.25))
    assert (same["low"], same["estimate"], same["high"]) == (0.25, 0.25, 0.25)
    (one,) = bootstrap_means(np.array([[0.25]]))
    assert (one["estimate"], one["low"], one["high"]) == (0.25, None, None)
    assert bootstrap_means(np.empty((0, 1)))[0]["estimate"] is None


@pytest.mark.parametrize(("cases", "expected"), [(10, 0.90), (75, 0.943)])
def test_coverage(cases, expected):
    """For normal values the interval is nearly that of a normal distribution with the variance over n, not n - 1.

    Its coverage is then P(|t| < 1.96 sqrt((n - 1) / n)) for Student's t with n - 1 degrees of freedom.
    """
    samples = np.random.default_rng(8).normal(size=(cases, 600))
    found = bootstrap_means(samples)
    held = np.mean([one["low"] <= 0.0 <= one["high"] for one in found])
    # Three standard errors of 600 samples.
    assert held == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 600))


def test_the_number_of_cases_gives_the_power():
    differences = np.random.default_rng(2).normal(0.0, 0.31, size=40)
    needed = cases_needed(differences, 0.1)
    samples = np.random.default_rng(4).normal(0.1, differences.std(ddof=1), size=(4000, needed))
    seen = np.mean(ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05)
    # Student's test has about one point less power than the formula's normal one; three standard errors are .019.
    assert seen == pytest.approx(0.79, abs=0.02)
    assert cases_needed(differences[:1], 0.1) is None
