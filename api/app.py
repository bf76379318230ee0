"""The HTTP service: it validates, records and reads; runners compute."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, handle_problems, problem_response
from api.routes import catalogue, discover, drivers, health, jobs, replay, results, score, typical
from cluster.jobs import open_database
from cluster.settings import Settings

MAX_BODY_BYTES = 1 << 20


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, on the given settings or those of the environment."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        app.state.database = open_database(settings.jobs_database)
        yield
        app.state.database.dispose()

    app = FastAPI(
        title="Brink",
        version=version("brink"),
        description="Plays a trade dispute millions of times before it is decided.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    handle_problems(app)
    for module in (jobs, results, score, drivers, discover, replay, typical, catalogue):
        app.include_router(module.router, prefix="/v1")
    app.include_router(health.router)
    app.add_middleware(BodyLimit)

    @app.middleware("http")
    async def _(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app


class BodyLimit:
    """Refuses requests with a body of more than `MAX_BODY_BYTES`, whatever their headers say."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                too_large = Problem(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
                await problem_response(too_large)(scope, receive, send)
                return
        passed = False

        async def whole() -> Message:
            nonlocal passed
            if passed:
                return await receive()
            passed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, whole, send)
