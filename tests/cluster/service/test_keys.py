"""Keys: shown once, kept as a digest, and worth nothing once revoked or expired."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from cluster.service import keys
from cluster.service.jobs import open_database
from sim.faults import InvalidInput
from tests.support.command_line import brink


@pytest.fixture
def database(database_url) -> Iterator[sa.Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def test_a_key_is_found_by_its_text_alone(database):
    key, text = keys.create(database, "ann", ["read", "submit"])
    assert re.fullmatch("brink_[0-9a-f]{16}_[0-9a-f]{64}", text)
    found = keys.find(database, text)
    assert (found.id, found.owner, found.scopes) == (key.id, "ann", ("submit", "read"))
    other = "0" if text[-1] != "0" else "1"
    for wrong in (text[:-1] + other, text[:-1], text + "0", text.upper(), "", "brink_", f" {text}", f"{text}\n"):
        assert keys.find(database, wrong) is None
    moved = text.replace(key.id, keys.create(database, "bob", ["read"])[0].id)
    assert keys.find(database, moved) is None


def test_keys_are_all_different(database):
    made = [keys.create(database, "ann", ["read"])[1] for _ in range(50)]
    assert len({text.split("_")[1] for text in made}) == 50
    assert len({text.split("_")[2] for text in made}) == 50


def test_the_database_holds_no_secret(database):
    _, text = keys.create(database, "ann", ["admin"])
    keys.find(database, text)
    with database.connect() as connection:
        (row,) = connection.execute(keys.keys.select()).all()
    assert text.split("_")[2] not in str(tuple(row))


def test_a_revoked_key_is_invalid_at_once(database):
    key, text = keys.create(database, "ann", ["read"])
    kept, other = keys.create(database, "ann", ["read"])
    assert keys.find(database, text)
    revoked = keys.revoke(database, key.id)
    assert keys.find(database, text) is None
    assert keys.find(database, other).id == kept.id
    assert keys.revoke(database, key.id) == revoked
    with pytest.raises(InvalidInput, match="is not the id of a key"):
        keys.revoke(database, "none")


def test_an_expired_key_is_invalid(database):
    key, text = keys.create(database, "ann", ["read"], days=1)
    assert keys.find(database, text)
    assert key.state(time.time() + 86_390) == "valid"
    with database.begin() as connection:
        connection.execute(keys.keys.update().values(expires_at=time.time() - 1))
    assert keys.find(database, text) is None
    assert keys.listed(database)[0].state(time.time()) == "expired"


def test_the_last_use_of_a_key_is_recorded_coarsely(database):
    _, text = keys.create(database, "ann", ["read"])
    assert keys.listed(database)[0].used_at is None
    keys.find(database, text)
    first = keys.listed(database)[0].used_at
    assert time.time() - first < 60
    keys.find(database, text)
    assert keys.listed(database)[0].used_at == first
    with database.begin() as connection:
        connection.execute(keys.keys.update().values(used_at=first - 2 * keys.USED_SECONDS))
    keys.find(database, text)
    assert keys.listed(database)[0].used_at >= first


def test_a_rotated_key_is_valid_for_its_grace_and_its_successor_for_as_long_as_it_was(database):
    old, text = keys.create(database, "ann", ["read", "submit"], days=30)
    begun = time.time()
    ended, new, new_text = keys.rotate(database, old.id, grace_days=2)
    assert begun <= ended.expires_at - 2 * 86_400 <= time.time()
    assert (new.owner, new.scopes) == (old.owner, old.scopes)
    assert new.expires_at - new.created_at == pytest.approx(30 * 86_400)
    assert keys.find(database, text).expires_at == ended.expires_at
    assert keys.find(database, new_text).id == new.id != old.id
    endless, _ = keys.create(database, "bob", ["read"])
    assert keys.rotate(database, endless.id)[1].expires_at is None
    _, newest, newest_text = keys.rotate(database, new.id, grace_days=0)
    assert keys.find(database, new_text) is None
    assert keys.find(database, newest_text).id == newest.id


def test_a_grace_never_prolongs_a_key(database):
    old, _ = keys.create(database, "ann", ["read"], days=1)
    assert keys.rotate(database, old.id, grace_days=300)[0].expires_at == old.expires_at


def test_a_key_that_is_no_longer_valid_is_not_rotated(database):
    key, _ = keys.create(database, "ann", ["read"])
    keys.revoke(database, key.id)
    for key_id, grace, says in ((key.id, 7, "revoked"), ("none", 7, "is not the id"), (key.id, 366, "from 0 to 365")):
        with pytest.raises(InvalidInput, match=says):
            keys.rotate(database, key_id, grace)
    assert len(keys.listed(database)) == 1


@pytest.mark.parametrize(
    ("owner", "scopes", "days", "field"),
    [
        ("", ["read"], None, "owner"),
        ("a b", ["read"], None, "owner"),
        ("ann\n", ["read"], None, "owner"),
        ("x" * 65, ["read"], None, "owner"),
        ("ann", [], None, "scope"),
        ("ann", ["root"], None, "scope"),
        ("ann", ["read"], 0, "expires"),
        ("ann", ["read"], 10**9, "expires"),
    ],
)
def test_an_impossible_key_is_refused(tmp_path, owner, scopes, days, field):
    database = open_database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    with pytest.raises(InvalidInput) as refused:
        keys.create(database, owner, scopes, days)
    assert [fault.field for fault in refused.value.faults] == [field]
    assert keys.listed(database) == []


def brink_keys(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return brink("keys", *arguments, environment={"BRINK_DATA_DIR": str(folder)})


def test_keys_from_the_command_line(tmp_path):
    made = brink_keys(tmp_path, "create", "--owner", "ann", "--scope", "submit", "--scope", "read", "--expires", "30")
    text = made.stdout.strip()
    assert made.returncode == 0
    assert re.fullmatch("brink_[0-9a-f]{16}_[0-9a-f]{64}", text)
    assert text not in made.stderr
    key_id, secret = text.split("_")[1:]
    shown = brink_keys(tmp_path, "list").stdout
    assert key_id in shown
    assert "submit read" in shown
    assert "valid" in shown
    assert secret not in shown
    rotated = brink_keys(tmp_path, "rotate", key_id, "--grace", "0")
    assert rotated.stdout.strip() != text
    assert re.fullmatch("brink_[0-9a-f]{16}_[0-9a-f]{64}", rotated.stdout.strip())
    assert "expired" in brink_keys(tmp_path, "list").stdout
    assert brink_keys(tmp_path, "rotate", key_id).returncode == 2
    assert brink_keys(tmp_path, "revoke", key_id).returncode == 0
    assert "revoked" in brink_keys(tmp_path, "list").stdout
    assert brink_keys(tmp_path, "sign-out", "ann").stdout == "0 sessions of ann ended\n"
    wrong = brink_keys(tmp_path, "revoke", "none")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert brink_keys(tmp_path, "create", "--owner", "a b", "--scope", "all").returncode == 2
