"""Backup and restoration: everything is lost, and everything is there again."""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from cluster.results.result_folder import verify
from cluster.service import audit, backup, jobs, keys, leases, scenarios, sessions
from cluster.service.backup import back_up, object_name, read_backup, read_files
from cluster.service.restore import restore
from cluster.service.settings import Settings
from cluster.storage.address import open_folder
from cluster.storage.local import LocalFolder
from sim.faults import InvalidInput
from sim.scenario.scenario import scenario_document
from tests.support.command_line import BRINK, assert_refused, brink
from tests.support.object_store import BUCKET, object_store
from tests.support.postgres import new_database
from tests.support.runs import digests, small_plan
from tests.support.service_process import ServiceProcess
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.working import Working

PLAN = small_plan(trials=2_000, shard_trials=500)


def url_of(folder: Path) -> sa.URL:
    return Settings(data_dir=folder).jobs_database


@pytest.fixture
def working(tmp_path):
    made = Working(tmp_path / "data")
    yield made
    made.database.dispose()


@pytest.fixture
def saved(tmp_path) -> LocalFolder:
    return LocalFolder(tmp_path / "saved")


def rows_of(database: sa.Engine) -> dict[str, list[tuple]]:
    """All rows that a backup keeps."""
    found = {}
    with database.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            if name not in backup.LEFT_OUT:
                table = sa.Table(name, sa.MetaData(), autoload_with=connection)
                found[name] = [
                    tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key.columns))
                ]
    return found


def test_everything_is_restored_into_either_kind_of_database(working, saved, database_url, tmp_path):
    done = working.job(PLAN)
    waiting = jobs.submit(working.database, PLAN, owner="bela", key="once")
    key, text = keys.create(working.database, "anna", ["read"], days=3)
    scenarios.keep(working.database, "anna", PLAN.scenario.name, scenario_document(PLAN.scenario))
    secret = sessions.open_session(working.database, key.id)
    audit.record(working.database, audit.Event("delete", owner="anna"))
    before, files = rows_of(working.database), digests(working.folder(done))
    report = back_up(url_of(tmp_path / "data"), working.results, saved)
    assert (report.jobs, report.damaged) == (2, ())
    working.database.dispose()
    shutil.rmtree(tmp_path / "data")

    results = LocalFolder(tmp_path / "restored")
    found = restore(saved, sa.make_url(database_url), results)
    assert (found.jobs, found.files, found.kept_files) == (2, report.files, 0)
    database = jobs.open_database(database_url)
    assert rows_of(database) == before
    assert digests(results.root / done.id) == files
    assert verify(results.root / done.id) == []
    assert keys.find(database, text).owner == "anna"
    assert sessions.find_session(database, secret) is None, "a session that may have ended meanwhile is not restored"
    assert leases.claim(database, "runner", 60.0).id == waiting.id
    # New records follow the restored ones.
    audit.record(database, audit.Event("delete", owner="carla"))
    assert [one.owner for one in audit.recorded(database, 2)] == ["carla", "anna"]
    database.dispose()


def test_a_second_backup_copies_what_is_new_and_removes_what_is_gone(working, saved, tmp_path):
    first, second = working.job(PLAN), working.job(small_plan(trials=1_000, seed=12))
    url = url_of(tmp_path / "data")
    whole = back_up(url, working.results, saved)
    assert whole.copied_files == whole.files - 1, "both jobs have the same scenario, which is stored once"
    assert back_up(url, working.results, saved).copied_files == 0
    third = working.job(small_plan(trials=1_000, seed=13))
    more = back_up(url, working.results, saved)
    own = len(working.results.within(third.id).entries())
    assert 0 < more.copied_files <= own
    assert more.files == whole.files + own
    jobs.delete(working.database, second.id)
    working.results.within(second.id).remove_all()
    back_up(url, working.results, saved)
    held = read_files(saved, read_backup(saved))
    assert {one.job for one in held} == {first.id, third.id}
    objects = {entry.name for entry in saved.entries()} - {backup.BACKUP}
    document = read_backup(saved)
    assert objects == {object_name(one) for one in {document["database"], document["files"], *(f.sha256 for f in held)}}


