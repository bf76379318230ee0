"""Leases of jobs: a runner takes a job under a lease, renews it while it works, and returns or ends the job.

A job is taken in fair turn: from the owner with the fewest jobs in work, among those from the one who has waited
longest, and of that owner's jobs the one of the highest priority, then the oldest. A lease that is not renewed expires,
and then the job is free for the next runner.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cluster.service.jobs import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, TRANSITIONS, Job, jobs, owners

LEAST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""After a transient failure a job is tried again after a pause that grows from the least to the longest, in seconds."""


def claim(engine: sa.Engine, runner: str, lease_seconds: float, *, repeats_only: bool = False) -> Job | None:
    """Take the next job in turn under a lease; with `repeats_only`, only one that repeats an ended job of its owner."""
    now = time.time()
    free = _free(now)
    if repeats_only:
        free = sa.and_(free, _repeats())
    turn = _in_turn(now, free).limit(1).with_for_update(of=jobs, skip_locked=True)
    taken = (
        jobs.update()
        .where(jobs.c.id == turn.scalar_subquery(), free)
        .values(
            state=RUNNING,
            lease_owner=runner,
            lease_expires=now + lease_seconds,
            not_before=None,
            started_at=sa.func.coalesce(jobs.c.started_at, now),
            change=jobs.c.change + 1,
        )
        .returning(jobs)
    )
    with engine.begin() as connection:
        row = connection.execute(taken).first()
        if row is not None:
            _served(connection, row.owner, now)
    return Job(**row._mapping) if row else None


def renew(
    engine: sa.Engine, job_id: str, runner: str, lease_seconds: float, trials_done: int, stored: int = 0
) -> Job | None:
    """Renew a lease and record progress (trials, bytes stored). None if the job is no longer the runner's."""
    further = jobs.c.trials_done < trials_done
    renewed = (
        jobs.update()
        .where(_held(job_id, runner))
        .values(
            lease_expires=time.time() + lease_seconds,
            change=sa.case((jobs.c.trials_done != trials_done, jobs.c.change + 1), else_=jobs.c.change),
            # A job with progress is no longer failing.
            waiting=sa.case((further, None), else_=jobs.c.waiting),
            failing_since=sa.case((further, None), else_=jobs.c.failing_since),
            trials_done=trials_done,
            bytes=stored,
        )
        .returning(jobs)
    )
    with engine.begin() as connection:
        row = connection.execute(renewed).first()
    return Job(**row._mapping) if row else None


def record(
    engine: sa.Engine,
    job_id: str,
    runner: str,
    *,
    trials: int | None = None,
    precision: Mapping[str, object] | None = None,
    kernel_version: int | None = None,
) -> bool:
    """Record the trials that a precise job is brought to, what its precision took, or the kernel that plays it.

    Nothing is recorded of a job that is not the runner's. Returns whether it was.
    """
    with engine.begin() as connection:
        row = connection.execute(sa.select(jobs).where(_held(job_id, runner)).with_for_update()).first()
        if row is None:
            return False
        request = json.loads(row.request)
        request |= {} if trials is None else {"trials": trials}
        request |= {} if precision is None else {"precision": precision}
        request |= {} if kernel_version is None else {"kernel_version": kernel_version}
        changed = {
            "request": json.dumps(request),
            "trials_total": request["trials"] * len(request["strategies"]),
            "change": jobs.c.change + 1,
        }
        return connection.execute(jobs.update().where(_held(job_id, runner)).values(changed)).rowcount > 0


def finish(
    engine: sa.Engine,
    job_id: str,
    runner: str,
    state: str,
    trials_done: int,
    error: str | None = None,
    *,
    stored: int = 0,
) -> bool:
    """End a job of the runner. Returns whether it was the runner's."""
    if state not in TRANSITIONS[RUNNING] or TRANSITIONS[state]:
        raise ValueError(f"a job cannot end as {state}")
    ended = {"state": state, "trials_done": trials_done, "bytes": stored, "error": error, **_END, **_NO_LEASE}
    with engine.begin() as connection:
        change = jobs.update().where(_held(job_id, runner)).values(ended | {"finished_at": time.time()})
        return connection.execute(change).rowcount > 0


def give_back(engine: sa.Engine, job_id: str, runner: str, trials_done: int, stored: int = 0) -> bool:
    """Return a job of the runner to the queue, with its owner last in turn. Returns whether it was the runner's."""
    now = time.time()
    back = {**_back(now), "trials_done": trials_done, "bytes": stored}
    with engine.begin() as connection:
        row = connection.execute(
            jobs.update().where(_held(job_id, runner)).values(back).returning(jobs.c.owner)
        ).first()
        if row is not None:
            _served(connection, row.owner, now)
    return row is not None


