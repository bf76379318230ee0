"""Results that strategies share: computed once where the parameters that were read agree, and only there."""

import numpy as np
import pytest

from sim.model.sharing import Shared
from sim.sampling.points import Points


def points(**values: object) -> Points:
    return Points(values)


def test_a_result_is_computed_again_only_where_a_value_that_was_read_differs():
    calls = []

    def lay_out(own: Points, weeks: int) -> object:
        calls.append(own["patience"])
        return own["patience"] * weeks if own["restraint"] == 0.5 else object()

    draws = np.linspace(0.0, 1.0, 5)
    shared = Shared()
    first = shared.result(lay_out, points(patience=draws, restraint=0.5, tariff_rate=1.0), 3)
    assert np.array_equal(first, 3 * draws)
    # A parameter that nobody read may differ, and an equal number is the same value.
    assert shared.result(lay_out, points(patience=draws, restraint=1 / 2, tariff_rate=0.2), 3) is first
    assert len(calls) == 1
    # Another array is another value, whatever it holds: whether arrays are equal is not looked at.
    for other in (
        (points(patience=draws.copy(), restraint=0.5), 3),
        (points(patience=draws, restraint=0.4), 3),
        (points(patience=draws, restraint=0.5), 4.0),
    ):
        assert shared.result(lay_out, *other) is not first
    assert len(calls) == 4
    assert shared.result(lay_out, points(patience=draws, restraint=0.5), 3) is first


def test_another_function_of_the_same_points_is_another_result():
    shared, own = Shared(), points(patience=0.25)
    assert shared.result(lambda one: one["patience"], own) == 0.25
    assert shared.result(lambda one: -one["patience"], own) == -0.25


def test_a_parameter_that_is_missing_is_an_error_as_without_sharing():
    with pytest.raises(KeyError, match="no_such_parameter"):
        Shared().result(lambda one: one["no_such_parameter"], points(patience=0.25))
