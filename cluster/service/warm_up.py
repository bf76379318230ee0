"""What a process pays once, paid before its first job: imports, and the first use of the libraries."""

import tempfile

from cluster.results.plan import make_plan
from cluster.runs.options import RunOptions
from cluster.runs.run import run
from cluster.service.logs import logger
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_from_document

log = logger("brink.runner")
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


def warm_up() -> None:
    """Play a small run in a temporary folder, and forget it. Where that cannot be done, the first job is slower."""
    try:
        with tempfile.TemporaryDirectory(prefix="brink-warm-up-") as folder:
            run(make_plan(scenario_from_document(_SCENARIO), trials=1000, seed=1), folder, RunOptions(engine="inline"))
    except (OSError, InvalidInput) as error:
        log.warning("the runner could not warm up", error=str(error))
