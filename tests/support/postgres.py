"""A private PostgreSQL for tests: Debian's, in a temporary folder, on a socket and nothing else."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from tests.support.waiting import HANG_SECONDS, wait_until

BINARIES = "/usr/lib/postgresql"
ACCOUNT = "postgres"


@contextmanager
def postgres(within: Sequence[str] = (), address: str = "") -> Iterator[sa.URL]:
    """A running server: the URL of its first database.

    Behind the command `within` it runs in another namespace, where it listens on `address` too, for whoever asks.
    """
    found = sorted(Path(BINARIES).glob("*/bin/postgres"))
    if not found:
        raise FileNotFoundError(f"no PostgreSQL in {BINARIES}: install Debian's package postgresql")
    binaries = found[-1].parent
    # PostgreSQL refuses to run as root; Debian's package brings an account for it.
    account = [] if os.geteuid() else ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]
    with tempfile.TemporaryDirectory(prefix="brink-postgres-", ignore_cleanup_errors=True) as folder:
        if account:
            subprocess.run(["chown", ACCOUNT, folder], check=True)
        data = f"{folder}/data"
        subprocess.run(
            [*account, binaries / "initdb", "-D", data, "-U", ACCOUNT, "--auth=trust", "--encoding=UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with open(f"{data}/pg_hba.conf", "a") as hosts:
            hosts.write("host all all all trust\n" if address else "")
        settings = ["-c", f"listen_addresses={address}", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        server = subprocess.Popen(
            [*within, *account, binaries / "postgres", "-D", data, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = sa.URL.create("postgresql+psycopg", ACCOUNT, database=ACCOUNT, query={"host": folder})
            _wait(url, server)
            yield url
        finally:
            # SIGINT: end now, whoever is connected.
            server.send_signal(signal.SIGINT)
            server.wait(HANG_SECONDS)


@contextmanager
def new_database(server: sa.URL, name: str) -> Iterator[str]:
    """An empty database of the server: its URL, while the block lasts."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def _wait(url: sa.URL, server: subprocess.Popen) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)

    def connects() -> bool:
        assert server.poll() is None, "PostgreSQL ended instead of starting"
        engine.connect().close()
        return True

    wait_until(connects, ignoring=sa.exc.OperationalError)
