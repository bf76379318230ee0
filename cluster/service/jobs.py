"""Jobs: what was requested, their state, and who works on them.

The database is the source of truth for jobs, the result folder for results. How runners take jobs and give them up
is in `cluster/service/leases.py`.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from cluster.results.plan import Plan, plan_document, plan_from_document
from cluster.service.full_disk import with_reserve
from cluster.service.wakeup import announce_job
from sim.faults import Fault, InvalidInput
from sim.scenario.scenario import scenario_document, scenario_from_document, scenario_hash
from sim.scenario.warnings import warning_documents

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = STATES = ("queued", "running", "succeeded", "failed", "cancelled")
TRANSITIONS = {
    QUEUED: (RUNNING, CANCELLED),
    RUNNING: (RUNNING, QUEUED, SUCCEEDED, FAILED, CANCELLED),
    SUCCEEDED: (),
    FAILED: (),
    CANCELLED: (),
}
"""The states that may follow each state: running after running when another runner takes the job over, and queued after
running when its runner returns it, because other jobs wait or after a transient failure."""

ENDED = tuple(state for state in STATES if not TRANSITIONS[state])

LOCAL = "local"
"""The owner of all jobs in a service without keys."""

_MIGRATION_LOCK = 1995
Query = TypeVar("Query", bound=sa.Select[Any])

metadata = sa.MetaData()
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("scenario", sa.String(64), nullable=False),
    sa.Column("trials_done", sa.BigInteger, nullable=False),
    sa.Column("trials_total", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False, index=True),
    sa.Column("started_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("change", sa.Integer, nullable=False),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_expires", sa.Float),
    sa.Column("idempotency_key", sa.String(255)),
    sa.Column("request_sha256", sa.String(64)),
    sa.Column("owner", sa.String(64), nullable=False, server_default="local"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("waiting", sa.Text),
    sa.Column("failing_since", sa.Float),
    sa.Column("not_before", sa.Float),
    sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("lineage", sa.String(64), index=True),
    sa.UniqueConstraint("owner", "idempotency_key", name="jobs_owner_key"),
)
owners = sa.Table(
    "owners",
    metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("served_at", sa.Float, nullable=False),
)
runners = sa.Table(
    "runners",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("drain", sa.String(16)),
)


@dataclass(frozen=True)
class Job:
    """A job as the database has it. Times are seconds since 1970; `change` counts the changes of the job's view.

    `waiting` is the cause of a transient failure, and `failing_since` the time of the first in a row. No runner takes
    the job before `not_before`. `bytes` is the size of its results.
    """

    id: str
    state: str
    request: str
    scenario: str
    trials_done: int
    trials_total: int
    error: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    cancel_requested: bool
    change: int
    lease_owner: str | None
    lease_expires: float | None
    idempotency_key: str | None
    request_sha256: str | None
    owner: str
    priority: int
    waiting: str | None
    failing_since: float | None
    not_before: float | None
    bytes: int
    lineage: str | None

    @property
    def plan(self) -> Plan:
        """The run that the job requests; for a precise job, with the number of trials reached so far."""
        return _plan_of(self.request)

    @property
    def precision(self) -> dict[str, Any] | None:
        """The precision that the job requests and, once known, what was reached; null if it requests none."""
        found: dict[str, Any] | None = json.loads(self.request).get("precision")
        return found

    @property
    def ended(self) -> bool:
        """Whether the job has ended in any state."""
        return not TRANSITIONS[self.state]


@lru_cache(maxsize=64)
def _plan_of(request: str) -> Plan:
    """The plan in the text of a request; those of the last jobs that were asked about are kept."""
    document = json.loads(request)
    return plan_from_document(scenario_from_document(document["scenario"]), document)


def open_database(url: str | sa.URL, version: str = "head") -> sa.Engine:
    """Connect to the jobs database and bring its tables up to date, or to an earlier version.

    Raises `InvalidInput` for the database of a later version of Brink.
    """
    engine = connect(url)
    with _migrating(engine) as config:
        try:
            command.upgrade(config, version)
        except CommandError as error:
            if "locate revision" not in str(error):
                raise
            message = "names the jobs database of a later version of Brink: install it, or use another database"
            raise InvalidInput((Fault("BRINK_DATABASE_URL", None, message),)) from None
    return engine


def rebuild_tables(engine: sa.Engine, version: str) -> None:
    """Make the tables of a database anew, empty and of some version, in place of those of another version."""
    with _migrating(engine) as config:
        command.downgrade(config, "base")
        command.upgrade(config, version)


def known_versions() -> list[str]:
    """The versions of the tables that this version of Brink knows."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    scripts = resources.files("cluster") / "service" / "migrations"
    # A % in the path would begin the name of another option.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config


