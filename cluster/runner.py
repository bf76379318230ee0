"""The process that works jobs: ``python -m cluster.runner``. Its settings come from the environment.

It takes a job under a lease, plays it, and takes the next. A second thread renews the lease and watches for
cancellation, so that neither waits for a shard. A runner that loses its lease stops work on the job.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from pathlib import Path

import sqlalchemy as sa

from cluster import jobs
from cluster.engines import EngineFailed, ShardFailed
from cluster.jobs import Job
from cluster.run import Progress, Stopped, run
from cluster.settings import Settings
from sim.faults import InvalidInput

log = logging.getLogger("brink.runner")
IDLE_SECONDS = 0.5


class Watch:
    """Keeps a job's lease while it is worked on, and knows whether work should stop."""

    def __init__(self, database: sa.Engine, job: Job, owner: str, lease_seconds: float) -> None:
        self._database, self._job, self._owner, self._lease = database, job, owner, lease_seconds
        self.trials_done = job.trials_done
        self.cancelled = job.cancel_requested
        self.lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def on_progress(self, progress: Progress) -> None:
        """Take note of how far the run has come; the next renewal records it."""
        self.trials_done = progress.trials_done

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._over.wait(min(1.0, self._lease / 4)):
            try:
                held = jobs.renew(self._database, self._job.id, self._owner, self._lease, self.trials_done)
                jobs.runner_seen(self._database, self._owner)
            except sa.exc.SQLAlchemyError as error:
                log.warning("job %s: the database does not answer: %s", self._job.id, error)
                self.lost = self.lost or time.monotonic() - renewed > self._lease
                continue
            renewed = time.monotonic()
            self.lost = self.lost or held is None
            self.cancelled = self.cancelled or (held is not None and held.cancel_requested)


def work(settings: Settings, ending: threading.Event) -> None:
    """Take and play jobs until `ending` is set."""
    database = jobs.open_database(settings.jobs_database)
    owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    log.info("runner %s is ready", owner)
    while not ending.is_set():
        try:
            jobs.runner_seen(database, owner)
            job = jobs.claim(database, owner, settings.lease_seconds)
        except sa.exc.SQLAlchemyError as error:
            log.warning("the database does not answer: %s", error)
            job = None
        if job is None:
            ending.wait(IDLE_SECONDS)
        else:
            work_job(database, job, owner, settings, ending)


def work_job(database: sa.Engine, job: Job, owner: str, settings: Settings, ending: threading.Event) -> None:
    """Play one job to its end, or until it is cancelled, taken away, or this runner is to end."""
    folder = settings.results.within(job.id)
    state, error = jobs.SUCCEEDED, None
    log.info("job %s: begins", job.id)
    with Watch(database, job, owner, settings.lease_seconds) as watch:

        def should_stop() -> bool:
            return watch.cancelled or watch.lost or ending.is_set()

        try:
            run(
                job.plan,
                folder.address,
                engine=settings.engine,
                ray_address=settings.ray_address,
                workers=settings.workers,
                on_progress=watch.on_progress,
                should_stop=should_stop,
            )
        except Stopped:
            state = jobs.CANCELLED
        except (InvalidInput, ShardFailed, EngineFailed) as failed:
            state, error = jobs.FAILED, str(failed)
        except Exception as failed:
            log.exception("job %s: unexpected failure", job.id)
            state, error = jobs.FAILED, f"something unexpected went wrong: {type(failed).__name__}: {failed}"
    if state == jobs.CANCELLED and not watch.cancelled and not watch.lost:
        jobs.release(database, job.id, owner)
    elif not watch.lost:
        jobs.finish(database, job.id, owner, state, watch.trials_done, error)
    if jobs.get(database, job.id) is None:
        folder.remove_all()
    log.info("job %s: %s%s", job.id, "lease lost" if watch.lost else state, f": {error}" if error else "")


def main() -> None:
    """Run a runner until it is told to end, or the process that started it is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    ending = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ending.set())
    if "--end-with-parent" in sys.argv[1:]:
        threading.Thread(target=_watch_parent, args=(os.getppid(), ending), daemon=True).start()
    settings = Settings()
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
    work(settings, ending)


def _watch_parent(parent: int, ending: threading.Event) -> None:
    while not ending.wait(1.0):
        if os.getppid() != parent:
            ending.set()


if __name__ == "__main__":
    main()
