"""The connection to a service: address, key and proxy, and how a request is sent again after a transient failure."""

import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from brink.errors import BrinkError, error_of
from brink.flows import Flow, Request
from brink.proxies import proxy_for

DEFAULT_URL = "http://127.0.0.1:8000"
KEY_VARIABLE = "BRINK_KEY"
PATIENCE_SECONDS = 60.0
"""A request that fails for a transient reason is repeated for this long."""
BUSY = (429, 502, 503, 504)
"""Statuses after which a request is sent again."""
_LONGEST_PAUSE = 10.0
_TIMEOUT = httpx.Timeout(30.0, read=300.0)


class Connection:
    """What both clients share: where the service is, and requests that are repeated while it is away or busy."""

    def __init__(self, url: str, key: str | None, patience: float) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        try:
            self._proxy = proxy_for(self.url)
        except httpx.InvalidURL as error:
            raise BrinkError(f"{self.url} is not a valid address: {error}") from None
        key = os.environ.get(KEY_VARIABLE) if key is None else key
        self._settings: dict[str, Any] = {
            "base_url": self.url,
            "timeout": _TIMEOUT,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _send(self, request: Request) -> Flow[httpx.Response]:
        """Send a request, and again with growing pauses while the service is away or busy. Raises `BrinkError`."""
        waited, attempt = 0.0, 0
        variable = self._proxy.variable if self._proxy else None
        while True:
            response: httpx.Response | None = None
            failure = ""
            try:
                response = yield request
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise BrinkError(f"requests cannot be sent to {self.url}: {error}") from None
            except httpx.TransportError as error:
                failure = self._no_answer(error)
            if response is not None and response.status_code not in BUSY:
                if response.is_success:
                    return response
                raise error_of(response, repeated=attempt > 0, proxy=variable)
            pause = pause_before(attempt, response)
            if waited + pause > self.patience:
                raise error_of(response, proxy=variable) if response is not None else BrinkError(failure)
            yield pause
            waited, attempt = waited + pause, attempt + 1

    def _no_answer(self, error: httpx.TransportError) -> str:
        through = f" through the proxy of {self._proxy.variable}" if self._proxy else ""
        return f"{self.url} does not respond{through}: {error or type(error).__name__}"

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Flow[Any]:
        """Send a request, and return the document of the response."""
        response = yield from self._send(Request(method, path, params, body, headers=dict(headers or {})))
        try:
            return response.json()
        except ValueError:
            raise self._unexpected(path, response.headers.get("Content-Type")) from None

    def _object(self, method: str, path: str, **parts: Any) -> Flow[dict[str, Any]]:
        """The same for a document that is an object."""
        found = yield from self._json(method, path, **parts)
        if not isinstance(found, dict):
            raise self._unexpected(path, "no object")
        return found

    def _list(self, method: str, path: str, **parts: Any) -> Flow[list[dict[str, Any]]]:
        """The same for a document that is a list."""
        found = yield from self._json(method, path, **parts)
        if not isinstance(found, list):
            raise self._unexpected(path, "no list")
        return found

    def _unexpected(self, path: str, found: str | None) -> BrinkError:
        return BrinkError(f"{self.url}{path} is not answered as by a Brink service (found {found})")


def pause_before(attempt: int, response: httpx.Response | None) -> float:
    """Seconds until the next attempt: what `Retry-After` says, else up to twice as long each time, at random."""
    after = None if response is None else response.headers.get("Retry-After")
    if after and after.isdecimal():
        return float(after)
    if after:
        try:
            return max(0.0, (parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            pass
    return min(_LONGEST_PAUSE, 0.25 * 2.0**attempt) * random.uniform(0.5, 1.0)