def test_the_rows_are_those_of_one_instant(database_url, saved, tmp_path, monkeypatch):
    database = jobs.open_database(database_url)
    first = jobs.submit(database, PLAN)
    write = backup.write_lines

    def disturbed(path, lines):
        def passed_on():
            for line in lines:
                yield line
                if line[0] == "jobs":
                    # Keys are read after jobs; this one comes in between.
                    keys.create(database, "late", ["read"])
                    jobs.submit(database, PLAN, owner="late")

        write(path, passed_on())

    monkeypatch.setattr(backup, "write_lines", disturbed)
    back_up(sa.make_url(database_url), LocalFolder(tmp_path / "results"), saved)
    assert len(keys.listed(database)) == 1
    database.dispose()
    (tmp_path / "new").mkdir()
    restore(saved, url_of(tmp_path / "new"), LocalFolder(tmp_path / "restored"))
    restored = jobs.open_database(url_of(tmp_path / "new"))
    assert [one.id for one in jobs.newest(restored, 10)] == [first.id]
    assert keys.listed(restored) == []
    restored.dispose()


def test_objects_that_an_earlier_backup_lost_are_copied_again(working, saved, tmp_path):
    job = working.job(PLAN)
    url = url_of(tmp_path / "data")
    back_up(url, working.results, saved)
    held = read_files(saved, read_backup(saved))
    short, gone = (saved.root / object_name(one.sha256) for one in held[:2])
    short.write_bytes(short.read_bytes()[:-1])
    gone.unlink()
    (saved.root / object_name(read_backup(saved)["files"])).unlink()
    assert back_up(url, working.results, saved).files == len(held)
    restore(saved, url_of(tmp_path), LocalFolder(tmp_path / "restored"))
    assert verify(tmp_path / "restored" / job.id) == []


def test_a_job_that_is_deleted_during_the_backup_is_left_out(working, saved, tmp_path):
    kept, deleted = working.job(PLAN), working.job(small_plan(trials=1_000, seed=12))

    def disturb(done: int, _: int) -> None:
        if done == 1:
            jobs.delete(working.database, deleted.id)
            working.results.within(deleted.id).remove_all()

    report = back_up(url_of(tmp_path / "data"), working.results, saved, disturb)
    assert (report.jobs, report.damaged) == (1, ())
    restore(saved, url_of(tmp_path), LocalFolder(tmp_path / "restored"))
    database = jobs.open_database(url_of(tmp_path))
    assert [one.id for one in jobs.newest(database, 10)] == [kept.id]
    assert LocalFolder(tmp_path / "restored").subfolders() == [kept.id]
    database.dispose()


def test_damaged_and_missing_results_are_named_and_left_out(working, saved, tmp_path):
    job = working.job(PLAN)
    one, other, *_ = sorted(working.folder(job).rglob("*.parquet"))
    content = bytearray(one.read_bytes())
    content[100] ^= 1
    one.write_bytes(content)
    other.unlink()
    settings = {"BRINK_DATA_DIR": str(tmp_path / "data")}
    found = brink("backup", saved.address, environment=settings, status=1)
    names = [path.relative_to(working.folder(job)).as_posix() for path in (one, other)]
    assert sorted(found.stderr.splitlines()) == [
        f"{job.id}/{names[0]}: is damaged: its SHA-256 is not that of the manifest",
        f"{job.id}/{names[1]}: is missing",
    ]
    assert not {one.name for one in read_files(saved, read_backup(saved))} & set(names)


