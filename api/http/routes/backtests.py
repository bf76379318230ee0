"""Forecasts of past disputes, scored together: the runs are jobs as any others."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.formats import JSON
from api.http.answer_cache import compute_once
from api.http.authentication import Reader
from api.http.problems import RESPONSES, Problem
from api.http.routes.charts import PICTURES, Accept, Specification, pictured
from api.http.routes.common import CachedAnswers, Database, SettingsOf, find_job, job_folder
from cluster.answers.backtest import Backtest, backtest, scored_dispute
from cluster.query.session import time_limit
from cluster.query.trials import StoredRun, check_any
from sim.faults import Fault, InvalidInput

MOST_DISPUTES = 50
router = APIRouter(tags=["answers"], responses=RESPONSES)
Jobs = Annotated[
    list[Annotated[str, Query(max_length=64)]],
    Query(
        min_length=1,
        max_length=MOST_DISPUTES,
        description="A job whose scenario says what happened; may be repeated, each for another scenario.",
    ),
]


async def _scored(
    request: Request, reader: Reader, engine: Database, settings: SettingsOf, cache: CachedAnswers, job: Jobs
) -> bytes:
    """The document of several disputes scored together, as JSON."""
    runs = []
    for k, one in enumerate(job):
        try:
            found = find_job(one, reader, engine)
        except Problem as problem:
            raise Problem(422, "a job is not known", [Fault(f"job[{k}]", one, str(problem.detail))]) from None
        runs.append(StoredRun(found.plan, job_folder(found, settings)))
    _check(runs)

    def compute() -> dict[str, Any]:
        scores = []
        for run in runs:
            check_any(run)
            assert run.plan.scenario.history is not None
            scores.append(scored_dispute(run, run.plan.scenario.history))
        return backtest(scores)

    async with request.app.state.answer_slots.slot(reader.owner):
        with time_limit(settings.query_seconds):
            return await run_in_threadpool(compute_once, cache, runs, "backtest", {}, compute)


def _check(runs: list[StoredRun]) -> None:
    faults = []
    names = [run.plan.scenario.name for run in runs]
    for k, name in enumerate(names):
        if runs[k].plan.scenario.history is None:
            faults.append(Fault(f"job[{k}]", name, "does not say what happened: its scenario has no history"))
        if name in names[:k]:
            faults.append(Fault(f"job[{k}]", name, "is the scenario of an earlier job in the list"))
    if faults:
        raise InvalidInput(tuple(faults))


Scored = Annotated[bytes, Depends(_scored)]


@router.get(
    "/backtest",
    summary="Score forecasts of past disputes together",
    response_class=Response,
    responses={200: {"model": Backtest, "description": Backtest.__doc__}},
)
def backtest_jobs(scored: Scored) -> Response:
    """Each job's forecast compared with what happened, and their means with those of rivals, with intervals."""
    return Response(scored, media_type=JSON)


@router.get(
    "/backtest/charts/reliability",
    summary="Draw the reliability of forecasts of past disputes",
    response_class=Response,
    responses={200: {"model": Specification, "description": "The chart", "content": PICTURES}},
)
def reliability(scored: Scored, accept: Accept = None) -> Response:
    """How often events happened whose probability was forecast so, with 95 % intervals."""
    from api.evidence_charts import reliability_chart

    return pictured(accept, lambda: reliability_chart(json.loads(scored)))
