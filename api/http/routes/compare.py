"""Strategies of a job's run compared."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Comparison, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.compare import MOST_MEASURES
from cluster.answers.compare import compare as compare_strategies
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)

Measure = Annotated[str, Field(max_length=2000, examples=["export_gain - sender_cost"])]


class CompareRequest(BaseModel):
    """Which strategies, by which measures of choice, under which condition."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"strategies": [], "measures": ["export_gain - sender_cost"]}]}
    )

    strategies: Annotated[list[str], Field(max_length=100, description="At least two; all, if none is named.")] = []
    measures: Annotated[
        list[Measure],
        Field(
            max_length=MOST_MEASURES, description="Of which more is better; the sender's net gain, if none is named."
        ),
    ] = []
    given: Annotated[str | None, Field(max_length=2000, description="Over the trials for which this holds.")] = None


@router.post(
    "/jobs/{job_id}/compare", summary="Compare strategies on the same trials", responses=answered_by(Comparison)
)
def compare(run: KnownRun, request: CompareRequest) -> dict:
    """Paired differences, regret, and who leads as a function of belief, as ``brink compare --json`` prints them."""
    check_any(run)
    return compare_strategies(run, strategies=request.strategies, measures=request.measures, given=request.given)
