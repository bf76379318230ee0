"""The set-ups that are broken: which database, which store, which engine, and what each is put through."""

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa

from tests.chaos import faults
from tests.chaos.faults import Fault
from tests.chaos.service import Service, free_port
from tests.support.faulty_line import BUSY, faulty_line
from tests.support.object_store import BUCKET, object_store
from tests.support.postgres import new_database, postgres
from tests.support.processes import name_of

TOKEN_MODE = {"RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray asks for a token, and takes loopback's addresses as they are."""


@dataclass(frozen=True)
class Scene:
    """A service set up in one way, the trials of a job, and the faults that it is put through."""

    name: str
    open: Callable[[Path], AbstractContextManager[tuple[Service, tuple[Fault, ...]]]]
    trials: int = 200_000


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[Service, tuple[Fault, ...]]]:
    """The embedded defaults: SQLite, a local folder, runners that play the shards themselves."""
    yield (
        Service(folder),
        (
            Fault("web process killed", faults.kill_web, 3),
            Fault("runners killed", faults.kill_runner, 3),
            Fault("every process killed", faults.kill_all, 2),
            Fault("runners stand still beyond their leases", faults.pause_runners, 2),
            Fault("Parquet file cut short", faults.cut_file, 3),
            Fault("requests repeated and reordered", faults.repeat_requests, 2),
            Fault("cancelled", faults.cancel, 4, cancels=True),
            Fault("cancelled, runners killed", faults.cancel_and_kill, 2, cancels=True),
        ),
    )


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Service, tuple[Fault, ...]]]:
    """SQLite and results on a disk of their own that fills up: a tmpfs."""
    data = folder / "data"
    data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "brink-chaos", str(data)], check=True)
    try:
        yield Service(folder, runners=1), (Fault("disk full", faults.fill_disk, 3),)
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


@contextmanager
def shared_database(folder: Path) -> Iterator[tuple[Service, tuple[Fault, ...]]]:
    """PostgreSQL, a local folder."""
    with postgres() as server, new_database(server, "brink-chaos") as url:
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

        def cut_connections(service: Service, job_id: str, chance: random.Random) -> None:
            """Every connection to the database ended, again and again."""
            for _ in range(chance.randrange(3, 12)):
                _end_connections(admin)
                time.sleep(chance.uniform(0.0, 0.4))

        def refuse_connections(service: Service, job_id: str, chance: random.Random) -> None:
            """The database gone for longer than a lease."""
            with admin.connect() as connection:
                connection.exec_driver_sql('ALTER DATABASE "brink-chaos" ALLOW_CONNECTIONS false')
                _end_connections(admin)
                time.sleep(chance.uniform(1.0, 6.0))
                connection.exec_driver_sql('ALTER DATABASE "brink-chaos" ALLOW_CONNECTIONS true')

        yield (
            Service(folder, BRINK_DATABASE_URL=url),
            (
                Fault("database connections cut", cut_connections, 3),
                Fault("database gone for a while", refuse_connections, 2),
                Fault("runners killed", faults.kill_runner, 2),
            ),
        )


def _end_connections(admin: sa.Engine) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'brink-chaos'"
        )


@contextmanager
def shared_store(folder: Path) -> Iterator[tuple[Service, tuple[Fault, ...]]]:
    """SQLite, and results in an object store behind a line that fails."""
    with object_store() as endpoint, faulty_line(int(endpoint.rpartition(":")[2])) as line:

        def fail(service: Service, job_id: str, chance: random.Random) -> None:
            """Answers of 503, answers cut short and connections cut, for some seconds."""
            ending = time.monotonic() + chance.uniform(2.0, 6.0)
            while time.monotonic() < ending:
                line.faults = [chance.choice([BUSY, chance.randrange(2000)]) for _ in range(50)]
                line.cut()
                time.sleep(chance.uniform(0.0, 0.5))
            line.faults = []

        yield (
            Service(
                folder,
                runners=1,
                BRINK_STORE_URL=f"s3://{BUCKET}/{folder.name}",
                AWS_ENDPOINT_URL=f"http://127.0.0.1:{line.port}",
            ),
            (Fault("object store fails", fail, 3), Fault("runner killed", faults.kill_runner, 2)),
        )


class RayNodes:
    """A Ray of three nodes on loopback, at an address that stays the same when it is started anew."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.token = secrets.token_hex(32)
        self._command = [sys.executable, "-m", "tests.chaos.ray_nodes", str(port)]
        self._environment = os.environ | TOKEN_MODE | {"RAY_AUTH_TOKEN": self.token}
        self._log = (folder / "ray.log").open("ab")
        self.start()

    def start(self) -> None:
        """Start the nodes."""
        self._holder = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.processes = json.loads(self._holder.stdout.readline() or "[]")

    def kill_node(self, which: int) -> None:
        """``kill -9`` of the processes that stand for a node; 0 is the head."""
        for pid in self.processes[which]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def workers_at_work(self) -> list[psutil.Process]:
        """The processes of these nodes that play a task."""
        below = psutil.Process(self._holder.pid).children(recursive=True)
        return [one for one in below if name_of(one).startswith("ray::") and "run_task" in name_of(one)]

    def stop(self) -> None:
        """``kill -9`` of everything."""
        kill_tree(self._holder)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of a process and all below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for below in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                below.kill()
    process.kill()
    process.wait()


@contextmanager
def ray_cluster(folder: Path) -> Iterator[tuple[Service, tuple[Fault, ...]]]:
    """SQLite, a local folder, and a Ray cluster of three nodes."""
    folder.mkdir(parents=True, exist_ok=True)
    nodes = RayNodes(folder)

    def kill_workers(service: Service, job_id: str, chance: random.Random) -> None:
        """``kill -9`` of Ray's workers at work."""
        for process in nodes.workers_at_work():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def kill_raylet(service: Service, job_id: str, chance: random.Random) -> None:
        """``kill -9`` of a node that is not the head; Ray is whole again for the next job."""
        nodes.kill_node(2)
        service.ended(job_id)
        nodes.stop()
        nodes.start()

    def kill_head(service: Service, job_id: str, chance: random.Random) -> None:
        """``kill -9`` of the head, then of all nodes; Ray is started anew at the same address."""
        nodes.kill_node(0)
        time.sleep(chance.uniform(0.0, 3.0))
        nodes.stop()
        nodes.start()

    try:
        yield (
            Service(
                folder,
                runners=1,
                BRINK_ENGINE="ray",
                BRINK_RAY_ADDRESS=nodes.address,
                RAY_AUTH_TOKEN=nodes.token,
                **TOKEN_MODE,
            ),
            (
                Fault("Ray workers killed", kill_workers, 2),
                Fault("raylet killed", kill_raylet, 2),
                Fault("Ray head killed", kill_head, 2),
            ),
        )
    finally:
        nodes.stop()


SCENES = (
    Scene("SQLite, folder", embedded),
    Scene("SQLite, tmpfs", small_disk, trials=100_000),
    Scene("PostgreSQL, folder", shared_database),
    Scene("SQLite, S3", shared_store, trials=100_000),
    Scene("SQLite, folder, Ray", ray_cluster, trials=400_000),
)
