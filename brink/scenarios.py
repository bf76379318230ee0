"""A scenario as users name it: a shipped one, a file, or a document."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brink.connection import Connection
from brink.errors import BrinkError
from brink.flows import Flow, Request, segment

Scenario = str | os.PathLike[str] | Mapping[str, Any]
"""The name of a shipped scenario, the path of a YAML or JSON file, or a document."""


def _path(given: object) -> str:
    """The path that a scenario is named by. Raises `BrinkError` for what is no scenario."""
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(path, str) or "\0" in path:
        found = f"a {type(given).__name__}" if path is None else repr(path)
        raise BrinkError(f"a scenario must be a name, the path of a file, or a document, not {found}")
    return path


def is_name(given: Scenario) -> bool:
    """Whether a scenario is named: a text of letters, digits and '-' alone. Any other text is a file's path."""
    return isinstance(given, str) and re.fullmatch(r"[A-Za-z0-9-]+", given) is not None


def as_requested(connection: Connection, given: Scenario) -> Flow[object]:
    """A scenario as a job takes it: a name, or a document. Raises `BrinkError` with the lines at fault of a file."""
    if isinstance(given, Mapping) or is_name(given):
        return given
    found = yield from validated(connection, given)
    if not found["valid"]:
        raise BrinkError(f"{_path(given)} is not a valid scenario", 422, found["errors"])
    return found["scenario"]


def validated(connection: Connection, given: Scenario) -> Flow[dict[str, Any]]:
    """The service's validation of a scenario: ``valid``, ``errors``, and the ``scenario`` in full if it is valid."""
    if isinstance(given, Mapping):
        return (yield from connection._object("POST", "/v1/scenarios/validate", body=given))
    if is_name(given):
        document = yield from connection._object("GET", f"/v1/scenarios/{segment(str(given))}")
        return (yield from connection._object("POST", "/v1/scenarios/validate", body=document))
    name = _path(given)
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise BrinkError(f"{name} cannot be read: {error.strerror or error}") from None
    # Every JSON document is YAML as well, and a YAML reader knows the lines.
    headers = {"Content-Type": "application/yaml"}
    response = yield from connection._send(Request("POST", "/v1/scenarios/validate", content=text, headers=headers))
    found: dict[str, Any] = response.json()
    found["errors"] = [fault | {"detail": f"{name}:{fault['detail']}"} for fault in found["errors"]]
    return found
