"""Sums of numbers in the cells of many parameters at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.statistics import cell_sums
from sim.statistics.cell_sums import sums_in_cells


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.integers(0, 60),
    st.integers(1, 5),
    st.sampled_from([np.int16, np.int64]),
    st.integers(0, 2**32 - 1),
)
def test_sums_are_those_of_each_parameter_by_itself(
    counts: list[int], trials: int, columns: int, kind: type, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cells: np.ndarray = np.stack([rng.integers(count, size=trials).astype(kind) for count in counts])
    numbers = rng.normal(size=(columns, trials))
    with pytest.MonkeyPatch.context() as patch:
        # Several blocks of trials, of which the last is not full.
        patch.setattr(cell_sums, "_BLOCK", 16)
        found = sums_in_cells(cells, np.array(counts), numbers)
    alone = [[np.bincount(own, row, count) for row in numbers] for own, count in zip(cells, counts, strict=True)]
    np.testing.assert_allclose(found, np.concatenate(alone, axis=1), rtol=1e-12, atol=1e-12)
