"""Small runs for the tests of the cluster."""

import hashlib
from pathlib import Path

from cluster.results.plan import Plan, make_plan
from sim.scenario.scenario import scenario_from_document
from tests.support.examples import changed, litigious

STRATEGIES = {"threaten": {}, "talk": {"threat_probability": 0}}


def small_plan(trials: int = 5000, shard_trials: int | None = 1000, **options: object) -> Plan:
    """A plan of two strategies with every mechanism at work."""
    scenario = scenario_from_document(changed(litigious(), strategies=STRATEGIES))
    return make_plan(scenario, **{"trials": trials, "seed": 11, "shard_trials": shard_trials} | options)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every Parquet file of a result folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }
