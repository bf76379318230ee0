"""Jobs: submit, list, watch, cancel, delete."""

import asyncio
import base64
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from math import isfinite
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from sse_starlette import EventSourceResponse, JSONServerSentEvent
from starlette.concurrency import run_in_threadpool

from api.http.audit import note
from api.http.authentication import Reader, Submitter
from api.http.idempotency import IdempotencyKey
from api.http.limits import check_maintenance, check_room
from api.http.problems import RESPONSES, Problem, invalid
from api.http.routes.common import ChangedJob, Database, KnownJob, SettingsOf, Submitting, named_scenario, rfc3339
from cluster.answers.summary import ScenarioWarning
from cluster.reference.rates import class_names
from cluster.results.plan import Keep, Plan, make_plan
from cluster.runs.precision import MOST_TRIALS, check_precise
from cluster.service import jobs, leases
from cluster.service.jobs import Job
from cluster.service.retention import remove_job
from cluster.service.settings import Settings
from sim.faults import Fault, InvalidInput
from sim.sampling.designs import RANDOM
from sim.sampling.names import DesignName
from sim.scenario.scenario import intervene, scenario_from_document

router = APIRouter(tags=["jobs"], responses=RESPONSES)
SHORTEST_POLL, LONGEST_POLL = 0.02, 0.5
"""Seconds between two looks at a watched job: a tenth of the time since its last change, within these bounds."""
HEARTBEAT_SECONDS = 15


