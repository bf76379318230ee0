"""A job of the service: its state, waiting for it, and its results and answers."""

import asyncio
import sys
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from brink.answer import Answer
from brink.answers import Answers
from brink.chart import CHARTS, SVG, VEGA_LITE, Chart, chart_name
from brink.connection import Connection
from brink.display import job_html
from brink.errors import BrinkError, JobFailed
from brink.events import ENDED, EventReader
from brink.flows import Awaiting, Blocking, Flow, Operation, Request, segment
from brink.progress import job_bar
from brink.results import Results

T = TypeVar("T")
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_GROWTH = 1.2
"""The end of a job is seen after at most a fifth of the time that it took."""


class BlockingConnection(Connection, Blocking):
    """The connection of a `Job`."""

    _http: httpx.Client


class AwaitingConnection(Connection, Awaiting):
    """The connection of an `AsyncJob`."""

    _http: httpx.AsyncClient


class AnyJob(Answers, Results):
    """A job in the state that was fetched last; `info` is the service's document about it."""

    def __init__(self, client: Connection, info: dict[str, Any]) -> None:
        self._client = client
        self.info = info

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self.info["id"])

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``."""
        return str(self.info["state"])

    @property
    def ended(self) -> bool:
        """Whether the job has succeeded, failed or been cancelled."""
        return self.state in ENDED

    @property
    def error(self) -> str | None:
        """Why the job failed, None if it did not."""
        found: str | None = self.info["error"]
        return found

    @property
    def progress(self) -> float:
        """The share of the job's trials that are done, from 0 to 1."""
        found = self.info["progress"]
        return float(found["trials_done"] / found["trials_total"])

    def __repr__(self) -> str:
        total = self.info["progress"]["trials_total"]
        return (
            f"<{type(self).__name__} {self.id} {self.info['scenario']}: {self.state}, {self.progress:.0%} of {total:,}>"
        )

    def _repr_html_(self) -> str:
        """A table and a chart, for a notebook."""
        return job_html(self.info)

    @property
    def _path(self) -> str:
        return f"/v1/jobs/{segment(self.id)}"

    def _look(self) -> Flow[None]:
        self.info = yield from self._client._object("GET", self._path)

    def _ask(self, answer: str, request: Mapping[str, Any]) -> Flow[Answer]:
        body = {name: value for name, value in request.items() if value is not None}
        found = yield from self._client._object("POST", f"{self._path}/{segment(answer)}", body=body)
        return self._answer(answer, found, body)

    def _answer(self, answer: str, found: Mapping[str, Any], request: Mapping[str, Any]) -> Answer:
        """A document that can draw itself, by the request that it answers."""

        def draw(name: str | None) -> Any:
            return self._drive(self._drawn(chart_name(answer, name), request))

        return Answer(answer, found, draw, lambda: self._picture(answer, request))

    def _picture(self, answer: str, request: Mapping[str, Any]) -> str:
        """The picture with which an answer shows itself; none where it would have to be awaited."""
        return ""

    def _sketched(self, chart: str, request: Mapping[str, Any]) -> Flow[str]:
        """The picture of a chart, requested once: nobody waits for it while the service is away."""
        sent = Request("POST", f"{self._path}/charts/{segment(chart)}", body=request, headers={"Accept": SVG})
        response: httpx.Response = yield sent
        return response.text if response.is_success else ""

    def _drawn(self, chart: str, request: Mapping[str, Any]) -> Flow[Chart]:
        path = f"{self._path}/charts/{segment(chart)}"
        found = []
        for media_type in (VEGA_LITE, SVG):
            sent = Request("POST", path, body=request, headers={"Accept": media_type})
            found.append((yield from self._client._send(sent)))
        return Chart(chart, found[0].json(), found[1].text)

    @abstractmethod
    def _drive(self, flow: Flow[T]) -> Any:
        """Run a flow: its result, or an awaitable of it."""

    @Operation
    def refresh(self) -> Flow[None]:
        """Fetch the job's state again."""
        yield from self._look()

    @Operation
    def wait(self, *, progress: bool = True) -> Flow[None]:
        """Wait until the job has ended. Raises `JobFailed`.

        A terminal or notebook shows a progress bar; a log gets a line every 30 seconds. Interrupting the wait (Ctrl-C)
        leaves the job running; `cancel` stops it.
        """
        pause = _SHORTEST_PAUSE
        try:
            with job_bar(lambda: self.info, progress) as update:
                while not self.ended:
                    yield pause
                    pause = min(_GROWTH * pause, _LONGEST_PAUSE)
                    yield from self._look()
                    update()
        except KeyboardInterrupt:
            print(f"Job {self.id} continues to run: .job({self.id!r}) returns it.", file=sys.stderr)
            raise
        if self.state == "failed":
            raise JobFailed(self.error or "the job failed")

    @Operation
    def cancel(self) -> Flow[None]:
        """Stop the job; results that are committed are kept and can be read. A job that has ended stays as it is."""
        self.info = yield from self._client._object("POST", f"{self._path}/cancel")

    @Operation
    def delete(self) -> Flow[None]:
        """Stop the job if it runs, and remove it with its results."""
        try:
            yield from self._client._send(Request("DELETE", self._path))
        except BrinkError as error:
            # An earlier attempt may have removed it, with an answer that was lost.
            if error.status != 404 or not error.repeated:
                raise

    @Operation
    def summary(
        self,
        given: str | None = None,
        strategy: str | Sequence[str] | None = None,
        believe: str | Sequence[str] | None = None,
        outside: bool | None = None,
    ) -> Flow[Answer]:
        """The summary, in the form of ``summary.json``; while the job runs, of the trials committed so far.

        `given` is a condition that restricts the trials; `strategy` names one strategy or several, all by default.
        `believe` has beliefs such as ``"sanctions = 0.3"``: the trials are weighted so that they hold. With `outside`
        they are weighted to how threats of the scenario's reference class ended.
        """
        params = {"given": given, "strategy": strategy, "believe": believe, "outside": outside}
        chosen = {name: value for name, value in params.items() if value is not None}
        found = yield from self._client._object("GET", f"{self._path}/summary", params=chosen)
        several = {"strategies": strategy, "believe": believe}
        lists = {name: [one] if isinstance(one, str) else list(one) for name, one in several.items() if one is not None}
        body = lists | {name: chosen[name] for name in ("given", "outside") if name in chosen}
        return self._answer("summary", found, body)

    @Operation
    def diff(
        self,
        other: "AnyJob | str",
        *,
        measures: Sequence[str] = (),
        strategies: Sequence[str] = (),
        given: str | None = None,
    ) -> Flow[Answer]:
        """Another job (or its id) compared with this one: inputs and answers, the other job's less this job's.

        Jobs of the same seed and design are compared trial by trial. `measures` are numbers or conditions over the
        columns, `strategies` those that both jobs have, `given` a condition that restricts the trials.
        """
        wanted = other.id if isinstance(other, AnyJob) else other
        params = {"with": wanted, "measure": list(measures), "strategy": list(strategies), "given": given}
        chosen = {name: value for name, value in params.items() if value}
        return self._answer("diff", (yield from self._client._object("GET", f"{self._path}/diff", params=chosen)), {})

    @Operation
    def ask(self, answer: str, /, **request: Any) -> Flow[Answer]:
        """One of the service's answers by its name: ``job.ask("drivers", measure="export_gain")``.

        For answers that this version of the client has no method for. The service's OpenAPI document lists all of them
        below ``/v1/jobs/{job_id}/``.
        """
        return (yield from self._ask(answer, request))


