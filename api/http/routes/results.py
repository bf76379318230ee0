"""A job's results: the summary and the files of its folder."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api.formats import JSON
from api.http.answer_cache import ask_once
from api.http.authentication import Reader
from api.http.problems import RESPONSES, Problem
from api.http.routes.common import BeliefsInQuery, CachedAnswers, KnownJob, SettingsOf, answering, job_folder
from api.negotiation import names_tag
from cluster.answers.entry import MOST_STRATEGIES, StrategyName, Text
from cluster.answers.summary import Summary
from cluster.results.result_folder import SUMMARY, read_json
from cluster.service.jobs import SUCCEEDED
from cluster.storage.base import Entry, Folder, read_chunks

router = APIRouter(tags=["results"], responses=RESPONSES)
_MEDIA_TYPES = {".json": "application/json", ".parquet": "application/vnd.apache.parquet"}
_CONTENT: dict[str, dict[str, Any]] = {media_type: {} for media_type in _MEDIA_TYPES.values()}


class ResultFile(BaseModel):
    """A file of a result folder."""

    path: str
    bytes: int


class ResultFiles(BaseModel):
    """The files of a result folder."""

    files: list[ResultFile]


@router.get("/jobs/{job_id}/summary", summary="Read a job's summary", responses={200: {"model": Summary}})
async def summary(
    request: Request,
    reader: Reader,
    job: KnownJob,
    settings: SettingsOf,
    cache: CachedAnswers,
    given: Annotated[Text | None, Query(description="Over the trials for which this holds.")] = None,
    strategy: Annotated[
        list[StrategyName] | None,
        Query(max_length=MOST_STRATEGIES, description="Under this strategy; may be repeated. All if none is named."),
    ] = None,
    believe: BeliefsInQuery = None,
    outside: Annotated[
        bool, Query(description="Believe also how threats of the scenario's reference class ended.")
    ] = False,
) -> Response:
    """The summary of a job's run; while it runs, from what is committed so far."""
    if job.state == SUCCEEDED and given is None and not strategy and not believe and not outside:
        # One that is damaged is computed again from the trials.
        with suppress(OSError, ValueError):
            found = await run_in_threadpool(read_json, job_folder(job, settings), SUMMARY)
            if isinstance(found, dict):
                return JSONResponse(found)
    asked = {"given": given, "strategies": strategy, "believe": believe, "outside": outside}
    # What is not asked for is left out, so that charts and sentences find the same answer in the same words.
    fields = {name: value for name, value in asked.items() if value not in (None, [], False)}
    async with answering(request, reader, job) as run:
        return Response(await run_in_threadpool(ask_once, cache, run, "summary", fields), media_type=JSON)


@router.get("/jobs/{job_id}/files", response_model=ResultFiles, summary="List a job's files")
def files(job: KnownJob, settings: SettingsOf) -> ResultFiles:
    """The files of the result folder, as far as they are committed."""
    found = _files(job_folder(job, settings)).values()
    return ResultFiles(files=[ResultFile(path=entry.name, bytes=entry.bytes) for entry in found])


@router.head("/jobs/{job_id}/files/{path:path}", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/files/{path:path}",
    summary="Fetch a file",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The file", "content": _CONTENT},
        206: {"description": "The bytes that `Range` asks for", "content": _CONTENT},
        304: {"description": "The file is the one that `If-None-Match` names"},
    },
)
def file(
    request: Request,
    job: KnownJob,
    settings: SettingsOf,
    path: str,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
    if_range: Annotated[str | None, Header(max_length=200)] = None,
    byte_range: Annotated[str | None, Header(alias="Range", max_length=200)] = None,
) -> Response:
    """A file of the result folder, whole or a range of its bytes."""
    folder = job_folder(job, settings)
    # Only names in the folder's listing can be requested, so no path leads out of it.
    found = _files(folder).get(path)
    if found is None:
        raise Problem(404, f"the job has no file {path}")
    etag = f'"{found.tag}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    if if_none_match and names_tag(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    media_type = _MEDIA_TYPES[Path(path).suffix]
    if request.method == "HEAD":
        # A range is asked for with GET alone (RFC 9110, 14.2).
        return Response(headers=headers | {"Content-Length": str(found.bytes)}, media_type=media_type)
    start, stop, status = 0, found.bytes, 200
    # A date or a weak tag does not say that the bytes are the same (RFC 9110, 13.1.5).
    wanted = _range(byte_range, found.bytes) if if_range in (None, etag) else None
    if wanted is not None:
        start, stop = wanted
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{found.bytes}"
    headers["Content-Length"] = str(stop - start)
    return StreamingResponse(read_chunks(folder, path, start, stop), status, headers, media_type)


def _range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes that a `Range` header asks for, from the first to before the second; None for all (RFC 9110, 14.2).

    A header that is not a single range of bytes is ignored, as the standard allows.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if not match or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size or start >= stop:
        raise Problem(416, f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def _files(folder: Folder) -> dict[str, Entry]:
    """The committed files of a result folder by their paths in it."""
    return {
        entry.name: entry
        for entry in folder.entries()
        if re.fullmatch(r"[a-z]+\.json|(trials|counts)/strategy=[^/]+/part-\d+\.parquet", entry.name)
    }
