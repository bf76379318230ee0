"""The faults: each is done to a service while a job is under way, and undone, or answered, by the end of the call."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.service import LEASE_SECONDS, Service, until

Injection = Callable[[Service, str, random.Random], None]
"""Takes the service, the id of a job that is under way, and the source of chance."""


@dataclass(frozen=True)
class Fault:
    """A fault: how often it is injected, and whether the job may end as cancelled."""

    name: str
    inject: Injection
    times: int
    cancels: bool = False


def kill_web(service: Service, job_id: str, chance: random.Random) -> None:
    """``kill -9`` of the web process."""
    service.kill_web()


def kill_runner(service: Service, job_id: str, chance: random.Random) -> None:
    """``kill -9`` of the runners, one after the other, so that the one at work is hit."""
    for which in range(len(service.runners)):
        service.kill_runner(which)
        time.sleep(chance.uniform(0.0, 1.0))


def kill_all(service: Service, job_id: str, chance: random.Random) -> None:
    """``kill -9`` of every process at once."""
    for process in service.marked():
        with contextlib.suppress(Exception):
            process.kill()
    service.web.wait()
    service.kill_web()
    for which in range(len(service.runners)):
        service.runners[which].wait()
        service.runners[which] = service.start_runner()


def pause_runners(service: Service, job_id: str, chance: random.Random) -> None:
    """Runners that stand still until their leases have run out, and then continue as if nothing had happened."""
    service.signal_runners(signal.SIGSTOP)
    time.sleep(LEASE_SECONDS * chance.uniform(1.1, 1.5))
    service.signal_runners(signal.SIGCONT)


def cut_file(service: Service, job_id: str, chance: random.Random) -> None:
    """A committed Parquet file cut short while nobody works on the job."""
    parts = sorted((service.folder / "data" / "jobs" / job_id).glob("trials/*/*.parquet"))
    service.signal_runners(signal.SIGSTOP)
    if parts:
        victim = chance.choice(parts)
        os.truncate(victim, chance.randrange(victim.stat().st_size))
    for which in range(len(service.runners)):
        service.kill_runner(which)


def repeat_requests(service: Service, job_id: str, chance: random.Random) -> None:
    """The same submission many times at once, and requests about jobs in no sensible order."""
    request = {"scenario": "us-japan-autos-1995", "trials": 1000, "seed": chance.randrange(2**31)}
    key = {"Idempotency-Key": f'"{chance.randrange(2**63)}"'}

    def submit(_: int) -> str:
        with httpx.Client(base_url=service.client.base_url, timeout=30) as client:
            return str(client.post("/v1/jobs", json=request, headers=key).json()["id"])

    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(submit, range(16)))
    if len(made) != 1:
        raise AssertionError(f"one key made {len(made)} jobs")
    (twin,) = made
    calls = [("POST", f"/v1/jobs/{twin}/cancel"), ("GET", f"/v1/jobs/{twin}"), ("DELETE", f"/v1/jobs/{twin}")] * 3
    calls += [("GET", f"/v1/jobs/{job_id}/summary"), ("GET", f"/v1/jobs/{job_id}/files"), ("GET", "/v1/jobs")]
    chance.shuffle(calls)
    for method, path in calls:
        status = service.client.request(method, path).status_code
        if status >= 500:
            raise AssertionError(f"{method} {path} gave {status}")
    until(lambda: service.client.get(f"/v1/jobs/{twin}").status_code == 404, "a deleted job is gone")


def cancel(service: Service, job_id: str, chance: random.Random) -> None:
    """A cancel, twice."""
    for _ in range(2):
        service.client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()


def cancel_and_kill(service: Service, job_id: str, chance: random.Random) -> None:
    """A cancel, and ``kill -9`` of the runners before they can obey."""
    service.client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    kill_runner(service, job_id, chance)


def fill_disk(service: Service, job_id: str, chance: random.Random) -> None:
    """No byte of room left on the store's disk, for longer than a shard takes."""
    ballast = Path(service.folder / "data" / "ballast")
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * (1 << 20))
            file.flush()
    time.sleep(chance.uniform(2.0, 5.0))
    ballast.unlink()
