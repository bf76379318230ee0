"""What a job would cost, estimated before it is submitted."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.http.authentication import Submitter
from api.http.problems import RESPONSES
from api.http.routes.common import Database, SettingsOf
from api.http.routes.jobs import JobRequest, requested_plan
from cluster.results.plan import Plan
from cluster.runs.cost import estimate_cost
from cluster.service.runner import workers_kept

router = APIRouter(tags=["jobs"], responses=RESPONSES)


class EstimatedCost(BaseModel):
    """The estimated cost of a job."""

    scenario: str
    trials: int = Field(description="Of each strategy.")
    strategies: list[str]
    at_most: Annotated[bool, Field(description="Whether the job may end with fewer trials, at its precision.")]
    rows: Annotated[int, Field(description="Trials of all strategies together.")]
    kept_rows: Annotated[int, Field(description="Those whose rows are kept; of the others counts are.")]
    shards: Annotated[int, Field(description="Files of trials.")]
    shard_trials: Annotated[int, Field(description="Trials in a file.")]
    bytes: Annotated[int, Field(description="Bytes of all files of trials.")]
    bytes_per_row: float
    core_seconds: Annotated[float, Field(description="Work on one core like those of the web server.")]
    engine: Annotated[str, Field(description="inline, workers (processes that are ready) or ray.")]
    workers: Annotated[int | None, Field(description="Cores used at a time; null for a Ray cluster of unknown size.")]
    wall_seconds: Annotated[float | None, Field(description="Time from start to end without waiting in the queue.")]
    worker_memory_bytes: Annotated[int, Field(description="Peak memory of one process that plays trials.")]
    sample_trials: Annotated[int, Field(description="Trials that were played of each strategy of the sample.")]
    sample_strategies: int
    sample_seconds: float
    method: str


@router.post("/estimate", summary="Estimate the cost of a job")
async def estimate(
    body: JobRequest, request: Request, submitter: Submitter, engine: Database, settings: SettingsOf
) -> EstimatedCost:
    """Rows, files, bytes, work, time and memory of a job, from a small sample of it; nothing is recorded or kept."""
    async with request.app.state.answer_slots.slot(submitter.owner):
        plan = await run_in_threadpool(requested_plan, body, settings, engine, submitter.owner)
        return await run_in_threadpool(_estimate, plan, body.precision is not None, settings)


def _estimate(plan: Plan, at_most: bool, settings: SettingsOf) -> EstimatedCost:
    cost = estimate_cost(
        plan,
        engine=settings.engine,
        ray_address=settings.ray_address,
        workers=settings.workers,
        ready=workers_kept(settings),
    )
    return EstimatedCost(
        scenario=plan.scenario.name,
        trials=plan.trials,
        strategies=list(plan.strategies),
        at_most=at_most,
        **asdict(cost),
    )
