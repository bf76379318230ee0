"""Grouped moments are those of each group by itself, however the numbers are cut into blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.statistics.grouped_moments import grouped_counts, grouped_moments, no_groups
from sim.statistics.tallies import NO_NUMBERS, moments

NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.integers(0, 5)), max_size=60), st.integers(0, 60))
def test_the_moments_of_each_group_are_those_of_its_numbers(rows, cut):
    numbers = np.array([row[0] for row in rows], np.float64)
    group = np.array([row[1] for row in rows], np.int64)
    found = no_groups(2, 3)
    for part in (slice(None, cut), slice(cut, None)):
        found = found.merged(grouped_moments(numbers[part], group[part], 2, 3))
    for k, one in enumerate(found.each()):
        own = numbers[(group == k) & np.isfinite(numbers)]
        expected = moments(own) if own.size else NO_NUMBERS
        assert one.count == expected.count
        assert (one.least, one.greatest) == (expected.least, expected.greatest)
        assert one.mean == pytest.approx(expected.mean, rel=1e-9, abs=1e-6)
        assert one.m2 == pytest.approx(expected.m2, rel=1e-6, abs=1e-3)


def test_counts_have_the_moments_of_zeros_and_ones():
    hits, known = np.array([[3, 0], [4, 0]]), np.array([[10, 5], [4, 0]])
    for one, (h, n) in zip(grouped_counts(hits, known).each(), ((3, 10), (0, 5), (4, 4), (0, 0)), strict=True):
        own = moments(np.r_[np.ones(h), np.zeros(n - h)])
        assert (one.count, one.mean, one.least, one.greatest) == (own.count, own.mean, own.least, own.greatest)
        assert one.m2 == pytest.approx(own.m2)
