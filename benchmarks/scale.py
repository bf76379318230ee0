"""``python -m benchmarks.scale``: every answer on a hundred million rows, with the memory that each takes.

A hundred million rows of the smallest scenario that has every outcome are played first (some gigabytes and minutes);
then each answer is asked of them by a process of its own, whose greatest memory is told beside that of the same
answer on a hundredth of the rows.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

BRINK = str(Path(sys.executable).parent / "brink")
ROWS = 100_000_000
ANSWERS = (
    ("summary", "--given", "agreement_week is null or agreement_week > 6"),
    ("timeline",),
    ("compare", "--measure", "export_gain - sender_cost"),
    ("worth", "--measure", "export_gain - sender_cost"),
    ("stress", "--bound", "target_cost > 0.2"),
    ("drivers", "--measure", "export_gain"),
    ("discover", "--outcome", "sanctions_standing"),
    ("aggregate", "--measure", "export_gain", "--by", "outcome"),
    ("typical",),
)
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
}
"""One issue, two uncertain parameters, and a threat."""


def main() -> None:
    """Play the rows, ask every answer, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="brink-scale-") as scratch:
        many, few = Path(scratch) / "many", Path(scratch) / "few"
        started = time.perf_counter()
        scenario = Path(scratch) / "small.yaml"
        scenario.write_text(yaml.safe_dump(SCENARIO), encoding="utf-8")
        for folder, number in ((few, rows // 100), (many, rows)):
            ask(
                "run",
                str(scenario),
                "--trials",
                str(number // len(STRATEGIES)),
                "--shard-trials",
                "1000000",
                "--out",
                str(folder),
            )
        gigabytes = sum(file.stat().st_size for file in many.rglob("*.parquet")) / 1e9
        print(f"{rows:,} rows, {gigabytes:.1f} GB, played in {time.perf_counter() - started:.0f} s", flush=True)
        print(f"{'answer':10} {'seconds':>8} {'peak MB':>8} {'peak MB on a hundredth':>24}")
        for answer in ANSWERS:
            _, on_few = ask(answer[0], str(few), *answer[1:])
            seconds, on_many = ask(answer[0], str(many), *answer[1:])
            print(f"{answer[0]:10} {seconds:>8.0f} {on_many:>8.0f} {on_few:>24.0f}", flush=True)


def ask(*command: str) -> tuple[float, float]:
    """Run a brink command: the seconds it took, and the greatest memory of its process in MB."""
    started = time.perf_counter()
    process = subprocess.Popen([BRINK, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"brink {' '.join(command)} ended with status {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
