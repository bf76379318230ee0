"""Whether the service is alive, and whether it can take and run jobs."""

import time

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.http.routes.common import Database, SettingsOf
from cluster.runs.engines import check_reachable
from cluster.service.jobs import last_runner_sign
from cluster.storage.health import why_not_writable
from sim.faults import InvalidInput

router = APIRouter(tags=["health"])
RAY_SECONDS = 1.0
"""So long a Ray may take to be reached."""


class Health(BaseModel):
    """The service's state, and what it lacks."""

    status: str
    missing: list[str] = []


@router.get("/healthz", summary="Alive")
def healthz() -> Health:
    """The web process answers."""
    return Health(status="ok")


@router.get("/readyz", summary="Ready", responses={503: {"model": Health}})
def readyz(engine: Database, settings: SettingsOf, response: Response) -> Health:
    """The service can take and run jobs: its database answers, its folder can be written, a runner
    lives, and the Ray that is configured can be reached.
    """
    missing = []
    try:
        sign = last_runner_sign(engine)
        if sign is None or time.time() - sign > settings.lease_seconds:
            missing.append("no runner is alive")
    except sa.exc.SQLAlchemyError:
        missing.append("the jobs database does not answer")
    cause = why_not_writable(settings.results)
    if cause:
        missing.append(f"the results folder takes nothing: {cause}")
    if settings.ray_address is not None:
        try:
            check_reachable(settings.ray_address, RAY_SECONDS)
        except InvalidInput:
            missing.append("the Ray of BRINK_RAY_ADDRESS cannot be reached")
    if missing:
        response.status_code = 503
    return Health(status="unavailable" if missing else "ok", missing=missing)
