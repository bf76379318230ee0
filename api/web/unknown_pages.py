"""What a browser gets for an address that no route has: a page that says so, instead of a problem as JSON."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from api.web.pages import unknown_page


class UnknownPages:
    """Answers a browser's request for an unknown page with 404 and a page. Paths below ``/v1`` keep their problems."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app, self.routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unless it is for a page that is not there."""
        await (unknown_page() if self._is_unknown(scope) else self.app)(scope, receive, send)

    def _is_unknown(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or f"{scope['path']}/".startswith("/v1/"):
            return False
        if "text/html" not in Headers(scope=scope).get("accept", "").lower():
            return False
        return all(route.matches(scope)[0] is Match.NONE for route in self.routes)
