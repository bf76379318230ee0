"""The dispute over time, from a job's run."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Timeline, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.timeline import timeline as find_timeline
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)


class TimelineRequest(BaseModel):
    """Under which strategies and condition."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"given": "filing_week is null"}]})

    strategies: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], max_length=100, description="All of the run's if none are named."
    )
    given: Annotated[str | None, Field(max_length=2000, description="Over the trials for which this holds.")] = None


@router.post("/jobs/{job_id}/timeline", summary="See the dispute over time", responses=answered_by(Timeline))
def timeline(run: KnownRun, request: TimelineRequest) -> dict:
    """The probability of each state in each week, as ``brink timeline --json`` prints it."""
    check_any(run)
    return find_timeline(run, strategies=request.strategies, given=request.given)
