"""A job's results: the summary and the files of its folder."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from api.problems import RESPONSES, Problem
from api.routes.common import KnownJob, SettingsOf, job_folder
from cluster.answers.summary import summarize
from cluster.jobs import SUCCEEDED
from cluster.store import SUMMARY, read_json
from cluster.trials import StoredRun

router = APIRouter(tags=["results"], responses=RESPONSES)
_MEDIA_TYPES = {".json": "application/json", ".parquet": "application/vnd.apache.parquet"}


class ResultFile(BaseModel):
    """A file of a result folder."""

    path: str
    bytes: int


class ResultFiles(BaseModel):
    """The files of a result folder."""

    files: list[ResultFile]


@router.get("/jobs/{job_id}/summary", summary="Read a job's summary")
def summary(
    job: KnownJob,
    settings: SettingsOf,
    given: Annotated[str | None, Query(max_length=2000, description="Over the trials for which this holds.")] = None,
) -> dict:
    """The summary of a job's run; while it runs, from what is committed so far."""
    folder = job_folder(job, settings)
    if job.state == SUCCEEDED and given is None:
        found = read_json(folder, SUMMARY)
        if isinstance(found, dict):
            return found
    return summarize(StoredRun(job.plan, folder), given)


@router.get("/jobs/{job_id}/files", response_model=ResultFiles, summary="List a job's files")
def files(job: KnownJob, settings: SettingsOf) -> ResultFiles:
    """The files of the result folder, as far as they are committed."""
    folder = job_folder(job, settings)
    found = [ResultFile(path=name, bytes=path.stat().st_size) for name, path in sorted(_files(folder).items())]
    return ResultFiles(files=found)


@router.get("/jobs/{job_id}/files/{path:path}", summary="Fetch a file", response_class=FileResponse)
def file(
    job: KnownJob,
    settings: SettingsOf,
    path: str,
    request: Request,
    if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
) -> Response:
    """A file of the result folder, whole or in ranges."""
    # Only what the folder's own listing names can be asked for, so no path leads out of it.
    found = _files(job_folder(job, settings)).get(path)
    if found is None:
        raise Problem(404, f"the job has no file {path}")
    response = FileResponse(found, media_type=_MEDIA_TYPES[found.suffix], stat_result=found.stat())
    response.headers["Cache-Control"] = "no-cache"
    etag = response.headers["etag"]
    if if_none_match and ("*" in if_none_match or etag in if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    return response


def _files(folder: Path) -> dict[str, Path]:
    """The committed files of a result folder by their paths in it."""
    return {
        path.relative_to(folder).as_posix(): path
        for pattern in ("*.json", "trials/*/*.parquet")
        for path in folder.glob(pattern)
        if path.is_file() and not path.is_symlink()
    }
