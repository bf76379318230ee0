"""Removal of the results of deleted jobs, and of ended jobs that are too old or take up too much space.

The results of a deleted job are removed after the last writer has stopped, so that they do not appear again. If a
runner holds the job under a lease, it is this runner that removes them, once it has stopped.

Results that no job names are removed only if the store belongs to the database (`cluster.service.store_identity`).
"""

import time
from collections.abc import Set

import sqlalchemy as sa

from cluster.service import jobs, leases
from cluster.service.full_disk import is_full, keep_reserve
from cluster.service.jobs import ENDED, Job
from cluster.service.logs import logger
from cluster.service.store_identity import belong_together, mismatch, result_folders
from cluster.storage.base import Folder

log = logger("brink.retention")


def remove_job(engine: sa.Engine, results: Folder, job: Job) -> None:
    """Delete a job's row, then its results, unless a runner plays the job: it stops, and removes them.

    What cannot be removed, or was left by a runner that died, is removed by `apply_retention` later. Where the disk is
    so full that the row cannot be deleted, the results are removed first: they free the room that this takes.
    """
    try:
        deleted = jobs.delete(engine, job.id)
    except sa.exc.OperationalError as error:
        if not is_full(error):
            raise
        _remove_results(results, job.id)
        deleted = jobs.delete(engine, job.id)
    if deleted is not None and not leases.is_held(deleted):
        _remove_results(results, job.id)


def _remove_results(results: Folder, job_id: str) -> bool:
    try:
        results.within(job_id).remove_all()
    except OSError as error:
        log.warning("results could not be removed; it will be tried again", job_id=job_id, error=str(error))
        return False
    return True


def folders_without_job(engine: sa.Engine, results: Folder) -> list[str]:
    """The names of the folders of deleted jobs.

    A job is recorded before its folder is made, and folders are listed before jobs are looked up: a folder without
    a job is that of a deleted one.
    """
    found = result_folders(results)
    with engine.connect() as connection:
        known = set(connection.execute(sa.select(jobs.jobs.c.id)).scalars())
    return [job_id for job_id in found if job_id not in known]


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


def apply_retention(
    engine: sa.Engine, results: Folder, days: float | None, stored: int | None, without_job: Set[str]
) -> frozenset[str]:
    """Delete the jobs that are due and the folders of deleted jobs; make the database's reserve if it is missing.

    A folder is deleted if it is `without_job` since the last call, so that its job's runner has had the time to stop,
    and if the store belongs to the database. Returns the folders without a job that are left, for the next call.
    """
    for job in overdue(engine, days, stored):
        log.info("job deleted: it ended long ago, or room was needed", job_id=job.id)
        remove_job(engine, results, job)
    left = _remove_folders_without_job(engine, results, without_job)
    keep_reserve(engine)
    return left


def _remove_folders_without_job(engine: sa.Engine, results: Folder, without_job: Set[str]) -> frozenset[str]:
    if mismatch(engine, results) is not None:
        return frozenset()
    found = frozenset(folders_without_job(engine, results))
    due = sorted(found & without_job)
    # Again, in case that another database answers since.
    if due and not belong_together(engine, results):
        return frozenset()
    for job_id in due:
        if _remove_results(results, job_id):
            log.info("folder removed: there is no such job", job_id=job_id)
    return found - without_job
