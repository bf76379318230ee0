"""The answers about a job's run: a route each, made from the registry."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from api.formats import ARROW, CSV, JSON, PARQUET, encode, negotiate
from api.http.answer_cache import ask_once
from api.http.problems import RESPONSES, Problem
from api.http.routes.common import CachedAnswers, KnownRun
from api.workbook import XLSX
from cluster.answers.entry import Answer
from cluster.answers.registry import ANSWERS
from sim.faults import Fault, InvalidInput

router = APIRouter(tags=["answers"], responses=RESPONSES)
OFFERED = (JSON, CSV, ARROW, PARQUET, XLSX)
_TABLES: dict[str, Any] = {
    CSV: {"schema": {"type": "string"}},
    ARROW: {"schema": {"type": "string", "format": "binary"}},
    PARQUET: {"schema": {"type": "string", "format": "binary"}},
    XLSX: {"schema": {"type": "string", "format": "binary"}},
}
_JSON = re.compile(r"application/(?:[^;]*\+)?json\s*(?:;|$)", re.IGNORECASE)


async def request_fields(request: Request) -> dict[str, Any]:
    """The fields of a request's body, none if it is empty. Raises `Problem` for a body that is not said to be JSON."""
    body = await request.body()
    if not body:
        return {}
    kind = request.headers.get("content-type")
    if not _JSON.match(kind or ""):
        raise Problem(415, "the body must be JSON", [Fault("Content-Type", kind, f"must be {JSON}")])
    found = json.loads(body)
    if not isinstance(found, dict):
        raise InvalidInput((Fault("", found, "the body must be an object"),))
    return found


Fields = Annotated[dict[str, Any], Depends(request_fields)]
Accept = Annotated[str | None, Header(max_length=1000, description=f"One of {', '.join(OFFERED)}.")]


def request_schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of each answer's request, with its examples, and of what they refer to, by name."""
    schemas: dict[str, dict[str, Any]] = {}
    for answer in _routed():
        schema = answer.request.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[answer.request.__name__] = {**schema, "examples": list(answer.examples)}
    return schemas


def _routed() -> list[Answer]:
    """The answers with the common form of documents; the summary has a route of its own."""
    return [answer for answer in ANSWERS if not answer.bare]


def _endpoint(answer: Answer) -> Callable[..., Response]:
    def document(fields: Fields, run: KnownRun, cache: CachedAnswers) -> Response:
        return Response(ask_once(cache, run, answer.name, fields), media_type=JSON)

    def negotiated(fields: Fields, run: KnownRun, cache: CachedAnswers, accept: Accept = None) -> Response:
        media_type = negotiate(accept, OFFERED)
        if media_type is None or answer.table is None:
            raise Problem(406, f"the media types offered are {', '.join(OFFERED)}")
        found = ask_once(cache, run, answer.name, fields)
        content = found if media_type == JSON else encode(answer.table(json.loads(found)), media_type)
        return Response(content, media_type=media_type, headers={"Vary": "Accept"})

    return document if answer.table is None else negotiated


def _add_route(answer: Answer) -> None:
    fields = answer.request.model_fields.values()
    content: Mapping[str, Any] = {} if answer.table is None else {"content": _TABLES}
    router.add_api_route(
        f"/jobs/{{job_id}}/{answer.name}",
        _endpoint(answer),
        methods=["POST"],
        name=answer.name,
        summary=answer.sentence,
        description=f"{answer.sentence} While the job runs, from what is committed so far.",
        response_class=Response,
        responses={
            200: {
                "model": answer.document,
                "description": answer.result.__doc__,
                **content,
            }
        },
        openapi_extra={
            "requestBody": {
                "required": any(field.is_required() for field in fields),
                "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{answer.request.__name__}"}}},
            }
        },
    )


for _answer in _routed():
    _add_route(_answer)
