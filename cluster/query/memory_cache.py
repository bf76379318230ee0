"""A cache in memory for what answers have read and computed, bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

V = TypeVar("V")


class MemoryCache(Generic[V]):
    """Values by key, with at most so many bytes in all; the least recently used are dropped first. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self._bytes = max_bytes, 0
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._computing: dict[Hashable, _Computing] = {}
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> V | None:
        """The value under a key, None if there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Store a value of so many bytes, unless it alone is larger than the cache may be."""
        if size > self.max_bytes:
            return
        with self._lock:
            self._bytes += size - self._values.pop(key, (None, 0))[1]
            self._values[key] = value, size
            while self._bytes > self.max_bytes:
                self._bytes -= self._values.popitem(last=False)[1][1]

    @contextmanager
    def computing(self, key: Hashable) -> Iterator[None]:
        """Let one thread at a time compute the value of a key; others wait, and may find it in the cache then."""
        with self._lock:
            turn = self._computing.setdefault(key, _Computing())
            turn.threads += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.threads -= 1
                if not turn.threads:
                    del self._computing[key]


class _Computing:
    """The threads that compute a value or wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
