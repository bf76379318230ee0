"""What the routes share: the request's settings and database, and the job it is about."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Query, Request
from fastapi import Path as PathParameter
from starlette.concurrency import run_in_threadpool

from api.http.answer_cache import AnswerCache
from api.http.authentication import Caller, Reader, Submitter
from api.http.problems import Problem
from api.shipped_scenarios import shipped_names, shipped_scenario
from cluster.answers.entry import MOST_BELIEFS, MOST_STRATEGIES, StrategyName, Text
from cluster.query.session import cancelled_by, time_limit
from cluster.query.trials import StoredRun
from cluster.reference.rates import class_names
from cluster.service import jobs, scenarios
from cluster.service.jobs import Job
from cluster.service.settings import Settings
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import Scenario, scenario_from_document


# These wait for nothing: a plain function would be called in a thread, which takes longer than all it does.
async def settings(request: Request) -> Settings:
    """The service's settings."""
    found: Settings = request.app.state.settings
    return found


async def database(request: Request) -> sa.Engine:
    """The jobs database."""
    found: sa.Engine = request.app.state.database
    return found


async def submitting(request: Request) -> Lock:
    """Held while a job is submitted."""
    found: Lock = request.app.state.submitting
    return found


async def answer_cache(request: Request) -> AnswerCache:
    """The cache of answers."""
    found: AnswerCache = request.app.state.answer_cache
    return found


SettingsOf = Annotated[Settings, Depends(settings)]
Database = Annotated[sa.Engine, Depends(database)]
CachedAnswers = Annotated[AnswerCache, Depends(answer_cache)]
BeliefsInQuery = Annotated[
    list[Text] | None,
    Query(max_length=MOST_BELIEFS, description="A belief, such as `sanctions = 0.3`; may be repeated."),
]
StrategiesInQuery = Annotated[
    list[StrategyName] | None,
    Query(max_length=MOST_STRATEGIES, description="Only this strategy; may be repeated. All if none is named."),
]
Submitting = Annotated[Lock, Depends(submitting)]
JobId = Annotated[str, PathParameter(description="The job's id.", max_length=64)]


def find_job(job_id: str, whose: Caller, engine: sa.Engine) -> Job:
    """The job of that id; the same 404 if there is none and if it belongs to another user."""
    found = jobs.get(engine, job_id, whose.sees) if re.fullmatch("[0-9a-f]{32}", job_id) else None
    if found is None:
        raise Problem(404, f"there is no job {job_id}")
    return found


def known_job(job_id: JobId, reader: Reader, engine: Database) -> Job:
    """The job of the request's path, for callers who may read it."""
    return find_job(job_id, reader, engine)


def changed_job(job_id: JobId, submitter: Submitter, engine: Database) -> Job:
    """The job of the request's path, for callers who may stop or remove it."""
    return find_job(job_id, submitter, engine)


KnownJob = Annotated[Job, Depends(known_job)]
ChangedJob = Annotated[Job, Depends(changed_job)]


def job_folder(job: Job, given: Settings) -> Folder:
    """The folder of a job's results."""
    return given.results.within(job.id)


def named_scenario(engine: sa.Engine, owner: str, name: str) -> Scenario:
    """An owner's own scenario of that name, or a shipped one. Raises `InvalidInput`."""
    # PostgreSQL stores no text with a NUL.
    own = None if "\0" in name else scenarios.find(engine, owner, name)
    if own is not None:
        try:
            return scenario_from_document(own.document, classes=class_names())
        except InvalidInput as error:
            message = f"is kept, but is no longer a valid scenario: {error.faults[0]}"
            raise InvalidInput((Fault("scenario", name, message),)) from None
    if name not in shipped_names():
        known = ", ".join(shipped_names())
        message = f"is neither one of your own scenarios nor a shipped one; shipped are {known}"
        raise InvalidInput((Fault("scenario", name, message),))
    return shipped_scenario(name)


@asynccontextmanager
async def answering(request: Request, caller: Caller, job: Job) -> AsyncIterator[StoredRun]:
    """A job's run, with a slot to compute an answer in and a limit to the time it takes."""
    given: Settings = request.app.state.settings
    async with request.app.state.answer_slots.slot(caller.owner), _gone(request) as gone:
        with time_limit(given.query_seconds), cancelled_by(gone):
            plan = await run_in_threadpool(lambda: job.plan)
            folder, cache = job_folder(job, given), request.app.state.column_cache
            yield StoredRun(plan, folder, cache, given.ray_address)


@asynccontextmanager
async def _gone(request: Request) -> AsyncIterator[Event]:
    """An event that is set when the client has closed the connection, as a page does that asks something else now."""
    # Others find the body with the request.
    await request.body()
    gone = Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()


async def known_run(request: Request, caller: Reader, job: KnownJob) -> AsyncIterator[StoredRun]:
    """The run of the path's job, for an answer about it."""
    async with answering(request, caller, job) as found:
        yield found


KnownRun = Annotated[StoredRun, Depends(known_run)]


def rfc3339(seconds: float | None) -> str | None:
    """A time as RFC 3339 has it, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
