"""A run asks a Ray cluster for the cores that it is worth, and gives them back."""

import os
import signal

import pytest
import ray

from cluster.results.result_folder import verify
from cluster.runs import capacity
from cluster.runs.capacity import WORTH_SECONDS, Capacity, cores_worth
from cluster.runs.options import Progress, RunOptions
from cluster.runs.run import Stopped, run
from tests.support.growing_ray import growing_ray
from tests.support.runs import digests, small_plan
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("tasks_left", "seconds_left", "most", "cores"),
    [
        (90, None, 6, 6),
        (90, None, None, 1),
        (3, None, 6, 3),
        (90, 1000 * WORTH_SECONDS, 6, 6),
        (90, 1000 * WORTH_SECONDS, None, 90),
        (90, 4.5 * WORTH_SECONDS, None, 5),
        (90, 0.1, 6, 1),
        (0, 0.0, 6, 0),
    ],
)
def test_as_many_cores_are_asked_for_as_the_work_left_is_worth(tasks_left, seconds_left, most, cores):
    assert cores_worth(tasks_left, seconds_left, most) == cores


@pytest.mark.slow
def test_a_cluster_grows_from_nothing_loses_a_node_and_shrinks_again(tmp_path, monkeypatch):
    plan = small_plan(trials=45_000, shard_trials=1000)
    monkeypatch.setattr(capacity, "WORTH_SECONDS", 1e-6)
    monkeypatch.setattr(capacity, "LOOK_SECONDS", 0.0)
    seen: list[Capacity] = []
    lost: list[int] = []

    def alive() -> int:
        return sum(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])

    with growing_ray(nodes=3) as cluster:
        assert cluster.nodes() == []

        def on_progress(progress: Progress) -> None:
            # The first shard comes from the first node; the others come though no more work is sent.
            if progress.shards_done == 1:
                wait_until(lambda: lost or alive() == 3)

        def on_capacity(found: Capacity) -> None:
            seen.append(found)
            if found.there == 3 and not lost:
                victim = cluster.nodes()[0].pid
                os.kill(victim, signal.SIGKILL)
                lost.append(victim)
                wait_until(lambda: alive() < 3)

        options = RunOptions(
            engine="ray", ray_address=cluster.address, workers=3, on_progress=on_progress, on_capacity=on_capacity
        )
        run(plan, tmp_path / "ray", options)
        assert lost
        assert max(found.asked for found in seen) == 3
        assert seen[-1].lost >= 1
        wait_until(lambda: len(cluster.nodes()) == 0)

        # Nodes are asked for again, and given back by a run that is stopped.
        begun: list[Progress] = []
        stopped = RunOptions(
            engine="ray",
            ray_address=cluster.address,
            workers=3,
            on_progress=lambda progress: progress.shards_done and begun.append(progress),
            should_stop=lambda: bool(begun),
        )
        with pytest.raises(Stopped):
            run(plan, tmp_path / "stopped", stopped)
        wait_until(lambda: len(cluster.nodes()) == 0)
    run(plan, tmp_path / "inline", RunOptions(engine="inline"))
    assert digests(tmp_path / "ray") == digests(tmp_path / "inline")
    assert verify(tmp_path / "ray") == []


@pytest.mark.slow
def test_a_process_that_had_a_ray_of_its_own_joins_a_cluster_without_tokens(tmp_path):
    """Ray turns tokens on in a process that starts a Ray, and leaves them on when that Ray ends."""
    plan = small_plan(trials=1000)
    run(plan, tmp_path / "own", RunOptions(engine="ray", workers=1))
    with growing_ray(nodes=1) as cluster:
        run(plan, tmp_path / "joined", RunOptions(engine="ray", ray_address=cluster.address))
    assert digests(tmp_path / "joined") == digests(tmp_path / "own")
