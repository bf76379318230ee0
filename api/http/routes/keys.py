"""Keys, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from api.http.audit import note
from api.http.authentication import admin
from api.http.problems import RESPONSES, Problem
from api.http.routes.common import Database, rfc3339
from cluster.service import keys
from cluster.service.keys import Key, described
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


def _fields(key: Key) -> dict:
    return {
        "id": key.id,
        "owner": key.owner,
        "scopes": list(key.scopes),
        **{name: rfc3339(getattr(key, name)) for name in ("created_at", "expires_at", "used_at", "revoked_at")},
    }
