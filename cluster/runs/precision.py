"""A run that continues until its estimates are as precise as requested."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypedDict

from cluster.query.trials import StoredRun
from cluster.results.plan import MAX_SHARDS, Plan
from cluster.results.result_folder import RUN, SUMMARY, read_json, write_json
from cluster.runs.engines import check_engine
from cluster.runs.options import Progress, RunOptions
from cluster.runs.reuse import copy_shards
from cluster.runs.run import Stopped, begin, conclude, play_missing, run_document
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput
from sim.statistics.stopping import (
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
"""The default for the largest number of trials of each strategy in a precise run."""


class EstimatePrecision(TypedDict):
    """How precise an estimate is under each strategy, with the half-width that was requested.

    `trials_needed` is about how many trials would reach it, null if that is not known; `never_known` are the strategies
    in all of whose trials the measure is null.
    """

    half_width: float
    reached: bool
    half_widths: dict[str, float | None]
    trials_needed: int | None
    never_known: list[str]


class ReachedPrecision(TypedDict):
    """What a precise run reached, with how many trials of each strategy; `looks` are the trials of its stages."""

    reached: bool
    trials: int
    most_trials: int
    looks: list[int]
    requested: dict[str, EstimatePrecision]


def run_to_precision(
    plan: Plan,
    address: str | os.PathLike[str],
    requested: Mapping[str, float],
    options: RunOptions,
    *,
    on_stage: Callable[[Plan], object] = lambda _: None,
) -> tuple[dict[str, Any], ReachedPrecision]:
    """Play trials until the 95 % intervals of all strategies are as narrow as requested, `plan.trials` at most.

    `requested` has half-widths by the names of `sim.statistics.stopping.precise_names`. Returns the summary, and what
    was reached after how many trials. The folder becomes that of a run of this number of trials. A folder with fewer
    trials of the same run is continued; `on_stage` is called with the plan of each stage. Reuses files and raises
    errors as `cluster.runs.run.run` does.
    """
    check_precise(plan, requested)
    check_engine(options)
    folder = open_folder(address)
    stage = replace(plan, trials=_trials_held(folder, plan) or first_look(plan.design, plan.trials))
    begin(stage, folder)
    looks = []
    while True:
        on_stage(stage)
        copy_shards(stage, folder, options.donors)
        progress = Progress(0, 0, 0, 0, 0)

        def note(found: Progress) -> None:
            nonlocal progress
            progress = found
            options.on_progress(found)

        play_missing(stage, folder, replace(options, on_progress=note))
        looks.append(stage.trials)
        found = {name: _look(stage, folder, name, half) for name, half in requested.items()}
        if all(one["reached"] for one in found.values()) or any(_hopeless(one, stage) for one in found.values()):
            break
        needed = [count for one in found.values() if (count := one["trials_needed"]) is not None]
        most_needed = max(needed) if len(needed) == len(found) else None
        trials = next_look(plan.design, stage.trials, most_needed, plan.trials)
        if trials <= stage.trials:
            break
        if not options.owns_folder():
            raise Stopped(progress)
        stage = replace(plan, trials=trials)
        folder.remove(SUMMARY)
        write_json(folder, RUN, run_document(stage))
    reached = all(one["reached"] for one in found.values())
    took = ReachedPrecision(reached=reached, trials=stage.trials, most_trials=plan.trials, looks=looks, requested=found)
    return conclude(stage, folder, options.ray_address), took


def check_precise(plan: Plan, requested: Mapping[str, float]) -> None:
    """Raise `InvalidInput` unless a plan can be played until it is as precise as requested, `plan.trials` at most."""
    check_precision(requested, plan.scenario, plan.design)
    most = MAX_SHARDS * plan.shard_trials
    if plan.trials > most:
        message = f"must be at most {most} with a precision and {plan.shard_trials} trials in a file"
        raise InvalidInput((Fault("trials", plan.trials, message),))


def shortfall(took: ReachedPrecision) -> str:
    """What was not reached and how many trials it would take, in one line."""
    parts = []
    for name, found in took["requested"].items():
        if found["reached"]:
            continue
        if found["never_known"]:
            parts.append(
                f"{name} is null in all {took['trials']} trials of {', '.join(found['never_known'])}: "
                "leave such strategies out"
            )
        elif found["trials_needed"] is None:
            parts.append(
                f"{name} is known in too few trials, or was the same in all of them, so that its error is not known"
            )
        else:
            widest = max(half for half in found["half_widths"].values() if half is not None)
            parts.append(
                f"{name} is known to ±{widest:.4g}, not ±{found['half_width']:g}, "
                f"which would take about {found['trials_needed']} trials"
            )
    return (
        f"precision not reached with {took['trials']} trials of each strategy ({took['most_trials']} at most): "
        f"{'; '.join(parts)}. The results are kept"
    )


def more_would_help(took: ReachedPrecision) -> bool:
    """Whether more trials would reach the precision."""
    return any(found["trials_needed"] is not None and not found["reached"] for found in took["requested"].values())


def _look(plan: Plan, folder: Folder, name: str, requested: float) -> EstimatePrecision:
    """The half-widths of an estimate under each strategy, and about how many trials would reach the requested one."""
    run = StoredRun(plan, folder)
    halves, needed, known = {}, [], []
    for strategy in plan.strategies:
        counted = run.tallies(strategy)
        halves[strategy] = half_width(counted, name, plan.scenario, strategy)
        needed.append(trials_needed(plan.trials, halves[strategy], requested))
        known.append(known_in(counted, name))
    return {
        "half_width": requested,
        "reached": all(half is not None and half <= requested for half in halves.values()),
        "half_widths": halves,
        "trials_needed": None if None in needed else max(count for count in needed if count is not None),
        "never_known": [strategy for strategy, count in zip(plan.strategies, known, strict=True) if not count],
    }


def _hopeless(found: EstimatePrecision, plan: Plan) -> bool:
    """Whether a measure is null in all of many trials: a strategy may rule it out."""
    return bool(found["never_known"]) and plan.trials >= GROWTH * FIRST_LOOK


def _trials_held(folder: Folder, plan: Plan) -> int | None:
    """The number of trials of the run in the folder, null if there is none. Raises `InvalidInput` if too many."""
    try:
        held = int(read_json(folder, RUN)["trials"])  # type: ignore[index]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if held > plan.trials:
        message = f"holds a run of {held} trials already, more than the {plan.trials} at most that were requested"
        raise InvalidInput((Fault("out", folder.address, message),))
    return held
