"""This kernel, and a whole run, against the kernel of an earlier revision of this repository, in turns.

The earlier revision is that before decisions could depend on what is settled. It is taken from the repository's history
into a temporary folder. Each side plays in processes of its own, which wait for their turn. On one core the time is
that of the CPU. A run on Ray workers, without Ray's start, is compared by the clock with as many processes of the
earlier kernel at once, each of which plays an equal part of the trials.
"""

import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tests.support.examples import every_mechanism

REVISION = "106144b33cb64fa2359491795f61ec18eac907e6"
SHIPPED = Path("configs/scenarios/us-japan-autos-1995.yaml")
TRIALS = 100_000
"""Trials of each strategy for each core."""
ROUNDS = 7
WORKERS = 2
_ROOT = Path(__file__).parent.parent
_PLAYER = """
import sys, tempfile, time
from pathlib import Path
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.scenario import read_scenario
engine, scenario, first, count = sys.argv[1], read_scenario(sys.argv[2], "scenario"), int(sys.argv[3]), int(sys.argv[4])
workers, clock = int(sys.argv[5]), time.process_time if sys.argv[5] == "1" else time.perf_counter

def play(folder):
    if engine == "none":
        for strategy in scenario.strategies:
            simulate(scenario, strategy, Chance(1, first, count))
        return
    from cluster.results.plan import make_plan
    from cluster.runs.options import RunOptions
    from cluster.runs.run import run
    options = RunOptions(engine=engine, workers=None if engine == "inline" else workers)
    run(make_plan(scenario, trials=count, seed=1), Path(folder, "run"), options)

def seconds():
    # The run's folder is removed once the time is taken.
    with tempfile.TemporaryDirectory() as folder:
        started = clock()
        play(folder)
        return clock() - started

if engine == "ray":
    import ray
    ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
print(seconds(), flush=True)
for _ in sys.stdin:
    print(seconds(), flush=True)
"""


@dataclass(frozen=True)
class _Side:
    """Who plays a scenario: a checkout, and the bare kernel (`engine` "none") or a whole run on an engine."""

    root: Path
    engine: str
    scenario: str


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
        bare = _Side(before, "none", old)
        return [
            title,
            _line("one strategy, every old mechanism", _Side(before, "none", every), _Side(_ROOT, "none", every)),
            _line("whole run, 1995 as it was then", bare, _Side(_ROOT, "inline", old)),
            _line("whole run, 1995 as it is now", bare, _Side(_ROOT, "inline", new)),
            f"Speed of a run on {WORKERS} Ray workers relative to {WORKERS} such kernels at once, wall time",
            _line("whole run, 1995 as it was then", bare, _Side(_ROOT, "ray", old), WORKERS),
            _line("whole run, 1995 as it is now", bare, _Side(_ROOT, "ray", new), WORKERS),
        ]


def _line(label: str, before: _Side, now: _Side, workers: int = 1) -> str:
    with ExitStack() as running:
        sides = [_players(side, workers, running) for side in (before, now)]
        ratios = []
        for _ in range(ROUNDS):
            then, since = (_turn(players) for players in sides)
            ratios.append(then / since)
    return f"{label:36} {statistics.median(ratios):5.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def _players(side: _Side, workers: int, running: ExitStack) -> "list[subprocess.Popen[str]]":
    """The processes of a side, which have played once: one for each of the bare kernels at once, or that of the run."""
    parts = workers if side.engine == "none" else 1
    count = TRIALS * workers // parts
    players = []
    for part in range(parts):
        arguments = (side.engine, side.scenario, str(part * count), str(count), str(workers))
        player = subprocess.Popen(
            [sys.executable, "-P", "-c", _PLAYER, *arguments],
            env={**os.environ, "PYTHONPATH": str(side.root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        players.append(running.enter_context(player))
    for player in players:
        _seconds(player)
    return players


def _turn(players: "list[subprocess.Popen[str]]") -> float:
    """The seconds that some processes take to play at once."""
    for player in players:
        assert player.stdin is not None
        player.stdin.write("\n")
        player.stdin.flush()
    return max([_seconds(player) for player in players])


def _seconds(player: "subprocess.Popen[str]") -> float:
    assert player.stdout is not None
    return float(player.stdout.readline())
