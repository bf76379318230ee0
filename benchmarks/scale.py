"""``python -m benchmarks.scale``: every answer on a hundred million rows, with the memory that each takes.

First a hundred million rows of the smallest scenario that has every outcome are played (some gigabytes and minutes).
Then each answer of the registry is computed from them, for its first example and in a process of its own. The peak
memory of that process is printed beside that for a hundredth of the rows. Answers for other designs are left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 100_000_000
# This process imports nothing large, because a process that it starts begins with this one's memory.
_LIST = """
import json
from cluster.answers.registry import ANSWERS
print(json.dumps({one.name: one.examples[0] for one in ANSWERS if "random" in one.designs}))
"""
PLAY = """
import json, sys
from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from sim.scenario.scenario import scenario_from_document
scenario = scenario_from_document(json.loads(sys.argv[2]))
run(make_plan(scenario, trials=int(sys.argv[3]), seed=1, shard_trials=1_000_000), sys.argv[1], RunOptions())
"""
_ASK = """
import json, sys
from cluster.answers.registry import ask
from cluster.query.trials import open_run
ask(open_run(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
"""
"""The program that computes an answer. Its arguments are the run's folder, the answer's name and its request."""
STRATEGIES = {"threaten": {}, "talk": {"threat_probability": 0.0}}
SCENARIO = {
    "schema": 1,
    "name": "small",
    "title": "The smallest dispute with every outcome",
    "sender": "Sender",
    "target": "Target",
    "horizon_weeks": 26,
    "issues": {
        "access": {
            "title": "Access",
            "weight": 1.0,
            "gap": 0.5,
            "sender_concession": 0.01,
            "target_concession": {"uniform": [0.01, 0.05]},
        }
    },
    "parameters": {
        "threat_probability": 0.2,
        "follow_through": 0.6,
        "sanction_fatigue": 0.05,
        "sanctioned_trade": {"uniform": [1.0, 8.0]},
        "tariff_rate": 1.0,
        "full_access": 10.0,
    },
    "strategies": STRATEGIES,
    "history": {"outcome": "agreement_in_talks", "agreement_week": 6, "retaliation": False, "sources": ["made up"]},
}
"""One issue, two uncertain parameters, and a threat."""
REQUESTS = {"stress": {"bound": "target_cost > 0.2"}, "check": {"reference": "all"}}
"""Requests that replace an answer's first example where that example does not suit the scenario."""


def main() -> None:
    """Play the rows, ask every answer, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="brink-scale-") as scratch:
        many, few = Path(scratch) / "many", Path(scratch) / "few"
        started = time.perf_counter()
        for folder, number in ((few, rows // 100), (many, rows)):
            measured(PLAY, str(folder), json.dumps(SCENARIO), str(number // len(STRATEGIES)))
        gigabytes = sum(file.stat().st_size for file in many.rglob("*.parquet")) / 1e9
        print(f"{rows:,} rows, {gigabytes:.1f} GB, played in {time.perf_counter() - started:.0f} s", flush=True)
        print(f"{'answer':10} {'seconds':>8} {'peak MB':>8} {'peak MB on a hundredth':>24}")
        listed = subprocess.run([sys.executable, "-P", "-c", _LIST], capture_output=True, text=True, check=True).stdout
        for name, example in json.loads(listed).items():
            request = json.dumps(REQUESTS.get(name, example))
            _, on_few = measured(_ASK, str(few), name, request)
            seconds, on_many = measured(_ASK, str(many), name, request)
            print(f"{name:10} {seconds:>8.0f} {on_many:>8.0f} {on_few:>24.0f}", flush=True)


def measured(code: str, *arguments: str) -> tuple[float, float]:
    """Run some code in a process of its own. Returns the seconds that it took and its peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-P", "-c", code, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with status {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
