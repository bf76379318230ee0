"""Who calls: the owner and scopes of the key that a request carries.

`Authentication` checks the key before anything else of a request is read: a request without a valid key costs one
refusal, for any path, query and body. A browser may send the cookie of a session instead of a key; a request that
changes anything must then come from a page of this service. Routes get the caller by `Reader`, `Submitter` or `Admin`;
routes about a job find the job through `api.http.routes.common`, where the jobs of other owners do not exist.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import anyio
import sqlalchemy as sa
from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.limits import RequestLimit, WrongKeyLimit
from api.http.problems import DATABASE_FAILURES, Problem, database_problem, problem_response
from api.web.pages import is_page
from cluster.service import keys
from cluster.service.jobs import LOCAL
from cluster.service.keys import ADMIN, READ, SCOPES, SUBMIT
from cluster.service.sessions import SESSION_SECONDS, find_session
from cluster.service.settings import Settings

WITHOUT_KEY = ("/healthz", "/readyz", "/openapi.json")
"""Paths that are answered without a key. None of them reads a body."""
SIGN_IN = ("/sign-in/start", "/sign-in/callback")
"""Paths of the sign-in with a provider, which are there if one is set; they need no key and read no body."""
KEY_LOOKUPS = 4
"""Keys that are looked up in the database at a time; further requests wait. Routes have threads of their own."""
COOKIE, SECURE_COOKIE = "brink_session", "__Host-brink_session"
"""The cookie of a session; the second over HTTPS, where the browser makes sure that this very host has set it."""
_REALM = 'Bearer realm="brink"'
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    bearerFormat="brink_<id>_<secret>",
    description="A key that `brink keys create` printed. A service on loopback may ask for none.",
)


@dataclass(frozen=True)
class Caller:
    """The owner of the request's key, and what the key allows."""

    owner: str
    scopes: tuple[str, ...]
    key_id: str | None = None

    @property
    def sees(self) -> str | None:
        """The owner whose jobs exist for the caller; None for the jobs of all owners."""
        return None if ADMIN in self.scopes else self.owner

    def needs(self, scope: str) -> None:
        """Raise a 403 `Problem` unless the key has this scope."""
        if scope not in self.scopes and ADMIN not in self.scopes:
            challenge = {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'}
            raise Problem(403, f"the key lacks the scope {scope}", headers=challenge)


ANYBODY = Caller(LOCAL, SCOPES)
"""The caller of a service that asks for no keys: it listens on loopback, and everything in it is one user's."""


def needs_key(path: str) -> bool:
    """Whether requests for a path need a key, where the service asks for keys."""
    return path not in (*WITHOUT_KEY, *SIGN_IN) and not is_page(path)


class Authentication:
    """Finds the caller of every request that needs a key; refuses with 401 or 429 before the body is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self._asks = app, settings.auth == "keys"
        self._requests = RequestLimit(settings.requests_per_second)
        self._wrong_keys = WrongKeyLimit(settings.wrong_keys_per_minute)
        self._lookups = anyio.CapacityLimiter(KEY_LOOKUPS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its caller in its state."""
        if scope["type"] != "http" or not needs_key(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            found = await self._caller(scope) if self._asks else ANYBODY
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        except DATABASE_FAILURES as error:
            await problem_response(database_problem(error))(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = found
        await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        """The owner of the request's key. Raises `Problem`: 401 without a valid key, 429 for too many requests."""
        headers = Headers(scope=scope)
        session = None if "authorization" in headers else session_of(headers)
        if session is not None:
            _check_origin(scope["method"], headers)
        scheme, text = get_authorization_scheme_param(headers.get("authorization"))
        if session is None and (scheme.lower() != "bearer" or not text):
            message = "this service needs a key: Authorization: Bearer ..."
            raise Problem(401, message, headers={"WWW-Authenticate": _REALM})
        secret, look = (text, keys.find) if session is None else (session, find_session)
        address = (scope.get("client") or (None,))[0]
        self._wrong_keys.check(address, secret)
        owner = self._wrong_keys.owner(secret)
        if owner is not None:
            # So that an owner's requests beyond the rate cost no look into the database.
            self._requests.check(owner)
        database: sa.Engine = scope["app"].state.database
        key = await anyio.to_thread.run_sync(look, database, secret, limiter=self._lookups)
        if key is None:
            self._wrong_keys.wrong(address, secret)
            challenge = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
            what = (
                "the key is unknown, revoked or expired" if session is None else "the session has ended: sign in again"
            )
            raise Problem(401, what, headers=challenge)
        self._wrong_keys.valid(secret, key.owner)
        self._requests.take(key.owner)
        return Caller(key.owner, key.scopes, key.id)


def session_of(headers: Headers) -> str | None:
    """The session that a request's cookie names."""
    cookies = cookie_parser(headers.get("cookie", ""))
    return cookies.get(SECURE_COOKIE) or cookies.get(COOKIE)


def set_session_cookie(response: Response, secret: str, *, secure: bool) -> None:
    """Give the browser a session: for some hours, for this site alone, and not for scripts."""
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        secret,
        max_age=int(SESSION_SECONDS),
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def _check_origin(method: str, headers: Headers) -> None:
    """Raise a 403 `Problem` unless a request with a session only reads, or was sent by a page of this service."""
    if method in ("GET", "HEAD"):
        return
    origin = urlsplit(headers.get("origin", ""))
    if origin.scheme not in ("http", "https") or origin.netloc != headers.get("host"):
        raise Problem(403, "a request with a session's cookie must come from a page of this service")


# These wait for nothing: a plain function would be called in a thread, which takes longer than all it does.
async def caller(
    request: Request, _described: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> Caller:
    """The caller that `Authentication` found; the parameter puts keys into the OpenAPI document."""
    found: Caller = request.state.caller
    return found


async def reader(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, whose key must allow reading."""
    found.needs(READ)
    return found


async def submitter(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, whose key must allow submitting."""
    found.needs(SUBMIT)
    return found


async def admin(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, whose key must be an administrator's."""
    found.needs(ADMIN)
    return found


Reader = Annotated[Caller, Depends(reader)]
Submitter = Annotated[Caller, Depends(submitter)]
Admin = Annotated[Caller, Depends(admin)]
