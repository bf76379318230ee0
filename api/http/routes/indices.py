"""Sobol indices of a measure, from a job of the saltelli design."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import SobolIndices, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.drivers import MEASURE
from cluster.answers.indices import indices as find_indices
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)


class IndicesRequest(BaseModel):
    """Of which measure, under which strategy."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"measure": "export_gain"}]})

    measure: Annotated[
        str, Field(max_length=2000, description="A number or a condition over the columns.", examples=["export_gain"])
    ] = MEASURE
    strategy: Annotated[str | None, Field(max_length=200, description="The run's first, if none is named.")] = None


@router.post(
    "/jobs/{job_id}/indices",
    summary="Find first- and total-order indices of a measure",
    responses=answered_by(SobolIndices),
)
def indices(run: KnownRun, request: IndicesRequest) -> dict:
    """Sobol indices of a finished job of design `saltelli`, as ``brink indices --json`` prints them."""
    check_any(run)
    return find_indices(run, strategy=request.strategy, measure=request.measure)
