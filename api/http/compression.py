"""Answers compressed by gzip for clients that take it: the tables and charts of a result shrink to a tenth."""

import gzip
import re

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.negotiation import accepts_gzip

LEAST_BYTES = 1000
"""A smaller answer fits a packet as it is."""
LEVEL = 1
"""Higher levels take five times as long, for a tenth less."""
IN_THREAD_BYTES = 1 << 16
"""A larger answer is compressed in a thread, so that others do not wait for it."""
MEDIA_TYPES = ("application/json", "application/vnd.vegalite.v6+json", "text/csv", "image/svg+xml", "text/html")
"""What is compressed. Event streams are not: they would be held back. Files of results have tags and ranges."""
SECRETS = re.compile(r"/v1/(keys|session)(/|$)")
"""Answers that hold a secret beside what the request says are not compressed: their size would disclose the secret to
who can choose the request and see the size (BREACH, Gluck, Harris & Prado 2013)."""


class Compression:
    """Compresses answers that are sent in one piece, of `MEDIA_TYPES`, without a tag or a range."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back compressed."""
        if scope["type"] != "http" or SECRETS.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        accepts = accepts_gzip(Headers(scope=scope).get("accept-encoding", ""))
        held: Message | None = None

        async def compressed(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_compressible(Headers(raw=message["headers"])):
                # Until its body is known; that of any other answer, such as an event stream, passes at once.
                held = message
                return
            if held is not None:
                first, held = held, None
                headers = MutableHeaders(scope=first)
                headers.add_vary_header("Accept-Encoding")
                body = message.get("body", b"")
                if accepts and not message.get("more_body", False) and len(body) >= LEAST_BYTES:
                    body = await _compress(body)
                    headers["Content-Encoding"] = "gzip"
                    headers["Content-Length"] = str(len(body))
                    message = {**message, "body": body}
                await send(first)
            await send(message)

        await self.app(scope, receive, compressed)


def _is_compressible(headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type in MEDIA_TYPES and not any(
        name in headers for name in ("content-encoding", "content-range", "etag")
    )


async def _compress(body: bytes) -> bytes:
    if len(body) < IN_THREAD_BYTES:
        return gzip.compress(body, LEVEL, mtime=0)
    return await anyio.to_thread.run_sync(lambda: gzip.compress(body, LEVEL, mtime=0))
