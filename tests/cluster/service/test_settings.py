"""Settings from the environment, and a database that this version does not know."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from cluster.service.jobs import open_database
from cluster.service.settings import Settings, read_settings
from sim.faults import InvalidInput


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("BRINK_DATADIR", "BRINK_DATA_DIR"),
        ("BRINK_WORKER", "BRINK_WORKERS"),
        ("BRINK_RAY_ADRESS", "BRINK_RAY_ADDRESS"),
        ("brink_lease_second", "BRINK_LEASE_SECONDS"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch, written: str, nearest: str):
    monkeypatch.setenv(written, "1")
    with pytest.raises(InvalidInput, match=f"{written}: is not a setting; the nearest is {nearest} "):
        read_settings()


def test_every_setting_and_the_variables_of_other_parts_are_accepted(monkeypatch: pytest.MonkeyPatch):
    for name in ("BRINK_KEY", "BRINK_URL", "_BRINK_COMPLETE", "NOT_BRINK"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("BRINK_MAX_TRIALS", "5")
    assert read_settings().max_trials == 5
    assert "max_trials" in Settings.model_fields


@pytest.mark.parametrize(
    "name", ["what?", "?mode=memory", "a#b", "100%", "%41", "%(here)s", "a@b:c", "file:x", "\\n", "'"]
)
def test_a_data_folder_of_any_name_holds_its_own_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setenv("BRINK_DATA_DIR", str(folder))
    open_database(read_settings().jobs_database).dispose()
    assert (folder / "jobs.sqlite").is_file()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BRINK_STORE_URL", "s3://bucket"),
        ("BRINK_STORE_URL", "gs://bucket/results"),
        ("BRINK_STORE_URL", "https://user:secret@store.example/bucket"),
        ("BRINK_STORE_URL", "S3://bucket/results"),
        ("BRINK_DATA_DIR", "s3://bucket/results"),
    ],
)
def test_an_address_that_no_store_has_is_refused_and_not_taken_for_a_folder(monkeypatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=rf"^{name}: must be .*s3://bucket/prefix") as refused:
        read_settings()
    assert "secret" not in str(refused.value)


def test_the_database_of_a_later_version_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    database = open_database(url)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    with pytest.raises(InvalidInput, match="later version of Brink"):
        open_database(url)
