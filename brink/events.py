"""A job's progress as server-sent events (WHATWG HTML, 9.2), over as many connections as it takes."""

import json
from typing import Any

import httpx

from brink.connection import BUSY, Connection, pause_before
from brink.errors import BrinkError, error_of

ENDED = ("succeeded", "failed", "cancelled")
"""The states in which a job stays."""


class EventReader:
    """Reads the events of the job at a path, line by line; `info` is the last one's document."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._connection, self._path = connection, path
        self.info: dict[str, Any] = {}
        self.ended = False
        self._last: str | None = None
        self._id: str | None = None
        self._data: list[str] = []
        self._attempt, self._waited = 0, 0.0
        self._failure = BrinkError("the events ended before the job did")

    def request(self) -> dict[str, Any]:
        """The request of the next connection, which continues after the last event seen."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last} if self._last else {})
        return {"method": "GET", "url": f"{self._path}/events", "headers": headers}

    def begin(self, response: httpx.Response) -> None:
        """Check the response's status. Raises `BrinkError` if another attempt cannot succeed."""
        self._data = []
        if not response.is_success:
            self._failure = error_of(response)
            if response.status_code not in BUSY:
                raise self._failure

    def read(self, line: str) -> bool:
        """Read a line; whether it completed an event."""
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif name == "id":
            self._id = value.removeprefix(" ")
        if line or not self._data:
            return False
        self.info = json.loads("\n".join(self._data))
        self._data, self._last = [], self._id
        self._attempt, self._waited = 0, 0.0
        self.ended = self.info["state"] in ENDED
        return True

    def broken(self, error: httpx.TransportError) -> None:
        """Note that the connection broke."""
        self._failure = BrinkError(self._connection._no_answer(error))

    def pause(self) -> float:
        """Seconds to wait before the next connection. Raises `BrinkError` once patience is exhausted."""
        pause = pause_before(self._attempt, None)
        self._attempt, self._waited = self._attempt + 1, self._waited + pause
        if self._waited > self._connection.patience:
            raise self._failure
        return pause
