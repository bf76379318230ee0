"""A job on a Ray cluster that grows: its driver is killed, then the head and all nodes, and it continues."""

from pathlib import Path

import psutil
import pytest

from cluster.results.result_folder import verify
from cluster.service import jobs
from cluster.service.settings import Settings
from tests.support.growing_ray import growing_ray
from tests.support.runs import small_plan
from tests.support.service_process import ServiceProcess
from tests.support.waiting import wait_until

PLAN = small_plan(trials=750_000, shard_trials=2500)

pytestmark = pytest.mark.slow


def committed(folder: Path) -> dict[str, int]:
    """The committed files, each with its number in the file system: a file that is written again has another."""
    return {str(path.relative_to(folder)): path.stat().st_ino for path in folder.rglob("part-*.parquet")}


def test_a_job_continues_after_its_driver_was_killed_and_then_the_head(tmp_path):
    data = tmp_path / "data"
    folder = data / "jobs"
    with growing_ray(nodes=2) as cluster:
        settings = {"BRINK_ENGINE": "ray", "BRINK_RAY_ADDRESS": cluster.address, "BRINK_WORKERS": "2"}
        service = ServiceProcess(data, **settings, RAY_AUTH_MODE="disabled")
        try:
            job = jobs.submit(jobs.open_database(Settings(data_dir=data).jobs_database), PLAN)
            folder /= job.id
            service.begun(job.id)
            driver = service.runner
            driver.kill()
            before = committed(folder)
            # No runner is there until the service has started another.
            wait_until(lambda: service.runner.pid != driver.pid, ignoring=(ValueError, psutil.Error))
            service.until(lambda: len(committed(folder)) > len(before) + 10)
        except BaseException:
            service.stop()
            raise
    # The head and its nodes are gone.
    try:
        waiting = service.until(lambda: (found := service.job(job.id))["state"] != "running" and found)
        assert waiting["state"] == "queued", waiting
        done = committed(folder)
        assert len(before) < len(done) < PLAN.shard_count
        with growing_ray(nodes=2, address=cluster.address):
            assert service.ended(job.id)["state"] == "succeeded"
            assert verify(folder) == []
            after = committed(folder)
            assert len(after) == PLAN.shard_count
            assert {name: after[name] for name in done} == done
    finally:
        service.stop()
