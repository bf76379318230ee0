import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from cluster.storage.concurrent import in_order


def test_results_come_in_order_and_little_is_taken_ahead():
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for k in range(1000):
            taken += 1
            yield k

    for k, result in enumerate(in_order(lambda item: 2 * item, items(), 3)):
        assert result == 2 * k
        assert taken <= k + 3 * 4 + 1
    assert taken == 1000


def test_calls_overlap():
    both = threading.Barrier(2, timeout=60)
    assert len(list(in_order(lambda _: both.wait(), range(2), 2))) == 2


def test_calls_have_the_context_variables_of_the_caller():
    limit: ContextVar[int] = ContextVar("limit", default=0)
    limit.set(7)
    assert list(in_order(lambda _: limit.get(), range(20), 2)) == [7] * 20


def test_an_error_is_raised_in_its_turn():
    results = in_order(lambda item: 1 // (item - 2), range(100), 2)
    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
