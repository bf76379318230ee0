"""A trial of a job's run, told."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Replay, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.replay import replay as replayed

router = APIRouter(tags=["answers"], responses=RESPONSES)


class ReplayRequest(BaseModel):
    """Which trial to tell."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"trial": 12}]})

    trial: Annotated[int, Field(strict=True, ge=0, description="The trial's number, from 0.")]
    strategy: Annotated[
        str | None, Field(max_length=200, description="The strategy under which it is told; the run's first if none.")
    ] = None


@router.post("/jobs/{job_id}/replay", summary="Tell one trial", responses=answered_by(Replay))
def replay(run: KnownRun, request: ReplayRequest) -> dict:
    """One trial of a job's run, played again and told week by week, as ``brink replay --json`` prints it."""
    return replayed(run, trial=request.trial, strategy=request.strategy)
