"""On a full disk jobs can be cancelled and deleted, which is how room is made, and errors name the cause."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cluster.service import jobs, leases
from cluster.service.full_disk import RESERVE_BYTES, is_full, keep_reserve, reserve_path, with_reserve
from cluster.service.runner import work_job
from tests.support.requests import PROBLEM, SMALL_JOB
from tests.support.runs import small_plan
from tests.support.served import Served, served

SIZE = 64 << 20


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A folder on a disk of its own, with room for little more than the reserve."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "brink-test", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, name: str) -> None:
    """Take all the room that is left on a folder's disk."""
    with (folder / name).open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


@pytest.fixture(params=["none", "keys"])
def full(request, small_disk) -> Iterator[tuple[Served, dict[str, str], list[str]]]:
    """A service on a full disk, the key to use, and the ids of a finished job, a running one and two queued ones."""
    with served(small_disk / "data", auth=request.param) as service:
        key = service.key("anna", "submit", "read") if request.param == "keys" else {}
        ids = []
        for seed in range(4):
            ids.append(service.ask("POST", "/v1/jobs", key, json={**SMALL_JOB, "seed": seed}).json()["id"])
            if seed < 2:
                taken = leases.claim(service.database, "runner", 600)
                assert taken.id == ids[-1]
            if seed == 0:
                work_job(service.database, taken, "runner", service.settings, threading.Event())
        assert reserve_path(service.database).stat().st_size == RESERVE_BYTES
        fill(small_disk, "ballast")
        for seed in range(10_000):
            response = service.ask("POST", "/v1/jobs", key, json={**SMALL_JOB, "seed": 100 + seed})
            if response.status_code != 202:
                break
        assert response.status_code == 503
        assert response.headers["content-type"] == PROBLEM
        assert response.json()["detail"].startswith("the disk of the jobs database is full")
        yield service, key, ids


def test_jobs_can_be_cancelled_on_a_full_disk(full):
    service, key, (_, running, *queued) = full
    for job_id in (running, queued[0]):
        assert service.ask("POST", f"/v1/jobs/{job_id}/cancel", key).status_code == 202
    assert jobs.get(service.database, queued[0]).state == jobs.CANCELLED
    assert jobs.get(service.database, running).cancel_requested


def test_jobs_can_be_deleted_on_a_full_disk(full):
    service, key, (finished, running, *queued) = full
    folder = Path(service.settings.results.within(finished).address)
    assert folder.exists()
    for job_id in (finished, running, queued[0]):
        assert service.ask("DELETE", f"/v1/jobs/{job_id}", key).status_code == 204
        assert service.ask("GET", f"/v1/jobs/{job_id}", key).status_code == 404
    assert not folder.exists()


def test_results_make_room_where_the_reserve_is_used_up(full, small_disk):
    service, key, (finished, *_) = full
    reserve_path(service.database).unlink()
    fill(small_disk, "more ballast")
    assert service.ask("DELETE", f"/v1/jobs/{finished}", key).status_code == 204
    assert jobs.get(service.database, finished) is None


def test_the_reserve_returns_once_there_is_room(full, small_disk):
    service, key, (_, _, *queued) = full
    service.ask("POST", f"/v1/jobs/{queued[0]}/cancel", key)
    assert not reserve_path(service.database).exists()
    keep_reserve(service.database)
    assert not reserve_path(service.database).exists()
    (small_disk / "ballast").unlink()
    keep_reserve(service.database)
    assert reserve_path(service.database).stat().st_size == RESERVE_BYTES
    assert [path.name for path in small_disk.glob("data/*-reserve*")] == [reserve_path(service.database).name]


def submit_many(database: sa.Engine) -> None:
    """Submit more jobs than fit into a database that may not grow."""
    for seed in range(1000):
        jobs.submit(database, small_plan(seed=seed))


@pytest.fixture
def small_database(tmp_path) -> Iterator[sa.Engine]:
    """A database that may not grow, so that SQLite says of it what it says on a full disk."""
    opened = jobs.open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    keep_reserve(opened)
    sa.event.listen(opened, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
    yield opened
    opened.dispose()


def test_a_full_database_is_distinguished_from_other_failures(small_database):
    with pytest.raises(sa.exc.OperationalError) as full:
        submit_many(small_database)
    assert is_full(full.value)
    with pytest.raises(sa.exc.OperationalError) as other, small_database.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nothing")
    assert not is_full(other.value)


def test_only_a_full_disk_uses_the_reserve(small_database):
    calls = []

    def change() -> str:
        """Fail as a full disk would while the reserve is there."""
        calls.append(reserve_path(small_database).exists())
        if calls[-1]:
            submit_many(small_database)
        return "changed"

    def fail() -> None:
        with small_database.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM nothing")

    with pytest.raises(sa.exc.OperationalError):
        with_reserve(small_database, fail)
    assert reserve_path(small_database).exists()
    assert with_reserve(small_database, change) == "changed"
    assert calls == [True, False]
