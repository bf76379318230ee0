"""Distributions: inverses, truncations and tables against SciPy and against themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from sim.sampling.interpolants import interpolated_quantiles
from sim.sampling.quantile_tables import TOLERANCE, draw, quantile_table
from sim.scenario.distributions import (
    Beta,
    Discrete,
    Distribution,
    Fixed,
    LogNormal,
    LogUniform,
    Mixture,
    Normal,
    Pert,
    Quantiles,
    Triangular,
    Uniform,
    lognormal_from_percentiles,
    normal_from_percentiles,
)

U = (np.arange(4000) + 0.5) / 4000

SCIPY = [
    (Uniform(2, 5), stats.uniform(2, 3)),
    (LogUniform(0.5, 8), stats.loguniform(0.5, 8)),
    (Triangular(1, 2, 6), stats.triang(0.2, 1, 5)),
    (Triangular(1, 1, 6), stats.triang(0.0, 1, 5)),
    (Triangular(1, 6, 6), stats.triang(1.0, 1, 5)),
    (Pert(1, 2, 6), stats.beta(1.8, 4.2, 1, 5)),
    (Beta(0.5, 0.7, -1, 3), stats.beta(0.5, 0.7, -1, 4)),
    (Normal(1, 2), stats.norm(1, 2)),
    (Normal(1, 2, -0.5, 4), stats.truncnorm(-0.75, 1.5, 1, 2)),
    (Normal(0, 1, 6, np.inf), stats.truncnorm(6, np.inf)),
    (LogNormal(2, 0.5), stats.lognorm(0.5, scale=2)),
]
ALL: list[Distribution] = [
    *(ours for ours, _ in SCIPY),
    LogNormal(2, 0.5, 1, 4),
    Discrete((1, 2, 5), (0.2, 0.5, 0.3)),
    Quantiles((0, 0.1, 0.5, 1), (0, 2, 2.5, 9)),
    Mixture((Uniform(0, 1), Uniform(3, 4), Fixed(2.0)), (0.3, 0.5, 0.2)),
    Mixture((Pert(0, 1, 5), Beta(2, 8)), (0.6, 0.4)),
]


@pytest.mark.parametrize(("ours", "theirs"), SCIPY)
def test_quantile_and_cdf_are_scipys(ours, theirs):
    np.testing.assert_allclose(ours.quantile(U), theirs.ppf(U), rtol=1e-9, atol=1e-12)
    x = theirs.ppf(U)
    np.testing.assert_allclose(ours.cdf(x), theirs.cdf(x), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("ours", ALL, ids=lambda d: type(d).__name__)
def test_the_inverse_is_the_least_value_that_reaches_u(ours):
    """F(Q(u)) >= u, F just below Q(u) is <= u, and Q rises: so has an inverse distribution function."""
    x = ours.quantile(U)
    assert np.all(np.diff(x) >= 0)
    assert np.all(ours.cdf(x) >= U - 1e-9)
    assert np.all(ours.cdf(x - 1e-7 * (1 + np.abs(x))) <= U + 1e-5)
    low, high, *_ = ours.support
    assert low <= x.min()
    assert x.max() <= high


NARROW: list[Distribution] = [
    Uniform(0, 0.1),
    LogUniform(0.01, 0.1),
    Triangular(0, 0.05, 0.1),
    Pert(0, 0.05, 0.1),
    Beta(2, 3, 0, 0.1),
    Normal(0, 0.1),
    Quantiles((0, 0.5, 1), (0, 0.05, 0.1)),
    Mixture((Uniform(0, 0.1), LogNormal(1, 0.4)), (0.5, 0.5)),
]


@pytest.mark.parametrize("ours", ALL + NARROW, ids=lambda d: type(d).__name__)
def test_the_distribution_function_has_its_ends_at_the_largest_numbers(ours):
    """A mixture asks a narrow range for the probability of any number: no division overflows."""
    largest = np.finfo(np.float64).max
    assert ours.cdf(np.array([-np.inf, -largest, largest, np.inf])).tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("ours", ALL, ids=lambda d: type(d).__name__)
def test_what_is_drawn_is_the_exact_quantile_within_the_tables_tolerance(ours):
    u = np.random.default_rng(1).uniform(size=50_000)
    u[:4] = [2.0**-33, 1 - 2.0**-33, 1e-6, 1 - 1e-6]
    exact = ours.quantile(u)
    spread = np.diff(ours.quantile(np.array([0.001, 0.999])))[0]
    assert np.abs(draw(ours, u) - exact).max() <= TOLERANCE * spread + 1e-12 * np.abs(exact).max()


MIXTURES = [
    Mixture((Pert(0.9, 1.4, 2.0), Pert(2.0, 2.6, 3.7)), (0.5, 0.5)),
    Mixture((Uniform(0, 1), Pert(0.5, 1.5, 4)), (0.4, 0.6)),
    Mixture((Uniform(0, 1), Uniform(3, 4), Fixed(2.0)), (0.3, 0.5, 0.2)),
    Mixture((Fixed(1.0), Beta(2, 30)), (0.9, 0.1)),
    Mixture((LogNormal(2, 0.5), Normal(0, 1)), (0.5, 0.5)),
    Mixture((LogNormal(2, 0.5), LogNormal(1, 2, 0.1)), (0.3, 0.7)),
    Mixture((Normal(0, 1, 6, np.inf), LogUniform(0.1, 9)), (0.3, 0.7)),
    Mixture((Normal(0, 1, -np.inf, 2), Uniform(-1, 2)), (0.3, 0.7)),
    Mixture((Uniform(0, 1), Uniform(0, 1e-9)), (0.5, 0.5)),
    Mixture((Uniform(0, 1), Uniform(5, 6)), (0.9999, 0.0001)),
    Mixture(
        (Triangular(0, 1, 4), Quantiles((0, 0.1, 0.5, 1), (0, 2, 2.5, 9)), Discrete((1.0, 2.0, 5.0), (0.2, 0.5, 0.3))),
        (0.3, 0.3, 0.4),
    ),
]
BETAS = [
    Pert(0, 0.2, 1),
    Pert(0, 0, 1),
    Pert(-3, 5, 5),
    Beta(0.4, 0.3),
    Beta(0.05, 3),
    Beta(1e-3, 2),
    Beta(30, 50),
    Beta(300, 2),
    Beta(1e5, 3e5),
]
LEVELS = np.arange(10, 10_000 - 9) / 10_000


@pytest.mark.parametrize("ours", BETAS + MIXTURES, ids=lambda d: str(d.document()))
def test_interpolated_quantiles_are_the_exact_ones(ours):
    """Within 1e-9 of the range at 10,000 levels, where a probe allows 1e-10.

    Or to the rounding of the distribution function, which is flat where two parts of a mixture meet.
    """
    spread = np.diff(ours.quantile(np.array([0.001, 0.999])))[0]
    found = interpolated_quantiles(ours, LEVELS, special.ndtri(LEVELS))
    near = np.abs(found - ours.quantile(LEVELS)) <= 1e-9 * spread
    assert np.all(near | (np.abs(ours.cdf(found) - LEVELS) <= 1e-14))


@pytest.mark.parametrize("ours", BETAS + MIXTURES, ids=lambda d: str(d.document()))
def test_tables_leave_few_cells_to_the_slow_inverse(ours):
    assert np.isnan(quantile_table(ours).coefficients).any(axis=0).mean() < 0.01


@pytest.mark.parametrize(("ours", "most"), [(Pert(0, 0.2, 1), 46), (Beta(30, 50), 46), (MIXTURES[0], 91)])
def test_a_smooth_distribution_is_tabulated_from_few_exact_values(ours, most, monkeypatch):
    """32 nodes and 12 probes for each stretch, two levels for the range, and one where two stretches meet."""
    asked = []

    def counted(self: Distribution, u: np.ndarray) -> np.ndarray:
        asked.append(np.size(u))
        return exact(self, u)

    exact = type(ours).quantile
    monkeypatch.setattr(type(ours), "quantile", counted)
    interpolated_quantiles(ours, LEVELS, special.ndtri(LEVELS))
    assert sum(asked) <= most


@pytest.mark.parametrize("ours", BETAS + MIXTURES, ids=lambda d: str(d.document()))
def test_what_is_drawn_from_any_table_is_within_its_tolerance(ours):
    u = np.random.default_rng(7).uniform(size=4000)
    exact = ours.quantile(u)
    spread = np.diff(ours.quantile(np.array([0.001, 0.999])))[0]
    assert np.abs(draw(ours, u) - exact).max() <= 2 * TOLERANCE * spread


def test_a_drawn_number_does_not_depend_on_its_neighbours():
    u = np.random.default_rng(2).uniform(size=1000)
    for ours in ALL:
        together = draw(ours, u)
        assert all(draw(ours, u[k : k + 1])[0] == together[k] for k in range(0, 1000, 37))


def test_percentiles_are_met():
    for ours in (normal_from_percentiles(1, 3), lognormal_from_percentiles(1, 3)):
        np.testing.assert_allclose(ours.quantile(np.array([0.05, 0.95])), [1, 3], rtol=1e-12)


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    place=st.floats(0, 1),
    u=st.floats(1e-9, 1 - 1e-9),
    kind=st.sampled_from([Pert, Triangular]),
)
@settings(max_examples=200)
def test_three_point_distributions_stay_between_their_ends(low, width, place, u, kind):
    ours = kind(low, min(low + place * width, low + width), low + width)
    x = ours.quantile(np.array([u]))[0]
    assert low - 1e-9 * abs(low) <= x <= low + width + 1e-9 * abs(low + width)


@given(
    weights=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    ends=st.lists(st.floats(-50, 50), min_size=8, max_size=8),
    u=st.floats(0.001, 0.999),
)
@settings(max_examples=100)
def test_a_mixtures_inverse_inverts_its_distribution_function(weights, ends, u):
    parts = tuple(Uniform(min(a, b), max(a, b) + 1) for a, b in zip(ends[:4], ends[4:], strict=True))[: len(weights)]
    pooled = Mixture(parts, tuple(w / sum(weights) for w in weights))
    x = pooled.quantile(np.array([u]))
    assert pooled.cdf(x)[0] >= u - 1e-12
    assert pooled.cdf(x - 1e-6)[0] <= u + 1e-12
