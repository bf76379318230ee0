"""This kernel, and a whole run, against the kernel of an earlier revision of this repository, in turns by CPU time.

The earlier revision is that before decisions could depend on what is settled. It is taken from the repository's history
into a temporary folder. Each side plays in a process of its own, which waits for its turn.
"""

import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from tests.support.examples import every_mechanism

REVISION = "106144b33cb64fa2359491795f61ec18eac907e6"
SHIPPED = Path("configs/scenarios/us-japan-autos-1995.yaml")
TRIALS = 100_000
ROUNDS = 7
_ROOT = Path(__file__).parent.parent
_PLAYER = """
import sys, tempfile, time
from pathlib import Path
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import read_scenario
whole, scenario, trials = sys.argv[1] == "whole", read_scenario(sys.argv[2], "scenario"), int(sys.argv[3])

def play():
    if not whole:
        for strategy in scenario.strategies:
            simulate(scenario, strategy, Chance(1, 0, trials))
        return
    from cluster.results.plan import make_plan
    from cluster.runs.options import RunOptions
    from cluster.runs.run import run
    with tempfile.TemporaryDirectory() as folder:
        run(make_plan(scenario, trials=trials, seed=1), Path(folder, "run"), RunOptions(engine="inline"))

play()
print(0, flush=True)
for _ in sys.stdin:
    started = time.process_time()
    play()
    print(time.process_time() - started, flush=True)
"""


def report() -> list[str]:
    """Lines with the speed relative to the earlier kernel's; one that says why, if the history is not here."""
    command = ["git", "archive", REVISION, "sim", str(SHIPPED)]
    archive = subprocess.run(command, cwd=_ROOT, capture_output=True)
    title = f"Speed on one core relative to the kernel of revision {REVISION[:7]}"
    if archive.returncode:
        return [f"{title}: not measured, because the revision is not in the history here"]
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        before, every = Path(folder), json.dumps(every_mechanism())
        old, new = ((root / SHIPPED).read_text(encoding="utf-8") for root in (before, _ROOT))
        return [
            title,
            _line("one strategy, every old mechanism", (before, "bare", every), (_ROOT, "bare", every)),
            _line("whole run, 1995 as it was then", (before, "bare", old), (_ROOT, "whole", old)),
            _line("whole run, 1995 as it is now", (before, "bare", old), (_ROOT, "whole", new)),
        ]


def _line(label: str, before: tuple[Path, str, str], now: tuple[Path, str, str]) -> str:
    with ExitStack() as running:
        players = [running.enter_context(_player(*side)) for side in (before, now)]
        for player in players:
            _seconds(player)
        ratios = []
        for _ in range(ROUNDS):
            then, since = (_turn(player) for player in players)
            ratios.append(then / since)
    return f"{label:36} {statistics.median(ratios):5.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def _player(root: Path, what: str, scenario: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _PLAYER, what, scenario, str(TRIALS)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _turn(player: "subprocess.Popen[str]") -> float:
    assert player.stdin is not None
    player.stdin.write("\n")
    player.stdin.flush()
    return _seconds(player)


def _seconds(player: "subprocess.Popen[str]") -> float:
    assert player.stdout is not None
    return float(player.stdout.readline())
