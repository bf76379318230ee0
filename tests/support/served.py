"""The service in this process, and runs made for it without a runner process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.http.app import create_app
from cluster.service import keys, leases
from cluster.service.runner import work_job
from cluster.service.settings import Settings

NO_TIME_LIMITS: dict[str, float] = {"lease_seconds": 3600.0, "query_seconds": 86_400.0}
"""Settings under which nothing depends on how quick the machine is."""


class Served:
    """An application on a folder of its own, with a client for each key."""

    def __init__(self, app: FastAPI, settings: Settings, client: TestClient) -> None:
        self.app, self.settings, self.client = app, settings, client

    @property
    def database(self) -> sa.Engine:
        return self.app.state.database

    def key(self, owner: str, *scopes: str) -> dict[str, str]:
        """The header that a new key of an owner is sent in."""
        return {"Authorization": f"Bearer {keys.create(self.database, owner, scopes)[1]}"}

    def ask(self, method: str, path: str, key: dict[str, str] | None = None, **request: object) -> httpx.Response:
        headers = {**(key or {}), **request.pop("headers", {})}  # type: ignore[dict-item]
        return self.client.request(method, path, headers=headers, **request)  # type: ignore[arg-type]

    def work(self) -> None:
        """Play every job that waits, as a runner would."""
        while job := leases.claim(self.database, "test", 60):
            work_job(self.database, job, "test", self.settings, threading.Event())


@contextmanager
def served(folder: Path, **settings: object) -> Iterator[Served]:
    """The application on the given settings, answered under ``http://localhost``."""
    chosen = Settings(data_dir=folder, engine="inline", **{**NO_TIME_LIMITS, **settings})  # type: ignore[arg-type]
    app = create_app(chosen)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield Served(app, chosen, client)