@contextmanager
def _migrating(engine: sa.Engine) -> Iterator[Config]:
    """Alembic's configuration for a transaction in which no other process migrates."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        yield config


def migrate(url: str | sa.URL) -> tuple[str | None, str]:
    """Bring the tables of the jobs database up to date.

    Returns their version before and after; before is None for a database without tables. Raises `InvalidInput` for
    the database of a later version of Brink.
    """
    before = tables_version(connect(url))
    after = tables_version(open_database(url))
    assert after is not None
    return before, after


def connect(url: str | sa.URL) -> sa.Engine:
    """Connect to the jobs database and leave its tables as they are."""
    engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def tables_version(engine: sa.Engine) -> str | None:
    """The version of the tables, as Alembic names it. Closes the engine's connections."""
    with engine.connect() as connection:
        version = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return version


def lineage(plan: Plan) -> str:
    """What a plan's shards follow from, as a digest: plans of one lineage share those shards that both have."""
    identity = [scenario_hash(plan.scenario), plan.seed, plan.design.name, plan.shard_trials, plan.kernel_version]
    if plan.design.size is not None:
        identity.append(plan.design.size)
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def submit(
    engine: sa.Engine,
    plan: Plan,
    *,
    owner: str = LOCAL,
    priority: int = 0,
    key: str | None = None,
    request_sha256: str | None = None,
    precision: Mapping[str, float] | None = None,
) -> Job:
    """Record a job, or return the one that the owner already has under the same idempotency key.

    With a `precision`, half-widths by name, it plays until they are reached, the plan's trials at most.
    """
    request = {"scenario": scenario_document(plan.scenario), **plan_document(plan)}
    if plan.scenario.warnings:
        request["warnings"] = warning_documents(plan.scenario.warnings)
    if precision:
        wanted = {name: {"half_width": half} for name, half in precision.items()}
        request["precision"] = {"most_trials": plan.trials, "requested": wanted}
    row = {
        "id": uuid.uuid4().hex,
        "state": QUEUED,
        "request": json.dumps(request),
        "scenario": plan.scenario.name,
        "trials_done": 0,
        "trials_total": plan.trials * len(plan.strategies),
        "created_at": time.time(),
        "cancel_requested": False,
        "change": 1,
        "idempotency_key": key,
        "request_sha256": request_sha256,
        "owner": owner,
        "priority": priority,
        "lineage": lineage(plan),
    }
    try:
        with engine.begin() as connection:
            connection.execute(jobs.insert().values(row))
            announce_job(connection)
    except IntegrityError:
        earlier = by_key(engine, key, owner) if key else None
        if earlier is None:
            raise
        return earlier
    found = get(engine, str(row["id"]), owner)
    if found is None:
        raise LookupError(f"job {row['id']} is gone")
    return found


def get(engine: sa.Engine, job_id: str, owner: str | None = None) -> Job | None:
    """A job by its id: of the owner, or of anyone if none is named."""
    return _one(engine, _of(owner, jobs.select().where(jobs.c.id == job_id)))


def standing(engine: sa.Engine, job_id: str) -> tuple[int, str] | None:
    """How often a job has changed, and its state, without the rest of its row; None if there is no such job."""
    with engine.connect() as connection:
        found = connection.execute(sa.select(jobs.c.change, jobs.c.state).where(jobs.c.id == job_id)).first()
    return None if found is None else (found.change, found.state)


def by_key(engine: sa.Engine, key: str, owner: str | None = None) -> Job | None:
    """The job that an owner recorded under an idempotency key, or that any owner recorded first if none is named."""
    return _one(engine, _of(owner, jobs.select().where(jobs.c.idempotency_key == key).order_by(jobs.c.created_at)))


