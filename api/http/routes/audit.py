"""The audit log, for administrators."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field

from api.http.authentication import admin
from api.http.problems import RESPONSES
from api.http.routes.common import Database, rfc3339
from cluster.service import audit
from cluster.service.audit import Record

router = APIRouter(tags=["audit"], responses=RESPONSES, dependencies=[Depends(admin)])


class AuditRecord(BaseModel):
    """Who did what, when, from where, and with what result. Equal requests within a second are one record."""

    id: int
    at: str
    action: str
    owner: str | None = Field(description="Null if nobody was signed in, and for the command line.")
    key_id: str | None
    address: str | None = Field(description="Address of the client, or the account on the command line.")
    subject: str | None = Field(description="The job's or key's id.")
    detail: str | None
    result: Literal["done", "refused", "failed"]
    status: int | None = Field(description="Of the HTTP response.")
    times: int


class AuditPage(BaseModel):
    """Some records, the newest first, and a token for those before them."""

    records: list[AuditRecord]
    next_page_token: str | None


@router.get("/audit", summary="Read the audit log")
def list_audit(
    engine: Database,
    owner: Annotated[str | None, Query(max_length=64)] = None,
    key_id: Annotated[str | None, Query(max_length=64, description="What was done with this key.")] = None,
    action: Annotated[Literal[audit.ACTIONS] | None, Query()] = None,  # type: ignore[valid-type]
    subject: Annotated[str | None, Query(max_length=64, description="The id of a job or key.")] = None,
    result: Annotated[Literal[audit.RESULTS] | None, Query()] = None,  # type: ignore[valid-type]
    since: Annotated[AwareDatetime | None, Query(description="From this time on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    page_token: Annotated[str | None, Query(max_length=18, pattern="^-?[0-9]+$")] = None,
) -> AuditPage:
    """Records from the newest on, a page at a time."""
    found = audit.recorded(
        engine,
        limit + 1,
        None if page_token is None else int(page_token),
        owner=owner,
        key_id=key_id,
        action=action,
        subject=subject,
        result=result,
        since=_seconds(since),
        until=_seconds(until),
    )
    shown = found[:limit]
    return AuditPage(
        records=[_view(one) for one in shown], next_page_token=str(shown[-1].id) if len(found) > limit else None
    )


def _seconds(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()


def _view(one: Record) -> AuditRecord:
    return AuditRecord(**{**vars(one), "at": rfc3339(one.at) or ""})
