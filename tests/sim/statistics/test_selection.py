"""Quantiles by counting the digits of keys: the numbers that sorting finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics.selection import (
    DIGITS,
    NO_COUNTS,
    NO_WEIGHTS,
    Targets,
    add_counts,
    count_digits,
    inside,
    narrowed,
    numbers_of_keys,
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


def numbers_after(rounds, targets, group, value, weight, nothing, split):
    """The numbers of the wanted ranks, after some rounds in which parts of the numbers are counted."""
    found, left = np.empty(targets.part.size), np.arange(targets.part.size)
    for _ in range(rounds):
        counted = nothing
        for rows in split:
            own = None if weight is None else weight[rows]
            counted = add_counts(counted, count_digits(targets, group[rows], ordered_keys(value[rows]), own))
        step = narrowed(targets, counted)
        found[left[step.known]] = step.numbers
        left, targets = left[~step.known], step.targets
        assert step.held >= len(set(targets.part.tolist()))
        if not left.size:
            return found
    assert rounds < DIGITS
    found[left] = numbers_of_targets(targets, *inside(targets, group, ordered_keys(value), weight))
    return found


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
    expected = [np.sort(value[group == one])[ranks - 1] for one, ranks in zip(known, rank, strict=True)]
    found = numbers_after(rounds, targets, group, value, None, NO_COUNTS, split)
    assert np.array_equal(found, np.concatenate(expected))


@given(
    st.lists(
        st.tuples(st.integers(0, 2), FINITE | st.integers(-3, 3).map(float), st.integers(1, 9)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, DIGITS),
    st.integers(1, 4),
    st.floats(0.01, 1.0),
)
def test_weighted_ranks_are_where_the_cumulated_weights_reach_them(numbers, rounds, parts, level):
    group, value, weight = (np.array(column) for column in zip(*numbers, strict=True))
    weight = weight / 8.0
    known = np.unique(group)
    rank = np.array([level * weight[group == one].sum() for one in known])
    split = np.array_split(np.arange(value.size), parts)
    expected = []
    for one, wanted in zip(known, rank, strict=True):
        order = np.argsort(value[group == one], kind="stable")
        up_to = np.cumsum(weight[group == one][order])
        expected.append(value[group == one][order][np.searchsorted(up_to, wanted)])
    found = numbers_after(rounds, Targets(known, rank), group, value, weight, NO_WEIGHTS, split)
    assert np.array_equal(found, expected)
