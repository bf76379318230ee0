"""Waiting for a state, not for a time: the bound only ends a test that hangs."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
HANG_SECONDS = 600.0
"""After this a state is taken never to come. No state takes so long to come, however busy the machine is."""
POLL_SECONDS = 0.05


def wait_until(condition: Callable[[], Found], ignoring: type[Exception] | tuple[type[Exception], ...] = ()) -> Found:
    """Call the condition until it returns something true, and return that. Raises `TimeoutError` for a hang.

    Exceptions of the types in `ignoring` count as "not yet".
    """
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        try:
            found = condition()
        except ignoring:
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"no true result after {HANG_SECONDS:g} seconds; the last one was {found!r}")
        time.sleep(POLL_SECONDS)
