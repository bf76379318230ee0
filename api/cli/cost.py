"""How the estimated cost of a run is printed."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.output import console, print_json
from api.cli.streams import say

if TYPE_CHECKING:
    from cluster.results.plan import Plan
    from cluster.runs.cost import Cost
    from cluster.runs.options import RunOptions

_BYTES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_SECONDS = (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0))


def print_cost(plan: "Plan", options: "RunOptions", folder: str, *, at_most: bool, as_json: bool) -> None:
    """Estimate the cost of a whole run and print it. Raises `InvalidInput` for an engine that does not exist."""
    from cluster.runs.cost import estimate_cost
    from cluster.runs.engines import check_engine

    check_engine(options)
    cost = estimate_cost(plan, engine=options.engine, ray_address=options.ray_address, workers=options.workers)
    free = _free_bytes(folder)
    if as_json:
        about = {"scenario": plan.scenario.name, "trials": plan.trials, "strategies": list(plan.strategies)}
        print_json({**about, "at_most": at_most, **asdict(cost), "free_bytes": free})
    else:
        _print_lines(plan, cost, free, folder, at_most=at_most)
    if free is not None and cost.bytes > free:
        say(f"warning: the disk of {folder} has {in_bytes(free)} free, less than the run takes")


def _print_lines(plan: "Plan", cost: "Cost", free: int | None, folder: str, *, at_most: bool) -> None:
    out = console()
    out.print(plan.scenario.title, style="bold")
    count = len(plan.strategies)
    rows = f"{cost.rows:,} ({plan.trials:,} trials of each of {count} {'strategy' if count == 1 else 'strategies'}"
    all_kept = cost.kept_rows == cost.rows
    kept = "" if all_kept else f"; {cost.kept_rows:,} are kept, and counts of the others"
    disk = f"{in_bytes(cost.bytes)}, {f'{cost.bytes_per_row:.0f} bytes a row' if all_kept else 'rows and counts'}"
    lines = {
        "rows": f"{rows}{', at most' if at_most else ''}){kept}",
        "files": f"{cost.shards:,} of {min(cost.shard_trials, plan.trials):,} trials",
        "disk": disk if free is None else f"{disk}; {in_bytes(free)} free at {folder}",
        "work": f"{in_time(cost.core_seconds)} of one core",
        "time": _wall(cost),
        "memory": f"{in_bytes(cost.worker_memory_bytes)} for each process that plays trials",
    }
    for name, text in lines.items():
        out.print(f"{name:8}{text}")
    one = cost.sample_strategies == 1
    out.print(
        f"Estimated: {cost.method}. The sample: {cost.sample_trials:,} trials of {cost.sample_strategies} "
        f"{'strategy' if one else 'strategies'} in {cost.sample_seconds:.2g} s. Nothing was kept.",
        style="dim",
    )


def _wall(cost: "Cost") -> str:
    if cost.wall_seconds is None:
        return "the work divided by the cores of the Ray cluster, which it was not asked for (--workers names them)"
    cores = f"{cost.workers} {'core' if cost.workers == 1 else 'cores'}"
    where = {"inline": "in this process", "ray": "by Ray"}.get(cost.engine, "by worker processes")
    return f"{in_time(cost.wall_seconds)} on {cores}, {where}"


def in_bytes(count: float) -> str:
    """A number of bytes in the largest unit that leaves at least 1."""
    for unit, size in _BYTES:
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"


def in_time(seconds: float) -> str:
    """A time in the largest unit that leaves at least 2."""
    for unit, size in _SECONDS:
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _free_bytes(folder: str) -> int | None:
    """The free bytes of the disk on which a local folder is or would be; None for an object store."""
    if "://" in folder:
        return None
    path = Path(folder).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
