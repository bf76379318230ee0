"""Which trials of a job's run to read."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import TypicalTrials, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.typical import typical as typical_trials

router = APIRouter(tags=["answers"], responses=RESPONSES)


class TypicalRequest(BaseModel):
    """Among which trials to look, and by what."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"measure": "export_gain - sender_cost"}]}
    )

    strategy: Annotated[
        str | None,
        Field(max_length=200, description="The strategy whose trials are looked at; the run's first if none."),
    ] = None
    measure: Annotated[str | None, Field(max_length=2000, description="A measure of your own.")] = None
    given: Annotated[str | None, Field(max_length=2000, description="Among the trials for which this holds.")] = None


@router.post("/jobs/{job_id}/typical", summary="Pick typical and extreme trials", responses=answered_by(TypicalTrials))
def typical(run: KnownRun, request: TypicalRequest) -> dict:
    """A typical trial of each outcome and the extreme ones, as ``brink typical --json`` prints them."""
    return typical_trials(run, strategy=request.strategy, measure=request.measure, given=request.given)
