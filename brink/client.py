"""The clients: `Brink` for scripts and notebooks, `AsyncBrink` the same with ``await``."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import httpx

from brink.connection import DEFAULT_URL, PATIENCE_SECONDS, Connection
from brink.errors import BrinkError
from brink.flows import Flow, Operation, Request, segment
from brink.jobs import AsyncJob, AwaitingConnection, BlockingConnection, Job
from brink.local import LocalService, start_service, stop_service
from brink.proxies import proxy_errors
from brink.scenarios import Scenario, as_requested, is_name, validated

T = TypeVar("T")


class _Service(Connection):
    """What a service offers: its catalogue, and jobs."""

    _own: LocalService | None = None

    @Operation
    def scenarios(self) -> Flow[list[dict[str, Any]]]:
        """The scenarios that the service ships."""
        return (yield from self._list("GET", "/v1/scenarios"))

    @Operation
    def scenario(self, name: str) -> Flow[dict[str, Any]]:
        """A shipped scenario in full, to be changed and run."""
        return (yield from self._object("GET", f"/v1/scenarios/{segment(name)}"))

    @Operation
    def validate(self, scenario: Scenario) -> Flow[list[dict[str, Any]]]:
        """The faults of a scenario, a dictionary each, with the ``line`` for a file; empty if it is valid."""
        found = yield from validated(self, scenario)
        faults: list[dict[str, Any]] = found["errors"]
        return faults

    @Operation
    def new(
        self, name: str, /, *, issues: Sequence[str] = (), ranges: str = "reference", **answers: str | float | date
    ) -> Flow[dict[str, Any]]:
        """A first scenario of one's own, made of the answers to a dozen questions, to be changed and run.

        For instance ``b.new("my-dispute", issues=["Access=0.6", "Purchases=0.4"], threat="announced", trade=5)``. The
        answers are those of ``brink new --help``; what is not answered has its default. ``yaml`` is the commented text
        of a file, ``scenario`` the document.
        """
        given = {key: str(value) for key, value in answers.items()}
        body = {"name": name, "issues": list(issues), "ranges": ranges, **given}
        return (yield from self._object("POST", "/v1/scenarios/new", body=body))

    @Operation
    def diff(self, first: Scenario, second: Scenario) -> Flow[list[dict[str, Any]]]:
        """The inputs of two scenarios that differ: ``field``, ``first`` and ``second``, None for what one lacks.

        `Job.diff` compares two jobs with their answers.
        """
        both = []
        for scenario in (first, second):
            both.append((yield from as_requested(self, scenario)))
        found = yield from self._object("POST", "/v1/scenarios/diff", body={"first": both[0], "second": both[1]})
        inputs: list[dict[str, Any]] = found["inputs"]
        return inputs

    @Operation
    def parameters(self) -> Flow[list[dict[str, Any]]]:
        """The model's parameters with their units, domains and neutral defaults."""
        return (yield from self._list("GET", "/v1/parameters"))

    @Operation
    def rates(
        self,
        scenario: Scenario | None = None,
        *,
        reference: str | None = None,
        known_on: str | date | None = None,
    ) -> Flow[dict[str, Any]]:
        """How comparable threats of the past ended, by class, with intervals and sources.

        With a `scenario`, its own reference class as known on its ``as_of``; with a `reference`, that class alone.
        `known_on` counts only threats that had ended in the years before this day.
        """
        params = {"reference": reference, "known_on": None if known_on is None else str(known_on)}
        if scenario is not None and is_name(scenario):
            params["scenario"] = str(scenario)
        elif scenario is not None:
            found = yield from as_requested(self, scenario)
            own = found if isinstance(found, Mapping) else {}
            if own.get("reference") is None:
                raise BrinkError("the scenario names no reference class", 422)
            params["reference"] = str(own["reference"])
            params["known_on"] = params["known_on"] or own.get("as_of")
        chosen = {name: value for name, value in params.items() if value is not None}
        return (yield from self._object("GET", "/v1/rates", params=chosen))

    def _submitted(
        self,
        scenario: Scenario,
        trials: int | None,
        seed: int,
        design: str,
        strategies: Sequence[str],
        precision: Mapping[str, float] | None,
        more: Mapping[str, Any],
    ) -> Flow[dict[str, Any]]:
        body = yield from self._job_body(scenario, trials, seed, design, strategies, precision, more)
        # The key makes it safe to send the request again after an answer that was lost.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return (yield from self._object("POST", "/v1/jobs", body=body, headers=headers))

    @Operation
    def estimate(
        self,
        /,
        scenario: Scenario,
        *,
        trials: int | None = None,
        seed: int = 1,
        design: str = "random",
        strategies: Sequence[str] = (),
        precision: Mapping[str, float] | None = None,
        **more: Any,
    ) -> Flow[dict[str, Any]]:
        """Estimate what a job would cost: rows, files, bytes, core-seconds, wall time and memory.

        The options are those of `submit`. The service plays a small sample of the job; nothing is recorded.
        """
        body = yield from self._job_body(scenario, trials, seed, design, strategies, precision, more)
        return (yield from self._object("POST", "/v1/estimate", body=body))

    def _job_body(
        self,
        scenario: Scenario,
        trials: int | None,
        seed: int,
        design: str,
        strategies: Sequence[str],
        precision: Mapping[str, float] | None,
        more: Mapping[str, Any],
    ) -> Flow[dict[str, Any]]:
        requested = yield from as_requested(self, scenario)
        optional = {"trials": trials, "precision": precision}
        chosen = {name: value for name, value in optional.items() if value is not None}
        return {"scenario": requested, "seed": seed, "design": design, "strategies": strategies, **chosen, **more}

    def _page(self, token: str | None) -> Flow[dict[str, Any]]:
        params = {"limit": 100} | ({"page_token": token} if token else {})
        return (yield from self._object("GET", "/v1/jobs", params=params))


