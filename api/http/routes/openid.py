"""Pages of the sign-in with an OpenID Connect provider: to the provider, and back."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api.http.audit import note
from api.http.authentication import set_session_cookie
from api.http.limits import network_of
from api.http.openid import FLOW_SECONDS, Provider, Refused, begin_flow, flow_of
from api.web.pages import refused_sign_in
from cluster.service.sessions import open_account_session

router = APIRouter(include_in_schema=False)
COOKIE, SECURE_COOKIE = "brink_sign_in", "__Host-brink_sign_in"
_AT_ONCE = anyio.CapacityLimiter(4)
"""Requests that wait for the provider at a time, in threads of their own."""


@router.get("/sign-in/start")
async def start(request: Request, page: Annotated[str, Query(alias="next", max_length=2000)] = "/") -> Response:
    """Send the browser to the provider, with a cookie that only the return uses."""
    provider: Provider = request.app.state.provider
    flow = begin_flow(page)
    try:
        _limit(request)
        address = await anyio.to_thread.run_sync(provider.authorization_url, flow, _return(request), limiter=_AT_ONCE)
    except Refused as refused:
        return _refused(provider, refused)
    response = RedirectResponse(address, 303)
    secure = request.url.scheme == "https"
    # Lax: the return is a navigation from the provider's site, with which a strict cookie would not be sent.
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        flow.cookie,
        max_age=FLOW_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/sign-in/callback", name="openid_return")
async def finish(request: Request) -> Response:
    """Open a session for the account that signed in, and go to the page that was wanted."""
    provider: Provider = request.app.state.provider
    secure = request.url.scheme == "https"
    name = SECURE_COOKIE if secure else COOKIE
    try:
        _limit(request)
        flow = flow_of(request.cookies.get(name))
        given = dict(request.query_params)
        owner, scopes = await anyio.to_thread.run_sync(provider.finish, flow, given, _return(request), limiter=_AT_ONCE)
    except Refused as refused:
        note(request, owner=refused.owner, detail=refused.message[:200])
        response = _refused(provider, refused)
    else:
        note(request, owner=owner, detail=f"with {provider.name}: {', '.join(scopes)}"[:200])
        secret = await run_in_threadpool(open_account_session, request.app.state.database, owner, scopes)
        response = RedirectResponse(flow.page, 303)
        set_session_cookie(response, secret, secure=secure)
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")
    return response


def _return(request: Request) -> str:
    return str(request.url_for("openid_return"))


def _limit(request: Request) -> None:
    """Raise `Refused` if an address has begun or ended many sign-ins: each may cost requests to the provider."""
    address = request.client.host if request.client else None
    wait = request.app.state.sign_ins.take(network_of(address))
    if wait:
        raise Refused(429, f"Too many sign-ins from this address. Try again in {wait:.0f} seconds.")


def _refused(provider: Provider, refused: Refused) -> Response:
    return refused_sign_in(provider.name, refused.message, refused.status)
