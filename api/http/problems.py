"""Errors as RFC 9457 problem details, each naming the field at fault."""

import re
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from cluster.query.parquet_files import DamagedTrials
from cluster.query.session import QueryCancelled, QueryLimit
from cluster.query.shard_map import RayLost
from cluster.query.trials import NoTrialsYet
from cluster.service.full_disk import FULL, is_full
from cluster.service.logs import logger
from sim.faults import Fault, InvalidInput
from sim.scenario.places import LONGEST_SHOWN, field_name

log = logger("brink.serve")
# The value of a fault may be a whole body; only the part that is shown is formatted.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 20
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""When to try again after the database did not answer."""
MAX_FAULTS = 100
"""Faults that a problem lists; of further ones it says only that there are more."""
DATABASE_FAILURES = (sa.exc.TimeoutError, sa.exc.InterfaceError, sa.exc.OperationalError, sa.exc.ProgrammingError)
"""What SQLAlchemy raises when the database does not answer, or its tables are lost or of another version."""


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    pointer: str
    detail: str
    value: str | None = None
    line: int | None = None


class ProblemDetails(BaseModel):
    """An error in the format of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Problem(Exception):
    """Raised to answer a request with a problem."""

    def __init__(
        self, status: int, detail: str, faults: Sequence[Fault] = (), headers: dict[str, str] | None = None
    ) -> None:
        more = f" (the first {MAX_FAULTS} are listed)" if len(faults) > MAX_FAULTS else ""
        detail += more
        super().__init__(detail)
        self.status, self.detail, self.faults, self.headers = status, detail, tuple(faults), headers


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
    for status in (400, 401, 403, 404, 406, 408, 409, 413, 415, 416, 421, 422, 429, 503)
}


def problem_response(problem: Problem) -> JSONResponse:
    """A problem as an HTTP response."""
    body = ProblemDetails(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=field_errors(problem.faults),
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def field_errors(faults: Sequence[Fault]) -> list[FieldError]:
    """Faults as a problem lists them: the first `MAX_FAULTS`."""
    return [_field_error(fault) for fault in faults[:MAX_FAULTS]]


def _field_error(fault: Fault) -> FieldError:
    pointer = _pointer(fault.path or _parts(fault.field))
    return FieldError(
        field=_printable(fault.field),
        pointer=_printable(pointer),
        detail=str(fault),
        value=_shown(fault.value),
        line=fault.line,
    )


def invalid(error: InvalidInput, within: str = "") -> Problem:
    """The problem of an invalid input; `within` is the field of the request in which it was found."""
    # Where a job's run is stored concerns no client.
    found = [replace(f, value=None) if f.field == "run" else f for f in error.faults]
    faults = [
        Fault(f"{within}.{f.field}".strip("."), f.value, f.message, f.line, f.source, (within, *f.path))
        if within
        else f
        for f in found
    ]
    return Problem(422, f"{len(faults)} fault{'s' * (len(faults) != 1)} in the request", faults)


def database_problem(error: Exception) -> Problem:
    """The problem of a database that does not answer; its cause is written to the log."""
    log.warning("the jobs database does not answer", error=str(error))
    later = {"Retry-After": str(RETRY_SECONDS)}
    cause = FULL if is_full(error) else "the jobs database does not answer; try again soon"
    return Problem(503, cause, headers=later)


def handle_problems(app: FastAPI, headers: dict[str, str]) -> None:
    """Make every error of an app a problem; the unexpected one, which passes no middleware, with these headers."""

    @app.exception_handler(Problem)
    async def _(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(NoTrialsYet)
    async def _(_: Request, error: NoTrialsYet) -> JSONResponse:
        return problem_response(Problem(409, "the job has no committed trials yet", invalid(error).faults))

    @app.exception_handler(InvalidInput)
    async def _(_: Request, error: InvalidInput) -> JSONResponse:
        return problem_response(invalid(error))

    @app.exception_handler(QueryLimit)
    async def _(_: Request, error: QueryLimit) -> JSONResponse:
        return problem_response(Problem(422, str(error)))

    @app.exception_handler(QueryCancelled)
    async def _(_: Request, error: QueryCancelled) -> JSONResponse:
        return problem_response(Problem(503, str(error)))

    @app.exception_handler(DamagedTrials)
    async def _(_: Request, error: DamagedTrials) -> JSONResponse:
        log.error("the files of a job are damaged", error=str(error))
        return problem_response(Problem(500, "the job's files are damaged: delete the job and run it again"))

    @app.exception_handler(RayLost)
    async def _(_: Request, error: RayLost) -> JSONResponse:
        log.warning("an answer could not be computed on Ray", error=str(error))
        later = {"Retry-After": str(RETRY_SECONDS)}
        return problem_response(Problem(503, "the Ray of this service does not answer; try again soon", headers=later))

    @app.exception_handler(OSError)
    async def _(_: Request, error: OSError) -> JSONResponse:
        log.warning("the results cannot be read", error=str(error))
        later = {"Retry-After": str(RETRY_SECONDS)}
        return problem_response(Problem(503, "the store of results does not answer; try again soon", headers=later))

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = []
        for found in error.errors()[:MAX_FAULTS]:
            if found["type"] == "json_invalid":
                return problem_response(Problem(400, "the body is not valid JSON"))
            path = _place(found["loc"], error.body)
            value = None if not path or found["type"] == "missing" else found.get("input")
            faults.append(Fault(field_name(path), value, found["msg"], path=path))
        return problem_response(Problem(422, "the request does not have the required form", faults))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(app, request))
        return problem_response(Problem(error.status_code, str(error.detail), headers=headers))

    for failure in DATABASE_FAILURES:

        @app.exception_handler(failure)
        async def _(_: Request, error: Exception) -> JSONResponse:
            return problem_response(database_problem(error))

    @app.exception_handler(Exception)
    async def _(_: Request, error: Exception) -> JSONResponse:
        unexpected = Problem(500, "something unexpected went wrong; the service's log has more", headers=headers)
        return problem_response(unexpected)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """The methods of all routes for the request's path; each route knows only its own."""
    tried = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
    return [
        method
        for method in tried
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


def _place(location: tuple[str | int, ...], body: object) -> tuple[str | int, ...]:
    """The path of a value in the request, without the types that Pydantic tried, such as ``dict[str,any]``."""
    if location[:1] != ("body",):
        return location[1:] if location[:1] in (("query",), ("path",), ("header",)) else location
    path = []
    for k, part in enumerate(location[1:], 2):
        try:
            body = body[part]  # type: ignore[index]
        except (LookupError, TypeError):
            # The last part may be missing in the body; any other part that is missing is the name of a type.
            if k < len(location) or not isinstance(body, dict):
                continue
        path.append(part)
    return tuple(path)


def _parts(field: str) -> list[str]:
    return re.sub(r"\[(\d+)\]", r".\1", field).split(".") if field else []


def _pointer(path: Sequence[str | int]) -> str:
    """A place in the body as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part)[:LONGEST_SHOWN].replace("~", "~0").replace("/", "~1") for part in path)


def _printable(text: str) -> str:
    """A text that can be sent: halves of surrogate pairs are replaced by their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shown(value: object) -> str | None:
    return None if value is None else _SHORT.repr(value)[:200]
