"""Bodies of requests: bounded, and plain JSON before anything else reads them."""

import json
import re
from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_response
from sim.faults import Fault
from sim.yaml_lines import MAX_DEPTH, Path, field_name

MAX_BODY_BYTES = 1 << 20
MAX_BODY_DEPTH = MAX_DEPTH + 4
"""A scenario of the greatest depth, within a request."""
_LONGEST_NUMBER = 300
_JSON = re.compile(r"application/(?:[^;]*\+)?json\s*(?:;|$)", re.IGNORECASE)


class Bodies:
    """Refuses requests whose body is larger than `MAX_BODY_BYTES`, whatever their headers say, or no plain JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted and checked."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                too_large = Problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
                await problem_response(too_large)(scope, receive, send)
                return
        if body and _JSON.match(Headers(scope=scope).get("content-type", "")):
            try:
                check_json(bytes(body))
            except Problem as problem:
                await problem_response(problem)(scope, receive, send)
                return
        passed = False

        async def whole() -> Message:
            nonlocal passed
            if passed:
                return await receive()
            passed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, whole, send)


class _Repeated(dict):
    """An object some of whose keys came more than once."""

    keys_repeated: tuple[str, ...]


class _LongNumber(str):
    """A whole number of more digits than anything here has."""


def check_json(body: bytes) -> None:
    """Refuse JSON that other readers would take for something else, or break on.

    Raises `Problem`: 400 for what is no JSON; 422, naming every place, for keys given more than once, whole numbers of
    more than 300 digits, and nesting of more than `MAX_BODY_DEPTH` levels.
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
        if isinstance(value, dict):
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
