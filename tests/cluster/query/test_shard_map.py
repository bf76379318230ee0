"""Maps over shards: the same numbers in threads of this process and as tasks of a Ray."""

import json
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import ray
from ray.cluster_utils import Cluster

from cluster.answers.registry import ask
from cluster.query import shard_map
from cluster.query.parquet_files import DamagedTrials
from cluster.query.ray_connection import joined
from cluster.query.session import QueryLimit, time_limit
from cluster.query.shard_map import RayLost, map_shards, reduce_shards
from cluster.query.trials import Reading, SameTrials, StoredRun, open_run, read_blocks, same_trials
from cluster.results.result_folder import shard_path
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.expressions import parse_condition, parse_measure
from tests.support.command_line import brink
from tests.support.runs import small_plan

PLAN = small_plan(trials=6000, shard_trials=700)
GIVEN = "agreement_week > 2 or threat_week is not null"
READING = Reading(
    ("threaten", "talk"),
    {"week": parse_measure("agreement_week", PLAN.scenario), "gain": parse_measure("export_gain", PLAN.scenario)},
    given=parse_condition("agreement_week > 3", PLAN.scenario),
)
BELIEVE = ("sanctions = 0.1",)
REQUESTS = {
    "summary": {},
    "summary given": {"given": GIVEN},
    "timeline": {"given": GIVEN},
    "timeline believed": {"believe": BELIEVE},
    "compare": {"given": "agreement_week > 2"},
    "compare believed": {"believe": BELIEVE},
    "aggregate": {
        "measures": ["export_gain", "agreement_week <= 12"],
        "statistics": ["count", "known", "mean", "standard_deviation", "min", "max", "sum", "median", "q05"],
        "by": ["strategy", "outcome", {"value": "target_cost", "quantiles": 4}],
        "given": GIVEN,
    },
    "drivers": {"measure": "target_cost", "given": GIVEN},
}

MAPPED = ("summary", "timeline", "compare", "aggregate")
"""Answers whose trials are counted by maps."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    address = tmp_path_factory.mktemp("map") / "run"
    run(PLAN, address, RunOptions(engine="inline"))
    return str(address)


def count(reading: Reading, found: StoredRun, shards: SameTrials) -> dict[str, tuple[int, float]]:
    """The known weeks of each strategy, and their sum."""
    counted = dict.fromkeys(reading.strategies, (0, 0.0))
    for block in read_blocks(found, shards, reading):
        for name, part in block.items():
            weeks = part["week"]
            counted[name] = counted[name][0] + int(np.isfinite(weeks).sum()), counted[name][1] + float(np.nansum(weeks))
    return counted


def add(a: dict[str, tuple[int, float]], b: dict[str, tuple[int, float]]) -> dict[str, tuple[int, float]]:
    return {name: (own[0] + b[name][0], own[1] + b[name][1]) for name, own in a.items()}


@pytest.mark.parametrize("task_trials", [1, 2000, 10**9])
def test_tasks_of_any_size_count_every_trial_once(folder, monkeypatch, task_trials):
    monkeypatch.setattr(shard_map, "TASK_TRIALS", task_trials)
    found = open_run(folder)
    shards = same_trials(found, READING.strategies)
    nothing = dict.fromkeys(READING.strategies, (0, 0.0))
    rows = pd.read_parquet(f"{folder}/trials")
    weeks = rows.pivot_table(index="trial", columns="strategy", values="agreement_week", observed=True)
    weeks = weeks[(weeks > 3).all(axis=1)]
    expected = {name: (len(weeks), weeks[name].sum()) for name in READING.strategies}
    assert reduce_shards(found, shards, partial(count, READING), add, nothing) == expected
    tasks = list(map_shards(found, shards, partial(count, READING), add))
    assert len(tasks) == -(-len(shards) // max(1, -(-task_trials // 1400)))
    assert [last["talk"].first for last, _ in tasks] == sorted(last["talk"].first for last, _ in tasks)
    assert reduce_shards(found, [], partial(count, READING), add, nothing) == nothing


def test_a_map_ends_with_the_time_limit_and_with_a_damaged_file(folder, tmp_path):
    found = open_run(folder)
    shards = same_trials(found, READING.strategies)
    with time_limit(0.0), pytest.raises(QueryLimit):
        list(map_shards(found, shards, partial(count, READING), add))
    shutil.copytree(folder, tmp_path / "run")
    damaged = open_run(tmp_path / "run")
    shards = same_trials(damaged, READING.strategies)
    file = tmp_path / "run" / shard_path(shards[3]["talk"])
    file.write_bytes(file.read_bytes()[:2000] + bytes(len(file.read_bytes()) - 2000))
    with pytest.raises(DamagedTrials):
        list(map_shards(damaged, shards, partial(count, READING), add))


def test_an_address_without_a_ray_is_refused(folder, monkeypatch):
    monkeypatch.setattr(shard_map, "LARGE", 0)
    with pytest.raises(InvalidInput, match="address of a running Ray"):
        ask(open_run(folder, "127.0.0.1:1"), "timeline")
    refused = brink("timeline", folder, "--ray-address", "127.0.0.1:1", status=2)
    assert "127.0.0.1:1" in refused.stderr


@pytest.fixture(scope="module")
def cluster():
    """A Ray of two nodes with one core each, which this process has not joined."""
    ray.shutdown()
    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    started = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    started.add_node(**node)
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.mark.slow
def test_answers_on_ray_are_those_of_this_process_to_the_last_bit(folder, cluster, monkeypatch):
    monkeypatch.setattr(shard_map, "TASK_TRIALS", 2000)
    here = {name: ask(open_run(folder), name.split()[0], request) for name, request in REQUESTS.items()}
    monkeypatch.setattr(shard_map, "LARGE", 0)
    tasks = []
    monkeypatch.setattr(shard_map, "_map_on_ray", _noted(shard_map._map_on_ray, tasks))
    with joined(cluster.address):
        for name, request in REQUESTS.items():
            begun = len(tasks)
            found = ask(open_run(folder, cluster.address), name.split()[0], request)
            assert json.dumps(found) == json.dumps(here[name]), name
            assert len(tasks) > begun or name.split()[0] not in MAPPED, name
    assert not ray.is_initialized()


def _noted(function, tasks):
    """The function, which notes what it yields."""

    def noted(*given):
        for found in function(*given):
            tasks.append(found)
            yield found

    return noted


@pytest.mark.slow
def test_a_map_on_ray_ends_with_the_time_limit_a_damaged_file_and_another_brink(folder, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_map, "LARGE", 0)
    monkeypatch.setattr(shard_map, "TASK_TRIALS", 1)
    found = open_run(folder, cluster.address)
    with time_limit(0.05), pytest.raises(QueryLimit):
        ask(found, "timeline")
    monkeypatch.setattr(shard_map, "version", lambda _: "0.0.1")
    with pytest.raises(RayLost, match=r"the driver has 0\.0\.1: install the same Brink"):
        ask(found, "timeline")
    monkeypatch.undo()
    monkeypatch.setattr(shard_map, "LARGE", 0)
    shutil.copytree(folder, tmp_path / "run")
    damaged = open_run(tmp_path / "run", cluster.address)
    file = tmp_path / "run" / shard_path(damaged.shards("talk")[3])
    file.write_bytes(file.read_bytes()[:2000] + bytes(file.stat().st_size - 2000))
    with pytest.raises(DamagedTrials, match=r"damaged|trials are not"):
        ask(damaged, "timeline")
