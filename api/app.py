"""The HTTP service: it validates, records and reads; runners compute."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response

from api.bodies import Bodies
from api.problems import handle_problems
from api.routes import aggregate, catalogue, compare, discover, drivers, health, jobs, replay, results, score, typical
from cluster.jobs import open_database
from cluster.settings import Settings


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
    for module in (jobs, results, aggregate, compare, score, drivers, discover, replay, typical, catalogue):
        app.include_router(module.router, prefix="/v1")
    app.include_router(health.router)
    app.add_middleware(Bodies)

    @app.middleware("http")
    async def _(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app
