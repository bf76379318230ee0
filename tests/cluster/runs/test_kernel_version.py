"""Runs of another kernel version: they are read, and refused where trials would be added. Nothing is ever mixed."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.query.trials import open_run
from cluster.results.plan import Plan
from cluster.results.result_folder import read_manifest, shard_path, verify, write_manifest
from cluster.runs import run as run_module
from cluster.runs.options import RunOptions
from cluster.runs.precision import run_to_precision
from cluster.runs.reuse import copy_shards
from cluster.runs.run import begin, run
from cluster.runs.shard import run_shards
from cluster.service import jobs
from cluster.storage.address import open_folder
from sim.faults import InvalidInput
from sim.model.version import KERNEL_VERSION
from tests.support.answers import result_of
from tests.support.runs import digests, small_plan
from tests.support.working import Working

PLAN = small_plan(trials=3000)
EARLIER = replace(PLAN, kernel_version=KERNEL_VERSION - 1)
INLINE = RunOptions(engine="inline")
REFUSED = (
    f"holds a run of kernel version {KERNEL_VERSION - 1}, and this Brink has {KERNEL_VERSION}.*name another folder"
)


def play_earlier(folder: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan = EARLIER) -> None:
    """A run as a Brink of the earlier kernel version left it."""
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "KERNEL_VERSION", KERNEL_VERSION - 1)
        run(plan, folder, INLINE)


def write_again(path: Path, table: pa.Table, without: bytes = b"") -> None:
    """Write a file's rows anew, with what it says of itself."""
    kept = {
        key: value for key, value in pq.read_metadata(path).metadata.items() if key not in (without, b"ARROW:schema")
    }
    pq.write_table(table.replace_schema_metadata(kept), path)


def without_kernel_version(folder: Path) -> None:
    """Make a run one of the time before kernel versions were recorded."""
    recorded = json.loads((folder / "run.json").read_text())
    del recorded["kernel_version"]
    (folder / "run.json").write_text(json.dumps(recorded))
    manifest = []
    for file in read_manifest(open_folder(folder)):
        path = folder / file.path
        write_again(path, pq.read_table(path, partitioning=None), without=b"brink.kernel_version")
        sha256 = digests(folder)[file.path]
        manifest.append(replace(file, bytes=path.stat().st_size, sha256=sha256))
    write_manifest(open_folder(folder), manifest, complete=True)


def test_a_run_records_its_kernel_version(tmp_path):
    run(PLAN, tmp_path, INLINE)
    assert json.loads((tmp_path / "run.json").read_text())["kernel_version"] == KERNEL_VERSION
    for path in tmp_path.rglob("*.parquet"):
        assert pq.read_schema(path).metadata[b"brink.kernel_version"] == str(KERNEL_VERSION).encode()


def test_a_run_from_before_kernel_versions_can_be_read_and_verified(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    play_earlier(folder, monkeypatch, replace(PLAN, kernel_version=1))
    without_kernel_version(folder)
    found = open_run(folder)
    assert found.plan.kernel_version == 1
    assert len(found.committed) == found.plan.shard_count
    assert verify(folder) == []
    assert result_of("timeline", found)["weeks"]


@pytest.mark.parametrize("complete", [True, False])
def test_a_run_of_another_version_is_not_continued(tmp_path, monkeypatch, complete):
    folder = tmp_path / "run"
    play_earlier(folder, monkeypatch)
    if not complete:
        (folder / shard_path(next(PLAN.shards()))).unlink()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ways = [
        partial(run, PLAN, folder, INLINE),
        partial(run_to_precision, replace(PLAN, trials=100_000), folder, {"agreement": 0.001}, INLINE),
    ]
    for way in ways:
        with pytest.raises(InvalidInput, match=REFUSED):
            way()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_plan_of_another_version_is_not_begun(tmp_path):
    with pytest.raises(InvalidInput, match=f"kernel_version: must be {KERNEL_VERSION}.*found {EARLIER.kernel_version}"):
        run(EARLIER, tmp_path / "run", INLINE)
    assert not (tmp_path / "run").exists()


def test_a_file_of_another_version_does_not_count_as_committed(tmp_path):
    run(PLAN, tmp_path / "run", INLINE)
    expected = digests(tmp_path / "run")
    shard = next(PLAN.shards())
    list(run_shards(EARLIER, [shard], open_folder(tmp_path / "run")))
    assert digests(tmp_path / "run") != expected
    run(PLAN, tmp_path / "run", INLINE)
    assert digests(tmp_path / "run") == expected


def test_nothing_is_taken_over_from_another_version(tmp_path, monkeypatch):
    play_earlier(tmp_path / "earlier", monkeypatch)
    folder = open_folder(tmp_path / "run")
    begin(PLAN, folder)
    assert not copy_shards(PLAN, folder, [open_folder(tmp_path / "earlier")])
    assert digests(tmp_path / "run") == {}


def test_verify_finds_files_of_another_version(tmp_path, monkeypatch):
    play_earlier(tmp_path / "run", monkeypatch)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(recorded | {"kernel_version": KERNEL_VERSION}))
    assert any("kernel_version" in finding for finding in verify(tmp_path / "run"))


def test_a_replay_of_another_versions_run_names_the_kernel_where_rows_differ(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    play_earlier(folder, monkeypatch)
    path = folder / shard_path(next(PLAN.shards()))
    table = pq.read_table(path, partitioning=None)
    place = table.schema.get_field_index("sender_cost")
    moved = table.set_column(place, table.schema.field(place), [np.full(table.num_rows, 77.0, np.float32)])
    write_again(path, moved)
    check = result_of("replay", open_run(folder), trial=3)["check"]
    assert check["other_versions"]["kernel"] == {"run": str(KERNEL_VERSION - 1), "here": str(KERNEL_VERSION)}


def test_a_job_that_waited_through_an_upgrade_is_played_by_the_new_kernel(tmp_path):
    service = Working(tmp_path / "data")
    job = service.work(jobs.submit(service.database, EARLIER, owner="anna"))
    assert (job.state, job.error) == (jobs.SUCCEEDED, None)
    assert job.plan == PLAN
    assert json.loads((service.folder(job) / "run.json").read_text())["kernel_version"] == KERNEL_VERSION


def test_a_job_that_was_begun_before_an_upgrade_is_refused_with_the_reason(tmp_path):
    service = Working(tmp_path / "data")
    job = jobs.submit(service.database, EARLIER, owner="anna")
    service.folder(job).mkdir(parents=True)
    (service.folder(job) / "scenario.json").write_text("{}")
    job = service.work(job)
    assert job.state == jobs.FAILED
    assert job.error is not None
    assert "kernel_version: must be" in job.error
    assert "request it again" in job.error
