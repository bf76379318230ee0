"""Reading many files of a folder at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

AT_ONCE = 8
"""Files read at a time."""
_WAITING = 4
"""Calls that wait for each thread, so that none runs out of work."""

T = TypeVar("T")
R = TypeVar("R")


def in_order(function: Callable[[T], R], items: Iterable[T], at_once: int = AT_ONCE) -> Iterator[R]:
    """Call a function with each of some items in threads, and yield what it returns in the order of the items.

    Each call has the caller's context variables, such as a limit of time. Takes at most a few items for each thread
    more than were yielded, however many there are. An error of the function is raised in its turn; what has not begun
    by then is not called. With `at_once` 1 the caller's thread makes the calls.
    """
    if at_once == 1:
        yield from map(function, items)
        return
    calls: deque[Future[R]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                calls.append(pool.submit(copy_context().run, function, item))
                if len(calls) > _WAITING * at_once:
                    yield calls.popleft().result()
            while calls:
                yield calls.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
