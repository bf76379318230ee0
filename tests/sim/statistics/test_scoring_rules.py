"""Scores of forecasts: values computed by hand, and properness."""

from math import inf, isclose, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sim.scenario.vocabulary import OUTCOMES
from sim.statistics.estimates import proportion
from sim.statistics.scoring_rules import (
    CLASSES,
    brier_score,
    calibration,
    class_of,
    crps_of_week,
    half_added,
    log_score,
    probability_near,
)


def test_brier_and_log_score_by_hand():
    assert brier_score([0.5, 0.3, 0.2], 1) == pytest.approx(0.25 + 0.49 + 0.04)
    assert brier_score([1.0, 0.0], 0) == 0.0
    assert brier_score([1.0, 0.0], 1) == 2.0
    assert log_score([0.5, 0.3, 0.2], 2) == pytest.approx(-log(0.2))
    assert log_score([1.0, 0.0], 1) == inf


def test_half_a_trial_is_added_to_each_category():
    assert half_added([3, 0, 1]) == pytest.approx([3.5 / 5.5, 0.5 / 5.5, 1.5 / 5.5])
    assert half_added([0, 0]) == [0.5, 0.5]


def test_crps_by_hand():
    by_week = np.array([0.0, 0.25, 0.75, 0.75])
    assert crps_of_week(by_week, 3) == pytest.approx(0.25**2 + 0.25**2 + 0.25**2)
    assert crps_of_week(by_week, 1) == pytest.approx(1 + 0.75**2 + 2 * 0.25**2)
    assert crps_of_week(by_week, None) == pytest.approx(0.25**2 + 2 * 0.75**2)


def test_crps_is_the_mean_distance_less_half_the_spread():
    """Gneiting & Raftery (2007), eq. 21: E|X - y| - E|X - X'| / 2, weeks beyond the horizon counted as one more."""
    horizon = 9
    rng = np.random.default_rng(3)
    weeks = rng.integers(1, horizon + 2, 400)
    by_week = np.array([np.mean(weeks <= w) for w in range(1, horizon + 1)])
    spread = np.mean(np.abs(weeks[:, None] - weeks[None, :])) / 2
    for happened in (1, 4, horizon, None):
        distance = np.mean(np.abs(weeks - (happened or horizon + 1)))
        assert crps_of_week(by_week, happened) == pytest.approx(distance - spread)


def test_probability_near_a_week():
    by_week = np.array([0.1, 0.3, 0.6, 0.7])
    assert probability_near(by_week, 2, 0) == pytest.approx(0.2)
    assert probability_near(by_week, 2, 1) == pytest.approx(0.6)
    assert probability_near(by_week, 1, 2) == pytest.approx(0.6)
    assert probability_near(by_week, 4, 2) == pytest.approx(0.6)
    assert probability_near(by_week, None, 2) == pytest.approx(0.3)


def test_every_outcome_has_its_class():
    assert {outcome: class_of(outcome, False) for outcome in OUTCOMES} == {
        "agreement_in_talks": "settled",
        "agreement_under_threat": "settled",
        "agreement_under_sanctions": "settled",
        "agreement_after_retreat": "backed_down",
        "sanctions_standing": "imposed",
        "retreat": "backed_down",
        "stalemate": "backed_down",
    }
    assert {class_of(outcome, True) for outcome in OUTCOMES} == {"imposed"}
    assert set(CLASSES) == {"settled", "imposed", "backed_down"}


def test_calibration_by_hand():
    rows = calibration([0.1, 0.19, 0.2, 0.95, 1.0], [False, True, True, True, True], [0, 0.2, 0.4, 1])
    assert [(row["low"], row["high"], row["forecasts"], row["happened"]) for row in rows] == [
        (0.0, 0.2, 2, 1),
        (0.2, 0.4, 1, 1),
        (0.4, 1.0, 2, 2),
    ]
    assert rows[0]["mean_forecast"] == pytest.approx(0.145)
    assert rows[0]["frequency"] == proportion(1, 2)


def distributions(size: int) -> st.SearchStrategy[np.ndarray]:
    weights = hnp.arrays(np.float64, size, elements=st.floats(0.01, 1))
    return weights.map(lambda found: found / found.sum())


@given(truth=distributions(4), forecast=distributions(4))
@settings(max_examples=200)
def test_no_forecast_of_categories_does_better_than_the_truth(truth, forecast):
    for score in (brier_score, log_score):
        expected = [sum(p * score(given, k) for k, p in enumerate(truth)) for given in (truth, forecast)]
        assert expected[0] <= expected[1] + 1e-12
        if np.abs(truth - forecast).max() > 1e-3:
            assert not isclose(expected[0], expected[1], rel_tol=1e-12)


@given(truth=distributions(7), forecast=distributions(7))
@settings(max_examples=200)
def test_no_forecast_of_a_week_does_better_than_the_truth(truth, forecast):
    """The seventh place is no event within six weeks."""
    weeks = [1, 2, 3, 4, 5, 6, None]

    def expected(given: np.ndarray) -> float:
        by_week = np.cumsum(given)[:-1]
        return sum(p * crps_of_week(by_week, week) for p, week in zip(truth, weeks, strict=True))

    assert expected(truth) <= expected(forecast) + 1e-12
