"""The CPU time of answers about stored trials, as a ratio to the kernel's for the same trials, both from one run.

And what a new condition costs on the page of a result: the requests that the page makes, over HTTP.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from brink.local import start_service, stop_service
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import Scenario

TRIALS = 100_000
REQUESTS: dict[str, dict[str, object]] = {
    "worth": {},
    "drivers": {},
    "compare": {},
    "discover": {"outcome": "sanctions"},
    "timeline": {},
}
"""The answers that are measured, and what is asked."""
MILLION = 1_020_000
GOAL = 0.3
"""Seconds of a request on an idle machine."""
CONDITIONS = (
    "target_win > 0.5",
    "agreement_week <= 60 or not agreement",
    "target_win > 0.6",
    "filing_week is null",
    "market_access > 0.3 or not agreement",
)
_PLAY = """
import json, sys, time
from cluster.query.trials import open_run
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
plan = open_run(sys.argv[1]).plan
simulate(plan.scenario, plan.strategies[0], Chance(plan.seed, 0, 1000))
started = time.process_time()
for strategy in plan.strategies:
    simulate(plan.scenario, strategy, Chance(plan.seed, 0, plan.trials))
print(time.process_time() - started)
"""
_ASK = """
import json, sys, time
from cluster.answers.registry import ask
from cluster.query.trials import open_run
started = time.process_time()
ask(open_run(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
print(time.process_time() - started)
"""
"""The program that computes an answer. Its arguments are the run's folder, the answer's name and its request."""


def report(scenario: Scenario) -> Iterator[str]:
    """One line for each answer, computed in a process of its own, so that its imports count."""
    with tempfile.TemporaryDirectory(prefix="brink-answers-") as scratch:
        folder = str(Path(scratch) / "run")
        run(make_plan(scenario, trials=TRIALS, seed=1), folder, RunOptions(engine="inline"))
        kernel = _cpu_seconds(_PLAY, folder)
        yield f"kernel    {kernel:6.2f} s of CPU, {TRIALS:,} trials of {len(scenario.strategies)} strategies"
        for name, request in REQUESTS.items():
            seconds = _cpu_seconds(_ASK, folder, name, json.dumps(request))
            yield f"{name:9} {seconds:6.2f} s of CPU, {seconds / kernel:5.2f} of the kernel's"


def report_conditions(scenario: str) -> Iterator[str]:
    """A line for each request that a page makes for a new condition on a run of a million rows, with its goal.

    The run's columns are in memory from the conditions before. Seconds, and CPU seconds of the service, are medians.
    """
    service = start_service(None, {})
    try:
        with httpx.Client(base_url=service.url, timeout=600.0) as client:
            request = {"scenario": scenario, "trials": MILLION // 6, "seed": 1}
            job = client.post("/v1/jobs", json=request).raise_for_status().json()
            with client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
                for _ in events.iter_lines():
                    pass
            rounds = [_ask_for_condition(client, service.process.pid, job["id"], one) for one in CONDITIONS]
    finally:
        stop_service(service)
    rows = len(job["strategies"]) * job["trials"]
    yield f"A new condition on {rows:,} rows {'seconds':>10} {'CPU':>6} {'goal':>6}"
    for name in rounds[0]:
        # The first condition reads the columns.
        seconds, cpu = (statistics.median(one[name][k] for one in rounds[1:]) for k in (0, 1))
        yield f"{name:32} {seconds:7.2f} {cpu:6.2f} {GOAL:6.1f}"


def _ask_for_condition(client: httpx.Client, service: int, job: str, condition: str) -> dict[str, tuple[float, float]]:
    """Seconds and CPU seconds of each request for a condition, one after the other."""
    given = {"given": condition}
    shown = {**given, "measures": {"value": "agreement_week"}, "statistics": ["mean", "median"], "by": ["strategy"]}
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "summary": ("summary", given),
        "findings": ("findings", given),
        "chart of the outcomes": ("charts/outcomes", given),
        "chart of the events": ("charts/events", given),
        "timeline": ("timeline", given),
        "chart of the timeline": ("charts/timeline", given),
        "distribution": ("aggregate", shown),
    }
    found = {}
    for name, (path, body) in requests.items():
        cpu, started = _service_seconds(service), time.perf_counter()
        address = f"/v1/jobs/{job}/{path}"
        answer = client.get(address, params=body) if name == "summary" else client.post(address, json=body)
        answer.raise_for_status()
        found[name] = time.perf_counter() - started, _service_seconds(service) - cpu
    return found


def _service_seconds(pid: int) -> float:
    """CPU time of a process and of those that it started."""
    whole = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in (whole, *whole.children(recursive=True)))


def _cpu_seconds(code: str, *arguments: str) -> float:
    """What a process with some code prints: its CPU seconds."""
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)
