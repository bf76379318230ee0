"""What one user may ask of the service: requests a second, answers at a time, jobs that wait, bytes stored."""

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

import sqlalchemy as sa

from api.http.problems import Problem
from cluster.service.jobs import QUEUED, RUNNING, jobs
from cluster.service.settings import Settings

BURST_SECONDS = 2.0
"""A user may ask at once for what is allowed in so many seconds."""
RETRY_SECONDS = 10
"""When to ask again for room in the queue or the store."""
PLACE_SECONDS = 30.0
"""A question waits so long for others to be answered."""
_MOST_OWNERS = 10_000


class Rate:
    """A token bucket for each owner. Each web process has its own: with several, each allows as much."""

    def __init__(self, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second, self._clock = a_second, clock
        self._most = max(1.0, a_second * BURST_SECONDS)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, owner: str) -> None:
        """Count a request of an owner. Raises a 429 `Problem` that says when there is room for it."""
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.get(owner, (self._most, now))
            tokens = min(self._most, tokens + (now - since) * self._a_second)
            if len(self._buckets) >= _MOST_OWNERS:
                self._buckets.clear()
            self._buckets[owner] = (max(tokens - 1.0, 0.0) if tokens >= 1.0 else tokens, now)
        if tokens < 1.0:
            wait = {"Retry-After": str(math.ceil((1.0 - tokens) / self._a_second))}
            raise Problem(429, f"more than {self._a_second:g} requests a second", headers=wait)


class Places:
    """So many answers are worked out at a time, and so many of them for one owner; others wait a while.

    Each web process has its own.
    """

    def __init__(self, most: int, an_owners: int) -> None:
        self._all, self._an_owners = asyncio.Semaphore(most), an_owners
        self._owners: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, owner: str) -> AsyncIterator[None]:
        """A place for an answer to an owner. Raises a 503 `Problem` if none is free in `PLACE_SECONDS`."""
        own = self._owners.setdefault(owner, asyncio.Semaphore(self._an_owners))
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await own.acquire()
                try:
                    await self._all.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError:
            message = "as many answers are being worked out as the service has room for"
            raise Problem(503, message, headers={"Retry-After": str(RETRY_SECONDS)}) from None
        try:
            yield
        finally:
            self._all.release()
            own.release()


class Streams:
    """So many event streams of one owner may be open at a time. Each web process has its own."""

    def __init__(self, an_owners: int) -> None:
        self._an_owners = an_owners
        self._open: Counter[str] = Counter()

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """Room for a stream of an owner. Raises a 429 `Problem` if they have as many open as they may."""
        if self._open[owner] >= self._an_owners:
            message = f"you have {self._an_owners} event streams open, and may have no more"
            raise Problem(429, message, headers={"Retry-After": str(RETRY_SECONDS)})
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]


def check_room(database: sa.Engine, owner: str, settings: Settings) -> None:
    """Raise a `Problem` unless there is room for one more job: 429 if its owner, 503 if everybody has too many."""
    waiting = jobs.c.state.in_((QUEUED, RUNNING))
    mine = jobs.c.owner == owner
    counted = sa.select(
        sa.func.count().filter(waiting),
        sa.func.count().filter(waiting, mine),
        sa.func.coalesce(sa.func.sum(jobs.c.bytes).filter(mine), 0),
    )
    with database.connect() as connection:
        everybodys, own, stored = connection.execute(counted).one()
    later = {"Retry-After": str(RETRY_SECONDS)}
    if everybodys >= settings.max_queue:
        raise Problem(503, "the queue is full", headers=later)
    if own >= settings.max_queued:
        raise Problem(429, f"you have {own} jobs that wait or run, and may have {settings.max_queued}", headers=later)
    if stored >= settings.max_stored_bytes:
        message = f"your jobs store {stored} bytes, and may store {settings.max_stored_bytes}: delete some"
        raise Problem(429, message, headers=later)
