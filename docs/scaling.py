"""How the speed of a run grows with its workers, simulated: the chart and the tables of ``docs/scaling.md``.

``make docs`` runs it as ``python -m docs.scaling``. The page states the model.
"""

import heapq
from pathlib import Path

import altair as alt
import numpy as np

from api.shipped_scenarios import shipped_scenario
from cluster.results.plan import Plan, make_plan
from cluster.runs.tasks import SHARED_COST, strategies_per_task

SCENARIO = "us-japan-autos-1995"
TRIALS = (10**7, 10**9)
"""Trials of each strategy of a small and of a large run."""
TRIAL_SECONDS = 5.8e-6
"""Core-seconds of a trial of one strategy, six played together, as `brink run --dry-run` measured it."""
DRIVER_SECONDS = 0.002
"""Seconds that the driver needs for a task: an assumption."""
SPREAD = 0.1
"""The standard deviation of a task's seconds, as a share of them: an assumption."""
IN_FLIGHT = 2
WORKERS = (1, 3, 10, 30, 100, 200, 300, 500, 700, 1000)
LATENCIES = (0.0, 0.02, 0.05, 0.1, 0.2)
HERE = Path(__file__).parent
PAGE = HERE / "scaling.md"
BEGIN, END = "<!-- the tables: made by `make docs` -->", "<!-- end of the tables -->"


def wall_seconds(
    tasks: int, task_seconds: float, commits: int, latency: float, workers: int, driver_seconds: float = DRIVER_SECONDS
) -> float:
    """The time of a run on so many workers, by a simulation of its tasks with a fixed seed.

    A task takes `task_seconds`, with a `SPREAD`, and then commits that many files at the same time, each of which takes
    the `latency` (exponentially distributed beyond its half). The driver hands out tasks and takes their results
    one by one; each worker has one task more than it plays.
    """
    rng = np.random.default_rng(1)
    work = task_seconds * rng.normal(1.0, SPREAD, tasks).clip(0.1)
    work += 0.5 * latency * (1.0 + rng.exponential(1.0, (tasks, commits)).max(axis=1))
    driver, handed_out = 0.0, 0
    free = [0.0] * workers
    results: list[float] = []
    while handed_out < tasks or results:
        if handed_out < tasks and len(results) < IN_FLIGHT * workers:
            # The worker that is free first takes the task, once it was handed out.
            driver += 0.5 * driver_seconds
            ends = max(heapq.heappop(free), driver) + work[handed_out]
            heapq.heappush(free, ends)
            heapq.heappush(results, ends)
            handed_out += 1
        else:
            driver = max(driver, heapq.heappop(results)) + 0.5 * driver_seconds
    return driver


def speed(plan: Plan, workers: int, latency: float) -> float:
    """How many times as fast a run is on so many workers as on one whose files take no time to commit."""
    strategies = len(plan.strategies)
    shard_seconds = plan.shard_trials * TRIAL_SECONDS * strategies / (SHARED_COST + strategies)

    def cut(per_task: int) -> tuple[int, float]:
        ranges = -(-plan.trials // plan.shard_trials)
        return ranges * -(-strategies // per_task), shard_seconds * (SHARED_COST + per_task)

    per_task = strategies_per_task(plan, workers)
    alone_tasks, alone_seconds = cut(strategies_per_task(plan, 1))
    tasks, seconds = cut(per_task)
    return alone_tasks * alone_seconds / wall_seconds(tasks, seconds, per_task, latency, workers)


def main() -> None:
    """Write the tables and the chart."""
    panels, tables = [], []
    for trials in TRIALS:
        plan = make_plan(shipped_scenario(SCENARIO), trials=trials, seed=1)
        found = {workers: {latency: speed(plan, workers, latency) for latency in LATENCIES} for workers in WORKERS}
        tables += ["", *_table(trials, found)]
        panels.append(_panel(trials, found))
    alt.hconcat(*panels).save(HERE / "scaling.svg")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, *tables, "", END + after]), encoding="utf-8")


def _table(trials: int, found: dict[int, dict[float, float]]) -> list[str]:
    titles = [f"{1000 * latency:.0f} ms" for latency in LATENCIES]
    rows = [f"| {workers:,} | {' | '.join(f'{one:,.1f}' for one in own.values())} |" for workers, own in found.items()]
    return [f"| workers, for {trials:,} trials | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|", *rows]


def _panel(trials: int, found: dict[int, dict[float, float]]) -> alt.LayerChart:
    rows = [
        {"workers": workers, "latency": f"{1000 * latency:.0f} ms", "order": latency, "speed": one}
        for workers, own in found.items()
        for latency, one in own.items()
    ]
    scale = alt.Scale(type="log", domain=[0.7, 1000])
    x = alt.X("workers:Q", scale=scale, title="workers (cores)")
    y = alt.Y("speed:Q", scale=scale, title="speed, times that of one worker")
    colour = alt.Color("latency:N", title="latency of a commit", sort=alt.EncodingSortField("order"))
    lines = alt.Chart(alt.InlineData(values=rows)).mark_line(point=True).encode(x=x, y=y, color=colour)
    ends = alt.InlineData(values=[{"workers": 1, "speed": 1}, {"workers": 1000, "speed": 1000}])
    ideal = alt.Chart(ends).mark_line(strokeDash=[4, 4], color="#9aa0a6").encode(x=x, y=y)
    title = f"{trials:,} trials of each of six strategies"
    return (ideal + lines).properties(width=360, height=300, title=title)


if __name__ == "__main__":
    main()
