"""What differs between two sets of trials: by hand, against SciPy, and nothing where there is nothing."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm, ttest_ind

from sim.statistics.ranked import Ranked
from sim.statistics.regional_sensitivity import (
    difference_of_means,
    distances,
    nearest,
    normal_scores,
    of_counts,
    shares_by_decile,
)
from sim.statistics.tallies import moments
from tests.support.ranks import ranked_together


def sides_ranked(*sides: dict[str, np.ndarray]) -> list[dict[str, Ranked]]:
    """Parameters on each of some sides, with codes of the same values."""
    together = {name: ranked_together(*(side[name] for side in sides)) for name in sides[0]}
    return [{name: own[k] for name, own in together.items()} for k in range(len(sides))]


def test_a_difference_of_means_is_welchs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(1.0, 2.0, 800), rng.normal(0.5, 1.0, 3000)
    found = difference_of_means([moments(a)], [moments(b)])
    welch = ttest_ind(a, b, equal_var=False)
    assert found["estimate"] == pytest.approx(a.mean() - b.mean())
    assert found["estimate"] / found["standard_error"] == pytest.approx(welch.statistic)
    interval = welch.confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), rel=0.01)
    halved = difference_of_means([moments(a)], [moments(b)], scale=2.0)
    assert halved["standard_error"] == pytest.approx(found["standard_error"] / 2.0)
    assert difference_of_means([moments(a)], [moments(b[:1])])["estimate"] is None


def test_replicates_give_the_error_where_they_can():
    rng = np.random.default_rng(2)
    level = rng.standard_normal(16)  # what a replicate's trials share, so that they are not independent
    inside = [moments(rng.standard_normal(100) + 2.0 + shift) for shift in level]
    outside = [moments(rng.standard_normal(100)) for _ in level]
    found = difference_of_means(inside, outside)
    steps = [a.mean - b.mean for a, b in zip(inside, outside, strict=True)]
    assert found["estimate"] == pytest.approx(np.mean(steps))
    assert found["standard_error"] == pytest.approx(np.std(steps, ddof=1) / 4.0)
    few = [moments(rng.standard_normal(5)) for _ in level]
    assert difference_of_means(few, outside)["standard_error"] == pytest.approx(np.sqrt(1 / 80 + 1 / 1600), rel=0.3)


def test_counts_are_moments_of_0_and_1():
    column = np.repeat([1.0, 0.0], [30, 70])
    assert of_counts(30, 100).m2 == pytest.approx(moments(column).m2)
    assert of_counts(30, 100).mean == 0.3
    assert of_counts(0, 0).count == 0


def test_distances_are_scipys_with_p_values_for_all_together():
    rng = np.random.default_rng(3)
    outside = {str(k): rng.standard_normal(2000) for k in range(10)}
    inside = {name: rng.standard_normal(400) + (0.5 if name == "0" else 0.0) for name in outside}
    found = distances(*sides_ranked(inside, outside))
    plain = ks_2samp(inside["0"], outside["0"], method="asymp")
    assert found["0"] == pytest.approx((plain.statistic, 10 * plain.pvalue))
    assert found["0"][1] < 1e-6
    assert all(0.05 < p <= 1.0 for name, (_, p) in found.items() if name != "0")


@pytest.mark.parametrize("size", [600, 3000])
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.1])
def test_p_values_of_few_and_of_many_trials_are_scipys(size, shift):
    """Those of small samples are SciPy's, and those of large ones are near them."""
    rng = np.random.default_rng(5)
    inside, outside = rng.standard_normal(size) + shift, rng.standard_normal(3 * size)
    (found,) = distances(*sides_ranked({"only": inside}, {"only": outside})).values()
    plain = ks_2samp(inside, outside, method="asymp")
    assert found[0] == pytest.approx(plain.statistic)
    if size > 1000:
        assert abs(found[1] - plain.pvalue) <= min(0.0002, 0.05 * plain.pvalue)
    else:
        assert found[1] == pytest.approx(plain.pvalue)


def test_false_alarms_are_as_rare_as_reported():
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(100):
        outside = {str(k): rng.random(500) for k in range(5)}
        inside = {name: rng.random(100) for name in outside}
        alarms += min(p for _, p in distances(*sides_ranked(inside, outside)).values()) < 0.05
    # Five are expected at most; more than fifteen have a chance below 0.0001.
    assert alarms <= 15


def test_deciles_of_the_outside():
    rng = np.random.default_rng(5)
    found = shares_by_decile(*ranked_together(np.full(10, 0.95), rng.random(10_000)))
    assert [end for end, _, _ in found] == pytest.approx(np.arange(1, 11) / 10, abs=0.02)
    assert [b for _, _, b in found] == pytest.approx([0.1] * 10, abs=1e-3)
    assert found[-1][1] == 1.0
    few = shares_by_decile(*ranked_together(np.array([1.0, 2.0, 2.0, 9.0]), np.array([1.0, 1.0, 2.0])))
    assert few == [(1.0, 0.25, pytest.approx(2 / 3)), (2.0, 0.75, pytest.approx(1 / 3))]


def test_scores_are_normal_and_the_nearest_come_first():
    rng = np.random.default_rng(6)
    column = rng.lognormal(size=20_000)
    scores = normal_scores(*ranked_together(np.exp(norm.ppf([0.1, 0.5, 0.9])), column))
    assert scores == pytest.approx(norm.ppf([0.1, 0.5, 0.9]), abs=0.05)
    assert np.isfinite(normal_scores(*ranked_together(np.array([-1e9, 1e9]), column))).all()
    points = np.array([[3.0, 0.1, 1.0, 0.0], [0.0, 0.1, 1.0, 0.0]])
    assert nearest(points, np.zeros(2), 3).tolist() == [3, 1, 2]
