"""A plan that a command plays before it asks about the run."""

from api.cli.output import run_progress
from cluster.query.trials import StoredRun, open_run
from cluster.results.plan import Plan
from cluster.runs.options import RunOptions
from cluster.runs.run import adopt_shard_size, run


def played(plan: Plan, folder: str, *, engine: str | None, ray_address: str | None, workers: int | None) -> StoredRun:
    """Play a plan into a folder, with progress on a terminal, or continue it; the run. Raises as `run` does."""
    plan = adopt_shard_size(plan, folder)
    with run_progress(plan) as on_progress:
        run(
            plan,
            folder,
            RunOptions(engine=engine or "auto", ray_address=ray_address, workers=workers, on_progress=on_progress),
        )
    return open_run(folder)
