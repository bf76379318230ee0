"""A job on a Ray cluster that grows: its driver is killed, then the head and all nodes, and it continues."""

from pathlib import Path

import psutil
import pytest

from cluster.results.result_folder import read_manifest
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service import jobs
from cluster.service.settings import Settings
from cluster.storage.address import open_folder
from tests.support.growing_ray import growing_ray
from tests.support.runs import digests, small_plan
from tests.support.service_process import ServiceProcess
from tests.support.waiting import wait_until

PLAN = small_plan(trials=60_000_000, shard_trials=1000)
"""So many shards that no machine has played them all before the head is lost; the job is cancelled in the end."""

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
        assert len(done) > len(before)
        with growing_ray(nodes=2, address=cluster.address):
            service.until(lambda: len(committed(folder)) > len(done) + 10)
            service.client.post(f"/v1/jobs/{job.id}/cancel")
            assert service.ended(job.id)["state"] == "cancelled"
        after = committed(folder)
        assert {name: after[name] for name in done} == done
        held = digests(folder)
        listed = {file.path: file.sha256 for file in read_manifest(open_folder(folder))}
        assert listed.keys() >= done.keys()
        assert listed.items() <= held.items()
        # The first shards are those of a smaller run that nobody disturbed.
        run(small_plan(trials=3000, shard_trials=1000), tmp_path / "undisturbed", RunOptions(engine="inline"))
        undisturbed = digests(tmp_path / "undisturbed")
        assert {name: held[name] for name in undisturbed} == undisturbed
    finally:
        service.stop()
