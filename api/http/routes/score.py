"""A job's forecast scored against what really happened."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Score, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.backtest import score
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)


class ScoreRequest(BaseModel):
    """What is to be scored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    strategy: str | None = Field(None, max_length=64, description="The strategy; the one the history names if none.")
    given: str | None = Field(None, max_length=2000, description="Over the trials for which this holds.")


@router.post("/jobs/{job_id}/score", summary="Score a job's forecast", responses=answered_by(Score))
def score_job(run: KnownRun, request: ScoreRequest) -> dict:
    """The scores of a job's forecast against its scenario's history; while it runs, from what is committed so far."""
    check_any(run)
    return score(run, strategy=request.strategy, given=request.given)
