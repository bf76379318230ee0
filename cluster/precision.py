"""A run that goes on until its estimates are as precise as was wished."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce

from cluster.engines import Stop
from cluster.folders import Folder, open_folder
from cluster.plan import MAX_SHARDS, Plan
from cluster.run import Progress, begin, check_engine, conclude, play_missing, run_document
from cluster.store import RUN, SUMMARY, read_json, write_json
from cluster.trials import StoredRun
from sim.estimates import Tally, merge_replicates
from sim.faults import Fault, InvalidInput
from sim.precision import (
    FIRST_LOOK,
    GROWTH,
    check_precision,
    first_look,
    half_width,
    known_in,
    next_look,
    trials_needed,
)

MOST_TRIALS = 10_000_000
"""Trials of each strategy at which a precise run ends, unless the user says otherwise."""


def run_to_precision(
    plan: Plan,
    address: str | os.PathLike[str],
    wished: Mapping[str, float],
    *,
    engine: str = "auto",
    ray_address: str | None = None,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Stop | None = None,
) -> tuple[dict, dict]:
    """Play trials until the 95 % intervals of all strategies are as narrow as wished, `plan.trials` at most.

    `wished` has half-widths by the names of `sim.precision.precise_names`. Returns the summary, and what was reached
    after how many trials. The folder is that of a run of this number of trials. A folder that holds fewer trials of
    the same run is gone on with. Raises as `cluster.run.run` does.
    """
    check_precision(wished, plan.scenario, plan.design)
    _check_most(plan)
    check_engine(engine, ray_address, workers)
    folder = open_folder(address)
    stage = replace(plan, trials=_trials_held(folder, plan) or first_look(plan.design, plan.trials))
    begin(stage, folder)
    looks = []
    while True:
        play_missing(
            stage,
            folder,
            engine=engine,
            ray_address=ray_address,
            workers=workers,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        looks.append(stage.trials)
        found = {name: _look(stage, folder, name, half) for name, half in wished.items()}
        if all(one["reached"] for one in found.values()) or any(_hopeless(one, stage) for one in found.values()):
            break
        needed = [one["trials_needed"] for one in found.values()]
        trials = next_look(plan.design, stage.trials, None if None in needed else max(needed), plan.trials)
        if trials <= stage.trials:
            break
        stage = replace(plan, trials=trials)
        folder.remove(SUMMARY)
        write_json(folder, RUN, run_document(stage))
    reached = all(one["reached"] for one in found.values())
    took = {"reached": reached, "trials": stage.trials, "most_trials": plan.trials, "looks": looks, "wished": found}
    return conclude(stage, folder), took


def _look(plan: Plan, folder: Folder, name: str, wished: float) -> dict:
    """The half-widths of an estimate under each strategy, and about how many trials would make the wished one."""
    run = StoredRun(plan, folder)
    halves, needed, known = {}, [], []
    for strategy in plan.strategies:
        counted: tuple[Tally, ...] = reduce(merge_replicates, (run.committed[shard] for shard in run.shards(strategy)))
        halves[strategy] = half_width(counted, name, plan.scenario)
        needed.append(trials_needed(plan.trials, halves[strategy], wished))
        known.append(known_in(counted, name))
    return {
        "half_width": wished,
        "reached": all(half is not None and half <= wished for half in halves.values()),
        "half_widths": halves,
        "trials_needed": None if None in needed else max(count for count in needed if count is not None),
        "never_known": [strategy for strategy, count in zip(plan.strategies, known, strict=True) if not count],
    }


def _hopeless(found: dict, plan: Plan) -> bool:
    """Whether a measure is known in none of so many trials: a strategy may leave it out for certain."""
    return bool(found["never_known"]) and plan.trials >= GROWTH * FIRST_LOOK


def _trials_held(folder: Folder, plan: Plan) -> int | None:
    """The number of trials of the run in the folder, null if there is none. Raises `InvalidInput` if too many."""
    try:
        held = int(read_json(folder, RUN)["trials"])  # type: ignore[index]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if held > plan.trials:
        message = f"holds a run of {held} trials already, more than the {plan.trials} at most wished for"
        raise InvalidInput((Fault("out", folder.address, message),))
    return held


def _check_most(plan: Plan) -> None:
    most = MAX_SHARDS * plan.shard_trials
    if plan.trials > most:
        message = f"must be at most {most} with a precision and {plan.shard_trials} trials in a file"
        raise InvalidInput((Fault("trials", plan.trials, message),))
