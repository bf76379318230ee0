"""Grouped statistics over the trials of a job's run."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.formats import ARROW, CSV, JSON, PARQUET, encode, negotiate
from api.http.problems import RESPONSES, Problem
from api.http.routes.common import KnownRun
from cluster.answers.aggregate import MAX_KEYS, MAX_NUMBERS, STRATEGY, USUAL, Grouping, answer_table
from cluster.answers.aggregate import aggregate as reckon
from cluster.query.trials import check_any

router = APIRouter(tags=["answers"], responses=RESPONSES)
OFFERED = (JSON, CSV, ARROW, PARQUET)
Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(max_length=64)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class GroupBy(BaseModel):
    """Something to group by: its values as they are, or in bins of one kind."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[Text, Field(description="An expression over the columns, or strategy.")]
    name: Annotated[Name | None, Field(description="What the answer calls it.")] = None
    bins: Annotated[int | None, Field(strict=True, description="So many bins of equal width.")] = None
    quantiles: Annotated[int | None, Field(strict=True, description="So many bins of about equal numbers.")] = None
    edges: Annotated[list[Number] | None, Field(max_length=1001, description="Bins with these edges.")] = None


class AggregateRequest(BaseModel):
    """Which statistics of which measures, over which groups of which trials."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "measures": ["export_gain", "agreement_week <= 12"],
                    "statistics": ["mean", "standard_error", "q05", "q95"],
                    "by": ["strategy", {"value": "target_cost", "quantiles": 4}],
                    "given": "threat_week is not null",
                },
                {"measures": {"net": "export_gain - sender_cost"}, "by": ["strategy", "outcome"]},
            ]
        },
    )

    measures: Annotated[
        Annotated[list[Text], Field(max_length=MAX_NUMBERS)]
        | Annotated[dict[str, Text], Field(max_length=MAX_NUMBERS)],
        Field(description="Numbers or conditions over the columns; an object names them."),
    ]
    statistics: Annotated[
        list[Annotated[str, Field(max_length=32)]],
        Field(
            max_length=MAX_NUMBERS,
            description="count, known (the share of trials that know the measure), mean, standard_deviation, "
            "standard_error (of the mean), min, max, sum, median, and quantiles such as q05 or 0.05.",
        ),
    ] = list(USUAL)
    by: Annotated[
        list[Text | GroupBy],
        Field(max_length=MAX_KEYS, description="What to group by; all trials together if it is empty."),
    ] = [STRATEGY]
    given: Annotated[Text | None, Field(description="Over the trials for which this holds.")] = None
    strategies: Annotated[list[Name], Field(max_length=100, description="All of the run's if none are named.")] = []


class AggregateColumn(BaseModel):
    """A column of the rows."""

    name: str
    kind: Literal["text", "truth", "whole", "number"]
    unit: str


class AggregateAnswer(BaseModel):
    """A row for each group that has trials, and how the numbers were reckoned."""

    scenario: str
    trials: int
    seed: int
    design: str
    complete: bool = Field(description="Whether all trials of the chosen strategies are committed.")
    strategies: list[str]
    given: str | None
    trials_read: int
    quantiles: Literal["exact", "sketch"]
    method: str
    columns: list[AggregateColumn]
    rows: list[dict[str, str | bool | int | float | None]]


@router.post(
    "/jobs/{job_id}/aggregate",
    summary="Group and count trials",
    response_class=Response,
    responses={
        200: {
            "model": AggregateAnswer,
            "description": "A row for each group",
            "content": {
                CSV: {"schema": {"type": "string"}},
                ARROW: {"schema": {"type": "string", "format": "binary"}},
                PARQUET: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
def aggregate(
    run: KnownRun,
    request: AggregateRequest,
    accept: Annotated[str | None, Header(max_length=1000, description=f"One of {', '.join(OFFERED)}.")] = None,
) -> Response:
    """Statistics of measures over groups of trials; while the job runs, over what is committed so far."""
    media_type = negotiate(accept, OFFERED)
    if media_type is None:
        raise Problem(406, f"there is {', '.join(OFFERED)}, and nothing else")
    check_any(run)
    answer = reckon(
        run,
        measures=request.measures,
        statistics=request.statistics,
        by=[one if isinstance(one, str) else _grouping(one) for one in request.by],
        given=request.given,
        strategies=request.strategies,
    )
    headers = {"Vary": "Accept"}
    if media_type == JSON:
        return JSONResponse(answer, headers=headers)
    return Response(encode(answer_table(answer), media_type), media_type=media_type, headers=headers)


def _grouping(given: GroupBy) -> Grouping:
    edges = None if given.edges is None else tuple(given.edges)
    return Grouping(given.value, given.name, given.bins, given.quantiles, edges)
