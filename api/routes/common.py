"""What the routes share: the request's settings and database, and the job it is about."""

from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi import Path as PathParameter

from api.problems import Problem
from cluster import jobs
from cluster.folders import Folder
from cluster.jobs import Job
from cluster.settings import Settings


def settings(request: Request) -> Settings:
    """The service's settings."""
    return request.app.state.settings


def database(request: Request) -> sa.Engine:
    """The jobs database."""
    return request.app.state.database


SettingsOf = Annotated[Settings, Depends(settings)]
Database = Annotated[sa.Engine, Depends(database)]


def known_job(
    job_id: Annotated[str, PathParameter(description="The job's id.", max_length=64)], engine: Database
) -> Job:
    """The job of the request's path; a 404 if there is none."""
    found = jobs.get(engine, job_id)
    if found is None:
        raise Problem(404, f"there is no job {job_id}")
    return found


KnownJob = Annotated[Job, Depends(known_job)]


def job_folder(job: Job, given: Settings) -> Folder:
    """The folder of a job's results."""
    return given.results.within(job.id)


def rfc3339(seconds: float | None) -> str | None:
    """A time as RFC 3339 has it, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
