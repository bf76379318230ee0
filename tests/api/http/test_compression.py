"""Answers compressed for clients that take it: the same content, and nothing held back, disclosed or mislabelled."""

import gzip
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from api.http.compression import IN_THREAD_BYTES, LEAST_BYTES, Compression
from tests.support.requests import SMALL_JOB
from tests.support.served import Served, served

TAKES = {"Accept-Encoding": "gzip"}


BODY = b"0,1,2\n" * 30_000
assert len(BODY) > IN_THREAD_BYTES
ANSWERS = {
    "table": Response(BODY, media_type="text/csv"),
    "least": Response(BODY[:LEAST_BYTES], media_type="application/json"),
    "small": Response(BODY[: LEAST_BYTES - 1], media_type="application/json"),
    "picture": Response(BODY, media_type="image/png"),
    "tagged": Response(BODY, media_type="text/csv", headers={"ETag": '"1"'}),
    "part": Response(BODY, 206, media_type="text/csv", headers={"Content-Range": "bytes 0-9/10"}),
    "encoded": Response(gzip.compress(BODY), media_type="text/csv", headers={"Content-Encoding": "gzip"}),
    "nothing": Response(status_code=204),
}
COMPRESSED = {"table", "least", "encoded"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    async def pieces(_):
        return StreamingResponse(iter([BODY, BODY]), media_type="text/csv")

    routes = [Route(f"/{name}", lambda _, found=found: found) for name, found in ANSWERS.items()]
    routes += [Route("/pieces", pieces), Route("/v1/keys", lambda _: ANSWERS["table"])]
    app = Starlette(routes=routes)
    app.add_middleware(Compression)
    with TestClient(app) as found:
        yield found


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_the_same_compressed_or_not(client, name):
    small, plain = (client.get(f"/{name}", headers={"Accept-Encoding": one}) for one in ("gzip", "identity"))
    assert small.content == plain.content
    assert ("Content-Encoding" in small.headers) == (name in COMPRESSED)
    if name not in COMPRESSED:
        assert small.headers.get("Content-Length") == plain.headers.get("Content-Length")
        return
    assert int(small.headers["Content-Length"]) == small.num_bytes_downloaded < len(BODY)
    if name != "encoded":
        assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


def test_pieces_and_secrets_are_not_compressed(client):
    for path in ("/pieces", "/v1/keys"):
        found = client.get(path, headers=TAKES)
        assert "Content-Encoding" not in found.headers
        assert found.content.startswith(BODY)


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


def test_answers_of_the_service_are_compressed_and_its_files_and_events_are_not(service):
    job = service.ask("POST", "/v1/jobs", json=SMALL_JOB).json()["id"]
    service.work()

    def found(method: str, path: str, **request: object) -> httpx.Response:
        answer = service.ask(method, path, headers=TAKES, **request)
        assert answer.status_code == 200, answer.text
        return answer

    for method, path, request in (
        ("GET", f"/v1/jobs/{job}/summary", {}),
        ("POST", f"/v1/jobs/{job}/charts/timeline", {"json": {}}),
        ("GET", "/v1/parameters", {}),
        ("GET", "/openapi.json", {}),
    ):
        assert found(method, path, **request).headers["Content-Encoding"] == "gzip", path
    for path in (f"/v1/jobs/{job}/events", f"/v1/jobs/{job}/files/summary.json", "/v1/session"):
        assert "Content-Encoding" not in found("GET", path).headers, path
