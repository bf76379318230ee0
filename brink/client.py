"""The service from Python: `Brink` for notebooks and scripts, `AsyncBrink` the same with ``await``.

What a call does is written once, as a flow: a generator that yields the requests it wants sent and the seconds it
wants to wait, and is given the answers. `Brink` sends and sleeps, `AsyncBrink` awaits both.
"""

import asyncio
import hashlib
import io
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import wraps
from pathlib import Path, PurePosixPath
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from api.formats import ARROW
from api.shipped_scenarios import find_scenario
from sim.scenario.scenario import scenario_document

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_URL = "http://127.0.0.1:8000"
KEY_VARIABLE = "BRINK_KEY"
ENDED = ("succeeded", "failed", "cancelled")
PATIENCE_SECONDS = 60.0
"""For so long a request that the service cannot take at the moment is repeated."""
_BUSY = (429, 502, 503, 504)
_LONGEST_PAUSE = 10.0
_TIMEOUT = httpx.Timeout(30.0, read=300.0)

P = ParamSpec("P")
T = TypeVar("T")


class BrinkError(Exception):
    """What the service refused, or why it could not be asked.

    `status` is the HTTP status (None without an answer), `detail` the sentence, `faults` what is wrong with which
    field: dictionaries of ``field``, ``pointer`` and ``detail``. `repeated` says whether it was not the first attempt.
    """

    repeated = False

    def __init__(self, detail: str, status: int | None = None, faults: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__("\n".join([detail, *(f"  {fault['detail']}" for fault in faults)]))
        self.detail, self.status, self.faults = detail, status, tuple(faults)


class JobFailed(BrinkError):
    """A job that was waited for has failed; the message says why."""


@dataclass(frozen=True)
class _Request:
    """A request; with a `sink`, the body of a good answer goes there piece by piece."""

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    sink: Callable[[httpx.Response, bytes], None] | None = None

    def options(self) -> dict[str, Any]:
        """How httpx is told of it."""
        content = None if self.body is None else json.dumps(self.body, allow_nan=False).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        return {"params": self.params, "content": content, "headers": {**kind, **self.headers}}


Flow = Generator[_Request | float, Any, T]


class _Operation(Generic[P, T]):
    """A flow as a method: of `Brink` and `Job` one that returns its result, of the others one to be awaited."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, it: "Brink | Job", owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, it: "AsyncBrink | AsyncJob", owner: type | None = None) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, it: None, owner: type | None = None) -> "_Operation[P, T]": ...
    def __get__(self, it: Any, owner: type | None = None) -> Any:
        """The method of an object."""
        if it is None:
            return self
        bound = MethodType(self.flow, it)

        @wraps(bound)
        def call(*arguments: P.args, **options: P.kwargs) -> T:
            return it._drive(bound(*arguments, **options))

        return call


class _Client:
    """What both clients know: how a request is sent again, and what the service offers besides jobs."""

    def __init__(self, url: str, key: str | None, patience: float) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        key = key or os.environ.get(KEY_VARIABLE)
        self._settings: dict[str, Any] = {
            "base_url": self.url,
            "timeout": _TIMEOUT,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _ask(self, request: _Request) -> Flow[httpx.Response]:
        """Send a request, and again with growing pauses while the service is away or busy. Raises `BrinkError`."""
        waited, attempt = 0.0, 0
        while True:
            answer, failure = None, ""
            try:
                answer = yield request
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise BrinkError(f"{self.url} cannot be asked: {error}") from None
            except httpx.TransportError as error:
                failure = f"{self.url} does not answer: {error or type(error).__name__}"
            if answer is not None and answer.status_code not in _BUSY:
                if answer.is_success:
                    return answer
                raise _error(answer, repeated=attempt > 0)
            pause = _pause(attempt, answer)
            if waited + pause > self.patience:
                raise _error(answer) if answer is not None else BrinkError(failure)
            yield pause
            waited, attempt = waited + pause, attempt + 1

    def _json(self, method: str, path: str, **parts: Any) -> Flow[Any]:
        answer = yield from self._ask(_Request(method, path, **parts))
        return answer.json()

    def _submitted(self, request: dict[str, Any]) -> Flow[dict]:
        # The key makes it safe to send the request again after an answer that was lost.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return (yield from self._json("POST", "/v1/jobs", body=request, headers=headers))

    def _page(self, token: str | None) -> Flow[dict]:
        params = {"limit": 100} | ({"page_token": token} if token else {})
        return (yield from self._json("GET", "/v1/jobs", params=params))

    @_Operation
    def scenarios(self) -> Flow[list[dict]]:
        """The scenarios that the service ships."""
        return (yield from self._json("GET", "/v1/scenarios"))

    @_Operation
    def scenario(self, name: str) -> Flow[dict]:
        """A shipped scenario in full, to be changed and run."""
        return (yield from self._json("GET", f"/v1/scenarios/{_segment(name)}"))

    @_Operation
    def validate(self, scenario: str | os.PathLike[str] | Mapping[str, Any]) -> Flow[list[dict]]:
        """What is wrong with a scenario, a dictionary a fault; empty if nothing is."""
        document = _scenario(scenario)
        if isinstance(document, str):
            document = yield from self._json("GET", f"/v1/scenarios/{_segment(document)}")
        return (yield from self._json("POST", "/v1/scenarios/validate", body=document))["errors"]

    @_Operation
    def parameters(self) -> Flow[list[dict]]:
        """The model's parameters with their units, domains and neutral defaults."""
        return (yield from self._json("GET", "/v1/parameters"))


class _Job:
    """A job as it was when last looked at; `info` holds all that the service says of it."""

    def __init__(self, client: Any, info: dict) -> None:
        self._client: _Client = client
        self.info = info

    @property
    def id(self) -> str:
        """The job's id."""
        return self.info["id"]

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed or cancelled."""
        return self.info["state"]

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, one way or another."""
        return self.state in ENDED

    @property
    def error(self) -> str | None:
        """Why it failed."""
        return self.info["error"]

    @property
    def progress(self) -> float:
        """The share of its trials that are done."""
        found = self.info["progress"]
        return found["trials_done"] / found["trials_total"]

    def __repr__(self) -> str:
        total = self.info["progress"]["trials_total"]
        return (
            f"<{type(self).__name__} {self.id} {self.info['scenario']}: {self.state}, {self.progress:.0%} of {total:,}>"
        )

    @property
    def _path(self) -> str:
        return f"/v1/jobs/{self.id}"

    def _drive(self, flow: Flow[T]) -> Any:
        return self._client._drive(flow)  # type: ignore[attr-defined]

    def _look(self) -> Flow[None]:
        self.info = yield from self._client._json("GET", self._path)

    @_Operation
    def refresh(self) -> Flow[None]:
        """Look at the job again."""
        yield from self._look()

    @_Operation
    def wait(self, *, progress: bool = True) -> Flow[None]:
        """Wait until the job has ended, with a progress bar in a terminal or notebook. Raises `JobFailed`.

        Interrupting the waiting (Ctrl-C) leaves the job running; `cancel` stops it.
        """
        yield from self._wait(progress)

    def _wait(self, progress: bool) -> Flow[None]:
        pause = 0.1
        try:
            with _progress_bar(self, progress) as tell:
                while not self.ended:
                    yield pause
                    pause = min(1.5 * pause, 2.0)
                    yield from self._look()
                    tell()
        except KeyboardInterrupt:
            print(f"Job {self.id} runs on: .job({self.id!r}) finds it again.", file=sys.stderr)
            raise
        if self.state == "failed":
            raise JobFailed(self.error or "the job failed")

    @_Operation
    def cancel(self) -> Flow[None]:
        """Stop the job; what is committed is kept, and can be read. A job that has ended stays as it is."""
        self.info = yield from self._client._json("POST", f"{self._path}/cancel")

    @_Operation
    def delete(self) -> Flow[None]:
        """Stop the job if it runs, and remove it with its results."""
        try:
            yield from self._client._ask(_Request("DELETE", self._path))
        except BrinkError as error:
            # An earlier attempt may have removed it, whose answer was lost.
            if error.status != 404 or not error.repeated:
                raise

    @_Operation
    def summary(self, given: str | None = None) -> Flow[dict]:
        """The summary, as ``summary.json`` has it; while the job runs, of what is committed so far."""
        return (
            yield from self._client._json("GET", f"{self._path}/summary", params={"given": given} if given else None)
        )

    @_Operation
    def ask(self, answer: str, **question: Any) -> Flow[dict]:
        """One of the service's answers by its name: ``job.ask("drivers", measure="export_gain")``.

        There are aggregate, compare, discover, drivers, replay, score, typical and whatever else the service's
        OpenAPI document lists below ``/v1/jobs/{job_id}/``.
        """
        return (yield from self._client._json("POST", f"{self._path}/{_segment(answer)}", body=question))

    @_Operation
    def aggregate(
        self,
        measures: Sequence[str] | Mapping[str, str],
        statistics: Sequence[str] | None = None,
        by: Sequence[str | Mapping[str, Any]] | None = None,
        given: str | None = None,
        strategies: Sequence[str] = (),
    ) -> Flow["pd.DataFrame"]:
        """Statistics of measures over groups of trials, a row a group.

        For instance ``job.aggregate(["export_gain"], ["mean", "q95"], ["strategy", {"value": "full_access", "bins":
        5}])``. What is left out is as the service has it: the mean, its standard error and some quantiles, by strategy.
        """
        table = yield from self._aggregate(measures, statistics, by, given, strategies)
        return table.to_pandas()

    @_Operation
    def aggregate_table(
        self,
        measures: Sequence[str] | Mapping[str, str],
        statistics: Sequence[str] | None = None,
        by: Sequence[str | Mapping[str, Any]] | None = None,
        given: str | None = None,
        strategies: Sequence[str] = (),
    ) -> Flow[pa.Table]:
        """The same as an Arrow table, with units in the columns' metadata."""
        return (yield from self._aggregate(measures, statistics, by, given, strategies))

    def _aggregate(
        self,
        measures: Sequence[str] | Mapping[str, str],
        statistics: Sequence[str] | None,
        by: Sequence[str | Mapping[str, Any]] | None,
        given: str | None,
        strategies: Sequence[str],
    ) -> Flow[pa.Table]:
        question = {
            "measures": dict(measures) if isinstance(measures, Mapping) else list(measures),
            "statistics": None if statistics is None else list(statistics),
            "by": None if by is None else list(by),
            "given": given,
            "strategies": list(strategies),
        }
        known = {name: value for name, value in question.items() if value is not None}
        request = _Request("POST", f"{self._path}/aggregate", body=known, headers={"Accept": ARROW})
        answer = yield from self._client._ask(request)
        return pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()

    @_Operation
    def trials(
        self, columns: Sequence[str] | None = None, *, strategy: str | None = None, progress: bool = True
    ) -> Flow["pd.DataFrame"]:
        """The trials, a row each, in order of strategy and trial: all columns or some, all strategies or one.

        The files come one by one, each is checked against the manifest and dropped once the columns are read. The job
        must have ended.
        """
        table = yield from self._trials(columns, strategy, progress)
        return table.to_pandas()

    @_Operation
    def trials_table(
        self, columns: Sequence[str] | None = None, *, strategy: str | None = None, progress: bool = True
    ) -> Flow[pa.Table]:
        """The same as an Arrow table, with units and descriptions in the columns' metadata."""
        return (yield from self._trials(columns, strategy, progress))

    def _trials(self, columns: Sequence[str] | None, strategy: str | None, progress: bool) -> Flow[pa.Table]:
        listed = yield from self._manifest()
        strategies = sorted({file["strategy"] for file in listed})
        if strategy is not None and strategy not in strategies:
            raise BrinkError(f"the job has no strategy {strategy}; there are {', '.join(strategies)}")
        wanted = [file for file in listed if strategy in (None, file["strategy"])]
        read = None if columns is None else [name for name in columns if name != "strategy"]
        kind = pa.dictionary(pa.int16(), pa.string())
        tables = []
        with tempfile.TemporaryDirectory() as scratch, _byte_bar(wanted, progress) as tell:
            for file in wanted:
                path = Path(scratch, "part.parquet")
                yield from self._fetch(file["path"], path, file, tell)
                missing = set(read or ()) - set(pq.read_schema(path).names)
                if missing:
                    names = ", ".join(["strategy", *pq.read_schema(path).names])
                    raise BrinkError(f"there is no column {', '.join(sorted(missing))}; there are {names}")
                table = pq.read_table(path, columns=read, partitioning=None).replace_schema_metadata(None)
                codes = pa.repeat(pa.scalar(strategies.index(file["strategy"]), pa.int16()), file["rows"])
                played = pa.DictionaryArray.from_arrays(codes, pa.array(strategies))
                tables.append(table.append_column(pa.field("strategy", kind), played))
        return pa.concat_tables(tables).select(list(columns or tables[0].column_names))

    @_Operation
    def download(self, folder: str | os.PathLike[str], *, progress: bool = True) -> Flow[Path]:
        """Copy the result folder, each file of trials checked against the manifest; what is there already is kept.

        The folder is then as ``brink run`` leaves it, and every ``brink`` command reads it. The job must have ended.
        """
        target = Path(folder)
        listed = {file["path"]: file for file in (yield from self._manifest())}
        files = (yield from self._client._json("GET", f"{self._path}/files"))["files"]
        with _byte_bar(files, progress) as tell:
            for file in files:
                path = target / _inside(file["path"])
                entry = listed.get(file["path"])
                if entry is not None and path.is_file() and _sha256(path) == entry["sha256"]:
                    tell(file["bytes"])
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
                try:
                    yield from self._fetch(file["path"], draft, entry, tell)
                    draft.replace(path)
                finally:
                    draft.unlink(missing_ok=True)
        return target

    def _manifest(self) -> Flow[list[dict]]:
        yield from self._look()
        if not self.ended:
            raise BrinkError(f"job {self.id} is {self.state}: its trials can be fetched once it has ended")
        return (yield from self._client._json("GET", f"{self._path}/files/manifest.json"))["files"]

    def _fetch(self, name: str, path: Path, entry: dict | None, tell: Callable[[int], None]) -> Flow[None]:
        """Fetch a file; after a broken connection from where it was. Checked against its entry in the manifest."""
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
                tell(len(chunk))
                headers["Range"], headers["If-Range"] = f"bytes={file.tell()}-", response.headers.get("ETag", "")

            address = "/".join(_segment(part) for part in name.split("/"))
            yield from self._client._ask(_Request("GET", f"{self._path}/files/{address}", headers=headers, sink=write))
        if entry is not None and _sha256(path) != entry["sha256"]:
            raise BrinkError(f"{name} came otherwise than the manifest says: its SHA-256 differs")


class Job(_Job):
    """A job of a `Brink`."""

    def events(self) -> Iterator[dict]:
        """The job's state and progress each time they change, until it ends; goes on after a broken connection."""
        reader = _Events(self)
        while not reader.over:
            try:
                with self._client._http.stream(**reader.request()) as answer:  # type: ignore[attr-defined]
                    if not answer.is_success:
                        answer.read()
                    reader.begin(answer)
                    for line in answer.iter_lines():
                        if reader.take(line):
                            yield self.info
            except httpx.TransportError as error:
                reader.broken(error)
            if not reader.over:
                time.sleep(reader.pause())


class AsyncJob(_Job):
    """A job of an `AsyncBrink`: as `Job`, with ``await``."""

    async def events(self) -> AsyncIterator[dict]:
        """The job's state and progress each time they change, until it ends; goes on after a broken connection."""
        reader = _Events(self)
        while not reader.over:
            try:
                async with self._client._http.stream(**reader.request()) as answer:  # type: ignore[attr-defined]
                    if not answer.is_success:
                        await answer.aread()
                    reader.begin(answer)
                    async for line in answer.aiter_lines():
                        if reader.take(line):
                            yield self.info
            except httpx.TransportError as error:
                reader.broken(error)
            if not reader.over:
                await asyncio.sleep(reader.pause())


class Brink(_Client):
    """A Brink service.

    ``with Brink(url) as b: job = b.run("us-japan-autos-1995", trials=10_000_000); job.summary()``. The key is taken
    from the environment's ``BRINK_KEY`` if none is given. Requests that fail because the service is away or busy are
    repeated for `patience` seconds. Whatever it refuses is raised as `BrinkError`.
    """

    def __init__(self, url: str = DEFAULT_URL, key: str | None = None, *, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(url, key, patience)
        self._http = httpx.Client(**self._settings)

    def __enter__(self) -> "Brink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def submit(
        self,
        scenario: str | os.PathLike[str] | Mapping[str, Any],
        *,
        trials: int | None = None,
        seed: int = 1,
        design: str = "random",
        strategies: Sequence[str] = (),
        precision: Mapping[str, float] | None = None,
        **more: Any,
    ) -> Job:
        """Hand in a job and return at once.

        `scenario` is a shipped one's name, the path of a file, or a document; `trials` are those of each strategy,
        100,000 unless given, and `strategies` all of the scenario's if none are named. With a `precision`, half-widths
        of 95 % intervals such as ``{"agreement": 0.001}``, `trials` are the most, 10,000,000 unless given; where they
        do not suffice the job fails, and keeps its results. `more` is whatever else the service knows of a job.
        Raises `BrinkError`, and `sim.faults.InvalidInput` (with lines) for a file that is no scenario.
        """
        return Job(
            self, self._drive(self._submitted(_request(scenario, trials, seed, design, strategies, precision, more)))
        )

    def run(
        self, scenario: str | os.PathLike[str] | Mapping[str, Any], *, progress: bool = True, **options: Any
    ) -> Job:
        """Hand in a job as `submit` does, and wait until it has ended as `Job.wait` does. Raises `JobFailed`."""
        job = self.submit(scenario, **options)
        job.wait(progress=progress)
        return job

    def job(self, job_id: str) -> Job:
        """A job by its id."""
        return Job(self, self._drive(self._json("GET", f"/v1/jobs/{_segment(job_id)}")))

    def jobs(self) -> Iterator[Job]:
        """All jobs, the newest first, fetched page by page as they are asked for."""
        token, more = None, True
        while more:
            page = self._drive(self._page(token))
            yield from (Job(self, info) for info in page["jobs"])
            token = page["next_page_token"]
            more = token is not None

    def _drive(self, flow: Flow[T]) -> T:
        answer: httpx.Response | None = None
        failure: BaseException | None = None
        while True:
            try:
                step = flow.send(answer) if failure is None else flow.throw(failure)
            except StopIteration as stop:
                return stop.value
            try:
                answer, failure = self._do(step), None
            except BaseException as error:
                failure = error

    def _do(self, step: _Request | float) -> httpx.Response | None:
        if isinstance(step, float):
            time.sleep(step)
            return None
        if step.sink is None:
            return self._http.request(step.method, step.path, **step.options())
        with self._http.stream(step.method, step.path, **step.options()) as answer:
            if answer.is_success:
                for chunk in answer.iter_bytes():
                    step.sink(answer, chunk)
            else:
                answer.read()
        return answer


class AsyncBrink(_Client):
    """A Brink service, asynchronously: as `Brink`, with ``async with``, ``await`` and ``async for``."""

    def __init__(self, url: str = DEFAULT_URL, key: str | None = None, *, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(url, key, patience)
        self._http = httpx.AsyncClient(**self._settings)

    async def __aenter__(self) -> "AsyncBrink":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def submit(
        self,
        scenario: str | os.PathLike[str] | Mapping[str, Any],
        *,
        trials: int | None = None,
        seed: int = 1,
        design: str = "random",
        strategies: Sequence[str] = (),
        precision: Mapping[str, float] | None = None,
        **more: Any,
    ) -> AsyncJob:
        """Hand in a job and return at once; see `Brink.submit`."""
        request = _request(scenario, trials, seed, design, strategies, precision, more)
        return AsyncJob(self, await self._drive(self._submitted(request)))

    async def run(
        self, scenario: str | os.PathLike[str] | Mapping[str, Any], *, progress: bool = True, **options: Any
    ) -> AsyncJob:
        """Hand in a job, and wait until it has ended; see `Brink.run`."""
        job = await self.submit(scenario, **options)
        await job.wait(progress=progress)
        return job

    async def job(self, job_id: str) -> AsyncJob:
        """A job by its id."""
        return AsyncJob(self, await self._drive(self._json("GET", f"/v1/jobs/{_segment(job_id)}")))

    async def jobs(self) -> AsyncIterator[AsyncJob]:
        """All jobs, the newest first, fetched page by page as they are asked for."""
        token, more = None, True
        while more:
            page = await self._drive(self._page(token))
            for info in page["jobs"]:
                yield AsyncJob(self, info)
            token = page["next_page_token"]
            more = token is not None

    async def _drive(self, flow: Flow[T]) -> T:
        answer: httpx.Response | None = None
        failure: BaseException | None = None
        while True:
            try:
                step = flow.send(answer) if failure is None else flow.throw(failure)
            except StopIteration as stop:
                return stop.value
            try:
                answer, failure = await self._do(step), None
            except BaseException as error:
                failure = error

    async def _do(self, step: _Request | float) -> httpx.Response | None:
        if isinstance(step, float):
            await asyncio.sleep(step)
            return None
        if step.sink is None:
            return await self._http.request(step.method, step.path, **step.options())
        async with self._http.stream(step.method, step.path, **step.options()) as answer:
            if answer.is_success:
                async for chunk in answer.aiter_bytes():
                    step.sink(answer, chunk)
            else:
                await answer.aread()
        return answer


class _Events:
    """Reads a job's server-sent events line by line (WHATWG HTML, 9.2), over as many connections as it takes."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self.over = False
        self._last: str | None = None
        self._id: str | None = None
        self._data: list[str] = []
        self._attempt, self._waited = 0, 0.0
        self._failure = BrinkError("the events ended before the job did")

    def request(self) -> dict[str, Any]:
        """The request of the next connection."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last} if self._last else {})
        return {"method": "GET", "url": f"{self.job._path}/events", "headers": headers}

    def begin(self, answer: httpx.Response) -> None:
        """Look at the answer's head. Raises `BrinkError` if it is no use to ask again."""
        self._data = []
        if not answer.is_success:
            self._failure = _error(answer)
            if answer.status_code not in _BUSY:
                raise self._failure

    def take(self, line: str) -> bool:
        """Take a line; whether it completed an event, which the job's `info` then holds."""
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif name == "id":
            self._id = value.removeprefix(" ")
        if line or not self._data:
            return False
        self.job.info = json.loads("\n".join(self._data))
        self._data, self._last = [], self._id
        self._attempt, self._waited = 0, 0.0
        self.over = self.job.ended
        return True

    def broken(self, error: httpx.TransportError) -> None:
        """Note that the connection broke."""
        self._failure = BrinkError(f"{self.job._client.url} does not answer: {error or type(error).__name__}")

    def pause(self) -> float:
        """How long to wait before the next connection. Raises `BrinkError` once patience is at its end."""
        pause = _pause(self._attempt, None)
        self._attempt, self._waited = self._attempt + 1, self._waited + pause
        if self._waited > self.job._client.patience:
            raise self._failure
        return pause


def _request(
    scenario: str | os.PathLike[str] | Mapping[str, Any],
    trials: int | None,
    seed: int,
    design: str,
    strategies: Sequence[str],
    precision: Mapping[str, float] | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    played = {"seed": seed, "design": design, "strategies": list(strategies)}
    given = {"trials": trials, "precision": None if precision is None else dict(precision)}
    chosen = {name: value for name, value in given.items() if value is not None}
    return {"scenario": _scenario(scenario), **played, **chosen, **more}


def _scenario(given: str | os.PathLike[str] | Mapping[str, Any]) -> str | dict:
    """A scenario as the service takes it: a name, or a document, read from its file if it has one."""
    if isinstance(given, Mapping):
        return dict(given)
    text = os.fspath(given)
    if isinstance(given, str) and not Path(text).suffix and os.sep not in text:
        return text
    return scenario_document(find_scenario(text))


def _error(answer: httpx.Response, *, repeated: bool = False) -> BrinkError:
    """A refused request as an exception."""
    try:
        problem = answer.json()
        found = BrinkError(problem["detail"], answer.status_code, problem.get("errors", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        found = BrinkError(f"the service answered {answer.status_code} {answer.reason_phrase}", answer.status_code)
    found.repeated = repeated
    return found


def _pause(attempt: int, answer: httpx.Response | None) -> float:
    """Seconds until the next attempt: what `Retry-After` says, else twice as long each time, with some chance in it."""
    told = None if answer is None else answer.headers.get("Retry-After")
    if told and told.isdecimal():
        return float(told)
    if told:
        try:
            return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            pass
    return min(_LONGEST_PAUSE, 0.25 * 2.0**attempt) * random.uniform(0.5, 1.0)


def _segment(text: str) -> str:
    """A text as one segment of a path, whatever is in it."""
    return quote(text, safe="")


def _inside(name: str) -> PurePosixPath:
    """A file's relative path. Raises `BrinkError` for one that would leave the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise BrinkError(f"the service names a file outside the result folder: {name}")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _progress_bar(job: _Job, wanted: bool) -> Iterator[Callable[[], None]]:
    """A bar of a job's trials, and how to bring it up to date."""
    with _bar(wanted) as bar:
        task = bar.add_task(job.info["scenario"], total=job.info["progress"]["trials_total"])

        def tell() -> None:
            done = job.info["progress"]["trials_done"]
            # A precise job's total grows as it goes on.
            total = job.info["progress"]["trials_total"]
            bar.update(
                task, completed=done, total=total, description=f"{job.info['scenario']}: {job.state}, {done:,} trials"
            )

        tell()
        yield tell


@contextmanager
def _byte_bar(files: Sequence[Mapping[str, Any]], wanted: bool) -> Iterator[Callable[[int], None]]:
    """A bar of files' bytes, and how to move it on by some."""
    with _bar(wanted) as bar:
        task = bar.add_task("fetching", total=sum(file["bytes"] for file in files))
        yield lambda more: bar.advance(task, more)


def _bar(wanted: bool) -> Progress:
    """A progress bar on standard error where somebody can see it: a terminal or a notebook."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    shown = wanted and (console.is_terminal or console.is_jupyter)
    return Progress(*columns, console=console, transient=True, disable=not shown)