def postpone(
    engine: sa.Engine, job_id: str, runner: str, reason: str, patience_seconds: float, trials_done: int, stored: int = 0
) -> bool:
    """Put a job back into the queue for a while after a transient failure, or fail it if the failures last too long.

    The pause is as long as the failures have lasted, so that the time between two attempts doubles.
    Returns whether the job was the runner's.
    """
    now = time.time()
    with engine.begin() as connection:
        row = connection.execute(sa.select(jobs).where(_held(job_id, runner)).with_for_update()).first()
        if row is None:
            return False
        since = row.failing_since if row.failing_since is not None and row.trials_done >= trials_done else now
        values: dict[str, Any] = {"trials_done": trials_done, "bytes": stored}
        if now - since >= patience_seconds and not row.cancel_requested:
            cause = f"{reason} (for {now - since:.0f} s)"
            values |= {"state": FAILED, "error": cause, "finished_at": now, **_END, **_NO_LEASE}
        else:
            pause = min(max(now - since, LEAST_PAUSE), LONGEST_PAUSE)
            values |= {**_back(now), "waiting": reason, "failing_since": since, "not_before": now + pause}
        connection.execute(jobs.update().where(_held(job_id, runner)).values(values))
    return True


def places(engine: sa.Engine) -> dict[str, int]:
    """How many jobs are taken before each job that waits for a runner, by its id; not for jobs that wait for a time."""
    now = time.time()
    with engine.connect() as connection:
        turn = connection.execute(_in_turn(now, _free(now))).scalars().all()
    return {job_id: place for place, job_id in enumerate(turn)}


def is_held(job: Job) -> bool:
    """Whether a runner holds the job under a lease that has not expired."""
    return job.state == RUNNING and (job.lease_expires or 0.0) >= time.time()


def gives_way(engine: sa.Engine, job: Job) -> bool:
    """Whether it would be another job's turn if this one, which is in work, were given back now."""
    now = time.time()
    free = sa.or_(_free(now), jobs.c.id == job.id)
    with engine.connect() as connection:
        first = connection.execute(_in_turn(now, free, without=job).limit(1)).scalar()
    return first is not None and first != job.id


_END: dict[str, Any] = {"waiting": None, "failing_since": None, "not_before": None}
_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_expires": None, "change": jobs.c.change + 1}


def _back(now: float) -> dict[str, Any]:
    """The changes when a job leaves its runner before its end: it is queued, or cancelled if that was requested."""
    return {
        "state": sa.case((jobs.c.cancel_requested, CANCELLED), else_=QUEUED),
        "finished_at": sa.case((jobs.c.cancel_requested, now), else_=None),
        **_NO_LEASE,
    }


def _held(job_id: str, runner: str) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.id == job_id, jobs.c.lease_owner == runner, jobs.c.state == RUNNING)


def _free(now: float) -> sa.ColumnElement[bool]:
    waits = sa.and_(jobs.c.state == QUEUED, sa.func.coalesce(jobs.c.not_before, 0.0) <= now)
    return sa.or_(waits, sa.and_(jobs.c.state == RUNNING, jobs.c.lease_expires < now))


def _repeats() -> sa.ColumnElement[bool]:
    """Jobs that request the same run as a finished job of the same owner."""
    earlier = jobs.alias()
    return sa.exists().where(
        earlier.c.lineage == jobs.c.lineage,
        earlier.c.owner == jobs.c.owner,
        earlier.c.request == jobs.c.request,
        earlier.c.state == SUCCEEDED,
    )


def _in_turn(now: float, free: sa.ColumnElement[bool], without: Job | None = None) -> sa.Select[str]:
    """The ids of the free jobs in the order of their turns, `without` a job's own part in its owner's share.

    An owner's second job in the queue ranks as if the first were in work already, so that two runners that choose
    at the same instant choose different owners.
    """
    in_work = sa.and_(jobs.c.state == RUNNING, jobs.c.lease_expires >= now)
    served: sa.ColumnElement[float] = sa.func.coalesce(owners.c.served_at, 0.0)
    if without is not None:
        in_work = sa.and_(in_work, jobs.c.id != without.id)
        served = sa.case((jobs.c.owner == without.owner, now), else_=served)
    working = sa.select(jobs.c.owner, sa.func.count().label("jobs")).where(in_work).group_by(jobs.c.owner).subquery()
    queue = (
        sa.select(
            jobs.c.id,
            sa.func.row_number()
            .over(partition_by=jobs.c.owner, order_by=(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id))
            .label("place"),
            sa.func.min(jobs.c.created_at).over(partition_by=jobs.c.owner).label("since"),
        )
        .where(free)
        .subquery()
    )
    return (
        sa.select(jobs.c.id)
        .join(queue, queue.c.id == jobs.c.id)
        .outerjoin(working, working.c.owner == jobs.c.owner)
        .outerjoin(owners, owners.c.owner == jobs.c.owner)
        .where(free)
        .order_by(
            sa.func.coalesce(working.c.jobs, 0) + queue.c.place,
            sa.case((served > queue.c.since, served), else_=queue.c.since),
            jobs.c.owner,
            queue.c.place,
        )
    )


def _served(connection: sa.Connection, owner: str, now: float) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = insert(owners).values(owner=owner, served_at=now)
    connection.execute(row.on_conflict_do_update(index_elements=[owners.c.owner], set_={"served_at": now}))
