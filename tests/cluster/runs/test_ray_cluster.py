"""A cluster of three real raylets, one of which dies in the middle of a run."""

import os
import platform
import signal
from dataclasses import replace

import pytest
import ray
from ray.cluster_utils import Cluster

from cluster.query import shard_map
from cluster.results.result_folder import SUMMARY, read_json, verify
from cluster.runs.options import RunOptions
from cluster.runs.ray_tasks import run_task
from cluster.runs.run import Progress, conclude, run
from cluster.runs.tasks import EngineFailed
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from sim.model.version import KERNEL_VERSION
from tests.support.runs import digests, small_plan

PLAN = small_plan(trials=60_000, shard_trials=1500)


pytestmark = pytest.mark.slow


@pytest.fixture
def raylets():
    """A head and two more nodes with two CPUs each, on loopback."""
    ray.shutdown()
    node = {"num_cpus": 2, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    more = [cluster.add_node(**node) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster, more
    ray.shutdown()
    cluster.shutdown()


def test_a_raylet_dies_and_the_table_is_the_same(raylets, tmp_path):
    cluster, (victim, _) = raylets
    killed: list[int] = []

    def on_progress(progress: Progress) -> None:
        if not killed and progress.shards_done >= progress.shards_total // 4:
            (raylet,) = victim.all_processes["raylet"]
            killed.append(raylet.process.pid)
            os.kill(raylet.process.pid, signal.SIGKILL)

    run(PLAN, tmp_path / "ray", RunOptions(engine="ray", ray_address=cluster.address, on_progress=on_progress))
    assert killed
    assert victim.dead_processes()
    run(PLAN, tmp_path / "inline", RunOptions(engine="inline"))
    assert digests(tmp_path / "ray") == digests(tmp_path / "inline")
    assert verify(tmp_path / "ray") == []
    assert sorted(path.name for path in (tmp_path / "ray").iterdir()) == [
        "manifest.json",
        "run.json",
        "scenario.json",
        "summary.json",
        "trials",
    ]


def test_the_summary_at_the_end_of_a_large_run_is_computed_on_ray(raylets, tmp_path, monkeypatch):
    cluster, _ = raylets
    plan = small_plan(trials=6000, shard_trials=1500)
    run(plan, tmp_path / "inline", RunOptions(engine="inline"))
    monkeypatch.setattr(shard_map, "LARGE", 0)
    mapped = []
    on_ray = shard_map._map_on_ray

    def noted(*given):
        for found in on_ray(*given):
            mapped.append(found)
            yield found

    monkeypatch.setattr(shard_map, "_map_on_ray", noted)
    found = run(plan, tmp_path / "ray", RunOptions(engine="ray", ray_address=cluster.address))
    assert mapped
    assert found == read_json(open_folder(tmp_path / "inline"), SUMMARY)
    assert not ray.is_initialized()
    # A Ray that is lost by then is a failure of the engine: the job waits and tries again.
    with pytest.raises(EngineFailed, match=r"127\.0\.0\.1:1"):
        conclude(plan, open_folder(tmp_path / "ray"), "127.0.0.1:1")


def test_a_cluster_of_other_versions_is_refused_with_both(raylets, tmp_path, monkeypatch):
    cluster, _ = raylets
    monkeypatch.setattr(ray, "__version__", "2.0.1")
    with pytest.raises(InvalidInput, match=rf"this process has Ray 2\.0\.1 on Python {platform.python_version()}"):
        run(PLAN, tmp_path, RunOptions(engine="ray", ray_address=cluster.address))


def test_a_node_with_another_kernel_plays_nothing(tmp_path):
    plan = replace(PLAN, kernel_version=KERNEL_VERSION + 1)
    with pytest.raises(RuntimeError, match="install the same Brink on driver and nodes"):
        run_task(plan, (next(PLAN.shards()),), open_folder(tmp_path))
    assert list(tmp_path.iterdir()) == []
