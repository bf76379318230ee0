"""The tables of the jobs database: made, brought up to date, and left alone."""

import json
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from cluster.service.jobs import get, migrate, open_database, submit
from tests.support.command_line import assert_refused, brink
from tests.support.runs import small_plan

ROOT = Path(__file__).parents[3]


def test_migrating_makes_the_tables_and_then_finds_them_up_to_date(database_url):
    before, made = migrate(database_url)
    assert before is None
    assert migrate(database_url) == (made, made)


def test_the_package_may_lie_in_a_folder_of_any_name(tmp_path):
    place = tmp_path / "100%(x)s"
    place.mkdir()
    for package in ("sim", "cluster"):
        (place / package).symlink_to(ROOT / package)
    script = (
        f"import sys; sys.path.insert(0, {str(place)!r})\n"
        "from cluster.service import jobs\n"
        "assert '%' in jobs.__file__\n"
        f"jobs.open_database('sqlite:///{tmp_path}/jobs.sqlite').dispose()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_migrating_an_older_database_keeps_its_jobs_and_reports_both_versions(database_url):
    open_database(database_url, "0003").dispose()
    with sa.create_engine(database_url).begin() as connection:
        columns = "id, secret_sha256, owner, scopes, created_at"
        connection.execute(sa.text(f"INSERT INTO keys ({columns}) VALUES ('k', 'x', 'ann', 'read', 0)"))
    before, after = migrate(database_url)
    assert (before, after) == ("0003", migrate(database_url)[0])
    assert after > before
    database = open_database(database_url)
    with database.connect() as connection:
        assert connection.execute(sa.text("SELECT owner FROM keys")).scalar() == "ann"
    job = submit(database, small_plan())
    assert get(database, job.id).plan == small_plan()
    database.dispose()


def test_requested_precisions_of_older_jobs_are_kept(database_url):
    database = open_database(database_url, "0004")
    request = {"precision": {"most_trials": 1000, "wished": {"agreement": {"half_width": 0.01}}}}
    with database.begin() as connection:
        jobs = sa.Table("jobs", sa.MetaData(), autoload_with=connection)
        values = {"id": "a", "state": "queued", "request": json.dumps(request), "hindered_at": 5.0}
        for column in jobs.columns:
            if not column.nullable and column.server_default is None and column.name not in values:
                values[column.name] = "" if isinstance(column.type, sa.String | sa.Text) else 0
        connection.execute(jobs.insert().values(values))
    database.dispose()
    migrate(database_url)
    with sa.create_engine(database_url).connect() as connection:
        row = connection.execute(sa.text("SELECT request, failing_since FROM jobs")).one()
    assert json.loads(row.request)["precision"]["requested"] == request["precision"]["wished"]
    assert row.failing_since == 5.0


def test_the_command_says_what_it_did(database_url):
    settings = {"BRINK_DATABASE_URL": database_url}
    open_database(database_url, "0002").dispose()
    assert "from version 0002 to 0" in brink("migrate", environment=settings, status=0).stdout
    assert "is up to date (version 0" in brink("migrate", environment=settings, status=0).stdout


def test_the_command_makes_the_default_database(tmp_path):
    found = brink("migrate", environment={"BRINK_DATA_DIR": str(tmp_path / "data")}, status=0)
    assert "are made" in found.stdout
    assert (tmp_path / "data" / "jobs.sqlite").exists()


def test_the_database_of_a_later_version_is_left_alone(database_url):
    database = open_database(database_url)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    assert_refused(brink("migrate", environment={"BRINK_DATABASE_URL": database_url}), "later version of Brink")
    with sa.create_engine(database_url).connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"
