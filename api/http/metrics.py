"""Prometheus metrics: of the whole service from its database, and of the requests to this web process.

Every web process reports the same about jobs, and each reports its own requests.
"""

import time
from collections.abc import Iterator

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.authentication import admin
from api.http.problems import RESPONSES
from api.http.routes.common import Database
from cluster.service.counters import LEASE_LOSSES, SHARD_SECONDS, SHARDS, TRIALS_COUNTED
from cluster.service.metrics import counts

router = APIRouter(tags=["health"])
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Requests:
    """Measures every request's duration under its route's template, never its path."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self._seconds = Histogram(
            "brink_http_request_duration_seconds",
            "Time to the end of the answer, by route.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and measure it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            # A route included below /v1 knows its own part of the path alone.
            below = "/v1" if scope["path"].startswith("/v1/") else ""
            route = f"{below}{scope['route'].path}" if "route" in scope else "none"
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"
            self._seconds.labels(method, route, str(status)).observe(time.perf_counter() - started)


class JobsCollector:
    """Asks the database each time metrics are read."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def collect(self) -> Iterator[Metric]:
        """The jobs by state, the age of the queue, and what the runners have done."""
        found = counts(self.engine)
        states = GaugeMetricFamily("brink_jobs", "Jobs by state.", labels=("state",))
        for state, number in found.jobs.items():
            states.add_metric((state,), number)
        yield states
        yield GaugeMetricFamily(
            "brink_queue_age_seconds", "Time that the oldest queued job has waited.", value=found.queue_age
        )
        yield CounterMetricFamily(
            "brink_trials_computed",
            "Trials computed and committed by all runners.",
            value=found.counted[TRIALS_COUNTED],
        )
        yield SummaryMetricFamily(
            "brink_shard_seconds",
            "Time to compute and commit a shard.",
            count_value=int(found.counted[SHARDS]),
            sum_value=found.counted[SHARD_SECONDS],
        )
        yield CounterMetricFamily(
            "brink_lease_losses",
            "Jobs that a runner lost before it was done with them.",
            value=found.counted[LEASE_LOSSES],
        )
        yield GaugeMetricFamily(
            "brink_store_mismatch",
            "1 if the store of results does not belong to the jobs database, so that results without a job are kept.",
            value=int(found.store_mismatch),
        )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    dependencies=[Depends(admin)],
    responses=RESPONSES,
)
def metrics(request: Request, engine: Database) -> Response:
    """The metrics in Prometheus's text format. A service that asks for keys asks for an administrator's."""
    asked = CollectorRegistry()
    asked.register(JobsCollector(engine))
    body = generate_latest(asked) + generate_latest(request.app.state.metrics)
    return Response(body, media_type=CONTENT_TYPE_LATEST)
