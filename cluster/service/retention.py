"""What is removed: deleted jobs' results, and ended jobs that are too old or take up too much room."""

import re
import time

import sqlalchemy as sa

from cluster.service import jobs
from cluster.service.full_disk import is_full, keep_reserve
from cluster.service.jobs import ENDED, Job
from cluster.service.logs import logger
from cluster.storage.base import Folder

log = logger("brink.retention")
_JOB_ID = re.compile(r"[0-9a-f]{32}")


def remove_job(engine: sa.Engine, results: Folder, job: Job) -> None:
    """Delete a job's row, then its results; a runner that plays it stops.

    What cannot be removed now, or is written by a runner that has not noticed yet, is removed by the next sweep. Where
    the disk is so full that the row cannot be deleted, the results go first: they free the room that this takes.
    """
    try:
        jobs.delete(engine, job.id)
    except sa.exc.OperationalError as error:
        if not is_full(error):
            raise
        _remove_results(results, job)
        jobs.delete(engine, job.id)
    _remove_results(results, job)


def _remove_results(results: Folder, job: Job) -> None:
    try:
        results.within(job.id).remove_all()
    except OSError as error:
        log.warning("results remain until the next sweep", job_id=job.id, error=str(error))


def sweep(engine: sa.Engine, results: Folder) -> list[str]:
    """Remove the folders of jobs that are no more; returns the jobs' ids.

    A job is recorded before its folder is made, and folders are listed before jobs are looked up: a folder without
    a job is one that is deleted.
    """
    found = [name for name in results.subfolders() if _JOB_ID.fullmatch(name)]
    with engine.connect() as connection:
        known = set(connection.execute(sa.select(jobs.jobs.c.id)).scalars())
    gone = [job_id for job_id in found if job_id not in known]
    for job_id in gone:
        results.within(job_id).remove_all()
    return gone


def overdue(engine: sa.Engine, days: float | None, stored: int | None) -> list[Job]:
    """Ended jobs to delete, the oldest first: those older than `days`, and while all take up more than `stored` bytes.

    Age counts from a job's end. Of hard-linked files each job's folder counts in full. Jobs that have not ended are
    never among them, though their bytes count.
    """
    with engine.connect() as connection:
        ended = [
            Job(**row._mapping)
            for row in connection.execute(
                sa.select(jobs.jobs).where(jobs.jobs.c.state.in_(ENDED)).order_by(jobs.jobs.c.finished_at)
            )
        ]
        total = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(jobs.jobs.c.bytes), 0))).scalar_one()
    since = time.time() - days * 86_400 if days is not None else None
    found = []
    for job in ended:
        too_old = since is not None and (job.finished_at or 0.0) < since
        too_much = stored is not None and total > stored
        if too_old or too_much:
            found.append(job)
            total -= job.bytes
    return found


def apply_retention(engine: sa.Engine, results: Folder, days: float | None, stored: int | None) -> None:
    """Delete the jobs that are due, and the folders of deleted jobs; make the database's reserve if it is missing."""
    for job in overdue(engine, days, stored):
        log.info("job deleted: it ended long ago, or room was needed", job_id=job.id)
        remove_job(engine, results, job)
    for job_id in sweep(engine, results):
        log.info("folder removed: there is no such job", job_id=job_id)
    keep_reserve(engine)