HalfWidth = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class JobRequest(BaseModel):
    """A run to be made: a scenario, in full or as the name of a shipped one or of the caller's own, and how it is to be
    played.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"scenario": "us-japan-autos-1995", "trials": 100_000, "seed": 1, "design": RANDOM.name},
                {"scenario": "us-japan-autos-1995", "precision": {"agreement": 0.001}, "trials": 5_000_000},
            ]
        },
    )

    scenario: dict[str, Any] | Annotated[str, Field(max_length=64)]
    trials: StrictInt = Field(
        100_000, description=f"Trials of each strategy; with `precision` the most, {MOST_TRIALS:,} unless given."
    )
    seed: StrictInt = Field(1, description="From 0 to 2^63 - 1.")
    design: DesignName = Field(
        RANDOM.name,
        description="`saltelli`, for indices, takes 8 (inputs + 2) times a multiple of 16 trials, from 64 on; an "
        "input is an uncertain parameter, or several that are correlated.",
    )
    precision: dict[Annotated[str, Field(max_length=64)], HalfWidth] | None = Field(
        None,
        min_length=1,
        description="Play until the 95 % intervals of these probabilities and means have at most these half-widths "
        "under every strategy. Needs the design `random` or `sobol`.",
    )
    keep: Keep = Field(
        "all",
        description="`summary` keeps counts of all trials, for the summary and the timeline, and the rows of the first "
        "trials only (at least 100,000), for all other answers. Needs the design `random` or `sobol`.",
    )
    strategies: list[Annotated[str, Field(max_length=64)]] = Field(
        default=[], max_length=100, description="All of the scenario's if none are named."
    )
    set: dict[Annotated[str, Field(max_length=200)], Any] = Field(
        default={},
        max_length=1000,
        description="A number or a distribution by parameter, set under every strategy; chance stays as it is.",
        examples=[{"target_win": 0.9, "tariff_rate": {"uniform": [0.5, 1]}}],
    )
    priority: StrictInt = Field(
        0, ge=-10, le=10, description="Rank among the owner's waiting jobs: the highest is played first."
    )


class JobProgress(BaseModel):
    """How far a job has come."""

    trials_done: int
    trials_total: int


class RequestedPrecision(BaseModel):
    """The requested half-width of a 95 % interval and, once known, those under each strategy.

    `trials_needed` is about how many trials would make it; `never_known` are strategies that leave it null.
    """

    half_width: float
    reached: bool | None = None
    half_widths: dict[str, float | None] = {}
    trials_needed: int | None = None
    never_known: list[str] = []


class JobPrecision(BaseModel):
    """A precision asked of a job; whether it was reached, null until known, and after how many trials it looked."""

    reached: bool | None = None
    most_trials: int
    looks: list[int] = []
    requested: dict[str, RequestedPrecision]


class JobView(BaseModel):
    """A job as a client sees it."""

    id: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    scenario: str
    trials: int = Field(description="Of each strategy; with a precision, the number reached so far.")
    seed: int
    design: str
    strategies: list[str]
    keep: Keep = Field(description="`summary`: only the rows of the first trials are kept, and counts of all.")
    precision: JobPrecision | None
    priority: int
    progress: JobProgress
    error: str | None = Field(description="Why the job failed.")
    warnings: list[ScenarioWarning] = Field(description="Values of the scenario that are probably mistakes.")
    ahead: int | None = Field(
        None, description="Jobs of all users whose turn comes first, while it waits for a runner."
    )
    waiting: str | None = Field(description="Cause of a transient failure, while the job waits to be tried again.")
    created_at: str
    started_at: str | None
    finished_at: str | None


class JobPage(BaseModel):
    """Some jobs, the newest first, and a token for those before them."""

    jobs: list[JobView]
    next_page_token: str | None


def view(job: Job, places: Mapping[str, int] | None = None) -> JobView:
    """A job as a client sees it; `places` are those of `cluster.service.leases.places`."""
    request = json.loads(job.request)
    return JobView(
        id=job.id,
        state=job.state,
        scenario=job.scenario,
        trials=request["trials"],
        seed=request["seed"],
        design=request["design"],
        strategies=request["strategies"],
        keep=request.get("keep", "all"),
        precision=JobPrecision.model_validate(request["precision"]) if "precision" in request else None,
        priority=job.priority,
        progress=JobProgress(trials_done=job.trials_done, trials_total=job.trials_total),
        error=job.error,
        warnings=[ScenarioWarning(**warning) for warning in request.get("warnings", ())],
        ahead=None if places is None or job.state != jobs.QUEUED else places.get(job.id),
        waiting=job.waiting,
        created_at=rfc3339(job.created_at) or "",
        started_at=rfc3339(job.started_at),
        finished_at=rfc3339(job.finished_at),
    )


@router.post("/jobs", status_code=202, response_model=JobView, summary="Submit a job")
def submit(
    http: Request,
    request: JobRequest,
    response: Response,
    submitter: Submitter,
    engine: Database,
    settings: SettingsOf,
    submitting: Submitting,
    key: IdempotencyKey,
) -> JobView:
    """Record a job for the runners. With an `Idempotency-Key`, a repeated request returns the first one's job."""
    # Without a precision, parameters set and counts kept, the digest is that of services which did not know these.
    later = {"keep"} if request.keep == "all" else set()
    if not request.precision:
        later |= {name for name in ("precision", "set") if not getattr(request, name)}
    sent = request.model_dump(exclude=later, exclude_unset=bool(request.precision))
    digest = hashlib.sha256(json.dumps(sent).encode()).hexdigest()
    owner = submitter.owner
    job = jobs.by_key(engine, key, owner) if key else None
    if job is None:
        check_maintenance(engine)
        plan = requested_plan(request, settings, engine, owner)
        # One at a time, so that concurrent requests do not all take the last place in the queue.
        with submitting:
            # The same request may have been recorded while this one waited.
            job = jobs.by_key(engine, key, owner) if key else None
            if job is None:
                check_room(engine, owner, settings)
                job = jobs.submit(
                    engine,
                    plan,
                    owner=owner,
                    priority=request.priority,
                    key=key,
                    request_sha256=digest,
                    precision=request.precision,
                )
    if job.request_sha256 != digest:
        fault = Fault("Idempotency-Key", key, "was used before, with another body")
        raise Problem(422, "the idempotency key belongs to another request", [fault])
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    note(http, subject=job.id)
    return view(job)


@router.get("/jobs", response_model=JobPage, summary="List jobs")
def list_jobs(
    reader: Reader,
    engine: Database,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    page_token: Annotated[str | None, Query(max_length=200, pattern="^[A-Za-z0-9_=-]+$")] = None,
) -> JobPage:
    """Jobs from the newest on, a page at a time."""
    found = jobs.newest(engine, limit + 1, _before(page_token), owner=reader.sees)
    shown = found[:limit]
    places = leases.places(engine) if any(job.state == jobs.QUEUED for job in shown) else None
    return JobPage(
        jobs=[view(job, places) for job in shown],
        next_page_token=_token(shown[-1]) if len(found) > limit else None,
    )


@router.get("/jobs/{job_id}", response_model=JobView, summary="Look at a job")
def get_job(job: KnownJob, engine: Database) -> JobView:
    """A job's state and progress, its place in the queue, and what went wrong if it failed."""
    return view(job, leases.places(engine) if job.state == jobs.QUEUED else None)


