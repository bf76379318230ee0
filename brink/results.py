"""A job's results: grouped statistics, trials as tables, and the whole result folder."""

import hashlib
import io
import os
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from brink.answer import Answer
from brink.connection import Connection
from brink.errors import BrinkError
from brink.events import ENDED
from brink.flows import Flow, Operation, Request, segment
from brink.progress import bytes_bar

if TYPE_CHECKING:
    import pandas as pd

ARROW = "application/vnd.apache.arrow.stream"
_REPORTS = {".html": "text/html", ".pdf": "application/pdf"}
Measures = Sequence[str] | Mapping[str, str]
Groups = Sequence[str | Mapping[str, Any]]


class Results(ABC):
    """The methods of a job that fetch its results."""

    _client: Connection

    @property
    @abstractmethod
    def _path(self) -> str:
        """The job's path below the service's address."""

    @abstractmethod
    def _ask(self, answer: str, request: Mapping[str, Any]) -> Flow[Answer]:
        """Ask for an answer by its name."""

    @Operation
    def aggregate(
        self,
        measures: Measures,
        statistics: Sequence[str] | None = None,
        by: Groups | None = None,
        given: str | None = None,
        strategies: Sequence[str] = (),
        believe: Sequence[str] = (),
    ) -> Flow[Answer]:
        """Statistics of measures over groups of trials: its ``table()`` has a row for each group.

        For instance ``job.aggregate(["export_gain"], ["mean", "q95"], ["strategy", {"value": "full_access", "bins":
        5}])``. The defaults are the service's: mean, standard error and some quantiles, by strategy. Of bins by
        strategy, and perhaps by outcome, ``chart()`` draws histograms.
        """
        request = aggregate_request(measures, statistics, by, given, strategies, believe)
        return (yield from self._ask("aggregate", request))

    @Operation
    def aggregate_table(
        self,
        measures: Measures,
        statistics: Sequence[str] | None = None,
        by: Groups | None = None,
        given: str | None = None,
        strategies: Sequence[str] = (),
        believe: Sequence[str] = (),
    ) -> Flow[pa.Table]:
        """The same as an Arrow table, with units in the columns' metadata."""
        body = aggregate_request(measures, statistics, by, given, strategies, believe)
        request = Request("POST", f"{self._path}/aggregate", body=body, headers={"Accept": ARROW})
        response = yield from self._client._send(request)
        return pa.ipc.open_stream(io.BytesIO(response.content)).read_all()

    @Operation
    def trials(
        self, columns: Sequence[str] | None = None, *, strategy: str | None = None, progress: bool = True
    ) -> Flow["pd.DataFrame"]:
        """The trials, one row each, ordered by strategy and trial: all columns or some, all strategies or one.

        Each file is fetched, checked against the manifest, and removed once its columns are read. The job must have
        ended. Of a job with ``keep="summary"`` these are the first trials, whose rows it keeps.
        """
        table = yield from trial_table(self._client, self._path, columns, strategy, progress)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    @Operation
    def trials_table(
        self, columns: Sequence[str] | None = None, *, strategy: str | None = None, progress: bool = True
    ) -> Flow[pa.Table]:
        """The same as an Arrow table, with units and descriptions in the columns' metadata."""
        return (yield from trial_table(self._client, self._path, columns, strategy, progress))

    @Operation
    def download(self, folder: str | os.PathLike[str], *, progress: bool = True) -> Flow[Path]:
        """Copy the result folder; each file of trials is checked against the manifest, and correct copies are kept.

        The folder is then as ``brink run`` leaves it, and every ``brink`` command reads it. The job must have ended.
        """
        return (yield from downloaded(self._client, self._path, Path(folder), progress))

    @Operation
    def report(
        self,
        file: str | os.PathLike[str],
        *,
        given: str | None = None,
        measure: str | None = None,
        believe: Sequence[str] = (),
        strategies: Sequence[str] = (),
    ) -> Flow[Path]:
        """Write the report of the job's run to a file, .html or .pdf: the answer, charts, sources and method.

        `given` restricts it to the trials for which a condition holds; strategies are compared by the `measure`, by
        default the scenario's measure of choice. `believe` weights the trials, such as `["sanctions = 0.3"]`; with
        `strategies` it is about these only.
        """
        path = Path(file)
        media_type = _REPORTS.get(path.suffix.lower())
        if media_type is None:
            raise BrinkError(f"{path}: a report must end in .html or .pdf")
        asked = {"given": given, "measure": measure, "believe": list(believe), "strategy": list(strategies)}
        chosen = {name: value for name, value in asked.items() if value not in (None, [])}
        request = Request("GET", f"{self._path}/report", chosen, headers={"Accept": media_type})
        response = yield from self._client._send(request)
        path.write_bytes(response.content)
        return path

    @Operation
    def export(
        self,
        file: str | os.PathLike[str],
        *,
        trials: int = 1000,
        given: str | None = None,
        believe: Sequence[str] = (),
        strategies: Sequence[str] = (),
    ) -> Flow[Path]:
        """Write the tables of the job's run to a workbook for Excel, .xlsx, with the first `trials` of each strategy.

        `given` restricts it to the trials for which a condition holds. `believe` weights the tables, such as
        `["sanctions = 0.3"]`; with `strategies` it is about these only.
        """
        path = Path(file)
        if path.suffix.lower() != ".xlsx":
            raise BrinkError(f"{path}: a workbook must end in .xlsx")
        asked = {"trials": trials, "given": given, "believe": list(believe), "strategy": list(strategies)}
        params = {name: value for name, value in asked.items() if value not in (None, [])}
        response = yield from self._client._send(Request("GET", f"{self._path}/export", params))
        path.write_bytes(response.content)
        return path


