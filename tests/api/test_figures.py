"""Estimates as text: no digit that the interval does not support, and no 0 or 100 % that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.figures import amount, of_the_trials, percentage_points, rounded_up, share, share_with_error, signed


def estimate(value: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "value", "high", "text"),
    [
        (0.0, 0.0, 0.00038, "under 0.04 %"),
        (0.0, 0.0, 0.000999, "under 0.1 %"),
        (0.9996, 1.0, 1.0, "over 99.96 %"),
        (0.00001, 0.00004, 0.0001, "0.004 %"),
        (0.9999, 0.99998, 1.0, "99.998 %"),
        (0.373, 0.375, 0.377, "37.5 %"),
        (0.36, 0.375, 0.39, "38 %"),
    ],
)
def test_a_share_has_the_digits_that_its_interval_supports(low, value, high, text):
    assert share(estimate(value, low, high)) == text


@given(st.integers(1, 10**6), st.data())
def test_only_a_share_of_none_or_all_is_shown_as_0_or_100(trials, data):
    hits = data.draw(st.integers(0, trials))
    value, half = hits / trials, 1.0 / trials
    found = estimate(value, max(0.0, value - half), min(1.0, value + half))
    for text in (share(found), share_with_error(found)):
        number = float(text.split("%")[0].removeprefix("under").removeprefix("over"))
        # Six decimals are shown at most.
        if 1e-8 < value < 1.0 - 1e-8:
            assert 0.0 < number < 100.0
    assert (of_the_trials(found) == "none of the trials") == (hits == 0)


@pytest.mark.parametrize(
    ("low", "value", "high", "text"),
    [
        (6.88, 7.0, 7.12, "7.0 ±0.1"),
        (0.0462, 0.0493, 0.0524, "0.049 ±0.003"),
        (-40.0, 10.0, 60.0, "10 ±50"),
        (6.9001, 7.0, 7.0999, "7.0 ±0.1"),
    ],
)
def test_amounts_have_the_digits_that_their_interval_supports(low, value, high, text):
    assert amount(estimate(value, low, high)) == text


def test_differences_have_a_sign_and_probabilities_differ_by_percentage_points():
    assert percentage_points(estimate(-0.003, -0.005, -0.001)) == "-0.3 percentage points ±0.2"
    assert signed(estimate(0.0004, 0.0001, 0.0007), 1.0, 2) == "+0.0004±0.0003"
    assert signed(estimate(-0.01, -0.03, 0.01), 100.0, 1, space=" ") == "~-1.0 ±2.0"


@given(st.floats(1e-6, 1e6))
def test_a_bound_is_never_rounded_down(value):
    assert value * (1.0 - 1e-8) <= float(rounded_up(value)) <= max(10.0 * value, value + 1.0)