class Job(AnyJob, Blocking):
    """A job of a `Brink`."""

    _client: BlockingConnection

    def _drive(self, flow: Flow[T]) -> T:
        return self._client._drive(flow)

    def _picture(self, answer: str, request: Mapping[str, Any]) -> str:
        if answer not in CHARTS:
            return ""
        try:
            return self._drive(self._sketched(CHARTS[answer][0], request))
        except (httpx.TransportError, RuntimeError):
            # The service is away, or the client is closed: an answer shows its numbers all the same.
            return ""

    def events(self) -> Iterator[dict[str, Any]]:
        """The job's document each time its state or progress changes, until it ends; a broken connection is resumed."""
        reader = EventReader(self._client, self._path)
        while not reader.ended:
            try:
                with self._client._http.stream(**reader.request()) as response:
                    if not response.is_success:
                        response.read()
                    reader.begin(response)
                    for line in response.iter_lines():
                        if reader.read(line):
                            self.info = reader.info
                            yield self.info
            except httpx.TransportError as error:
                reader.broken(error)
            if not reader.ended:
                time.sleep(reader.pause())


class AsyncJob(AnyJob, Awaiting):
    """A job of an `AsyncBrink`: as `Job`, with ``await``."""

    _client: AwaitingConnection

    async def _drive(self, flow: Flow[T]) -> T:
        return await self._client._drive(flow)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The job's document each time its state or progress changes, until it ends; a broken connection is resumed."""
        reader = EventReader(self._client, self._path)
        while not reader.ended:
            try:
                async with self._client._http.stream(**reader.request()) as response:
                    if not response.is_success:
                        await response.aread()
                    reader.begin(response)
                    async for line in response.aiter_lines():
                        if reader.read(line):
                            self.info = reader.info
                            yield self.info
            except httpx.TransportError as error:
                reader.broken(error)
            if not reader.ended:
                await asyncio.sleep(reader.pause())
