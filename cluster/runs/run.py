"""One run from plan to summary. It continues from what its folder holds."""

import errno
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any, cast

from cluster.answers.summary import summarize
from cluster.query.shard_map import RayLost, ray_of
from cluster.query.trials import StoredRun
from cluster.results.plan import Plan, Shard, plan_document
from cluster.results.result_folder import (
    RUN,
    SCENARIO,
    SUMMARY,
    Committed,
    committed_shards,
    read_json,
    write_json,
    write_manifest,
)
from cluster.runs.block_writing import blocks_written, shards_of_blocks
from cluster.runs.engines import check_engine, play
from cluster.runs.options import Progress, RunOptions
from cluster.runs.reuse import copy_shards
from cluster.runs.tasks import EngineFailed
from cluster.storage.address import open_folder
from cluster.storage.base import Folder
from sim.faults import Fault, InvalidInput
from sim.model.version import KERNEL_VERSION
from sim.scenario.scenario import scenario_document, scenario_hash

_LIBRARIES = ("brink", "numpy", "scipy", "pyarrow", "ray")
_NOT_OF_THE_FOLDER = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors at the start of a run that no other name of the folder avoids for certain: not a fault of the input."""


class Stopped(Exception):
    """A run was stopped before its end. Committed shards are kept, and the same run continues from there."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(
            f"stopped with {progress.trials_done} of {progress.trials_total} trials committed; "
            "the same command continues from there"
        )
        self.progress = progress


def run(plan: Plan, address: str | os.PathLike[str], options: RunOptions) -> dict[str, Any]:
    """Play every shard of a plan that the folder at `address` does not hold yet, and return the summary.

    Shards that the folders of `options.donors` hold are copied instead of played. Raises `InvalidInput` if the folder
    holds something else, `ShardFailed` if a shard fails, and `Stopped` if the run is interrupted or
    `options.should_stop` says so. In every case committed shards are kept and listed in the manifest.
    """
    check_engine(options)
    folder = open_folder(address)
    begin(plan, folder)
    summarized = copy_shards(plan, folder, options.donors)
    played = play_missing(plan, folder, options)
    if summarized and not played:
        return cast("dict[str, Any]", read_json(folder, SUMMARY))
    return conclude(plan, folder, options.ray_address)


def play_missing(plan: Plan, folder: Folder, options: RunOptions) -> int:
    """Play every shard of a plan that its folder does not hold yet, and list them all in the manifest.

    Returns how many were played.
    """
    stored = shards_of_blocks(plan, folder)
    done = stored | committed_shards(folder, plan, (shard for shard in plan.shards() if shard not in stored))
    missing = [shard for shard in plan.shards() if shard not in done]

    def leave_folder() -> None:
        """List what is committed, also what was not reported, and remove the drafts of workers that were killed."""
        if options.owns_folder():
            done.update(committed_shards(folder, plan, [shard for shard in missing if shard not in done]))
            write_manifest(folder, list(done.values()), complete=len(done) == plan.shard_count)
            folder.remove_drafts()

    progress = _progress(plan, done)
    options.on_progress(progress)
    try:
        with blocks_written(plan, folder, done, stored) as note_for_blocks:
            for result in play(plan, missing, folder, options):
                done[result.shard] = result.file
                note_for_blocks(result.shard)
                progress = progress.after(result)
                options.on_progress(progress)
    except BaseException as error:
        with suppress(OSError):
            leave_folder()
        if isinstance(error, KeyboardInterrupt):
            raise Stopped(_progress(plan, done)) from None
        raise
    leave_folder()
    if len(done) < plan.shard_count:
        raise Stopped(_progress(plan, done))
    return len(missing)


