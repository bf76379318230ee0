"""The CPU time of answers about stored trials, as a ratio to the kernel's for the same trials, both from one run."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import Scenario

TRIALS = 100_000
REQUESTS: dict[str, dict] = {
    "worth": {},
    "drivers": {},
    "compare": {},
    "discover": {"outcome": "sanctions"},
    "timeline": {},
}
"""The answers that are measured, and what is asked."""
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


def _cpu_seconds(code: str, *arguments: str) -> float:
    """What a process with some code prints: its CPU seconds."""
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)
