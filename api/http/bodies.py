"""Bodies of requests: bounded in size, time and shape, and plain JSON, before any route reads them."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.authentication import needs_key
from api.http.problems import MAX_FAULTS, Problem, problem_response
from sim.faults import Fault
from sim.scenario.places import MAX_DEPTH, MAX_NODES, Path, field_name

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 30.0
"""A body may take this long to arrive."""
MAX_BODY_DEPTH = MAX_DEPTH + 4
"""Lists and objects inside each other: a scenario of the greatest depth, within a request."""
MAX_BODY_NODES = MAX_NODES + 1000
"""Keys and values: a scenario of the greatest size, within a request."""
BODY_CHECKS = 2
"""The number of bodies that are checked at the same time, each in its own thread; others wait."""
YAML = "application/yaml"
YAML_PATHS = "/v1/scenarios/"
"""Below it routes read YAML too, within the bounds of its reader."""
MAX_DIGITS = 300
"""Digits of a whole number."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_TEXT = "must be text without unpaired surrogates"
_JSON = re.compile(r"application/(?:[^;]*\+)?json\s*(?:;|$)", re.IGNORECASE)
_COLON = re.compile(rb"\s*:")
# A text that is never closed ends with the body, so that the scan visits each byte once.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.?)*+"?|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class BodyCheck:
    """Reads and checks the body of every request below the paths that need a key, before a route is called.

    A body larger than `MAX_BODY_BYTES` is refused with 413, whatever its headers say; one that takes longer than
    `BODY_SECONDS` with 408; one that is not declared as JSON with 415; and what `check_json` refuses with 400 or 422.
    A request that breaks off reaches no route. The other paths take no body, and none is read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._checks = anyio.CapacityLimiter(BODY_CHECKS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body read and checked."""
        if scope["type"] != "http" or not needs_key(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            body = await _whole_body(receive)
            if body:
                kind = Headers(scope=scope).get("content-type")
                if _JSON.match(kind or ""):
                    # Separate threads, so that hostile bodies block neither the event loop nor a route.
                    await anyio.to_thread.run_sync(check_json, body, limiter=self._checks)
                elif not (is_yaml(kind) and scope["path"].startswith(YAML_PATHS)):
                    fault = Fault("Content-Type", kind, "must be application/json")
                    raise Problem(415, "the header Content-Type must say that the body is JSON", [fault])
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
            return
        if body is None:
            return
        passed = False

        async def whole() -> Message:
            nonlocal passed
            if passed:
                return await receive()
            passed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, whole, send)


def is_yaml(content_type: str | None) -> bool:
    """Whether a header ``Content-Type`` declares a body as YAML."""
    return (content_type or "").partition(";")[0].strip().lower() == YAML


async def _whole_body(receive: Receive) -> bytes | None:
    """A request's body; None if its sender is gone before the end of it. Raises `Problem`."""
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MAX_BODY_BYTES:
                    raise Problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        slow = f"the body took longer than {BODY_SECONDS:g} seconds"
        raise Problem(408, slow, headers={"Connection": "close"}) from None
    return bytes(body)


def check_json(body: bytes) -> None:
    """Refuse JSON that is too large in shape, or that other readers would read differently or fail on.

    The shape is bounded first, before anything is built of the body. Raises `Problem`: 400 for what is not JSON; 422,
    naming at most `MAX_FAULTS` places, for more than `MAX_BODY_DEPTH` levels, more than `MAX_BODY_NODES` keys and
    values, keys given more than once, whole numbers of more than `MAX_DIGITS` digits, and halves of surrogate pairs.
    """
    check_shape(body)
    try:
        # JSON is UTF-8 (RFC 8259, 8.1). The reader would guess other encodings, whose shape the scan cannot read.
        text = body.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
        document = json.loads(text, object_pairs_hook=_object, parse_int=_whole)
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not valid JSON") from None
    faults: list[Fault] = []
    for fault in _faults(document):
        faults.append(fault)
        if len(faults) > MAX_FAULTS:
            break
    if faults:
        raise _refused(faults)


def check_shape(body: bytes) -> int:
    """The number of keys and values in a JSON text. Raises a 422 `Problem` as soon as they or its levels are too many.

    Visits the tokens in order and builds nothing. Whether they are valid JSON is not looked at.
    """
    nodes = 0
    open_places: list[bytes | int | None] = []
    for visited, match in enumerate(_TOKENS.finditer(body)):
        token = match.group()
        # In valid JSON each key and value has at most a separator and an end of its own.
        if nodes > MAX_BODY_NODES or visited > 3 * MAX_BODY_NODES:
            raise _refused([_fault((), f"has more than {MAX_BODY_NODES} keys and values")])
        if token in (b"]", b"}"):
            if open_places:
                open_places.pop()
        elif token == b",":
            if open_places and isinstance(open_places[-1], int):
                open_places[-1] += 1
        elif token != b":":
            nodes += 1
            if token in (b"[", b"{"):
                if len(open_places) == MAX_BODY_DEPTH:
                    path = tuple(_key(place) for place in open_places)
                    raise _refused([_fault(path, f"has more than {MAX_BODY_DEPTH} levels")])
                open_places.append(0 if token == b"[" else None)
            elif open_places and not isinstance(open_places[-1], int) and _COLON.match(body, match.end()):
                # The key whose value comes next.
                open_places[-1] = token
    return nodes


def _key(place: bytes | int | None) -> str | int:
    """A key or an index of a path, from what `check_shape` notes of it."""
    if isinstance(place, int):
        return place
    try:
        return str(json.loads(place or b'""'))
    except ValueError:
        return (place or b"").decode("utf-8", "backslashreplace")


def _faults(document: object) -> Iterator[Fault]:
    """The faults of a JSON document, in its order."""
    remaining: list[tuple[Path, object]] = [((), document)]
    while remaining:
        path, value = remaining.pop()
        if isinstance(value, _Repeated):
            yield from (_fault((*path, key), "is given more than once") for key in value.keys_repeated)
        if isinstance(value, _LongNumber):
            yield _fault(path, f"must have at most {MAX_DIGITS} digits")
        if isinstance(value, str) and _SURROGATES.search(value):
            yield _fault(path, _NOT_TEXT)
        if isinstance(value, dict):
            yield from (_fault((*path, key), _NOT_TEXT) for key in value if _SURROGATES.search(key))
            remaining += [((*path, key), below) for key, below in reversed(value.items())]
        elif isinstance(value, list):
            remaining += [((*path, k), below) for k, below in reversed(list(enumerate(value)))]


class _Repeated(dict[str, object]):
    """An object with duplicate keys."""

    keys_repeated: tuple[str, ...]


class _LongNumber(str):
    """A whole number with more than `MAX_DIGITS` digits."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = _Repeated(found)
    repeated.keys_repeated = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return repeated


def _whole(digits: str) -> int | _LongNumber:
    return int(digits) if len(digits) <= MAX_DIGITS else _LongNumber(digits)


def _fault(path: Path, message: str) -> Fault:
    return Fault(field_name(path), None, message, path=path)


def _refused(faults: list[Fault]) -> Problem:
    found = f"{len(faults)} fault{'s' * (len(faults) != 1)}"
    return Problem(
        422, f"{found if len(faults) <= MAX_FAULTS else f'more than {MAX_FAULTS} faults'} in the body", faults
    )
