"""Signing in and out: a browser sends a key once, and gets a cookie that no script can read."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.http.authentication import COOKIE, SECURE_COOKIE, Caller, Reader, session_of, set_session_cookie
from api.http.problems import RESPONSES, Problem
from api.http.routes.common import Database, SettingsOf
from cluster.service.sessions import end_session, open_session

router = APIRouter(tags=["sessions"], responses=RESPONSES)


class Session(BaseModel):
    """Who calls, and what the key allows."""

    owner: str
    scopes: list[str]
    keys: bool = Field(description="Whether the service asks for keys.")


@router.get("/session", summary="Who calls")
def whoami(reader: Reader, settings: SettingsOf) -> Session:
    """The owner and scopes of the request's key or session."""
    return _session(reader, asks=settings.auth == "keys")


@router.post("/session", status_code=201, summary="Sign in")
def sign_in(request: Request, response: Response, reader: Reader, engine: Database, settings: SettingsOf) -> Session:
    """Open a session of the key in `Authorization`, as a cookie: some hours, for this site alone, not for scripts."""
    if settings.auth == "none":
        raise Problem(409, "this service asks for no keys, so that nobody signs in")
    if "authorization" not in request.headers or reader.key_id is None:
        raise Problem(403, "a session is opened with a key in Authorization, not with another session")
    set_session_cookie(response, open_session(engine, reader.key_id), secure=request.url.scheme == "https")
    return _session(reader, asks=True)


@router.delete("/session", status_code=204, summary="Sign out")
def sign_out(request: Request, response: Response, _: Reader, engine: Database) -> None:
    """End the session of the request's cookie, for every copy of it."""
    secret = session_of(request.headers)
    if secret is not None:
        end_session(engine, secret)
    for name, secure in ((COOKIE, False), (SECURE_COOKIE, True)):
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def _session(reader: Caller, *, asks: bool) -> Session:
    return Session(owner=reader.owner, scopes=list(reader.scopes), keys=asks)
