"""Checks of every request's host and path, and security headers of every response."""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem, problem_response

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
PROBES = ("/healthz", "/readyz")
"""Paths that load balancers request under the machine's address."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Headers of every response that does not set them itself: no scripts, frames, content sniffing or caching."""


class AnswerHeaders:
    """Gives every answer the headers that it does not have yet."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with the headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    found.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class HostCheck:
    """Refuses requests that name a host which is not this service's, so that no page can reach it by DNS rebinding.

    A service without keys also refuses what did not arrive on loopback, however it was started.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], loopback_only: bool) -> None:
        self.app, self.hosts, self.loopback_only = app, {host.lower() for host in hosts}, loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if it names one of the hosts."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await problem_response(problem)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        address = (scope.get("server") or (None,))[0]
        if self.loopback_only and address is not None and not is_loopback(address) and not address.startswith("/"):
            return Problem(403, "this service has no keys and accepts requests on loopback only")
        if scope["path"] in PROBES or "*" in self.hosts:
            return None
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(named) == 1 and host_name(named[0]) in self.hosts:
            return None
        return Problem(421, "the request names a host that is not this service's; BRINK_ALLOWED_HOSTS lists them")


class PathCheck:
    """Refuses paths with the character NUL: nothing has such a name, and PostgreSQL stores no text with it.

    It comes before the audit log, which is in the same database.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if its path can name something."""
        if scope["type"] == "http" and "\0" in scope["path"]:
            problem = Problem(404, "the path holds the character NUL, which no name has")
            await problem_response(problem)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def host_name(header: str) -> str:
    """The host that a ``Host`` header names, without its port."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which no other can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
