"""Who calls: the owner and scopes of the key that a request carries.

Every route below ``/v1`` depends on `caller`, and every route about a job finds it through `api.http.routes.common`,
where somebody else's job is none.
"""

from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.http.problems import Problem
from cluster.service import keys
from cluster.service.jobs import LOCAL
from cluster.service.keys import ADMIN, READ, SCOPES, SUBMIT
from cluster.service.settings import Settings

_REALM = 'Bearer realm="brink"'
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    bearerFormat="brink_<id>_<secret>",
    description="A key that `brink keys create` printed. A service on loopback may ask for none.",
)


@dataclass(frozen=True)
class Caller:
    """Who asks, and what their key allows."""

    owner: str
    scopes: tuple[str, ...]

    @property
    def sees(self) -> str | None:
        """Whose jobs exist for the caller: None for everybody's."""
        return None if ADMIN in self.scopes else self.owner

    def needs(self, scope: str) -> None:
        """Raise a 403 `Problem` unless the key allows this."""
        if scope not in self.scopes and ADMIN not in self.scopes:
            challenge = {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'}
            raise Problem(403, f"the key lacks the scope {scope}", headers=challenge)


ANYBODY = Caller(LOCAL, SCOPES)
"""Who calls a service that asks for no keys: it listens on loopback, and all it has is one user's."""


def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> Caller:
    """The owner of the request's key; a 401 without a valid one, a 429 for one who asks too much."""
    settings: Settings = request.app.state.settings
    found = _of_key(request.app.state.database, credentials) if settings.auth == "keys" else ANYBODY
    if settings.auth == "keys":
        request.app.state.rate.take(found.owner)
    return found


def _of_key(database: sa.Engine, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if credentials is None:
        raise Problem(401, "this service wants a key: Authorization: Bearer ...", headers={"WWW-Authenticate": _REALM})
    key = keys.find(database, credentials.credentials)
    if key is None:
        challenge = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"'}
        raise Problem(401, "the key is unknown, revoked or expired", headers=challenge)
    return Caller(key.owner, key.scopes)


def reader(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, whose key must allow reading."""
    found.needs(READ)
    return found


def submitter(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, whose key must allow submitting."""
    found.needs(SUBMIT)
    return found


def admin(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """The caller, whose key must be an administrator's."""
    found.needs(ADMIN)
    return found


Reader = Annotated[Caller, Depends(reader)]
Submitter = Annotated[Caller, Depends(submitter)]
Admin = Annotated[Caller, Depends(admin)]
