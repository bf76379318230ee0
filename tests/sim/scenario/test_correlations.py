"""The factor that joins the normals of correlated parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.scenario.correlations import Correlation, correlation_factor, is_correlation_matrix
from sim.scenario.distributions import Uniform

NAMES = tuple("abcdef")
MARGINS = tuple((name, Uniform(0.0, 1.0)) for name in NAMES)


def pearson(spearman: float) -> float:
    """The correlation of two normals with a rank correlation. Source: Kruskal (1958), section 6."""
    return 2.0 * np.sin(np.pi * spearman / 6.0)


@st.composite
def attainable_correlations(draw) -> tuple[Correlation, ...]:
    """All pairs of some parameters, with the rank correlations of a random normal vector."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    numbers = draw(st.lists(st.floats(-1, 1), min_size=len(names) ** 2, max_size=len(names) ** 2))
    weights = np.array(numbers).reshape(len(names), -1) + 1.5 * np.eye(len(names))
    covariance = weights @ weights.T
    scale = np.sqrt(np.diag(covariance))
    matrix = np.clip(covariance / np.outer(scale, scale), -1.0, 1.0)
    pairs = [(i, j) for i in range(len(names)) for j in range(i)]
    return tuple(
        Correlation((names[i], names[j]), float(6.0 / np.pi * np.arcsin(matrix[i, j] / 2.0))) for i, j in pairs
    )


@settings(max_examples=60)
@given(attainable_correlations())
def test_the_factor_is_lower_triangular_and_gives_the_correlations(correlations):
    names, factor = correlation_factor(correlations, MARGINS)
    assert names == tuple(name for name in NAMES if any(name in one.between for one in correlations))
    np.testing.assert_allclose(np.triu(factor, 1), 0.0, atol=1e-7)
    assert (np.diag(factor) >= 0.0).all()
    matrix = factor @ factor.T
    np.testing.assert_allclose(np.diag(matrix), 1.0, atol=1e-7)
    for one in correlations:
        i, j = (names.index(name) for name in one.between)
        assert matrix[i, j] == pytest.approx(pearson(one.spearman), abs=1e-7)


@settings(max_examples=20)
@given(attainable_correlations(), st.randoms(use_true_random=False))
def test_the_factor_does_not_depend_on_the_order_of_the_correlations(correlations, random):
    shuffled = [Correlation(one.between[::-1], one.spearman) for one in correlations]
    random.shuffle(shuffled)
    names, factor = correlation_factor(correlations, MARGINS)
    other_names, other = correlation_factor(tuple(shuffled), MARGINS)
    assert names == other_names
    np.testing.assert_allclose(other, factor, atol=1e-7)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_parameters_that_determine_each_other_have_a_singular_factor(sign):
    names, factor = correlation_factor((Correlation(("a", "b"), sign),), MARGINS)
    assert names == ("a", "b")
    np.testing.assert_allclose(factor, [[1.0, 0.0], [sign, 0.0]], atol=1e-7)


def test_without_correlations_there_is_no_factor():
    names, factor = correlation_factor((), MARGINS)
    assert names == ()
    assert factor.shape == (0, 0)


def test_a_matrix_of_impossible_correlations_is_recognised():
    matrix = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    assert not is_correlation_matrix(matrix)
    assert is_correlation_matrix(np.abs(matrix))
