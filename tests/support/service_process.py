"""The service as a client meets it: a process of its own that `brink serve` starts, with its runner."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from sim.scenario.scenario import scenario_document
from tests.support.command_line import BRINK
from tests.support.processes import command_of
from tests.support.runs import small_plan
from tests.support.waiting import HANG_SECONDS, wait_until

Found = TypeVar("Found")
PLAN = small_plan(trials=300_000, shard_trials=None)
"""The plan of the job that `ServiceProcess.submit` submits: several shards, so that it can be disturbed halfway."""
JOB = {"scenario": scenario_document(PLAN.scenario), "trials": PLAN.trials, "seed": PLAN.seed}

SETTINGS = {"BRINK_LEASE_SECONDS": "3", "BRINK_QUERY_SECONDS": "86400"}
"""Jobs of killed runners are taken over soon, and no answer is too slow."""


class ServiceProcess:
    """A served folder: its process, its address, and a client.

    `options` are those of `brink serve`, and may be changed before another start. `settings` are those of the
    environment, by name.
    """

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.options = options
        self.settings = os.environ | {"BRINK_DATA_DIR": str(folder), **SETTINGS} | settings
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=HANG_SECONDS)
        self.start()

    def start(self) -> None:
        """Start the process, and wait until the service can take jobs, and run them if it has a runner."""
        self.log = (self.folder.parent / "service.log").open("ab")
        self.process = subprocess.Popen(
            [BRINK, "serve", "--port", str(self.port), *self.options],
            env=self.settings,
            stdout=self.log,
            stderr=self.log,
        )
        self.until(self._is_ready)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the service ended instead of starting; its log says why"
        return self.client.get("/healthz" if "--no-runner" in self.options else "/readyz").status_code == 200

    def stop(self) -> None:
        """End the process as a supervisor would."""
        self.process.terminate()
        self.process.wait(HANG_SECONDS)
        self.log.close()
        self.client.close()

    def kill(self) -> None:
        """End the process without notice."""
        self.process.kill()
        self.process.wait(HANG_SECONDS)
        self.log.close()

    @property
    def runner(self) -> psutil.Process:
        """The process that runs the jobs."""
        (found,) = (
            child
            for child in psutil.Process(self.process.pid).children()
            if "cluster.service.runner" in " ".join(command_of(child))
        )
        return found

    def until(self, condition: Callable[[], Found]) -> Found:
        """Wait for a condition, through lost connections, and return what it returned."""
        return wait_until(condition, ignoring=httpx.TransportError)

    def job(self, job_id: str) -> dict:
        """The job as the service shows it."""
        return self.client.get(f"/v1/jobs/{job_id}").json()

    def ended(self, job_id: str) -> dict:
        """The job once it has ended."""
        return self.until(lambda: (job := self.job(job_id))["state"] not in ("queued", "running") and job)

    def begun(self, job_id: str) -> dict:
        """The job once some of its trials are committed."""
        return self.until(lambda: (job := self.job(job_id))["progress"]["trials_done"] > 0 and job)

    def submit(self, **request: object) -> dict:
        """Submit the job, changed by these fields."""
        answer = self.client.post("/v1/jobs", json={**JOB, **request})
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
        return answer.json()