def conclude(plan: Plan, folder: Folder, ray_address: str | None = None) -> dict[str, Any]:
    """Write the summary of a plan whose trials are all committed, and tidy up; returns the summary.

    That of a large run is computed on the Ray at `ray_address`, if there is one. Raises `OSError` if a committed file
    cannot be read, and `EngineFailed` if Ray is lost.
    """
    stored = StoredRun(plan, folder, ray_address=ray_address)
    try:
        with ray_of(stored):
            summary = summarize(stored)
    except (RayLost, InvalidInput) as error:
        # The address was that of a Ray when the run began.
        raise EngineFailed(str(error)) from error
    if not summary["complete"]:
        raise OSError(errno.EIO, f"not all of the committed trials in {folder.address} can be read")
    write_json(folder, SUMMARY, summary)
    folder.remove_drafts()
    return summary


def _progress(plan: Plan, done: Mapping[Shard, Committed]) -> Progress:
    return Progress(
        trials_done=sum(shard.count for shard in done),
        trials_total=plan.trials * len(plan.strategies),
        shards_done=len(done),
        shards_total=plan.shard_count,
        bytes_stored=sum(file.bytes for file in done.values()),
    )


def run_document(plan: Plan) -> dict[str, Any]:
    """The content of ``run.json``: the plan, and the versions of the libraries."""
    return {
        "scenario": plan.scenario.name,
        "scenario_sha256": scenario_hash(plan.scenario),
        **plan_document(plan),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }


def begin(plan: Plan, folder: Folder) -> None:
    """Make a result folder for a plan, or check that it already belongs to the plan. Raises `InvalidInput`.

    Refuses a plan of another kernel version than this one. Raises `OSError` for a full or failing disk.
    """
    if plan.kernel_version != KERNEL_VERSION:
        message = f"must be {KERNEL_VERSION}, this Brink's: what another began cannot be continued; request it again"
        raise InvalidInput((Fault("kernel_version", plan.kernel_version, message),))
    try:
        held = [entry.name for entry in folder.entries()]
        if RUN in held:
            _check_same(plan, folder)
            return
        if held and held != [SCENARIO]:
            fault = Fault("out", folder.address, f"must be a new folder or that of a run; this one holds {held[0]}")
            raise InvalidInput((fault,))
        folder.create()
        write_json(folder, SCENARIO, scenario_document(plan.scenario))
        write_json(folder, RUN, run_document(plan))
    except OSError as error:
        if error.errno in _NOT_OF_THE_FOLDER:
            raise OSError(error.errno, error.strerror, folder.address) from error
        raise InvalidInput((Fault("out", folder.address, f"cannot be used: {error.strerror or error}"),)) from error


def adopt_shard_size(plan: Plan, address: str | os.PathLike[str]) -> Plan:
    """The plan with the shard size of the run in the folder, if there is one: for a user who names no shard size."""
    try:
        recorded = read_json(open_folder(address), RUN)
        return replace(plan, shard_trials=int(recorded["shard_trials"]))  # type: ignore[index]
    except (OSError, ValueError, TypeError, KeyError):
        return plan


def _check_same(plan: Plan, folder: Folder) -> None:
    try:
        recorded = read_json(folder, RUN)
    except ValueError:
        recorded = None
    if not isinstance(recorded, dict):
        raise InvalidInput((Fault("out", folder.address, f"holds a {RUN} that cannot be read"),))
    version = recorded.get("kernel_version", 1)
    if version != KERNEL_VERSION:
        message = (
            f"holds a run of kernel version {version}, and this Brink has {KERNEL_VERSION}, whose rows may differ in "
            "their last digits: the run can be read, but not continued; name another folder"
        )
        raise InvalidInput((Fault("out", folder.address, message),))
    wanted = run_document(plan)
    faults = [
        Fault("out", folder.address, f"holds another run: its {field} is {recorded.get(field)}, not {wanted[field]}")
        for field in ("scenario", "scenario_sha256", "trials", "seed", "design", "strategies", "shard_trials")
        if recorded.get(field) != wanted[field]
    ]
    if recorded.get("kept_trials") != plan.kept_trials:
        held = recorded.get("keep", "all")
        faults.append(Fault("out", folder.address, f"holds another run: it keeps {held}, not {plan.keep}"))
    if faults:
        raise InvalidInput(tuple(faults))
