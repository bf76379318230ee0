"""Jobs worked in this thread: a jobs database, a folder of results, and what a runner does with a job."""

import threading
from pathlib import Path

from cluster.results.plan import Plan
from cluster.service import jobs, leases
from cluster.service.jobs import Job
from cluster.service.runner import work_job
from cluster.service.settings import Settings


class Working:
    """A service without its web process."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.settings = Settings(data_dir=folder, engine="inline", **settings)  # type: ignore[arg-type]
        self.results = self.settings.results
        folder.mkdir(exist_ok=True)
        self.database = jobs.open_database(self.settings.jobs_database)

    def job(self, plan: Plan, owner: str = "anna") -> Job:
        """A job of the plan, once it has been worked."""
        return self.work(jobs.submit(self.database, plan, owner=owner))

    def work(self, job: Job, ending: threading.Event | None = None) -> Job:
        """A job once a runner has had it, whatever failed before."""
        with self.database.begin() as connection:
            connection.execute(jobs.jobs.update().where(jobs.jobs.c.id == job.id).values(not_before=None))
        taken = leases.claim(self.database, "runner", 60)
        assert taken is not None
        assert taken.id == job.id
        work_job(self.database, taken, "runner", self.settings, ending or threading.Event())
        found = jobs.get(self.database, job.id)
        assert found is not None
        return found

    def folder(self, job: Job) -> Path:
        """A job's result folder on disk."""
        return Path(self.results.within(job.id).address)
