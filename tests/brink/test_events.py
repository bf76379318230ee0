"""Server-sent events, read line by line over as many connections as it takes."""

import json

import httpx
import pytest

from brink.connection import Connection
from brink.errors import BrinkError
from brink.events import EventReader

PATH = "/v1/jobs/j"


@pytest.fixture
def reader() -> EventReader:
    return EventReader(Connection("http://127.0.0.1:8000", None, patience=2.0), PATH)


def read(reader: EventReader, *lines: str) -> list[bool]:
    return [reader.read(line) for line in lines]


def test_an_event_ends_with_an_empty_line_and_comments_are_none(reader):
    running = json.dumps({"state": "running", "progress": 1})
    assert read(reader, ": ping", "", "id: 4", "event: running", f"data: {running}", "") == [False] * 5 + [True]
    assert reader.info == {"state": "running", "progress": 1}
    assert not reader.ended
    assert read(reader, "", "") == [False, False]


def test_data_may_have_several_lines(reader):
    read(reader, "data: {", 'data: "state":', 'data:"failed"}')
    assert reader.read("")
    assert reader.info == {"state": "failed"}
    assert reader.ended


def test_the_next_connection_continues_after_the_last_whole_event(reader):
    assert "Last-Event-ID" not in reader.request()["headers"]
    read(reader, "id: 4", 'data: {"state": "running"}', "", "id: 5", 'data: {"state": ')
    reader.broken(httpx.ReadError("reset"))
    request = reader.request()
    assert (request["url"], request["headers"]["Last-Event-ID"]) == (f"{PATH}/events", "4")
    # What was cut off is no part of the next connection's first event.
    reader.begin(httpx.Response(200))
    read(reader, "id: 5", 'data: {"state": "succeeded"}')
    assert reader.read("")
    assert reader.ended


def test_a_refusal_is_raised_and_a_busy_service_is_asked_again(reader):
    with pytest.raises(BrinkError, match="no such job"):
        reader.begin(httpx.Response(404, json={"detail": "no such job"}))
    reader.begin(httpx.Response(503, json={"detail": "too many streams"}))
    assert reader.pause() > 0


def test_patience_ends_with_the_last_failure_and_begins_anew_with_each_event(reader):
    def exhaust() -> float:
        waited = 0.0
        while True:
            waited += reader.pause()

    reader.begin(httpx.Response(503, json={"detail": "too many streams"}))
    with pytest.raises(BrinkError, match="too many streams"):
        exhaust()
    read(reader, 'data: {"state": "running"}', "")
    assert reader.pause() < 0.3
    reader.broken(httpx.ReadError("reset"))
    with pytest.raises(BrinkError, match=r"does not respond: reset"):
        exhaust()
