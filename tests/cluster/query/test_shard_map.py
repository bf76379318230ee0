"""Maps over shards: the same numbers in threads of this process and as tasks of a Ray."""

import json
import shutil
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster

from api.shipped_scenarios import shipped_scenario
from cluster.answers import registry
from cluster.answers.entry import Answer
from cluster.answers.registry import ANSWERS, ask, find_answer
from cluster.query import shard_map
from cluster.query.parquet_files import DamagedTrials
from cluster.query.ray_connection import joined
from cluster.query.session import QueryLimit, time_limit
from cluster.query.shard_map import RayLost, map_shards, reduce_shards
from cluster.query.trials import Reading, SameTrials, StoredRun, open_run, read_blocks, same_trials
from cluster.results.plan import Shard
from cluster.results.result_folder import shard_path
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.faults import InvalidInput
from sim.scenario.expressions import parse_condition, parse_measure
from tests.support.answers import plans_of_answers
from tests.support.command_line import brink
from tests.support.processes import name_of
from tests.support.runs import small_plan

PLAN = small_plan(trials=6000, shard_trials=700)
GIVEN = "agreement_week > 2 or threat_week is not null"
READING = Reading(
    ("threaten", "talk"),
    {"week": parse_measure("agreement_week", PLAN.scenario), "gain": parse_measure("export_gain", PLAN.scenario)},
    given=parse_condition("agreement_week > 3", PLAN.scenario),
)
NAMES = [answer.name for answer in ANSWERS]
OTHER = tuple(shipped_scenario("us-mexico-2019").strategies)[1]
IN_DRIVER = {"replay": "plays one trial and compares it with its row"}
"""Answers that read rows in the process that is asked."""


SLOW = ("check", "compare", "stress", "timeline", "worth")


def request_of(answer: Answer) -> dict[str, Any]:
    """The first example of an answer, with a condition and with beliefs where it takes them."""
    found = dict(answer.examples[0])
    if "given" in answer.request.model_fields:
        found["given"] = "trial > 300 and (agreement_week is null or agreement_week > 2)"
    if answer.cannot_weigh is None:
        found["believe"] = ["agreement = 0.6", f"trial < 2000 = 0.4 under {OTHER}"]
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, str]:
    """Folders of runs, in several shards, of which each answer can be asked: by the name of their design."""
    found = {}
    for name, plan in plans_of_answers(700).items():
        found[name] = str(tmp_path_factory.mktemp("runs") / name)
        run(plan, found[name], RunOptions(engine="inline"))
    return found


def run_for(answer: Answer, runs: Mapping[str, str]) -> str:
    return runs["random" if "random" in answer.designs else answer.designs[0]]


@pytest.fixture
def small_tasks(monkeypatch):
    """Maps of several tasks over small runs, of which this process reads no shard itself where there is a Ray."""
    monkeypatch.setattr(shard_map, "LARGE", 0)
    monkeypatch.setattr(shard_map, "TASK_TRIALS", 2000)

    def not_here(run: StoredRun, shard: Shard):
        if run.ray_address is not None:
            raise AssertionError(f"{shard} is read by the process that was asked")
        return opened(run, shard)

    opened = StoredRun.open_shard
    monkeypatch.setattr(StoredRun, "open_shard", not_here)
    # DuckDB reads the files of whole runs where it is.
    monkeypatch.delattr("cluster.query.trials.open_duckdb")


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


def computed_elsewhere(run, tasks, function, merge):
    """What Ray's tasks find, in this process: what is sent and returned is copied as Ray does it."""
    sent = cloudpickle.dumps((StoredRun(run.plan, run.folder), function, merge))
    for task in tasks:
        copied = cloudpickle.loads(cloudpickle.dumps(task))
        found = shard_map._merged(*cloudpickle.loads(sent)[:1], copied, *cloudpickle.loads(sent)[1:])
        yield copied[-1], cloudpickle.loads(cloudpickle.dumps(found))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES if name not in IN_DRIVER],
)
def test_an_answer_reads_no_shard_itself_and_all_that_is_sent_can_be_copied(name, runs, small_tasks, monkeypatch):
    monkeypatch.setattr(shard_map, "_map_on_ray", computed_elsewhere)
    monkeypatch.setattr(registry, "ray_of", lambda _: nullcontext())
    answer = find_answer(name)
    address, request = run_for(answer, runs), request_of(answer)
    here = ask(open_run(address), name, request)
    assert json.dumps(ask(open_run(address, "nowhere:1"), name, request)) == json.dumps(here)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_answer_on_ray_is_that_of_this_process_to_the_last_bit(name, runs, cluster, small_tasks, monkeypatch):
    answer = find_answer(name)
    address = run_for(answer, runs)
    if name in IN_DRIVER:
        monkeypatch.undo()
        monkeypatch.setattr(shard_map, "LARGE", 0)
    with joined(cluster.address):
        for request in (request_of(answer), *answer.examples):
            here = ask(open_run(address), name, request)
            assert json.dumps(ask(open_run(address, cluster.address), name, request)) == json.dumps(here), request


@pytest.mark.slow
def test_an_answer_whose_workers_are_killed_is_the_same(folder, cluster, monkeypatch):
    monkeypatch.setattr(shard_map, "TASK_TRIALS", 1)
    here = ask(open_run(folder), "compare", {"given": GIVEN})
    monkeypatch.setattr(shard_map, "LARGE", 0)
    killed: list[int] = []

    def kill_workers(done: int, total: int) -> None:
        if not killed and done < total:
            raylets = [one.all_processes["raylet"][0].process.pid for one in cluster.list_all_nodes()]
            for one in (worker for raylet in raylets for worker in psutil.Process(raylet).children()):
                # Other children are the raylet's own agents, without which it ends.
                if name_of(one).startswith(("ray::_run_task", "ray::IDLE")):
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
                        killed.append(one.pid)

    found = ask(open_run(folder, cluster.address), "compare", {"given": GIVEN}, on_progress=kill_workers)
    assert killed
    assert json.dumps(found) == json.dumps(here)


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
