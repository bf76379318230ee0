"""The time from typing a command to its end, as a ratio to ``python -c "import numpy"``, both taken in turns."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROUNDS = 7
GOALS = {
    "brink --help": 4.0,
    "brink --version": 4.0,
    "brink parameters": 8.0,
    "brink scenarios": 8.0,
    "brink validate us-japan-autos-1995": 8.0,
    "brink run --help": 8.0,
    "brink compare --<Tab>": 8.0,
    "brink run us-<Tab>": 8.0,
}
"""The goal for each command: its largest ratio. ``<Tab>`` stands for a request of the shell to complete."""
_NUMPY = [sys.executable, "-c", "import numpy"]


def report() -> list[str]:
    """One line for each command: the median ratio of the rounds with their range, and the goal."""
    lines = [f"{'Time from start to end':36} {'ratio':>6} {'range':>14} {'goal':>6}"]
    for typed, goal in GOALS.items():
        command, environment = _process(typed)
        _seconds(command, environment)
        ratios = [_seconds(command, environment) / _seconds(_NUMPY, {}) for _ in range(ROUNDS)]
        shown = f"{min(ratios):.1f} to {max(ratios):.1f}"
        lines.append(f"{typed:36} {statistics.median(ratios):6.1f} {shown:>14} {goal:6.0f}")
    numpy = statistics.median(_seconds(_NUMPY, {}) for _ in range(ROUNDS))
    return [*lines, f'python -c "import numpy" takes {numpy:.3f} s here']


def _process(typed: str) -> tuple[list[str], dict[str, str]]:
    """The process of a typed command; for an incomplete one, the process that completes it in bash."""
    program = str(Path(sys.executable).parent / "brink")
    if not typed.endswith("<Tab>"):
        return [program, *typed.split()[1:]], {}
    words = typed.removesuffix("<Tab>")
    last = len(words.split()) - 1
    return [program], {"_BRINK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(last)}


def _seconds(command: list[str], environment: Mapping[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    return time.perf_counter() - started


if __name__ == "__main__":
    print("\n".join(report()))
