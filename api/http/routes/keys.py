"""Keys, for administrators."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from api.http.audit import note
from api.http.authentication import admin
from api.http.problems import RESPONSES, Problem
from api.http.routes.common import Database, rfc3339
from cluster.service import keys
from cluster.service.keys import GRACE_DAYS, MAX_GRACE_DAYS, Key, described
from sim.faults import InvalidInput

router = APIRouter(tags=["keys"], responses=RESPONSES, dependencies=[Depends(admin)])
KeyId = Annotated[str, PathParameter(description="The key's id.", max_length=64)]


class KeyRequest(BaseModel):
    """Whose a new key is, what it allows, and for how long."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"owner": "ann", "scopes": ["submit", "read"], "days": 90}]}
    )

    owner: Annotated[str, Field(max_length=64)]
    scopes: list[Annotated[str, Field(max_length=16)]] = Field(max_length=8)
    days: StrictInt | None = Field(None, description="Days until it expires; never if none are given.")


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    owner: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None


class NewKey(KeyView):
    """A new key with its text, which is shown this once."""

    text: str


@router.get("/keys", summary="List the keys")
def list_keys(engine: Database) -> list[KeyView]:
    """All keys, the oldest first, without their secrets."""
    return [KeyView(**_fields(key)) for key in keys.listed(engine)]


@router.post("/keys", status_code=201, summary="Create a key")
def create_key(http: Request, request: KeyRequest, engine: Database) -> NewKey:
    """A new key; its text can be seen in this answer alone."""
    key, text = keys.create(engine, request.owner, request.scopes, request.days)
    note(http, subject=key.id, detail=described(key))
    return NewKey(**_fields(key), text=text)


@router.post("/keys/{key_id}/revoke", summary="Revoke a key")
def revoke_key(key_id: KeyId, engine: Database) -> KeyView:
    """End a key and its sessions at once."""
    try:
        return KeyView(**_fields(keys.revoke(engine, key_id)))
    except InvalidInput:
        raise Problem(404, f"there is no key {key_id}") from None


class RotationRequest(BaseModel):
    """For how long the old key stays valid."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"grace_days": 1}]})

    grace_days: StrictInt = Field(
        GRACE_DAYS, ge=0, le=MAX_GRACE_DAYS, description="Days until the old key expires; 0 ends it at once."
    )


_USUAL = RotationRequest()


@router.post("/keys/{key_id}/rotate", status_code=201, summary="Rotate a key")
def rotate_key(http: Request, key_id: KeyId, engine: Database, request: RotationRequest = _USUAL) -> NewKey:
    """A new key of the same owner and scopes; its text can be seen in this answer alone. The old one expires after the
    grace, unless it does earlier.
    """
    known = keys.get(engine, key_id)
    if known is None:
        raise Problem(404, f"there is no key {key_id}")
    if known.state(time.time()) != "valid":
        raise Problem(409, f"the key is {known.state(time.time())}: create a new one")
    _, new, text = keys.rotate(engine, key_id, request.grace_days)
    note(http, detail=f"to key {new.id} {described(new)}; grace: {request.grace_days} days")
    return NewKey(**_fields(new), text=text)


def _fields(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "owner": key.owner,
        "scopes": list(key.scopes),
        **{name: rfc3339(getattr(key, name)) for name in ("created_at", "expires_at", "used_at", "revoked_at")},
    }
