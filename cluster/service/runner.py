"""The process that plays jobs; ``brink runner`` and ``brink serve`` keep one running.

Its settings come from the environment. Before its first job it plays a small run, so that the job does not pay for
imports. With the engine ``auto`` and no Ray to join it keeps worker processes that play its jobs' trials.

It takes a job under a lease, plays it, and takes the next. It has four more threads: one renews the lease and watches
for cancellation while a job is played; one plays jobs that repeat earlier ones, so that these do not wait for long
ones; one deletes jobs by the rules of retention; and one learns of new jobs. A runner that loses its lease stops work
on the job. A runner that is asked to drain takes no more jobs (`cluster.service.draining`).
"""

import os
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import asdict, replace

import sqlalchemy as sa
from structlog.contextvars import bound_contextvars

from cluster.results.plan import Plan
from cluster.runs.engines import usable_cores
from cluster.runs.local_workers import LocalWorker, local_workers
from cluster.runs.options import Progress, RunOptions
from cluster.runs.precision import run_to_precision, shortfall
from cluster.runs.run import Stopped, run
from cluster.runs.tasks import EngineFailed, ShardFailed
from cluster.runs.warm_up import warm_up_plan
from cluster.service import jobs, leases
from cluster.service.audit import delete_old_records
from cluster.service.counters import PendingCounts
from cluster.service.draining import Intake, repeats_holder
from cluster.service.jobs import Job
from cluster.service.logs import log_to_stderr, logger
from cluster.service.retention import apply_retention
from cluster.service.settings import Settings, read_settings
from cluster.service.store_identity import belong_together, mismatch
from cluster.service.supervisor import END_SIGNALS
from cluster.service.wakeup import watch_for_jobs
from cluster.storage.base import Folder
from sim.faults import InvalidInput
from sim.model.version import KERNEL_VERSION

log = logger("brink.runner")
IDLE_SECONDS = 0.5
"""The longest time between two searches of an idle runner for a job; a new job wakes it at once."""
MOST_WORKERS_KEPT = 4
"""The most worker processes that a runner keeps, of some 130 MB each. For large jobs on more cores it starts Ray."""
RETENTION_SECONDS = 60.0
"""Folders of deleted jobs are removed after this. A runner that plays a deleted job has stopped long before."""


class Watch:
    """Keeps a job's lease while it is worked on, and knows whether work should stop."""

    def __init__(
        self, database: sa.Engine, job: Job, runner: str, settings: Settings, intake: Intake | None = None
    ) -> None:
        self._database, self._job, self._runner = database, job, runner
        self._intake = intake or Intake(database, runner)
        self._lease, self._slice = settings.lease_seconds, settings.slice_seconds
        self._slice_ends: float | None = None
        self.trials_done, self.stored = job.trials_done, job.bytes
        self.cancelled = job.cancel_requested
        self.lost = False
        self.gives_way = False
        self._counts = PendingCounts()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def on_progress(self, progress: Progress) -> None:
        """Keep the progress of the run; the next renewal records it.

        The time slice begins with the first shard, so that every slice gets the job further.
        """
        if self._slice_ends is None and progress.trials_done > self.trials_done:
            self._slice_ends = time.monotonic() + self._slice
        self.trials_done, self.stored = progress.trials_done, progress.bytes_stored
        if played := progress.latest:
            shard, seconds = played.shard, played.seconds
            self._counts.count(trials=shard.count, shards=1, shard_seconds=seconds)
            log.info(
                "shard committed",
                strategy=shard.strategy,
                shard=shard.index,
                trials=shard.count,
                seconds=round(seconds, 3),
            )

    def close(self, *, lease_lost: bool) -> None:
        """Add the last counts, and whether this runner lost the job."""
        if lease_lost:
            self._counts.count(lease_losses=1)
        self._counts.add_to(self._database)

    def holds(self) -> bool:
        """Whether the job is this runner's at this moment; a lease that could not be renewed counts as lost."""
        try:
            held = leases.renew(self._database, self._job.id, self._runner, self._lease, self.trials_done, self.stored)
        except sa.exc.SQLAlchemyError:
            return False
        self.lost = self.lost or held is None
        return not self.lost

    def _keep(self) -> None:
        # A thread begins without the context of the one that started it.
        with bound_contextvars(runner=self._runner, job_id=self._job.id):
            self._renew_until_over()

    def _renew_until_over(self) -> None:
        renewed = time.monotonic()
        while not self._over.wait(min(1.0, self._lease / 4)):
            try:
                held = leases.renew(
                    self._database, self._job.id, self._runner, self._lease, self.trials_done, self.stored
                )
                self._intake.follow(jobs.runner_seen(self._database, self._intake.runner))
                self._counts.add_to(self._database)
                if self._intake.hands_back:
                    self.gives_way = True
                elif self._slice_ends is not None and time.monotonic() > self._slice_ends:
                    self.gives_way = leases.gives_way(self._database, self._job)
            except sa.exc.SQLAlchemyError as error:
                log.warning("the database does not answer", error=str(error))
                self.lost = self.lost or time.monotonic() - renewed > self._lease
                continue
            renewed = time.monotonic()
            self.lost = self.lost or held is None
            self.cancelled = self.cancelled or (held is not None and held.cancel_requested)


