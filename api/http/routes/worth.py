"""What it is worth to learn parameters before a strategy of a job's run is chosen."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Worth, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.compare import MEASURE
from cluster.answers.worth import worth as find_worth
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)
Name = Annotated[str, Field(max_length=200)]


class WorthRequest(BaseModel):
    """By which measure between which strategies is chosen, and what would be learned together."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"measure": "export_gain - sender_cost"}]}
    )

    measure: Annotated[str, Field(max_length=2000, description="More is better.", examples=[MEASURE])] = MEASURE
    groups: Annotated[
        dict[Name, Annotated[list[Name], Field(max_length=1000)]],
        Field(description="Parameters learned together.", examples=[{"court": ["target_win"]}]),
    ] = {}
    strategies: Annotated[list[str], Field(max_length=100, description="At least two; all, if none is named.")] = []
    given: Annotated[str | None, Field(max_length=2000, description="Over the trials for which this holds.")] = None


@router.post("/jobs/{job_id}/worth", summary="Value what could be learned", responses=answered_by(Worth))
def worth(run: KnownRun, request: WorthRequest) -> dict:
    """The expected value of partial perfect information, as ``brink worth --json`` prints it."""
    check_any(run)
    return find_worth(
        run,
        measure=request.measure,
        groups=request.groups,
        strategies=request.strategies,
        given=request.given,
    )
