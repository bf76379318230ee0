"""What drives a measure of a job's run."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.http.answers import Drivers, answered_by
from api.http.problems import RESPONSES
from api.http.routes.common import KnownRun
from cluster.answers.drivers import MEASURE
from cluster.answers.drivers import drivers as find_drivers
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)


class DriversRequest(BaseModel):
    """Of which measure, under which strategy and condition."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"measure": "export_gain"}]})

    measure: Annotated[
        str, Field(max_length=2000, description="A number or a condition over the columns.", examples=["export_gain"])
    ] = MEASURE
    strategy: Annotated[str | None, Field(max_length=200, description="The run's first, if none is named.")] = None
    given: Annotated[str | None, Field(max_length=2000, description="Over the trials for which this holds.")] = None


@router.post("/jobs/{job_id}/drivers", summary="Find what drives a measure", responses=answered_by(Drivers))
def drivers(run: KnownRun, request: DriversRequest) -> dict:
    """Sensitivity of a measure to every uncertain parameter, and to chance, as ``brink drivers --json`` prints it."""
    check_any(run)
    return find_drivers(run, strategy=request.strategy, measure=request.measure, given=request.given)
