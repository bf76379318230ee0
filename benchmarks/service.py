"""A small job over HTTP, from POST to summary, as a ratio to the bare kernel's time for the same trials."""

import statistics
import time

import httpx
import psutil

from api.shipped_scenarios import shipped_scenario
from brink.local import start_service, stop_service
from sim.model.kernel import simulate
from sim.sampling.chance import Chance

ROUNDS = 5
TRIALS = 10_000
SCENARIO = "us-japan-autos-1995"
FIRST_GOAL, WARM_GOAL = 1.0, 0.5
"""Seconds on an idle machine, for the first job after `brink serve` is ready and for later ones."""


def report() -> list[str]:
    """A line for the first job and one for the median of later ones: seconds, CPU time, ratio and goal.

    The ratio is to the kernel without the service, warm, on the same trials and taken in turns.
    """
    service = start_service(None, {})
    try:
        (runner,) = (
            process
            for process in psutil.Process(service.process.pid).children(recursive=True)
            if "cluster.service.runner" in process.cmdline()
        )
        with httpx.Client(base_url=service.url, timeout=600.0) as client:
            first, *later = [(*_job(client, runner, seed), _kernel(seed)) for seed in range(ROUNDS + 1)]
    finally:
        stop_service(service)
    lines = [f"{'Small job over HTTP, POST to summary':40} {'seconds':>8} {'CPU':>6} {'ratio':>6} {'goal':>6}"]
    for name, rounds, goal in (("first after the start", [first], FIRST_GOAL), ("later", later, WARM_GOAL)):
        # The first call also builds the quantile tables, so it is not counted.
        bare = statistics.median(seconds for *_, seconds in later)
        seconds, cpu = (statistics.median(column) for column in list(zip(*rounds, strict=True))[:2])
        lines.append(f"{name:40} {seconds:8.2f} {cpu:6.2f} {seconds / bare:6.1f} {goal:6.1f}")
    return lines


def _job(client: httpx.Client, runner: psutil.Process, seed: int) -> tuple[float, float]:
    """Seconds until a client that follows the events sees the job's end, and CPU seconds of runner and workers."""
    cpu, started = _cpu_seconds(runner), time.perf_counter()
    request = {"scenario": SCENARIO, "trials": TRIALS, "seed": seed}
    job = client.post("/v1/jobs", json=request).raise_for_status().json()
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
        for _ in events.iter_lines():
            pass
    client.get(f"/v1/jobs/{job['id']}/summary").raise_for_status()
    return time.perf_counter() - started, _cpu_seconds(runner) - cpu


def _cpu_seconds(runner: psutil.Process) -> float:
    """CPU time of a runner and its worker processes."""
    return sum(sum(process.cpu_times()[:2]) for process in (runner, *runner.children()))


def _kernel(seed: int) -> float:
    scenario = shipped_scenario(SCENARIO)
    started = time.perf_counter()
    for strategy in scenario.strategies:
        simulate(scenario, strategy, Chance(seed, 0, TRIALS))
    return time.perf_counter() - started


if __name__ == "__main__":
    print("\n".join(report()))
