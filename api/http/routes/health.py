"""Whether the service is alive, and whether it can take and run jobs."""

import asyncio
import time

import anyio
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.http.routes.common import rfc3339
from cluster.query.ray_connection import check_reachable
from cluster.service.jobs import last_runner_sign
from cluster.service.maintenance import current
from cluster.service.settings import Settings
from cluster.service.store_identity import SENTENCES, known
from cluster.storage.health import why_not_writable
from sim.faults import InvalidInput

router = APIRouter(tags=["health"])
RAY_SECONDS = 1.0
"""Seconds within which Ray must accept a connection."""


class Health(BaseModel):
    """The service's state, and what it lacks."""

    status: str
    missing: list[str] = []
    maintenance: str | None = Field(
        None, description="Since when no new jobs are taken; the service stays ready, for reads and running jobs."
    )
    warning: str | None = Field(
        None,
        description="Why results without a job are kept, if the store does not belong to the jobs database, and what "
        "to do; the service stays ready.",
    )


@router.get("/healthz", summary="Alive", response_model_exclude_none=True)
async def healthz() -> Health:
    """The web process answers. This needs neither the database nor a thread, so that a busy service is still alive."""
    return Health(status="ok")


@router.get("/readyz", summary="Ready", responses={503: {"model": Health}}, response_model_exclude_none=True)
async def readyz(request: Request, response: Response) -> Health:
    """The service can take and run jobs: its database answers, its folder can be written, a runner
    lives, and the Ray that is configured can be reached.
    """
    # Nobody needs a key for this, so requests that come during a check share its result and start no other.
    state = request.app.state
    check: asyncio.Task[Health] | None = getattr(state, "readiness_check", None)
    if check is None or check.done():
        checking = anyio.to_thread.run_sync(check_ready, state.database, state.settings, limiter=_a_thread())
        check = state.readiness_check = asyncio.ensure_future(checking)
    found = await asyncio.shield(check)
    response.status_code = 503 if found.missing else 200
    return found


def _a_thread() -> anyio.CapacityLimiter:
    """Leave for a thread that is not one of those of the routes."""
    return anyio.CapacityLimiter(1)


def check_ready(engine: sa.Engine, settings: Settings) -> Health:
    """What the service needs and does not have, if anything."""
    missing, maintenance, mismatch = [], None, None
    try:
        maintenance = current(engine)
        mismatch = known(engine).mismatch
        sign = last_runner_sign(engine)
        if sign is None or time.time() - sign > settings.lease_seconds:
            missing.append("no runner is alive")
    except sa.exc.SQLAlchemyError:
        missing.append("the jobs database does not answer")
    cause = why_not_writable(settings.results)
    if cause:
        missing.append(f"the results folder cannot be written: {cause}")
    if settings.ray_address is not None:
        try:
            check_reachable(settings.ray_address, RAY_SECONDS)
        except InvalidInput:
            missing.append("the Ray of BRINK_RAY_ADDRESS cannot be reached")
    since = rfc3339(maintenance.since) if maintenance else None
    status = "unavailable" if missing else "ok"
    return Health(status=status, missing=missing, maintenance=since, warning=SENTENCES[mismatch] if mismatch else None)