@router.get("/jobs/{job_id}/scenario", summary="Read a job's scenario")
def scenario(job: KnownJob) -> dict[str, Any]:
    """The scenario that the job plays, in full; also before it is played, when there are no files yet."""
    document: dict[str, Any] = json.loads(job.request)["scenario"]
    return document


@router.post("/jobs/{job_id}/cancel", status_code=202, response_model=JobView, summary="Cancel a job")
def cancel(job: ChangedJob, engine: Database) -> JobView:
    """Stop a job; what is committed is kept. A job that has ended stays as it is."""
    return view(jobs.request_cancel(engine, job.id) or job)


@router.delete("/jobs/{job_id}", status_code=204, summary="Delete a job")
def delete(job: ChangedJob, engine: Database, settings: SettingsOf) -> None:
    """Stop a job if it runs, and remove it with its results."""
    remove_job(engine, settings.results, job)


async def open_stream(request: Request, reader: Reader) -> AsyncIterator[None]:
    """One more event stream of the caller, until it ends."""
    with request.app.state.streams.stream(reader.owner):
        yield


@router.get(
    "/jobs/{job_id}/events",
    summary="Watch a job",
    response_class=EventSourceResponse,
    dependencies=[Depends(open_stream)],
    responses={200: {"description": "Events, whose data is the job", "content": {"text/event-stream": {}}}},
)
async def events(
    job: KnownJob, engine: Database, last_event_id: Annotated[str | None, Header(max_length=20)] = None
) -> EventSourceResponse:
    """A job's state and progress as server-sent events, until it ends.

    An event's id counts the job's changes, so that a client resumes with `Last-Event-ID` where it was. A comment
    line every 15 seconds shows that the connection lives.
    """
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
    if seen > job.change:
        # Not an id of this job: better sent twice than not at all.
        seen = 0

    async def changes() -> AsyncIterator[JSONServerSentEvent]:
        last, changed = seen, time.monotonic()
        while True:
            # A job's whole row, which holds its scenario, is read only once it has changed.
            found = await run_in_threadpool(jobs.standing, engine, job.id)
            if found is None:
                return
            change, state = found
            if change > last:
                now = await run_in_threadpool(jobs.get, engine, job.id)
                if now is None:
                    return
                last, changed, state = now.change, time.monotonic(), now.state
                yield JSONServerSentEvent(view(now).model_dump(), event=now.state, id=str(now.change))
            if state in jobs.ENDED:
                return
            await asyncio.sleep(min(max(0.1 * (time.monotonic() - changed), SHORTEST_POLL), LONGEST_POLL))

    return EventSourceResponse(changes(), ping=HEARTBEAT_SECONDS)


def requested_plan(request: JobRequest, settings: Settings, engine: sa.Engine, owner: str) -> Plan:
    """The plan of a job that an owner requests. Raises `Problem` or `InvalidInput`."""
    try:
        scenario = (
            named_scenario(engine, owner, request.scenario)
            if isinstance(request.scenario, str)
            else scenario_from_document(request.scenario, classes=class_names())
        )
    except InvalidInput as error:
        raise invalid(error, "" if isinstance(request.scenario, str) else "scenario") from None
    if request.set:
        try:
            scenario = intervene(scenario, request.set)
        except InvalidInput as error:
            raise invalid(error) from None
    trials = request.trials
    if request.precision and "trials" not in request.model_fields_set:
        trials = min(MOST_TRIALS, settings.max_trials)
    plan = make_plan(
        scenario,
        trials=trials,
        seed=request.seed,
        design=request.design,
        strategies=tuple(request.strategies),
        keep=request.keep,
    )
    if plan.trials > settings.max_trials:
        fault = Fault("trials", plan.trials, f"must be at most {settings.max_trials}")
        raise Problem(422, "the job is too large for this service", [fault])
    if request.precision:
        check_precise(plan, request.precision)
    return plan


def _token(job: Job) -> str:
    return base64.urlsafe_b64encode(json.dumps([job.created_at, job.id]).encode()).decode()


def _before(token: str | None) -> tuple[float, str] | None:
    if token is None:
        return None
    try:
        created_at, job_id = json.loads(base64.urlsafe_b64decode(token))
        if not (isfinite(created_at) and re.fullmatch("[0-9a-f]{32}", job_id)):
            raise ValueError
        return float(created_at), job_id
    except (ValueError, TypeError, OverflowError):
        fault = Fault("page_token", token, "must be a next_page_token from this service")
        raise Problem(422, "the page token is not one of this service's", [fault]) from None
