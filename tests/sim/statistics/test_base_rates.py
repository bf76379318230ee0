"""Rates by class: intervals, partial pooling, durations with censoring, and the scores of the rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.statistics import base_rates
from sim.statistics.base_rates import ENDINGS, Episodes

COUNTS = st.lists(st.integers(0, 60), min_size=3, max_size=3)


def test_rates_are_shares_with_wilson_intervals():
    found = base_rates.rates([12, 6, 1])
    assert found["settled"]["estimate"] == 12 / 19
    # Counts and interval as published for specific, committed American threats before April 1995: .63 (.41 to .81).
    assert found["settled"]["low"] == pytest.approx(0.41, abs=0.005)
    assert found["settled"]["high"] == pytest.approx(0.81, abs=0.005)


@given(COUNTS, COUNTS, st.floats(0.5, 500))
def test_pooled_rates_lie_between_the_class_and_all(counts, others, weight):
    overall = np.add(counts, others)
    found = base_rates.pooled_rates(counts, overall, weight)
    assert found.sum() == pytest.approx(1.0)
    prior = (overall + 0.5) / (overall.sum() + 1.5)
    if sum(counts):
        own = np.array(counts) / sum(counts)
        assert np.all(found >= np.minimum(own, prior) - 1e-12)
        assert np.all(found <= np.maximum(own, prior) + 1e-12)
    else:
        assert found == pytest.approx(prior)


@given(COUNTS, COUNTS, st.floats(0.5, 500))
def test_pooled_estimates_are_the_pooled_rates_with_an_interval_around_them(counts, others, weight):
    overall = np.add(counts, others)
    found = base_rates.pooled_estimates(counts, overall, weight)
    rates = base_rates.pooled_rates(counts, overall, weight)
    for k, name in enumerate(ENDINGS):
        assert found[name]["estimate"] == pytest.approx(rates[k])
        assert 0.0 <= found[name]["low"] <= found[name]["high"] <= 1.0


def test_posterior_intervals_cover_the_true_rate():
    # Classes whose true rates come from a Dirichlet prior of weight 10: intervals hold 95 % of them.
    # 3,000 intervals: standard error .004; the weight is estimated from 40 classes, which costs up to a point.
    generator = np.random.default_rng(5)
    held = []
    for _ in range(25):
        truth = generator.dirichlet([5.0, 2.0, 3.0], 40)
        counts = np.array([generator.multinomial(20, rate) for rate in truth])
        weight = base_rates.prior_weight(counts)
        for own, rate in zip(counts, truth, strict=True):
            found = base_rates.pooled_estimates(own, counts.sum(axis=0), weight)
            held += [found[name]["low"] <= rate[k] <= found[name]["high"] for k, name in enumerate(ENDINGS)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.01 + 4 * 0.004)


def test_the_prior_weighs_much_where_classes_are_alike_and_little_where_they_differ():
    alike = np.array([[50, 20, 30], [51, 19, 30], [49, 21, 30]])
    apart = np.array([[100, 0, 0], [0, 100, 0], [0, 0, 100]])
    assert base_rates.prior_weight(alike) > 100.0
    assert base_rates.prior_weight(apart) < 2.0


def episodes(count: int, seed: int, difference: float) -> Episodes:
    generator = np.random.default_rng(seed)
    cell = generator.integers(0, 2, count)
    share = np.where(cell == 0, 0.4 + difference, 0.4 - difference)
    ending = np.where(generator.random(count) < share, 0, np.where(generator.random(count) < 0.5, 1, 2))
    began = np.sort(generator.uniform(0.0, 10_000.0, count))
    return Episodes(cell, ending, generator.integers(0, 15, count), began, began + generator.exponential(200.0, count))


def test_classes_score_better_than_all_together_where_they_differ():
    found = episodes(300, 3, 0.35)
    forecast = base_rates.forecasts(found, base_rates.all_but_same_target(found))
    ending, target = found.ending[forecast.scored], found.target[forecast.scored]
    gain = base_rates.brier_scores(forecast.by_class, ending) - base_rates.brier_scores(forecast.overall, ending)
    assert base_rates.clustered_mean(gain, target)["high"] < 0.0


def test_no_forecast_uses_what_it_forecasts():
    found = episodes(60, 4, 0.2)
    for known in (
        base_rates.all_but_itself(found),
        base_rates.all_but_same_target(found),
        base_rates.ended_before(found),
    ):
        assert not known.diagonal().any()
    earlier = base_rates.ended_before(found)
    assert all(found.ended[j] < found.began[i] for i, j in zip(*np.nonzero(earlier), strict=True))


def test_intervals_of_clustered_means_have_their_coverage():
    # 40 targets with a common part of standard deviation 1, 8 episodes each with their own of 1; truth 0.
    # 600 samples: standard error .009. Intervals that ignore the targets hold about two thirds.
    generator = np.random.default_rng(8)
    target = np.repeat(np.arange(40), 8)
    held, naive = 0, 0
    for _ in range(600):
        values = generator.normal(size=40)[target] + generator.normal(size=320)
        found = base_rates.clustered_mean(values, target)
        held += found["low"] <= 0.0 <= found["high"]
        alone = base_rates.clustered_mean(values)
        naive += alone["low"] <= 0.0 <= alone["high"]
    assert held / 600 == pytest.approx(0.95, abs=4 * 0.009)
    assert naive / 600 < 0.75


def test_reliability_counts_what_happened_in_each_band():
    forecast = np.array([0.1, 0.1, 0.5, 0.5, 0.5, 1.0])
    happened = np.array([False, True, True, True, False, True])
    found = base_rates.reliability(forecast, happened)
    assert [(band.count, band.happened["estimate"]) for band in found] == [(2, 0.5), (3, 2 / 3), (1, 1.0)]


def test_durations_take_account_of_censored_episodes():
    # The product-limit estimate by hand: S = 4/5 at 2, then 4/5 * 2/3 at 5, then 0 at 9.
    days, observed = np.array([2.0, 4.0, 5.0, 8.0, 9.0]), np.array([True, False, True, False, True])
    found = base_rates.durations(days, observed)
    assert (found.episodes, found.events) == (5, 3)
    assert found.quartiles["0.25"]["estimate"] == 5.0
    assert found.quartiles["0.5"]["estimate"] == 9.0
    nothing = base_rates.durations(days, np.zeros(5, bool))
    assert nothing.quartiles["0.5"]["estimate"] is None


def test_incidence_without_censoring_is_the_share_that_happened_by_then():
    days, cause = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 2, 1, 1])
    found = base_rates.incidence_by_day(days, cause, [0.5, 1.0, 3.0, 10.0], 1)
    assert [(one.count, one.of) for one in found] == [pytest.approx(pair) for pair in ((0, 4), (1, 4), (2, 4), (3, 4))]


def test_incidence_allows_for_competing_endings_and_for_censoring():
    # Exponential times: settled at rate 1/100 a day, other endings at 1/300, watched for 150 days on average.
    # Truth by day t: 3/4 (1 - exp(-t/75)). 40,000 episodes: standard error below .004.
    generator = np.random.default_rng(2)
    settled, other = generator.exponential(100.0, 40_000), generator.exponential(300.0, 40_000)
    watched = generator.exponential(150.0, 40_000)
    days = np.minimum(np.minimum(settled, other), watched)
    cause = np.where(days == settled, 1, np.where(days == other, 2, 0))
    at = [20.0, 80.0, 200.0]
    truth = [0.75 * (1.0 - np.exp(-day / 75.0)) for day in at]
    found = base_rates.incidence_by_day(days, cause, at, 1)
    assert [one.count / one.of for one in found] == pytest.approx(truth, abs=4 * 0.004)


@pytest.mark.parametrize("episodes", [30, 120])
def test_intervals_of_incidences_have_their_coverage(episodes):
    # As above, of as many episodes as the classes have, of which one in five is censored, as of those on record:
    # 1,000 samples, standard error .007. (With half of 30 censored it is .90 at day 200, where few are left.)
    generator = np.random.default_rng(11)
    at = [20.0, 80.0, 200.0]
    truth = [0.75 * (1.0 - np.exp(-day / 75.0)) for day in at]
    held = np.zeros(3)
    for _ in range(1000):
        settled, other = generator.exponential(100.0, episodes), generator.exponential(300.0, episodes)
        watched = generator.exponential(300.0, episodes)
        days = np.minimum(np.minimum(settled, other), watched)
        cause = np.where(days == settled, 1, np.where(days == other, 2, 0))
        shares = [one.share() for one in base_rates.incidence_by_day(days, cause, at, 1)]
        held += [one["low"] <= value <= one["high"] for one, value in zip(shares, truth, strict=True)]
    assert held / 1000 == pytest.approx([0.95] * 3, abs=4 * 0.007)


def test_the_variance_of_an_incidence_is_that_of_repeated_samples():
    generator = np.random.default_rng(12)
    shares, variances = [], []
    for _ in range(2000):
        settled, other = generator.exponential(100.0, 60), generator.exponential(300.0, 60)
        watched = generator.exponential(150.0, 60)
        days = np.minimum(np.minimum(settled, other), watched)
        cause = np.where(days == settled, 1, np.where(days == other, 2, 0))
        (found,) = base_rates.incidence_by_day(days, cause, [120.0], 1)
        shares.append(found.count / found.of)
        variances.append(shares[-1] * (1.0 - shares[-1]) / found.of)
    # The variance of 2,000 shares has a relative standard error of sqrt(2 / 2000) = .032.
    assert np.mean(variances) == pytest.approx(np.var(shares), rel=4 * 0.032)


def test_a_pooled_share_is_the_posterior_of_counts_and_an_uncertain_prior():
    """The mixture of the posteriors that the overall shares give which the overall counts allow."""
    found = base_rates.pooled_share(11, 17, (25, 56), 20.0)
    rng = np.random.default_rng(6)
    prior = stats.beta(25.5, 31.5).rvs(200_000, random_state=rng)
    drawn = stats.beta(11 + 20 * prior, 6 + 20 * (1 - prior)).rvs(random_state=rng)
    assert found["estimate"] == pytest.approx(11.0 / 37 + 20 / 37 * 25.5 / 57)
    assert found["estimate"] == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 200_000**0.5)
    assert found["standard_error"] == pytest.approx(drawn.std(), rel=0.02)
    assert (found["low"], found["high"]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


@pytest.mark.parametrize("weight", [0.5, 20.0, 512.0])
def test_a_pooled_rate_is_never_surer_than_the_overall_rates_allow(weight):
    """A class that differs from all by chance alone has the overall rates' error, whatever its weight."""
    counts, overall = (2, 1, 2), (57, 22, 49)
    every = base_rates.pooled_estimates(overall, overall, weight)
    found = base_rates.pooled_estimates(counts, overall, weight)
    for name, one in found.items():
        assert one["standard_error"] >= 0.95 * every[name]["standard_error"], name
    assert every["settled"]["standard_error"] == pytest.approx(stats.beta(57.5, 72.0).std(), rel=0.01)


@pytest.mark.parametrize(("count", "of"), [(0, 1), (7, 10), (10, 10)])
def test_a_share_of_a_share_is_the_product_of_independent_factors(count, of):
    """Mean and variance are exact; the interval is that of a beta distribution with both, near that of the product."""
    settled = stats.beta(8.0, 7.0)
    share = {"estimate": settled.mean(), "standard_error": settled.std(), "low": None, "high": None}
    found = base_rates.share_of_share(share, count, of)
    soon = stats.beta(count + 0.5, of - count + 0.5)
    rng = np.random.default_rng(5)
    product = settled.rvs(200_000, random_state=rng) * soon.rvs(200_000, random_state=rng)
    assert found["estimate"] == pytest.approx(product.mean(), abs=5 * product.std() / 200_000**0.5)
    assert found["standard_error"] == pytest.approx(product.std(), rel=0.02)
    assert found["low"] == pytest.approx(np.quantile(product, 0.025), abs=0.03)
    assert found["high"] == pytest.approx(np.quantile(product, 0.975), abs=0.03)
    assert base_rates.share_of_share(share, 0, 0)["estimate"] is None
