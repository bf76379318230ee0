"""Scenario discovery in a job's run."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Discovery, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.discover import discover as find_boxes
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)


class DiscoverRequest(BaseModel):
    """Which outcome to look for, under which strategy and condition."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"outcome": "sanctions"}]})

    outcome: Annotated[str, Field(max_length=2000, description="A condition over the columns.", examples=["sanctions"])]
    strategy: Annotated[str | None, Field(max_length=200, description="The run's first, if none is named.")] = None
    given: Annotated[str | None, Field(max_length=2000, description="Over the trials for which this holds.")] = None


@router.post("/jobs/{job_id}/discover", summary="Find where an outcome is likely", responses=answered_by(Discovery))
def discover(run: KnownRun, request: DiscoverRequest) -> dict:
    """Boxes of parameters in which an outcome is likely, as ``brink discover --json`` prints them."""
    check_any(run)
    return find_boxes(run, outcome=request.outcome, strategy=request.strategy, given=request.given)