def work(settings: Settings, ending: threading.Event) -> None:
    """Take and play jobs until `ending` is set."""
    database = jobs.open_database(settings.jobs_database)
    runner = f"{socket.gethostname()[:24]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    # A repeated job has nothing to play, unless a file turns out to be damaged.
    inline = settings.model_copy(update={"engine": "inline", "ray_address": None})
    any_job, repeated_job = threading.Event(), threading.Event()
    intake = Intake(database, runner)

    def wake() -> None:
        any_job.set()
        repeated_job.set()

    beside = [
        threading.Thread(
            target=_work_lane, args=(intake, repeats_holder(runner), database, inline, ending, repeated_job)
        ),
        threading.Thread(target=_retention_loop, args=(database, settings, ending)),
        threading.Thread(target=watch_for_jobs, args=(database, wake, ending)),
    ]
    # Workers load while this process does.
    with local_workers(workers_kept(settings)) as workers:
        _warm_up()
        log.info("runner is ready", runner=runner, workers=len(workers))
        for thread in beside:
            thread.start()
        _work_lane(intake, runner, database, settings, ending, any_job, workers)
        for thread in beside:
            thread.join()
    database.dispose()


def work_job(
    database: sa.Engine,
    job: Job,
    runner: str,
    settings: Settings,
    ending: threading.Event,
    workers: list[LocalWorker] | None = None,
    intake: Intake | None = None,
) -> None:
    """Play one job until it ends, is cancelled, gives way, fails for a while or is lost, or until this runner ends."""
    with bound_contextvars(runner=runner, job_id=job.id):
        _work_job(database, job, runner, settings, ending, workers or [], intake)


def _work_job(
    database: sa.Engine,
    job: Job,
    runner: str,
    settings: Settings,
    ending: threading.Event,
    workers: list[LocalWorker],
    intake: Intake | None,
) -> None:
    results = settings.results
    folder = results.within(job.id)
    log.info("job begins")
    _mark_store(database, results)
    state, error, transient = jobs.SUCCEEDED, None, None
    at: dict[str, str | int] = {}
    with Watch(database, job, runner, settings, intake) as watch:

        def should_stop() -> bool:
            return watch.cancelled or watch.lost or watch.gives_way or ending.is_set()

        try:
            options = RunOptions(
                engine=settings.engine,
                ray_address=settings.ray_address,
                workers=settings.workers,
                on_progress=watch.on_progress,
                on_capacity=lambda found: log.info("cores", **asdict(found)),
                should_stop=should_stop,
                donors=tuple(results.within(earlier.id) for earlier in jobs.related(database, job)),
                owns_folder=watch.holds,
                local_workers=workers,
            )
            plan = _current_plan(database, job, runner, folder)
            if job.precision is None:
                run(plan, folder.address, options)
            else:
                error = _play_precisely(database, job, plan, runner, folder, options)
                state = jobs.FAILED if error else jobs.SUCCEEDED
        except Stopped as stopped:
            watch.on_progress(stopped.progress)
            state = jobs.CANCELLED if watch.cancelled else jobs.QUEUED
        except Exception as failed:
            transient = _transient_failure(failed)
            state, error = jobs.FAILED, str(failed)
            if isinstance(failed, ShardFailed):
                at = {"strategy": failed.shard.strategy, "shard": failed.shard.index}
            if transient is None and not isinstance(failed, InvalidInput | ShardFailed | EngineFailed):
                log.exception("unexpected failure")
                error = f"unexpected error: {type(failed).__name__}: {failed}"
    done, stored = watch.trials_done, watch.stored
    if transient:
        held = leases.postpone(database, job.id, runner, transient, settings.patience_seconds, done, stored)
    elif state == jobs.QUEUED:
        held = leases.give_back(database, job.id, runner, done, stored)
    else:
        held = leases.finish(database, job.id, runner, state, done, error, stored=stored)
    gone = jobs.get(database, job.id) is None
    # Of a database that is another one since the job began, this says nothing.
    if gone and belong_together(database, results):
        folder.remove_all()
    lost = not held and not gone
    became = "deleted" if gone else "lost" if lost else "waiting" if transient else state
    cause = transient or error
    log.info("job left", became=became, **({"error": cause} if cause else {}), **at)
    watch.close(lease_lost=lost)


def _mark_store(database: sa.Engine, results: Folder) -> None:
    """Let a new store belong to the database before it gets results. If that fails, the job is played all the same."""
    try:
        mismatch(database, results)
    except OSError as error:
        log.warning("the store's identity could not be read or written", error=str(error))


