"""What must be so before any test module is imported, and the databases that tests run on."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from tests.support.postgres import new_database, postgres

LONGEST_FIRST = (
    "cluster/runs/test_ray_cluster.py",
    "cluster/runs/test_engines.py",
    "cluster/storage/test_s3.py",
    "api/http/test_jobs.py",
    "brink/test_client.py",
    "api/cli/test_main.py",
    "cluster/service/test_runners.py",
    "cluster/service/test_watching.py",
    "cluster/storage/test_store_faults.py",
)
"""Files that start Ray, services or many processes, and so take longest."""

# The same examples each time, on a machine of any speed.
settings.register_profile("brink", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("brink")

# Ray's processes and addresses stay on loopback.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no worker is left alone with one of them at the end."""
    rank = {(Path(__file__).parent / name): place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    with postgres() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server) -> Iterator[str]:
    """A new, empty database of PostgreSQL."""
    with new_database(postgres_server, f"brink-{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> Iterator[str]:
    """A new, empty database: SQLite's and PostgreSQL's in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    else:
        yield request.getfixturevalue("postgres_url")