def aggregate_request(
    measures: Measures,
    statistics: Sequence[str] | None,
    by: Groups | None,
    given: str | None,
    strategies: Sequence[str],
    believe: Sequence[str],
) -> dict[str, Any]:
    """A request of the answer ``aggregate``, without what is left to the service's defaults."""
    request = {
        "measures": dict(measures) if isinstance(measures, Mapping) else measures,
        "statistics": statistics,
        "by": by,
        "given": given,
        "believe": list(believe) or None,
        "strategies": strategies,
    }
    return {name: value for name, value in request.items() if value is not None}


def trial_table(
    connection: Connection, job: str, columns: Sequence[str] | None, strategy: str | None, progress: bool
) -> Flow[pa.Table]:
    """The trials of the job at a path. Raises `BrinkError` for a column or strategy that it does not have."""
    # A file without rows has counts of trials.
    listed = [file for file in (yield from _manifest(connection, job)) if file["rows"]]
    strategies = sorted({file["strategy"] for file in listed})
    if strategy is not None and strategy not in strategies:
        raise BrinkError(f"the job has no strategy {strategy}; there are {', '.join(strategies)}")
    wanted = [file for file in listed if strategy in (None, file["strategy"])]
    read = None if columns is None else [name for name in columns if name != "strategy"]
    kind = pa.dictionary(pa.int16(), pa.string())
    tables = []
    with tempfile.TemporaryDirectory() as scratch, bytes_bar(wanted, progress) as advance:
        for file in wanted:
            path = Path(scratch, "part.parquet")
            yield from _fetch(connection, job, file["path"], path, file["sha256"], advance)
            names = pq.read_schema(path).names
            missing = set(read or ()) - set(names)
            if missing:
                there = ", ".join(["strategy", *names])
                raise BrinkError(f"there is no column {', '.join(sorted(missing))}; there are {there}")
            table = pq.read_table(path, columns=read, partitioning=None).replace_schema_metadata(None)
            codes = pa.repeat(pa.scalar(strategies.index(file["strategy"]), pa.int16()), file["rows"])
            played = pa.DictionaryArray.from_arrays(codes, pa.array(strategies))
            tables.append(table.append_column(pa.field("strategy", kind), played))
    return pa.concat_tables(tables).select(list(columns or tables[0].column_names))


def downloaded(connection: Connection, job: str, target: Path, progress: bool) -> Flow[Path]:
    """Copy the result folder of the job at a path to `target`."""
    listed = {file["path"]: file["sha256"] for file in (yield from _manifest(connection, job))}
    files = (yield from connection._object("GET", f"{job}/files"))["files"]
    with bytes_bar(files, progress) as advance:
        for file in files:
            path = target / _inside(file["path"])
            digest = listed.get(file["path"])
            if digest is not None and path.is_file() and _sha256(path) == digest:
                advance(file["bytes"])
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                yield from _fetch(connection, job, file["path"], draft, digest, advance)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
    return target


def _manifest(connection: Connection, job: str) -> Flow[list[dict[str, Any]]]:
    info = yield from connection._object("GET", job)
    if info["state"] not in ENDED:
        raise BrinkError(f"job {info['id']} is {info['state']}: its trials can be fetched once it has ended")
    manifest = yield from connection._object("GET", f"{job}/files/manifest.json")
    files: list[dict[str, Any]] = manifest["files"]
    return files


def _fetch(
    connection: Connection, job: str, name: str, path: Path, digest: str | None, advance: Callable[[int], None]
) -> Flow[None]:
    """Fetch a file, after a broken connection from where it was. Raises `BrinkError` if its SHA-256 differs."""
    headers = {"Accept-Encoding": "identity"}
    latest: httpx.Response | None = None
    with path.open("wb") as file:

        def write(response: httpx.Response, chunk: bytes) -> None:
            nonlocal latest
            if response is not latest and response.status_code == 200:
                file.seek(0)
                file.truncate()
            latest = response
            file.write(chunk)
            advance(len(chunk))
            headers["Range"], headers["If-Range"] = f"bytes={file.tell()}-", response.headers.get("ETag", "")

        address = "/".join(segment(part) for part in name.split("/"))
        yield from connection._send(Request("GET", f"{job}/files/{address}", headers=headers, sink=write))
    if digest is not None and _sha256(path) != digest:
        raise BrinkError(f"{name} is not the file of the manifest: its SHA-256 differs")


def _inside(name: str) -> PurePosixPath:
    """A file's relative path. Raises `BrinkError` for one that would leave the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise BrinkError(f"the service names a file outside the result folder: {name}")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