def test_a_damaged_backup_restores_no_job(working, saved, tmp_path):
    job = working.job(PLAN)
    back_up(url_of(tmp_path / "data"), working.results, saved)
    held = next(one for one in read_files(saved, read_backup(saved)) if one.name.endswith(".parquet"))
    path = saved.root / object_name(held.sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    settings = {"BRINK_DATA_DIR": str(tmp_path / "new")}
    refused = brink("restore", saved.address, environment=settings)
    assert refused.returncode == 1
    assert "the backup is damaged" in refused.stderr
    database = jobs.open_database(url_of(tmp_path / "new"))
    assert jobs.get(database, job.id) is None
    database.dispose()


def test_a_target_that_is_not_empty_is_refused(working, saved, tmp_path):
    job = working.job(PLAN)
    settings = {"BRINK_DATA_DIR": str(tmp_path / "data")}
    brink("backup", saved.address, environment=settings, status=0)
    assert_refused(brink("restore", saved.address, environment=settings), "not empty", "jobs")
    new = {"BRINK_DATA_DIR": str(tmp_path / "new")}
    shutil.copytree(tmp_path / "data" / "jobs", tmp_path / "new" / "jobs")
    assert_refused(brink("restore", saved.address, environment=new), "1 folders of results", "--keep-results")
    assert jobs.get(working.database, job.id) is not None
    # The database alone was lost: what is there stays, and what is missing comes back.
    missing = next((tmp_path / "new" / "jobs").rglob("*.parquet"))
    missing.unlink()
    report = json.loads(brink("restore", saved.address, "--keep-results", "--json", environment=new, status=0).stdout)
    assert report["kept_files"] == report["files"] - 1
    assert verify(tmp_path / "new" / "jobs" / job.id) == []


def test_a_runner_that_is_alive_is_refused(working, saved, tmp_path):
    back_up(url_of(tmp_path / "data"), working.results, saved)
    database = jobs.open_database(url_of(tmp_path))
    jobs.runner_seen(database, "runner")
    with pytest.raises(InvalidInput, match="a runner works with"):
        restore(saved, url_of(tmp_path), LocalFolder(tmp_path / "restored"))
    database.dispose()


@pytest.mark.parametrize("version", ["head", "0007"])
def test_a_service_that_refuses_jobs_may_be_there_and_its_records_follow_the_restored_ones(
    working, saved, database_url, tmp_path, version
):
    """As the page for operators has it: maintenance is on, and clients whose keys are lost are refused meanwhile."""
    for number in range(5):
        audit.record(working.database, audit.Event("delete", owner="ann", subject=f"old-{number}"))
    back_up(url_of(tmp_path / "data"), working.results, saved)
    jobs.open_database(database_url, version).dispose()
    settings = {"BRINK_DATABASE_URL": database_url, "BRINK_DATA_DIR": str(tmp_path / "new")}
    database = jobs.connect(database_url)
    audit.record(database, audit.Event("read", audit.REFUSED, status=401))
    audit.record(database, audit.Event("maintenance-on"))
    brink("restore", saved.address, environment=settings, status=0)
    expected = ["restore", "maintenance-on", "read", *["delete"] * 5]
    assert [one.action for one in audit.recorded(database, 20)] == expected
    paged: list[audit.Record] = []
    while found := audit.recorded(database, 2, paged[-1].id if paged else None):
        paged += found
    assert [one.action for one in paged] == expected
    assert [one.subject for one in paged[3:]] == [f"old-{number}" for number in (4, 3, 2, 1, 0)]
    audit.record(database, audit.Event("maintenance-off"))
    assert audit.recorded(database, 1)[0].action == "maintenance-off"
    database.dispose()


def test_a_runner_that_starts_during_the_restoration_is_refused(working, saved, tmp_path):
    """It would remove the results, since no job is known yet."""
    job = working.job(PLAN)
    back_up(url_of(tmp_path / "data"), working.results, saved)
    database = jobs.open_database(url_of(tmp_path))
    with pytest.raises(InvalidInput, match="a runner works with"):
        restore(
            saved,
            url_of(tmp_path),
            LocalFolder(tmp_path / "restored"),
            on_progress=lambda *_: jobs.runner_seen(database, "runner"),
        )
    assert jobs.get(database, job.id) is None
    database.dispose()


def test_what_is_no_backup_is_neither_written_over_nor_restored(working, tmp_path):
    settings = {"BRINK_DATA_DIR": str(tmp_path / "data")}
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("mine")
    assert_refused(brink("backup", tmp_path / "letters", environment=settings), "something else", "a.txt")
    within = tmp_path / "data" / "jobs" / "saved"
    assert_refused(brink("backup", within, environment=settings), "must not be within the results")
    assert_refused(brink("backup", "gs://bucket/daily", environment=settings), "must be a path, or s3://bucket/prefix")
    new = {"BRINK_DATA_DIR": str(tmp_path / "new")}
    assert_refused(brink("restore", tmp_path / "letters", environment=new), "holds no backup")
    assert_refused(brink("backup", tmp_path / "saved", environment=new), "does not exist")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "backup.json").write_text('{"format": 99}')
    assert_refused(brink("restore", tmp_path / "later", environment=new), "later version")


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(saved, tmp_path, database_url):
    (tmp_path / "old").mkdir()
    database = jobs.open_database(url_of(tmp_path / "old"), "0006")
    with database.begin() as connection:
        values = "'k', 'x', 'ann', 'read', 0"
        connection.execute(
            sa.text(f"INSERT INTO keys (id, secret_sha256, owner, scopes, created_at) VALUES ({values})")
        )
    database.dispose()
    back_up(url_of(tmp_path / "old"), LocalFolder(tmp_path / "old" / "jobs"), saved)
    jobs.open_database(database_url).dispose()
    restore(saved, sa.make_url(database_url), LocalFolder(tmp_path / "restored"))
    database = jobs.open_database(database_url)
    assert [key.owner for key in keys.listed(database)] == ["ann"]
    assert jobs.tables_version(database) == jobs.known_versions()[0]
    database.dispose()