def newest(
    engine: sa.Engine, limit: int, before: tuple[float, str] | None = None, *, owner: str | None = None
) -> list[Job]:
    """An owner's jobs, or all jobs, from the newest on, at most `limit`; their requests without the scenarios.

    Many scenarios, of up to a megabyte each, would take much memory. `before` is the time and id of the last one
    already seen.
    """
    columns = [column if column is not jobs.c.request else _without_scenario(engine) for column in jobs.c]
    query = _of(owner, sa.select(*columns)).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(sa.tuple_(jobs.c.created_at, jobs.c.id) < sa.tuple_(*map(sa.literal, before)))
    with engine.connect() as connection:
        return [Job(**row._mapping) for row in connection.execute(query)]


def request_cancel(engine: sa.Engine, job_id: str) -> Job | None:
    """Cancel a queued job at once, or ask the runner of a running one to stop. Returns the job.

    Works on a full disk too, as far as the database's reserve allows (`cluster.service.full_disk`).
    """
    with_reserve(engine, lambda: _request_cancel(engine, job_id))
    return get(engine, job_id)


def _request_cancel(engine: sa.Engine, job_id: str) -> None:
    now = time.time()
    with engine.begin() as connection:
        connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id, jobs.c.state == QUEUED)
            .values(state=CANCELLED, finished_at=now, cancel_requested=True, change=jobs.c.change + 1)
        )
        connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id, jobs.c.state == RUNNING, sa.not_(jobs.c.cancel_requested))
            .values(cancel_requested=True, change=jobs.c.change + 1)
        )


def delete(engine: sa.Engine, job_id: str) -> Job | None:
    """Delete a job's row; its runner, if it has one, notices and stops. Returns the job as it was, if there was one.

    Works on a full disk too, as far as the database's reserve allows (`cluster.service.full_disk`).
    """

    def delete_row() -> Job | None:
        with engine.begin() as connection:
            row = connection.execute(jobs.delete().where(jobs.c.id == job_id).returning(jobs)).first()
        return Job(**row._mapping) if row else None

    return with_reserve(engine, delete_row)


def runner_seen(engine: sa.Engine, runner: str) -> str | None:
    """Record that a runner is alive, and delete the records of runners not seen for a long time.

    Returns how the runner is asked to drain (`cluster.service.draining`), None if it is not.
    """
    now = time.time()
    with engine.begin() as connection:
        connection.execute(runners.delete().where(runners.c.id != runner, runners.c.seen_at < now - 86_400))
        seen = runners.update().where(runners.c.id == runner).values(seen_at=now).returning(runners.c.drain)
        known = connection.execute(seen).first()
        if known is None:
            connection.execute(runners.insert().values(id=runner, seen_at=now))
    return None if known is None else known.drain


def related(engine: sa.Engine, job: Job, limit: int = 8) -> list[Job]:
    """Other jobs of the same owner that share trials with this one, those with the most trials first."""
    query = (
        jobs.select()
        .where(jobs.c.lineage == job.lineage, jobs.c.owner == job.owner, jobs.c.id != job.id, jobs.c.trials_done > 0)
        .order_by(jobs.c.trials_done.desc(), jobs.c.created_at)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [Job(**row._mapping) for row in connection.execute(query)]


def last_runner_sign(engine: sa.Engine) -> float | None:
    """The time when any runner was last seen alive."""
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.max(runners.c.seen_at))).scalar()


def _of(owner: str | None, query: Query) -> Query:
    return query if owner is None else query.where(jobs.c.owner == owner)


def _without_scenario(engine: sa.Engine) -> sa.Label[str]:
    """The column of requests without their scenarios, which do not leave the database."""
    if engine.dialect.name == "sqlite":
        return sa.func.json_remove(jobs.c.request, "$.scenario").label("request")
    return sa.cast(sa.cast(jobs.c.request, JSONB).op("-")("scenario"), sa.Text).label("request")


def _one(engine: sa.Engine, query: sa.Select[Any]) -> Job | None:
    with engine.connect() as connection:
        row = connection.execute(query).first()
    return Job(**row._mapping) if row else None


def _prepare_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
