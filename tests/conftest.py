"""What must be so before any test module is imported, and the databases that tests run on."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from cluster.runs.engines import usable_cores
from tests.support.postgres import new_database, postgres

# The same examples each time, on a machine of any speed.
settings.register_profile("brink", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("brink")

# A signal that this process was started to ignore, as by nohup, is ignored by the processes it starts.
for ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(ignored) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(ignored, signal.default_int_handler if ignored is signal.SIGINT else signal.SIG_DFL)

# Ray's processes and addresses stay on loopback.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker more than cores, because many tests wait for other processes."""
    return usable_cores() + 1


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
