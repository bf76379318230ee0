"""What must be so after a fault: true states, each trial once, the undisturbed table bit for bit, nothing left over."""

import hashlib
import io
import json
import os
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa

from cluster.results.plan import Plan
from cluster.results.result_folder import MANIFEST, SUMMARY, verify
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from tests.chaos.service import ENDED, Service


class Undisturbed:
    """Runs of the same plans that nobody disturbs, made in a process beside the service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ProcessPoolExecutor(1)

    def begin(self, plan: Plan) -> "Future[dict[str, Any]]":
        """Begin to play a plan; the result maps each result file that must be the same to its SHA-256."""
        return self._pool.submit(_play, plan, self._folder / f"{plan.scenario.name}-{plan.seed}")

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown(cancel_futures=True)


def _play(plan: Plan, folder: Path) -> dict[str, str]:
    run(plan, folder, RunOptions(engine="inline"))
    if findings := verify(folder):
        raise RuntimeError(f"the undisturbed run is faulty: {findings}")
    files = [*folder.glob("trials/*/*.parquet"), folder / SUMMARY]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def judge_finished(service: Service, job_id: str, plan: Plan, expected: dict[str, str]) -> list[str]:
    """Whatever is wrong with a job that must have succeeded, by what its files say over HTTP."""
    job = service.job(job_id)
    if job["state"] != "succeeded":
        return [f"state {job['state']}: {job['error']}"]
    total = plan.trials * len(plan.strategies)
    findings = []
    if job["progress"] != {"trials_done": total, "trials_total": total}:
        findings.append(f"succeeded with progress {job['progress']}")
    files = _files(service, job_id)
    found = {name: hashlib.sha256(files[name]).hexdigest() for name in files if name in expected}
    findings += [f"{name}: is missing" for name in expected if name not in found]
    findings += [f"{name}: differs from the undisturbed run's" for name in found if found[name] != expected[name]]
    return findings + _judge_parts(files, plan, partial=False)


def judge_cancelled(service: Service, job_id: str, plan: Plan, expected: dict[str, str]) -> list[str]:
    """Whatever is wrong with a job that was cancelled: what it kept must be parts of the undisturbed table."""
    job = service.job(job_id)
    if job["state"] not in ("cancelled", "succeeded"):
        return [f"state {job['state']} after a cancel: {job['error']}"]
    if job["state"] == "succeeded":
        return judge_finished(service, job_id, plan, expected)
    files = {name: body for name, body in _files(service, job_id).items() if name != SUMMARY}
    parts = {name: hashlib.sha256(body).hexdigest() for name, body in files.items() if name.endswith(".parquet")}
    findings = [f"{name}: differs from the undisturbed run's" for name in parts if parts[name] != expected.get(name)]
    return findings + _judge_parts(files, plan, partial=True)


def judge_leftovers(service: Service) -> list[str]:
    """Temporary files, leases and unended jobs that are left once all jobs have ended."""
    findings = []
    for parent, _, names in os.walk(service.folder):
        drafts = Path(parent).name == ".work" or Path(parent).name == "scratch"
        findings += [f"temporary file {name} is left" for name in names if drafts and not name.startswith("ray")]
    database = jobs.open_database(service.environment.get("BRINK_DATABASE_URL") or _sqlite(service))
    with database.connect() as connection:
        for row in connection.execute(sa.select(jobs.jobs.c.id, jobs.jobs.c.state, jobs.jobs.c.lease_owner)):
            if row.state not in ENDED:
                findings.append(f"job {row.id} is {row.state} still")
            if row.lease_owner is not None:
                findings.append(f"job {row.id} has a lease still")
    database.dispose()
    return findings


def _sqlite(service: Service) -> str:
    return f"sqlite:///{service.folder / 'data' / 'jobs.sqlite'}"


def _files(service: Service, job_id: str) -> dict[str, bytes]:
    listed = service.client.get(f"/v1/jobs/{job_id}/files").json()["files"]
    return {file["path"]: service.client.get(f"/v1/jobs/{job_id}/files/{file['path']}").content for file in listed}


def _judge_parts(files: dict[str, bytes], plan: Plan, *, partial: bool) -> list[str]:
    """Whether the manifest is right and each trial of each strategy is there once (at most once, if partial)."""
    parts = {name: body for name, body in files.items() if name.endswith(".parquet")}
    if MANIFEST not in files:
        return ["there is no manifest"] if parts else []
    listed = {file["path"]: file["sha256"] for file in json.loads(files[MANIFEST])["files"]}
    actual = {name: hashlib.sha256(body).hexdigest() for name, body in parts.items()}
    findings = [] if listed == actual else ["the manifest is not what is there"]
    for strategy in plan.strategies:
        mine = [body for name, body in sorted(parts.items()) if f"/strategy={strategy}/" in name]
        trials = [pq.read_table(io.BytesIO(body), columns=["trial"])["trial"].to_numpy() for body in mine]
        found = np.concatenate(trials) if trials else np.empty(0, np.int64)
        if len(np.unique(found)) != len(found):
            findings.append(f"{strategy}: trials are there twice")
        if not partial and not np.array_equal(found, np.arange(plan.trials)):
            findings.append(f"{strategy}: {plan.trials - len(np.unique(found))} trials are lost")
    return findings
