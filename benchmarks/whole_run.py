"""A whole run (files, tallies, summary) against the bare kernel, one strategy after the other, on the same cores."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ray

from cluster.results.plan import Plan, make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import Scenario

ROUNDS = 3
TRIALS = 200_000
WORKERS = 2


def report(scenario: Scenario) -> list[str]:
    """Lines on one core, by its CPU time, and on Ray workers without Ray's start, by the clock."""
    plan = make_plan(scenario, trials=TRIALS, seed=1)
    lines = [_line("one core, CPU time", time.process_time, lambda: _play(plan, "inline"), lambda: _bare(plan))]
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        label = f"{WORKERS} Ray workers, wall time"
        lines.append(_line(label, time.perf_counter, lambda: _play(plan, "ray"), lambda: _bare_on_ray(plan)))
    finally:
        ray.shutdown()
    return lines


def _line(label: str, clock: Callable[[], float], whole: Callable[[], None], bare: Callable[[], None]) -> str:
    whole()
    bare()
    ratios = []
    for _ in range(ROUNDS):
        started = clock()
        bare()
        between = clock()
        whole()
        ratios.append((between - started) / (clock() - between))
    return f"{label:28} {statistics.median(ratios):5.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def _play(plan: Plan, engine: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(plan, Path(folder, "run"), RunOptions(engine=engine, workers=None if engine == "inline" else WORKERS))


def _bare(plan: Plan) -> None:
    for shard in plan.shards():
        simulate(plan.scenario, shard.strategy, Chance(plan.seed, shard.first, shard.count), plan.design)


def _bare_on_ray(plan: Plan) -> None:
    def bare(shared: Plan, strategy: str, first: int, count: int) -> None:
        simulate(shared.scenario, strategy, Chance(shared.seed, first, count), shared.design)

    task, shared = ray.remote(bare), ray.put(plan)
    ray.get([task.remote(shared, shard.strategy, shard.first, shard.count) for shard in plan.shards()])
