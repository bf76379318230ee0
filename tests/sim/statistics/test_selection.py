"""Quantiles by counting the digits of keys: the numbers that sorting finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics.selection import (
    DIGITS,
    NO_COUNTS,
    Targets,
    add_counts,
    count_digits,
    inside,
    narrowed,
    numbers_of_keys,
    numbers_of_parts,
    numbers_of_targets,
    ordered_keys,
)

FINITE = st.floats(allow_nan=False, allow_infinity=True)


@given(st.lists(FINITE, min_size=2, max_size=50))
def test_keys_have_the_order_of_the_numbers_and_give_them_back(numbers):
    values = np.array(numbers)
    keys = ordered_keys(values)
    assert np.array_equal(values[:-1] < values[1:], keys[:-1] < keys[1:])
    assert np.array_equal(values[:-1] == values[1:], keys[:-1] == keys[1:])
    assert np.array_equal(numbers_of_keys(keys), values)


@given(
    st.lists(st.tuples(st.integers(0, 2), FINITE | st.integers(-3, 3).map(float)), min_size=1, max_size=60),
    st.integers(0, DIGITS),
    st.integers(1, 4),
)
def test_ranks_are_found_after_any_number_of_rounds_and_from_parts_in_any_grouping(numbers, rounds, parts):
    group = np.array([one for one, _ in numbers])
    value = np.array([number for _, number in numbers])
    counts = np.bincount(group, minlength=3)
    known = np.flatnonzero(counts)
    rank = np.stack([np.ones(known.size, int), (counts[known] + 1) // 2, counts[known]], axis=1)
    targets = Targets(np.repeat(known, 3), rank.ravel())
    split = np.array_split(np.arange(value.size), parts)
    for _ in range(rounds):
        counted = NO_COUNTS
        for rows in split:
            counted = add_counts(counted, count_digits(targets, group[rows], ordered_keys(value[rows])))
        targets, held = narrowed(targets, counted)
        assert held >= len(set(targets.part.tolist()))
    near = inside(targets, group, ordered_keys(value))
    found = [numbers_of_targets(targets, *near)] + ([numbers_of_parts(targets)] if rounds == DIGITS else [])
    expected = [np.sort(value[group == one])[ranks - 1] for one, ranks in zip(known, rank, strict=True)]
    for one in found:
        assert np.array_equal(one, np.concatenate(expected))
