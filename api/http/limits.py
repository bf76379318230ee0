"""Limits of the service: requests, wrong keys, concurrent answers and event streams, jobs and stored bytes."""

import asyncio
import hashlib
import ipaddress
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from weakref import WeakValueDictionary

import sqlalchemy as sa

from api.http.problems import Problem
from cluster.service.jobs import QUEUED, RUNNING, jobs
from cluster.service.maintenance import current
from cluster.service.settings import Settings

BURST_SECONDS = 2.0
"""An owner may send at once the requests that are allowed in this time."""
RETRY_SECONDS = 10
"""Seconds after which to retry if the queue, the storage or the slots for answers are full."""
MAINTENANCE_SECONDS = 60
"""Seconds after which to retry during maintenance."""
SLOT_WAIT_SECONDS = 30.0
"""A request for an answer waits at most this long for a slot."""
MAX_CLIENTS = 10_000
"""Owners, addresses and keys that a limit remembers; the one not used for longest is forgotten first."""


class TokenBuckets:
    """A token bucket for each client: `burst` tokens at most, refilled at `per_second`. For use on the event loop.

    Each web process has its own buckets, so that several processes together allow several times as much.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, max(1.0, burst), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, client: str) -> float:
        """Seconds until the client has a token; 0 if it has one now."""
        return self._wait(self._refilled(client, self._clock()))

    def take(self, client: str) -> float:
        """Take a token of the client if it has one. Returns the seconds until it has one; 0 if it had one."""
        now = self._clock()
        tokens = self._refilled(client, now)
        self._buckets.pop(client, None)
        _make_room(self._buckets)
        self._buckets[client] = (tokens - 1.0 if tokens >= 1.0 else tokens, now)
        return self._wait(tokens)

    def _refilled(self, client: str, now: float) -> float:
        tokens, since = self._buckets.get(client, (self._burst, now))
        return min(self._burst, tokens + (now - since) * self._per_second)

    def _wait(self, tokens: float) -> float:
        return 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._per_second


class RequestLimit:
    """Requests a second of each owner of keys."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._buckets = TokenBuckets(per_second, per_second * BURST_SECONDS, clock)

    def check(self, owner: str) -> None:
        """Raise a 429 `Problem` if the owner may send no request now. Counts nothing."""
        self._raise_if(self._buckets.wait(owner))

    def take(self, owner: str) -> None:
        """Count a request of an owner. Raises a 429 `Problem` that says when the next one is allowed."""
        self._raise_if(self._buckets.take(owner))

    def _raise_if(self, wait: float) -> None:
        if wait:
            raise _too_many(f"more than {self._per_second:g} requests a second", wait)


class WrongKeyLimit:
    """Wrong keys a minute from each address.

    An address that has sent too many is refused before its key is looked up, so that guesses cost no database query.
    A key that was valid in this process before is looked up all the same: others behind the same proxy or router
    must not be able to lock its holder out.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._buckets = TokenBuckets(per_minute / 60, per_minute, clock)
        self._valid: dict[bytes, str] = {}

    def check(self, address: str | None, key: str) -> None:
        """Raise a 429 `Problem` if the address has sent too many wrong keys and this key was never valid."""
        wait = self._buckets.wait(network_of(address))
        if wait and _digest(key) not in self._valid:
            raise _too_many(f"more than {self._per_minute:g} wrong keys a minute from this address", wait)

    def wrong(self, address: str | None, key: str) -> None:
        """Count a wrong key from an address."""
        self._buckets.take(network_of(address))
        self._valid.pop(_digest(key), None)

    def valid(self, key: str, owner: str) -> None:
        """Remember the digest of a key that was valid, and its owner."""
        digest = _digest(key)
        self._valid.pop(digest, None)
        _make_room(self._valid)
        self._valid[digest] = owner

    def owner(self, key: str) -> str | None:
        """The owner of a key that was valid when it was looked up last; None for any other key."""
        return self._valid.get(_digest(key))


def network_of(address: str | None) -> str:
    """What a client at an address cannot easily change: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


class AnswerSlots:
    """Limits the answers that are computed at a time, in all and for each owner; other requests wait for a slot.

    Each web process has its own slots.
    """

    def __init__(self, total: int, per_owner: int) -> None:
        self._total, self._per_owner = asyncio.Semaphore(total), per_owner
        self._owners: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """A slot to compute an answer for an owner. Raises a 503 `Problem` if none is free in `SLOT_WAIT_SECONDS`."""
        own = self._owners.setdefault(owner, asyncio.Semaphore(self._per_owner))
        try:
            async with asyncio.timeout(SLOT_WAIT_SECONDS):
                await own.acquire()
                try:
                    await self._total.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError:
            message = "the service is computing the largest number of answers allowed at a time"
            raise Problem(503, message, headers={"Retry-After": str(RETRY_SECONDS)}) from None
        try:
            yield
        finally:
            self._total.release()
            own.release()


class StreamLimit:
    """Limits the event streams that an owner has open at a time. Each web process counts its own."""

    def __init__(self, per_owner: int) -> None:
        self._per_owner = per_owner
        self._open: Counter[str] = Counter()

    @contextmanager
    def stream(self, owner: str) -> Iterator[None]:
        """Count a stream of an owner while it is open. Raises a 429 `Problem` if the owner may open no more."""
        if self._open[owner] >= self._per_owner:
            message = f"you have {self._per_owner} event streams open, the largest number allowed"
            raise Problem(429, message, headers={"Retry-After": str(RETRY_SECONDS)})
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]


def check_maintenance(database: sa.Engine) -> None:
    """Raise a 503 `Problem` while the service takes no new jobs."""
    found = current(database)
    if found is not None:
        why = f": {found.reason}" if found.reason else ""
        later = {"Retry-After": str(MAINTENANCE_SECONDS)}
        raise Problem(503, f"the service is in maintenance and takes no new jobs{why}", headers=later)


def check_room(database: sa.Engine, owner: str, settings: Settings) -> None:
    """Raise a `Problem` unless there is room for one more job: 429 if its owner has too many, 503 if all have."""
    waiting = jobs.c.state.in_((QUEUED, RUNNING))
    mine = jobs.c.owner == owner
    counted = sa.select(
        sa.func.count().filter(waiting),
        sa.func.count().filter(waiting, mine),
        sa.func.coalesce(sa.func.sum(jobs.c.bytes).filter(mine), 0),
    )
    with database.connect() as connection:
        of_all, own, stored = connection.execute(counted).one()
    later = {"Retry-After": str(RETRY_SECONDS)}
    if of_all >= settings.max_queue:
        raise Problem(503, "the queue is full", headers=later)
    if own >= settings.max_queued:
        raise Problem(429, f"you have {own} jobs that wait or run, and may have {settings.max_queued}", headers=later)
    if stored >= settings.max_stored_bytes:
        message = f"your jobs store {stored} bytes, and may store {settings.max_stored_bytes}: delete some"
        raise Problem(429, message, headers=later)


def _make_room(remembered: dict[Any, Any]) -> None:
    """Forget the entry that was not used for longest, if there are as many as may be remembered."""
    if len(remembered) >= MAX_CLIENTS:
        del remembered[next(iter(remembered))]


def _too_many(detail: str, wait: float) -> Problem:
    return Problem(429, detail, headers={"Retry-After": str(math.ceil(wait))})


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
