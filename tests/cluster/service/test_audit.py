"""The audit log in the database: appended to, never changed, bounded, and shown on the command line."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from cluster.service import audit
from cluster.service.audit import Event, PendingEvents, record, recorded
from cluster.service.jobs import open_database
from tests.support.command_line import assert_refused, brink
from tests.support.waiting import wait_until


@pytest.fixture
def database(database_url) -> Iterator[sa.Engine]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def age(database: sa.Engine, days: float) -> None:
    """Insert a record that is so old."""
    row = {"at": time.time() - days * 86_400, "action": "read", "result": "done", "times": 1}
    with database.begin() as connection:
        connection.execute(audit.audit.insert().values(row))


def test_records_are_not_changed_and_not_deleted_on_their_first_day(database):
    record(database, Event("delete", owner="ann"))
    age(database, 2.0)
    for change in (
        audit.audit.update().values(owner="bob"),
        audit.audit.delete().where(audit.audit.c.action == "delete"),
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.begin() as connection:
            connection.execute(change)
    assert audit.delete_old_records(database, 3.0) == 0
    assert audit.delete_old_records(database, 0.0) == 1
    assert [(one.action, one.owner) for one in recorded(database, 10)] == [("delete", "ann")]


def test_equal_events_that_wait_become_one_record(database):
    pending = PendingEvents()
    for event in (Event("read", owner="ann"), Event("read", owner="bob"), Event("read", owner="ann")):
        pending.add(event)
    pending.write_to(database)
    pending.write_to(database)
    assert {one.owner: one.times for one in recorded(database, 10)} == {"ann": 2, "bob": 1}


def test_what_waits_is_bounded_and_its_loss_is_recorded(database, monkeypatch):
    monkeypatch.setattr(audit, "MOST_PENDING", 2)
    pending = PendingEvents()
    for owner in ("a", "b", "c", "c", "a"):
        pending.add(Event("read", owner=owner))
    pending.write_to(database)
    found = recorded(database, 10)
    assert {(one.action, one.owner): one.times for one in found} == {
        ("read", "a"): 2,
        ("read", "b"): 1,
        ("lost", None): 2,
    }


def test_events_wait_for_a_database_that_does_not_answer(database):
    pending, away = PendingEvents(), sa.create_engine("sqlite:////nowhere/at/all")
    pending.add(Event("read", owner="ann"))
    pending.add(Event("read", owner="ann"))
    with pytest.raises(sa.exc.OperationalError):
        pending.write_to(away)
    pending.write_to(database)
    assert [one.times for one in recorded(database, 10)] == [2]


def test_what_waits_is_written_regularly_and_at_the_end(database):
    pending, ending = PendingEvents(), threading.Event()
    writer = threading.Thread(target=audit.write_regularly, args=(pending, database, ending, 0.01))
    writer.start()
    try:
        pending.add(Event("read", owner="ann"))
        wait_until(lambda: recorded(database, 1))
    finally:
        ending.set()
        writer.join()
    pending.add(Event("read", owner="bob"))
    audit.write_regularly(pending, database, ending, 3600.0)
    assert [one.owner for one in recorded(database, 10)] == ["bob", "ann"]


def test_records_are_filtered_and_paged(database):
    for k in range(6):
        record(
            database, Event("read" if k % 2 else "delete", owner=f"owner{k % 3}", subject=f"{k:032x}", key_id=f"k{k}")
        )
    everything = recorded(database, 10)
    assert [one.subject for one in everything] == [f"{k:032x}" for k in reversed(range(6))]
    assert {one.owner for one in recorded(database, 10, owner="owner1")} == {"owner1"}
    assert [one.subject for one in recorded(database, 10, action="read", owner="owner1")] == [f"{1:032x}"]
    assert [one.subject for one in recorded(database, 10, key_id="k3")] == [f"{3:032x}"]
    assert recorded(database, 2, everything[1].id) == everything[2:4]
    assert recorded(database, 10, since=everything[0].at + 1) == []
    assert recorded(database, 10, until=everything[-1].at) == []
    assert recorded(database, 10, owner="a\0b") == []


def test_the_command_shows_what_the_command_line_did(tmp_path):
    settings = {"BRINK_DATA_DIR": str(tmp_path)}
    made = brink("keys", "create", "--owner", "ann", "--scope", "read", environment=settings, status=0)
    _, key_id, secret = made.stdout.strip().split("_")
    brink("keys", "revoke", key_id, environment=settings, status=0)
    found = json.loads(brink("audit", "--json", environment=settings, status=0).stdout)
    assert [(one["action"], one["subject"], one["result"]) for one in found] == [
        ("revoke-key", key_id, "done"),
        ("create-key", key_id, "done"),
    ]
    assert all("command line of" in one["address"] for one in found)
    shown = brink("audit", "--action", "create-key", "--since", "2026-01-01", environment=settings, status=0).stdout
    assert key_id in shown
    assert secret not in shown
    assert "revoke-key" not in shown
    for option, value in (("--action", "sing-in"), ("--result", "maybe"), ("--since", "soon"), ("--limit", "0")):
        assert_refused(brink("audit", option, value, environment=settings), option, value)
