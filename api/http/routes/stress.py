"""A reverse stress test of a job's run."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Stress, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.stress import stress as stressed
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)


class StressRequest(BaseModel):
    """Which bound, under which strategy and condition."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"bound": "sender_cost > 0.1"}]})

    bound: Annotated[
        str, Field(max_length=2000, description="What holds where it is broken.", examples=["sender_cost > 5"])
    ]
    strategy: Annotated[str | None, Field(max_length=200, description="The run's first, if none is named.")] = None
    given: Annotated[str | None, Field(max_length=2000, description="Over the trials for which this holds.")] = None


@router.post(
    "/jobs/{job_id}/stress", summary="Find what differs where a bound is broken", responses=answered_by(Stress)
)
def stress(run: KnownRun, request: StressRequest) -> dict:
    """The worlds in which a bound is broken against the others, as ``brink stress --json`` prints them."""
    check_any(run)
    return stressed(run, bound=request.bound, strategy=request.strategy, given=request.given)
