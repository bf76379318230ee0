"""The CPU time of the first trial of a new process, tables of quantiles and all, after the imports."""

import statistics
import subprocess
import sys

ROUNDS = 5
GOAL = 0.1
"""Seconds of CPU time."""
_FIRST_TRIAL = """
import sys, time
from api.shipped_scenarios import shipped_scenario
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
scenario = shipped_scenario(sys.argv[1])
started = time.process_time()
simulate(scenario, next(iter(scenario.strategies)), Chance(1, 0, 1))
print(time.process_time() - started)
"""


def report(scenario: str = "us-japan-autos-1995") -> list[str]:
    """A line with the median of some processes."""
    command = [sys.executable, "-c", _FIRST_TRIAL, scenario]
    seconds = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(ROUNDS)]
    shown = f"{min(seconds):.3f} to {max(seconds):.3f}"
    median = f"{statistics.median(seconds):.3f} s of CPU time ({shown}), goal {GOAL}"
    return [f"First trial of a new process, {scenario}: {median}"]
