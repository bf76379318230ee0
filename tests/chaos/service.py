"""A service to break: its processes, each of which can be killed by itself and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.support.processes import processes_with

BRINK = str(Path(sys.executable).parent / "brink")
MARK = "CHAOS_MARK"
LEASE_SECONDS = 3.0
ENDED = ("succeeded", "failed", "cancelled")
Found = TypeVar("Found")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Found], what: str, seconds: float = 120.0) -> Found:
    """Wait until a condition gives something true, and return it. A service that does not answer is waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError, psutil.NoSuchProcess):
            if found := condition():
                return found
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


class Service:
    """Web processes and runners over one database and one store. All of its processes carry a mark of their own."""

    def __init__(self, folder: Path, *, runners: int = 2, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.mark = uuid.uuid4().hex
        self.folder = folder
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        self.environment = (
            os.environ
            | {
                MARK: self.mark,
                "TMPDIR": str(scratch),
                "BRINK_DATA_DIR": str(folder / "data"),
                "BRINK_ENGINE": "inline",
                "BRINK_LEASE_SECONDS": str(LEASE_SECONDS),
            }
            | settings
        )
        self.port = free_port()
        self.log = (folder / "service.log").open("ab")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.web = self._start_web()
        self.runners = [self.start_runner() for _ in range(runners)]
        try:
            until(lambda: self.client.get("/readyz").status_code == 200, "the service is ready")
        except BaseException:
            self.stop()
            raise

    def start_runner(self) -> subprocess.Popen[bytes]:
        """Start one more runner process."""
        return self._start("runner")

    def signal_runners(self, number: int) -> None:
        """Send a signal to the runners and all that they have started."""
        for runner in self.runners:
            keeper = psutil.Process(runner.pid)
            for process in (keeper, *keeper.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([BRINK, *command], env=self.environment, stdout=self.log, stderr=self.log)

    def _start_web(self) -> subprocess.Popen[bytes]:
        return self._start("serve", "--no-runner", "--port", str(self.port))

    def kill_web(self) -> None:
        """Kill the web process, and start another at the same address."""
        _kill(self.web)
        self.web = self._start_web()

    def kill_runner(self, which: int) -> None:
        """Kill a runner with all that it started, and start another."""
        below = psutil.Process(self.runners[which].pid).children(recursive=True)
        _kill(self.runners[which])
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.runners[which] = self.start_runner()

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as the service shows it."""
        answer = self.client.get(f"/v1/jobs/{job_id}")
        answer.raise_for_status()
        return dict(answer.json())

    def ended(self, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """A job once it has come to its end."""
        return until(lambda: (job := self.job(job_id))["state"] in ENDED and job, f"job {job_id} ends", seconds)

    def submit(self, request: dict[str, Any]) -> str:
        """Submit a job as a careful client does: under a key of its own, again until it is answered."""
        key = f'"{uuid.uuid4().hex}"'

        def accepted() -> str | None:
            answer = self.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": key})
            return str(answer.json()["id"]) if answer.status_code == 202 else None

        return until(accepted, "a job is accepted") or ""

    def until_share(self, job_id: str, share: float) -> None:
        """Wait until a job has played a share of its trials, or has ended."""

        def reached() -> bool:
            job = self.job(job_id)
            progress = job["progress"]
            played = progress["trials_done"] >= share * progress["trials_total"]
            return job["state"] in ENDED or (job["state"] == "running" and played)

        until(reached, f"job {job_id} plays {100 * share:.0f} %")

    def marked(self) -> list[psutil.Process]:
        """All living processes that carry the mark."""
        return list(processes_with(MARK, self.mark))

    def stop(self) -> list[str]:
        """End the service as an administrator does, and return which of its processes are left over; kill those."""
        own = [*self.runners, self.web]
        for process in own:
            process.send_signal(signal.SIGTERM)
        for process in own:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                _kill(process)
        self.client.close()
        self.log.close()
        deadline = time.monotonic() + 15
        while (left := self.marked()) and time.monotonic() < deadline:
            time.sleep(0.2)
        found = []
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(f"process {process.pid} is left: {' '.join(process.cmdline())[:80]}")
                process.kill()
        return found


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