def summary(service: ServiceProcess, job_id: str) -> dict:
    found = service.client.get(f"/v1/jobs/{job_id}/summary")
    assert found.status_code == 200, found.text
    return found.json()


@pytest.mark.slow
def test_a_service_that_ran_during_its_backup_is_lost_and_continues_from_it(tmp_path):
    """SQLite and a folder: one job has ended, one is halfway, everything is removed, and both are there again."""
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline")
    done = service.submit(trials=20_000, seed=5)["id"]
    service.ended(done)
    expected = summary(service, done)
    half = service.submit(trials=3_000_000, seed=6)["id"]
    service.begun(half)
    brink("backup", tmp_path / "saved", environment=service.settings, status=0)
    assert service.job(half)["state"] == "running", "the job was in work all the time"
    service.stop()
    shutil.rmtree(tmp_path / "data")
    brink("restore", tmp_path / "saved", environment=service.settings, status=0)
    restored = jobs.open_database(url_of(tmp_path / "data"))
    assert jobs.get(restored, half).state == jobs.RUNNING
    committed = len(list((tmp_path / "data" / "jobs" / half).rglob("*.parquet")))
    assert committed > 0
    restored.dispose()
    service = ServiceProcess(tmp_path / "data", BRINK_ENGINE="inline")
    try:
        assert summary(service, done) == expected
        assert verify(tmp_path / "data" / "jobs" / done) == []
        further = service.begun(half)
        wait_until(lambda: len(list((tmp_path / "data" / "jobs" / half).rglob("*.parquet"))) > committed)
        assert further["state"] == "running"
        service.client.post(f"/v1/jobs/{half}/cancel")
        service.ended(half)
    finally:
        service.stop()


@pytest.mark.slow
def test_postgresql_and_a_bucket_are_restored_from_another_bucket_after_all_is_lost(tmp_path, postgres_server):
    with object_store() as endpoint, new_database(postgres_server, "before") as url:
        settings = {"BRINK_DATABASE_URL": url, "BRINK_STORE_URL": f"s3://{BUCKET}/results", "BRINK_ENGINE": "inline"}
        httpx.put(f"{endpoint}/saved").raise_for_status()
        service = ServiceProcess(tmp_path / "data", **settings)
        try:
            job = service.submit(trials=20_000)["id"]
            service.ended(job)
            expected = summary(service, job)
            first = json.loads(
                brink("backup", "s3://saved/daily", "--json", environment=service.settings, status=0).stdout
            )
            again = json.loads(
                brink("backup", "s3://saved/daily", "--json", environment=service.settings, status=0).stdout
            )
            assert (first["copied_files"], again["copied_files"]) == (first["files"], 0)
        finally:
            service.stop()
        open_folder(settings["BRINK_STORE_URL"]).remove_all()
        with new_database(postgres_server, "after") as empty:
            moved = service.settings | {"BRINK_DATABASE_URL": empty}
            done = subprocess.run(
                [BRINK, "restore", "s3://saved/daily"], env=moved, capture_output=True, text=True, timeout=HANG_SECONDS
            )
            assert done.returncode == 0, done.stderr
            service = ServiceProcess(tmp_path / "data", **(settings | {"BRINK_DATABASE_URL": empty}))
            try:
                assert summary(service, job) == expected
                assert verify(f"{settings['BRINK_STORE_URL']}/{job}") == []
                further = service.submit(trials=1_000, seed=9)["id"]
                assert service.ended(further)["state"] == "succeeded"
            finally:
                service.stop()
