"""Errors as RFC 9457 problem details, each naming the field at fault."""

import re
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from sim.faults import Fault, InvalidInput

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    pointer: str
    detail: str
    value: str | None = None


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Problem(Exception):
    """Raised in a route to answer with a problem."""

    def __init__(
        self, status: int, detail: str, faults: Sequence[Fault] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.faults, self.headers = status, detail, tuple(faults), headers


RESPONSES: dict[int | str, dict] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    for status in (400, 404, 409, 413, 416, 422)
}


def problem_response(problem: Problem) -> JSONResponse:
    """A problem as an HTTP answer."""
    body = ProblemDetails(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=[field_error(fault) for fault in problem.faults],
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def field_error(fault: Fault) -> FieldError:
    """A fault as a problem names it."""
    return FieldError(field=fault.field, pointer=_pointer(fault.field), detail=str(fault), value=_shown(fault.value))


def invalid(error: InvalidInput, within: str = "") -> Problem:
    """The problem of an invalid input; `within` is the field of the request in which it was found."""
    faults = [Fault(f"{within}.{f.field}".strip("."), f.value, f.message, f.line, f.source) for f in error.faults]
    return Problem(422, f"{len(faults)} fault{'s' * (len(faults) != 1)} in the request", faults)


def handle_problems(app: FastAPI) -> None:
    """Make every error of an app a problem."""

    @app.exception_handler(Problem)
    async def _(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(InvalidInput)
    async def _(_: Request, error: InvalidInput) -> JSONResponse:
        return problem_response(invalid(error))

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = []
        for found in error.errors():
            where = (
                found["loc"][1:]
                if found["loc"][:1] in (("body",), ("query",), ("path",), ("header",))
                else found["loc"]
            )
            if found["type"] == "json_invalid":
                return problem_response(Problem(400, "the body is not valid JSON"))
            name = ".".join(str(part) for part in where)
            faults.append(Fault(name, found.get("input") if where else None, found["msg"]))
        return problem_response(Problem(422, "the request does not have the form it should", faults))

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})))

    @app.exception_handler(Exception)
    async def _(_: Request, error: Exception) -> JSONResponse:
        return problem_response(Problem(500, "something unexpected went wrong; the service's log has more"))


def _pointer(field: str) -> str:
    """A field's name as a JSON pointer (RFC 6901) into the body."""
    if not field:
        return ""
    parts = re.sub(r"\[(\d+)\]", r".\1", field).split(".")
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


def _shown(value: object) -> str | None:
    return None if value is None else repr(value)[:200]
