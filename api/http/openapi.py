"""The OpenAPI 3.1 document of the service: what FastAPI does not add itself."""

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from api.http.problems import ProblemDetails
from api.http.routes.answers import request_schemas

_METHODS = ("get", "post", "put", "patch", "delete")


_texts: dict[bool, bytes] = {}
"""The documents of this process's applications, by whether they ask for keys: no other setting changes them."""


def describe(app: FastAPI, *, keys: bool) -> None:
    """Let an app describe itself at ``/openapi.json``: problems by reference, and keys only where it asks for them.

    The document needs no key. It is made when it is first asked for, which takes about a second.
    """

    def text() -> bytes:
        if keys not in _texts:
            _texts[keys] = json.dumps(_document(app, keys), ensure_ascii=False, allow_nan=False).encode()
        return _texts[keys]

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = json.loads(text())
        return app.openapi_schema

    async def described(_: Request) -> Response:
        return Response(text(), media_type="application/json")

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/openapi.json", described, include_in_schema=False)


def _document(app: FastAPI, keys: bool) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    nested = schema.pop("$defs")
    found["components"]["schemas"] |= {"ProblemDetails": schema, **nested, **request_schemas()}
    for path in found["paths"].values():
        for method in _METHODS:
            for answer in path.get(method, {}).get("responses", {}).values():
                for content in answer.get("content", {}).values():
                    # A route that declares its response needs no default one.
                    if "$ref" in content.get("schema", {}):
                        content["schema"] = {"$ref": content["schema"]["$ref"]}
    if not keys:
        found["components"].pop("securitySchemes", None)
        for path in found["paths"].values():
            for method in _METHODS:
                path.get(method, {}).pop("security", None)
    return found