class Brink(_Service, BlockingConnection):
    """A Brink service.

    ``with Brink(url) as b: job = b.run("us-japan-autos-1995", trials=10_000_000); job.summary()``. Without a `key` that
    of the environment variable ``BRINK_KEY`` is sent. Requests that fail because the service is away or busy are
    repeated for `patience` seconds. Whatever the service refuses is raised as `BrinkError`.
    """

    def __init__(self, url: str = DEFAULT_URL, key: str | None = None, *, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(url, key, patience)
        with proxy_errors(self._proxy):
            self._http = httpx.Client(
                transport=httpx.HTTPTransport(proxy=self._proxy.url if self._proxy else None), **self._settings
            )

    @classmethod
    def local(
        cls, folder: str | os.PathLike[str] | None = None, *, patience: float = PATIENCE_SECONDS, **settings: object
    ) -> "Brink":
        """Start a service on a free port of this machine, ended by `close`, and when this process ends.

        ``with Brink.local() as b: ...``. Its data are in `folder`, or in a temporary folder that is removed with it.
        `settings` are the service's, for instance ``engine="inline"``; none are taken from the environment. Raises
        `BrinkError` if it does not start. The package ``brink`` must be installed, not only the client.
        """
        service = start_service(folder, settings)
        client = cls(service.url, "", patience=patience)
        client._own = service
        return client

    def __enter__(self) -> "Brink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end a service that `local` started."""
        self._http.close()
        if self._own is not None:
            stop_service(self._own)

    def submit(
        self,
        scenario: Scenario,
        *,
        trials: int | None = None,
        seed: int = 1,
        design: str = "random",
        strategies: Sequence[str] = (),
        precision: Mapping[str, float] | None = None,
        **more: Any,
    ) -> Job:
        """Submit a job and return at once.

        `scenario` is the name of a shipped one, the path of a YAML or JSON file, or a document. `trials` is the number
        for each strategy, 100,000 by default; `strategies` are all of the scenario's by default. With a `precision`,
        half-widths of 95 % intervals such as ``{"agreement": 0.001}``, `trials` is the most that are played, 10,000,000
        by default; where they do not suffice the job fails and keeps its results. `more` is sent to the service as it
        is: ``keep="summary"`` keeps counts of all trials and the rows of the first ones. Raises `BrinkError`, with the
        lines at fault for a file that is no valid scenario.
        """
        return Job(self, self._drive(self._submitted(scenario, trials, seed, design, strategies, precision, more)))

    def run(self, scenario: Scenario, *, progress: bool = True, **options: Any) -> Job:
        """Submit a job as `submit` does, and wait until it has ended as `Job.wait` does. Raises `JobFailed`."""
        job = self.submit(scenario, **options)
        job.wait(progress=progress)
        return job

    def job(self, job_id: str) -> Job:
        """A job by its id."""
        return Job(self, self._drive(self._object("GET", f"/v1/jobs/{segment(job_id)}")))

    def jobs(self) -> Iterator[Job]:
        """All jobs, the newest first, fetched page by page as they are needed."""
        token, more = None, True
        while more:
            page = self._drive(self._page(token))
            yield from (Job(self, info) for info in page["jobs"])
            token = page["next_page_token"]
            more = token is not None

    def _drive(self, flow: Flow[T]) -> T:
        response: httpx.Response | None = None
        failure: BaseException | None = None
        while True:
            try:
                step = flow.send(response) if failure is None else flow.throw(failure)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                response, failure = self._do(step), None
            except BaseException as error:
                failure = error

    def _do(self, step: Request | float) -> httpx.Response | None:
        if isinstance(step, float):
            time.sleep(step)
            return None
        if step.sink is None:
            return self._http.request(step.method, step.path, **step.options())
        with self._http.stream(step.method, step.path, **step.options()) as response:
            if response.is_success:
                for chunk in response.iter_bytes():
                    step.sink(response, chunk)
            else:
                response.read()
        return response


class AsyncBrink(_Service, AwaitingConnection):
    """The asynchronous `Brink`, used with ``async with``, ``await`` and ``async for``."""

    def __init__(self, url: str = DEFAULT_URL, key: str | None = None, *, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(url, key, patience)
        with proxy_errors(self._proxy):
            self._http = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(proxy=self._proxy.url if self._proxy else None), **self._settings
            )

    @classmethod
    def local(
        cls, folder: str | os.PathLike[str] | None = None, *, patience: float = PATIENCE_SECONDS, **settings: object
    ) -> "StartingBrink":
        """Start a service; see `Brink.local`. ``async with AsyncBrink.local() as b``, or ``b = await ...local()``."""
        return StartingBrink(lambda: start_service(folder, settings), patience)

    async def __aenter__(self) -> "AsyncBrink":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, and end a service that `local` started."""
        await self._http.aclose()
        if self._own is not None:
            await asyncio.to_thread(stop_service, self._own)

    async def submit(
        self,
        scenario: Scenario,
        *,
        trials: int | None = None,
        seed: int = 1,
        design: str = "random",
        strategies: Sequence[str] = (),
        precision: Mapping[str, float] | None = None,
        **more: Any,
    ) -> AsyncJob:
        """Submit a job and return at once; see `Brink.submit`."""
        flow = self._submitted(scenario, trials, seed, design, strategies, precision, more)
        return AsyncJob(self, await self._drive(flow))

    async def run(self, scenario: Scenario, *, progress: bool = True, **options: Any) -> AsyncJob:
        """Submit a job, and wait until it has ended; see `Brink.run`."""
        job = await self.submit(scenario, **options)
        await job.wait(progress=progress)
        return job

    async def job(self, job_id: str) -> AsyncJob:
        """A job by its id."""
        return AsyncJob(self, await self._drive(self._object("GET", f"/v1/jobs/{segment(job_id)}")))

    async def jobs(self) -> AsyncIterator[AsyncJob]:
        """All jobs, the newest first, fetched page by page as they are needed."""
        token, more = None, True
        while more:
            page = await self._drive(self._page(token))
            for info in page["jobs"]:
                yield AsyncJob(self, info)
            token = page["next_page_token"]
            more = token is not None

    async def _drive(self, flow: Flow[T]) -> T:
        response: httpx.Response | None = None
        failure: BaseException | None = None
        while True:
            try:
                step = flow.send(response) if failure is None else flow.throw(failure)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                response, failure = await self._do(step), None
            except BaseException as error:
                failure = error

    async def _do(self, step: Request | float) -> httpx.Response | None:
        if isinstance(step, float):
            await asyncio.sleep(step)
            return None
        if step.sink is None:
            return await self._http.request(step.method, step.path, **step.options())
        async with self._http.stream(step.method, step.path, **step.options()) as response:
            if response.is_success:
                async for chunk in response.aiter_bytes():
                    step.sink(response, chunk)
            else:
                await response.aread()
        return response


class StartingBrink:
    """An `AsyncBrink` whose service starts when it is awaited or entered."""

    def __init__(self, start: Callable[[], LocalService], patience: float) -> None:
        self._start, self._patience = start, patience
        self._client: AsyncBrink | None = None

    async def _begin(self) -> AsyncBrink:
        service = await asyncio.to_thread(self._start)
        client = AsyncBrink(service.url, "", patience=self._patience)
        client._own = service
        return client

    def __await__(self) -> Generator[Any, None, AsyncBrink]:
        return self._begin().__await__()

    async def __aenter__(self) -> AsyncBrink:
        self._client = await self._begin()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()
