"""Bins of numbers, and counts that add up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics.bins import BINS, RELATIVE_WIDTH, SMALLEST, at_ranks, bin_edges, bins_of

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(st.lists(NUMBERS, min_size=1, max_size=50))
def test_a_number_lies_in_its_bin_whose_width_is_bounded(numbers):
    values = np.array(numbers, np.float32)
    bins = bins_of(values)
    low, high = bin_edges(bins)
    assert ((bins >= 0) & (bins < BINS)).all()
    small = np.abs(values) < SMALLEST
    assert not low[small].any()
    assert not high[small].any()
    exact = values.astype(np.float64)[~small]
    low, high = low[~small], high[~small]
    assert ((low <= exact) & (exact <= high)).all()
    assert (high - low <= RELATIVE_WIDTH * np.abs(exact)).all()


@given(NUMBERS, NUMBERS)
def test_bins_are_in_the_order_of_their_numbers(one, other):
    first, second = bins_of(np.array(sorted((one, other)), np.float32))
    assert first <= second


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=50), st.data())
def test_numbers_at_ranks_are_those_of_all_in_order(numbers, data):
    ranks = np.array(data.draw(st.lists(st.integers(1, len(numbers)), max_size=5)), np.int64)
    values = np.array(numbers, np.float32)
    assert np.array_equal(at_ranks(values, ranks), np.sort(values)[ranks - 1].astype(np.float64))