def main(*, end_with_parent: bool = False) -> None:
    """Run a runner until a signal ends it, or the process that started it has ended."""
    log_to_stderr()
    ending = threading.Event()
    for name in END_SIGNALS:
        signal.signal(name, lambda *_: ending.set())
    if end_with_parent:
        threading.Thread(target=_watch_parent, args=(os.getppid(), ending), daemon=True).start()
    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    work(settings, ending)


def _work_lane(
    intake: Intake,
    runner: str,
    database: sa.Engine,
    settings: Settings,
    ending: threading.Event,
    new_job: threading.Event,
    workers: list[LocalWorker] | None = None,
) -> None:
    """Take and play one job after the other on `workers`; without these, those jobs only that repeat earlier ones."""
    repeats_only = workers is None
    seen = -IDLE_SECONDS
    while not ending.is_set():
        # Cleared before the search, so that a job that arrives after the search is not missed.
        new_job.clear()
        try:
            # Not at every wakeup: on SQLite each record is a commit, which wakes the other runners.
            if not repeats_only and time.monotonic() - seen > IDLE_SECONDS / 2:
                intake.follow(jobs.runner_seen(database, runner))
                intake.report()
                seen = time.monotonic()
            job = intake.claim(runner, settings.lease_seconds, repeats_only=repeats_only)
            if job is not None:
                work_job(database, job, runner, settings, ending, workers, intake)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            # A job that was in work becomes free once its lease has run out.
            log.warning("the database or the store does not answer", runner=runner, error=str(error))
            job = None
        if job is None:
            new_job.wait(IDLE_SECONDS)


def workers_kept(settings: Settings) -> int:
    """The number of worker processes for the settings: one for each core, and 0 instead of 1, which gains nothing."""
    if settings.engine != "auto" or settings.ray_address is not None:
        return 0
    cores = min(settings.workers or MOST_WORKERS_KEPT, usable_cores(), MOST_WORKERS_KEPT)
    return cores if cores > 1 else 0


def _warm_up() -> None:
    """Play a small run in a temporary folder and delete it. If that fails, the first job is slower."""
    try:
        with tempfile.TemporaryDirectory(prefix="brink-warm-up-") as folder:
            run(warm_up_plan(), folder, RunOptions(engine="inline"))
    except (OSError, InvalidInput) as error:
        log.warning("the runner could not warm up", error=str(error))


def _current_plan(database: sa.Engine, job: Job, runner: str, folder: Folder) -> Plan:
    """The job's plan; if it was submitted to another version and nothing of it is played yet, by this kernel."""
    plan = job.plan
    if plan.kernel_version == KERNEL_VERSION or folder.entries():
        return plan
    leases.record(database, job.id, runner, kernel_version=KERNEL_VERSION)
    return replace(plan, kernel_version=KERNEL_VERSION)


def _play_precisely(
    database: sa.Engine, job: Job, plan: Plan, runner: str, folder: Folder, options: RunOptions
) -> str | None:
    """Play a job to the precision it asks for, and record what that took; what was not reached, if so."""
    asked = job.precision or {}
    plan = replace(plan, trials=asked["most_trials"])
    requested = {name: found["half_width"] for name, found in asked["requested"].items()}
    _, took = run_to_precision(
        plan,
        folder.address,
        requested,
        options,
        on_stage=lambda stage: leases.record(database, job.id, runner, trials=stage.trials),
    )
    leases.record(database, job.id, runner, precision=took)
    return None if took["reached"] else shortfall(took)


def _retention_loop(database: sa.Engine, settings: Settings, ending: threading.Event) -> None:
    limits = settings.retention_days, settings.retention_bytes
    without_job: frozenset[str] = frozenset()
    while not ending.is_set():
        try:
            without_job = apply_retention(database, settings.results, *limits, without_job)
            delete_old_records(database, settings.audit_days)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            log.warning("nothing could be removed", error=str(error))
        ending.wait(RETENTION_SECONDS)


def _transient_failure(failed: BaseException) -> str | None:
    """The cause of a transient failure of a store, a disk or an engine; None for a failure of the job itself."""
    causes = [failed, getattr(failed, "cause", None), failed.__cause__]
    if isinstance(failed, EngineFailed) or any(isinstance(cause, OSError) or _of_ray(cause) for cause in causes):
        return str(failed)
    return None


def _of_ray(cause: BaseException | None) -> bool:
    """Whether Ray lost a worker, a node or an object; an error raised by a task is not Ray's."""
    return type(cause).__module__.startswith("ray.") and type(cause).__name__ != "RayTaskError"


def _watch_parent(parent: int, ending: threading.Event) -> None:
    while not ending.wait(1.0):
        if os.getppid() != parent:
            ending.set()


if __name__ == "__main__":
    main(end_with_parent="--end-with-parent" in sys.argv[1:])
