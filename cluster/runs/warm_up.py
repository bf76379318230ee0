"""Costs that a process has once, before its first job: imports, and the first use of the libraries."""

import tempfile

from cluster.results.plan import Plan, make_plan
from cluster.runs.shard import run_shards
from cluster.storage.address import open_folder
from sim.scenario.scenario import scenario_from_document

_SCENARIO = {
    "schema": 1,
    "name": "warm-up",
    "title": "A run that nobody reads",
    "issues": {
        "only": {"weight": 1, "gap": 0.5, "sender_concession": {"pert": [0.02, 0.1, 0.2]}, "target_concession": 0.1}
    },
    "parameters": {
        "threat_probability": {"uniform": [0.1, 0.4]},
        "sanctioned_trade": {"lognormal": {"p05": 1, "p95": 9}},
    },
    "correlations": [{"between": ["threat_probability", "sanctioned_trade"], "spearman": 0.3}],
}


def warm_up_plan() -> Plan:
    """A small run of a scenario with distributions of several kinds and correlated parameters."""
    return make_plan(scenario_from_document(_SCENARIO), trials=1000, seed=1)


def warm_up_kernel() -> None:
    """Play a small run's trials in a temporary folder, and forget them. Raises `OSError`."""
    plan = warm_up_plan()
    with tempfile.TemporaryDirectory(prefix="brink-warm-up-") as folder:
        for _ in run_shards(plan, tuple(plan.shards()), open_folder(folder)):
            pass
