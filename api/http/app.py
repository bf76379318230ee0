"""The HTTP service: it validates, records and reads; runners compute."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware

from api.http.answer_cache import MAX_BYTES, AnswerCache
from api.http.audit import WRITE_SECONDS, Audit
from api.http.authentication import Authentication, caller
from api.http.bodies import BodyCheck
from api.http.compression import Compression
from api.http.guards import HEADERS, LOOPBACK, AnswerHeaders, HostCheck, PathCheck
from api.http.limits import AnswerSlots, StreamLimit, TokenBuckets
from api.http.metrics import Requests
from api.http.metrics import router as metrics_router
from api.http.openapi import describe
from api.http.problems import handle_problems
from api.http.routes import (
    answers,
    audit,
    backtests,
    catalogue,
    charts,
    differences,
    estimate,
    health,
    jobs,
    keys,
    results,
    scenarios,
    sessions,
    starter,
)
from api.web import pages
from api.web.unknown_pages import UnknownPages
from cluster.query.memory_cache import MemoryCache
from cluster.service.audit import PendingEvents, write_regularly
from cluster.service.full_disk import keep_reserve
from cluster.service.jobs import open_database
from cluster.service.settings import Settings, read_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, on the given settings or those of the environment."""
    settings = settings or read_settings()
    pending = PendingEvents()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        app.state.database = open_database(settings.jobs_database)
        keep_reserve(app.state.database)
        # Described before the first request, so that a stranger's request does not cause it.
        app.openapi()
        ending = threading.Event()
        writer = threading.Thread(target=write_regularly, args=(pending, app.state.database, ending, WRITE_SECONDS))
        writer.start()
        yield
        ending.set()
        writer.join()
        app.state.database.dispose()

    app = FastAPI(
        title="Brink",
        version=version("brink"),
        description="Plays a trade dispute millions of times before it is decided.",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    # With several owners, each leaves half of the slots to the others.
    per_owner = settings.answers if settings.auth == "none" else max(1, settings.answers // 2)
    app.state.answer_slots = AnswerSlots(settings.answers, per_owner)
    app.state.answer_cache = AnswerCache(MAX_BYTES)
    app.state.column_cache = MemoryCache(settings.column_bytes)
    app.state.streams = StreamLimit(settings.streams)
    app.state.submitting = threading.Lock()
    handle_problems(app, HEADERS)
    for module in (
        jobs,
        estimate,
        results,
        answers,
        charts,
        differences,
        starter,
        backtests,
        scenarios,
        catalogue,
        sessions,
        keys,
        audit,
    ):
        app.include_router(module.router, prefix="/v1", dependencies=[Depends(caller)])
    app.include_router(health.router)
    _add_accounts(app, settings)
    app.include_router(pages.router)
    app.state.metrics = CollectorRegistry()
    app.include_router(metrics_router)
    describe(app, keys=settings.auth == "keys")
    # The last one added is the first that a request passes.
    app.add_middleware(Compression)
    app.add_middleware(BodyCheck)
    app.add_middleware(Authentication, settings=settings)
    app.add_middleware(UnknownPages, routes=app.routes)
    app.add_middleware(Audit, pending=pending)
    app.add_middleware(PathCheck)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[
                "Authorization",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "If-Range",
                "Last-Event-ID",
                "Range",
            ],
            expose_headers=["Accept-Ranges", "Content-Range", "ETag", "Location", "Retry-After", "WWW-Authenticate"],
        )
    app.add_middleware(HostCheck, hosts=(*LOOPBACK, *settings.allowed_hosts), loopback_only=settings.auth == "none")
    headers = HEADERS | ({"Cross-Origin-Resource-Policy": "cross-origin"} if settings.cors_origins else {})
    app.add_middleware(AnswerHeaders, headers=headers)
    app.add_middleware(Requests, registry=app.state.metrics)
    return app


def _add_accounts(app: FastAPI, settings: Settings) -> None:
    """Let people sign in with accounts of the provider that the settings name, if they name one."""
    app.state.provider_name = None
    if settings.oidc_issuer is None:
        return
    # Slow to import, and of use with a provider alone.
    from api.http.openid import provider_of
    from api.http.routes import openid

    app.state.provider = provider_of(settings)
    app.state.provider_name = app.state.provider.name
    app.state.sign_ins = TokenBuckets(settings.wrong_keys_per_minute / 60, settings.wrong_keys_per_minute)
    app.include_router(openid.router)
