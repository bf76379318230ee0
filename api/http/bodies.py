"""Bodies of requests: bounded, and plain JSON before anything else reads them."""

import asyncio
import json
import re
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem, problem_response
from sim.faults import Fault
from sim.scenario.places import MAX_DEPTH, Path, field_name

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 30.0
"""So long a body may take to arrive."""
MAX_BODY_DEPTH = MAX_DEPTH + 4
"""A scenario of the greatest depth, within a request."""
_LONGEST_NUMBER = 300
_HALVES = re.compile("[\ud800-\udfff]")
_NO_TEXT = "must be text: half of a surrogate pair is none"
_JSON = re.compile(r"application/(?:[^;]*\+)?json\s*(?:;|$)", re.IGNORECASE)


class Bodies:
    """Refuses requests whose body is larger than `MAX_BODY_BYTES`, whatever their headers say, takes longer than
    `BODY_SECONDS`, or is no plain JSON; one that breaks off is no request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted and checked."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await _whole_body(receive)
            if body and _JSON.match(Headers(scope=scope).get("content-type", "")):
                check_json(body)
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


class _Repeated(dict):
    """An object some of whose keys came more than once."""

    keys_repeated: tuple[str, ...]


class _LongNumber(str):
    """A whole number of more digits than anything here has."""


def check_json(body: bytes) -> None:
    """Refuse JSON that other readers would take for something else, or break on.

    Raises `Problem`: 400 for what is no JSON; 422, naming every place, for keys given more than once, whole numbers of
    more than 300 digits, halves of surrogate pairs, and nesting of more than `MAX_BODY_DEPTH` levels.
    """
    try:
        document = json.loads(body, object_pairs_hook=_object, parse_int=_whole)
    except RecursionError:
        raise _refused([_too_deep(())]) from None
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8 text") from None
    except ValueError:
        raise Problem(400, "the body is not valid JSON") from None
    faults: list[Fault] = []
    left: list[tuple[Path, object]] = [((), document)]
    while left:
        path, value = left.pop()
        if len(path) > MAX_BODY_DEPTH:
            faults.append(_too_deep(path))
            break
        if isinstance(value, _Repeated):
            faults += [_fault((*path, key), "is given more than once") for key in value.keys_repeated]
        if isinstance(value, _LongNumber):
            faults.append(_fault(path, f"must have at most {_LONGEST_NUMBER} digits"))
        if isinstance(value, str) and _HALVES.search(value):
            faults.append(_fault(path, _NO_TEXT))
        if isinstance(value, dict):
            faults += [_fault((*path, key), _NO_TEXT) for key in value if _HALVES.search(key)]
            left += [((*path, key), below) for key, below in reversed(value.items())]
        elif isinstance(value, list):
            left += [((*path, k), below) for k, below in reversed(list(enumerate(value)))]
    if faults:
        raise _refused(faults)


def _object(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = _Repeated(found)
    repeated.keys_repeated = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return repeated


def _whole(digits: str) -> int | _LongNumber:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else _LongNumber(digits)


def _fault(path: Path, message: str) -> Fault:
    return Fault(field_name(path), None, message, path=path)


def _too_deep(path: Path) -> Fault:
    return _fault(path, f"has more than {MAX_BODY_DEPTH} levels")


def _refused(faults: list[Fault]) -> Problem:
    return Problem(422, f"{len(faults)} fault{'s' * (len(faults) != 1)} in the body", faults)
