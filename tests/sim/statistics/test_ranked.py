"""Numbers by their rank: order, counts and quantiles are those of the numbers, of a part of them too."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics.ranked import rank

NUMBERS = st.lists(st.floats(-(2.0**99), 2.0**99, width=32) | st.integers(-3, 3).map(float), min_size=1, max_size=60)


@given(NUMBERS, st.data())
def test_a_part_of_ranked_numbers_has_its_own_counts_and_quantiles(numbers, data):
    x = np.array(numbers)
    rows = np.array(data.draw(st.lists(st.sampled_from(range(x.size)), min_size=1, unique=True).map(sorted)))
    mask = np.isin(np.arange(x.size), rows)
    for part in (rank(x).take(rows), rank(x).take(mask)):
        np.testing.assert_array_equal(part.numbers, x[rows])
        assert part.distinct == np.unique(x[rows]).size
        ranks = np.arange(rows.size)
        np.testing.assert_array_equal(part.values[part.codes_at(ranks)], np.sort(x[rows]))
        levels = [0.0, 0.05, 0.1, 0.25, 0.5, 0.9, 0.95, 1.0]
        np.testing.assert_array_equal(part.quantiles(levels), np.quantile(x[rows], levels, method="inverted_cdf"))
