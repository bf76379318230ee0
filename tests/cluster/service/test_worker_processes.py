"""A runner keeps its worker processes warm, plays jobs on them without a Ray, and survives the loss of any."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cluster.results.result_folder import verify
from cluster.runs.engines import usable_cores
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service.runner import MOST_WORKERS_KEPT, workers_kept
from cluster.service.settings import Settings
from tests.support.processes import command_of, has_ended
from tests.support.runs import digests
from tests.support.service_process import PLAN, ServiceProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(
    usable_cores() < 2, reason="on one core a runner has no worker processes, which these tests are about"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[ServiceProcess]:
    started = ServiceProcess(tmp_path_factory.mktemp("workers") / "data", BRINK_WORKERS="2")
    yield started
    started.stop()


def workers(service: ServiceProcess) -> dict[int, psutil.Process]:
    """The runner's worker processes by their ids."""
    children = service.runner.children()
    return {child.pid: child for child in children if "cluster.runs.worker" in command_of(child)}


def folder(service: ServiceProcess, job: dict) -> Path:
    return service.folder / "jobs" / job["id"]


def test_jobs_are_played_one_after_the_other_on_the_same_workers_and_no_ray_is_started(service):
    before = workers(service)
    assert len(before) == 2
    for seed in (1, 2):
        assert service.ended(service.submit(seed=seed, trials=10_000)["id"])["state"] == "succeeded"
    assert workers(service).keys() == before.keys()
    assert service.runner.children(recursive=True) == list(before.values())


@pytest.mark.slow
def test_a_job_whose_workers_are_killed_succeeds_without_a_pause(service, tmp_path):
    run(PLAN, tmp_path / "undisturbed", RunOptions(engine="inline"))
    job = service.submit()
    service.begun(job["id"])
    killed = workers(service)
    for worker in killed.values():
        worker.kill()
    done = service.ended(job["id"])
    assert (done["state"], done["waiting"]) == ("succeeded", None)
    assert digests(folder(service, job)) == digests(tmp_path / "undisturbed")
    assert verify(folder(service, job)) == []
    assert len(workers(service)) == 2
    assert workers(service).keys().isdisjoint(killed)


@pytest.mark.slow
def test_workers_end_with_a_killed_runner_and_the_next_one_has_its_own(service, tmp_path):
    job = service.submit(seed=5)
    service.begun(job["id"])
    orphans = list(workers(service).values())
    service.runner.kill()
    wait_until(lambda: all(has_ended(worker) for worker in orphans))
    assert service.ended(job["id"])["state"] == "succeeded"
    assert verify(folder(service, job)) == []
    assert len(workers(service)) == 2


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, min(usable_cores(), MOST_WORKERS_KEPT)),
        ({"workers": 1}, 0),
        ({"workers": 2}, 2),
        ({"engine": "inline"}, 0),
        ({"engine": "ray"}, 0),
        ({"ray_address": "head:6379"}, 0),
    ],
)
def test_workers_are_kept_where_jobs_would_be_played_on_them(tmp_path, settings, kept):
    assert workers_kept(Settings(data_dir=tmp_path, **settings)) == kept
