"""``python -m benchmarks.estimates``: what runs take, against what was estimated before them.

Each scenario is played in a process of its own, as ``brink run --engine inline`` does. Its seconds of CPU and the bytes
of its files are compared with the estimate of ``--dry-run``, which plays a sample, and with that from the document
alone, from which the size of shards follows.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import Plan, make_plan
from cluster.results.result_folder import read_manifest
from cluster.results.trial_work import trial_seconds
from cluster.runs.cost import estimate_cost
from cluster.storage.address import open_folder
from sim.scenario.scenario import Scenario, scenario_document, scenario_from_document

SHIPPED = ("us-japan-autos-1995", "us-china-section-301-2018", "us-ec-oilseeds-1992", "us-mexico-2019")
ISSUES = (1, 20)
TRIALS = 200_000
BAND = 0.3
"""Estimates of work and of bytes are to be within this share of what a run takes."""
_RUN = """
import pickle, sys
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.runs.warm_up import warm_up_kernel
import time
plan, folder = pickle.load(sys.stdin.buffer)
warm_up_kernel()
started = time.process_time()
run(plan, folder, RunOptions(engine="inline"))
print(time.process_time() - started)
"""


def with_issues(count: int) -> Scenario:
    """A scenario with so many issues, which are those of a shipped one over and over."""
    document = scenario_document(shipped_scenario(SHIPPED[0]))
    own = list(document["issues"].values())
    kept = {name: document[name] for name in ("schema", "name", "title", "sender", "target", "parameters", "sessions")}
    issues = {f"issue-{k}": own[k % len(own)] for k in range(count)}
    return scenario_from_document(
        {**kept, "issues": issues, "strategies": {"act": {}, "talk": {"threat_probability": 0}}}
    )


def measured(plan: Plan) -> tuple[float, int]:
    """Seconds of CPU, and bytes, of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-P", "-c", _RUN],
            input=pickle.dumps((plan, folder)),
            capture_output=True,
            check=True,
            env=environment,
        )
        return float(done.stdout), sum(file.bytes for file in read_manifest(open_folder(folder)))


def report(trials: int) -> Iterator[str]:
    """A line for each scenario."""
    yield f"{'':28} {'trials':>9} {'CPU s':>8} {'dry run':>8} {'ratio':>6} {'document':>9} {'ratio':>6} {'bytes':>6}"
    scenarios = {name: shipped_scenario(name) for name in SHIPPED} | {f"{k} issues": with_issues(k) for k in ISSUES}
    worst = 0.0
    for name, scenario in scenarios.items():
        plan = make_plan(scenario, trials=trials, seed=1)
        cost = estimate_cost(plan, engine="inline")
        seconds, size = measured(plan)
        document = trial_seconds(scenario) * cost.rows
        worst = max(worst, abs(cost.core_seconds / seconds - 1), abs(cost.bytes / size - 1))
        yield (
            f"{name:28} {trials:>9,} {seconds:8.2f} {cost.core_seconds:8.2f} {cost.core_seconds / seconds:6.2f} "
            f"{document:9.2f} {document / seconds:6.2f} {cost.bytes / size:6.3f}"
        )
    yield f"largest error of the dry run: {100 * worst:.0f} % (to be within {100 * BAND:.0f} %)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials of each strategy")
    for line in report(parser.parse_args().trials):
        print(line, flush=True)


if __name__ == "__main__":
    main()
