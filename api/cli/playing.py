"""A plan that a command plays before it asks about the run."""

from dataclasses import replace

from api.cli.output import run_progress
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import Plan
from cluster.runs.run import adopt_shard_size, run


def played(plan: Plan, folder: str, *, engine: str | None, ray_address: str | None, workers: int | None) -> StoredRun:
    """Play a plan into a folder, with progress on a terminal, or continue it; the run. Raises as `run` does.

    Answers about it are computed at `ray_address` too if it is large.
    """
    plan = adopt_shard_size(plan, folder)
    with run_progress(plan) as shown:
        run(plan, folder, replace(shown, engine=engine or "auto", ray_address=ray_address, workers=workers))
    return open_run(folder, ray_address)
