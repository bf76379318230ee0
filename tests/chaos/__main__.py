"""``python -m tests.chaos``: break a service again and again, and print a table of faults and losses."""

import argparse
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import make_plan
from tests.chaos.faults import Fault
from tests.chaos.scenes import SCENES, Scene
from tests.chaos.service import Service
from tests.chaos.verdict import Undisturbed, judge_cancelled, judge_finished, judge_leftovers

SCENARIO = "us-japan-autos-1995"
STRATEGIES = ("threaten-and-decide-then", "keep-talking")


@dataclass
class Tally:
    """What a fault has cost so far."""

    scene: str
    fault: str
    injected: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)


def main() -> int:
    """Play every scene; the number of losses decides the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1995)
    parser.add_argument("--scene", help="play the scenes alone whose name has this in it")
    chosen = parser.parse_args()
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chance = random.Random(chosen.seed)
    out = Console(width=160)
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="brink-chaos-") as scratch:
        undisturbed = Undisturbed(Path(scratch) / "undisturbed")
        for number, scene in enumerate(SCENES):
            if not chosen.scene or chosen.scene in scene.name:
                tallies += play_scene(scene, Path(scratch) / f"scene-{number}", undisturbed, chance, out)
        undisturbed.close()
    out.print(table(tallies))
    for tally in tallies:
        for finding in tally.findings:
            out.print(f"{tally.scene}, {tally.fault}: {finding}", markup=False)
    return 1 if any(tally.findings for tally in tallies) else 0


def play_scene(
    scene: Scene, folder: Path, undisturbed: Undisturbed, chance: random.Random, out: Console
) -> list[Tally]:
    """Put a service through its faults."""
    tallies = []
    with scene.open(folder) as (service, to_inject):
        try:
            for fault in to_inject:
                tally = Tally(scene.name, fault.name)
                tallies.append(tally)
                for _ in range(fault.times):
                    started = time.monotonic()
                    findings = inject(service, fault, scene.trials, undisturbed, chance)
                    tally.injected += 1
                    tally.seconds += time.monotonic() - started
                    tally.findings += findings
                    out.print(f"{scene.name}: {fault.name}: {'; '.join(findings) or 'nothing lost'}", markup=False)
            left = judge_leftovers(service)
        finally:
            processes = service.stop()
    tallies.append(Tally(scene.name, "at the end", findings=left + processes))
    return tallies


def inject(service: Service, fault: Fault, trials: int, undisturbed: Undisturbed, chance: random.Random) -> list[str]:
    """Submit a job, hit it at a random moment, wait for its end, and judge it."""
    plan = make_plan(shipped_scenario(SCENARIO), trials=trials, seed=chance.randrange(2**63), strategies=STRATEGIES)
    expected = undisturbed.begin(plan)
    try:
        job_id = service.submit(
            {"scenario": SCENARIO, "trials": plan.trials, "seed": plan.seed, "strategies": list(plan.strategies)}
        )
        share = chance.uniform(-0.2, 0.95)
        if share > 0.0:
            service.until_share(job_id, share)
        fault.inject(service, job_id, chance)
        service.ended(job_id)
        judge = judge_cancelled if fault.cancels else judge_finished
        findings = judge(service, job_id, plan, expected.result())
        service.client.delete(f"/v1/jobs/{job_id}").raise_for_status()
        return findings
    except (AssertionError, TimeoutError) as error:
        return [str(error)]


def table(tallies: list[Tally]) -> Table:
    """The table of faults, times injected, and losses."""
    shown = Table("set-up", "fault", "times injected", "seconds each", "losses")
    for tally in tallies:
        each = f"{tally.seconds / tally.injected:.0f}" if tally.injected else ""
        shown.add_row(tally.scene, tally.fault, str(tally.injected or ""), each, str(len(tally.findings)))
    return shown


if __name__ == "__main__":
    sys.exit(main())
