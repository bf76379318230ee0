"""Routes of the pages. A page is HTML without data: its module fetches what it shows from ``/v1``, as any client would.

So a page needs no key, is the same for everybody, and may come from another web process than its data.
"""

import re
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from api.negotiation import accepts_gzip, names_tag
from api.web.assets import STATIC, VEGA, asset_path, find_asset, imported_modules, release

PAGES = {
    "/": "start",
    "/new": "new",
    "/scenarios/{name}": "scenario",
    "/run": "run",
    "/jobs/{id}": "job",
    "/edit": "edit",
    "/compare": "compare",
    "/rates": "rates",
    "/backtests": "backtests",
    "/keys": "keys",
    "/sign-in": "sign-in",
    "/help": "help",
}
"""The template of each page by its path; its module has the template's name."""
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types default",
    )
)
"""Scripts and styles come from this service's own files alone. No text becomes code or markup: the one policy of
trusted types, in ``chart.js``, lets nothing but an empty text pass."""
SIGN_IN = "sign-in"
UNKNOWN = "unknown"
_DRAWING = ("job", "backtests")
"""Pages that draw charts as soon as they are there."""
_KEPT = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)
_PATHS = re.compile(
    "|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in (*PAGES, f"{STATIC}{{digest}}/{{name}}"))
)


def is_page(path: str) -> bool:
    """Whether a path is a page's or that of a file which pages load: these need no key."""
    return _PATHS.fullmatch(path) is not None


@cache
def _html(template: str, provider: str | None = None) -> str:
    return _render(template, provider)


def _render(template: str, provider: str | None, refused: str | None = None) -> str:
    environment = Environment(
        loader=PackageLoader("api.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{template}.html.jinja").render(
        page=template,
        asset=asset_path,
        modules=_modules(template),
        version=version("brink"),
        provider=provider,
        refused=refused,
    )


def _modules(template: str) -> tuple[str, ...]:
    """What a page's module imports, so that a browser asks for all of it at once. An unknown page has no module."""
    if template == UNKNOWN:
        return ()
    return (*imported_modules(f"{template}.js"), *((VEGA,) if template in _DRAWING else ()))


def _page(template: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        provider = request.app.state.provider_name if template == SIGN_IN else None
        return _respond(_html(template, provider))

    return page


def refused_sign_in(provider: str, reason: str, status: int) -> Response:
    """The sign-in page, with the reason why an account of the provider was not signed in."""
    return _respond(_render(SIGN_IN, provider, reason), status)


def unknown_page() -> Response:
    """The page for an address that no page has."""
    return _respond(_html(UNKNOWN), 404)


def _respond(html: str, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"}
    return Response(html, status, media_type="text/html", headers=headers)


for _path, _template in PAGES.items():
    router.add_api_route(_path, _page(_template), methods=["GET", "HEAD"], name=_template)


@router.api_route(f"{STATIC}{{digest}}/{{name}}", methods=["GET", "HEAD"])
async def asset(digest: str, name: str, request: Request) -> Response:
    """A file that pages load; compressed if the browser takes that.

    Under the digest of another release, whose page came from another web process, it is that of this one, and not kept.
    """
    found = await run_in_threadpool(find_asset, name) if name == VEGA else find_asset(name)
    if found is None:
        return Response(status_code=404)
    kept = _KEPT if digest == release() else "no-cache"
    small = accepts_gzip(request.headers.get("accept-encoding", ""))
    tag = found.compressed_tag if small else found.tag
    headers = {"ETag": tag, "Cache-Control": kept, "Vary": "Accept-Encoding"}
    if names_tag(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if small:
        return Response(found.compressed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)
