"""How an idle runner learns of a new job at once, through the jobs database.

PostgreSQL notifies listeners when a submission commits. SQLite has no notifications: there `PRAGMA data_version`, which
reads one number and takes no lock, is compared every `CHECK_SECONDS`. A wakeup may come without a job or be lost with
its connection; a runner also searches for jobs at regular intervals.
"""

import threading
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from cluster.service.logs import logger

log = logger("brink.runner")
CHANNEL = "brink_jobs"
CHECK_SECONDS = 0.02
RECONNECT_SECONDS = 1.0


def announce_job(connection: sa.Connection) -> None:
    """Let the connection's transaction wake the runners once it commits."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


def watch_for_jobs(database: sa.Engine, wake: Callable[[], object], ending: threading.Event) -> None:
    """Call `wake` whenever there may be a new job, until `ending` is set; once more then. Reconnects when cut off."""
    follow = _changes if database.dialect.name == "sqlite" else _notifications
    while not ending.is_set():
        try:
            with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                # A connection that listens must not be used for anything else afterwards.
                connection.detach()
                for _ in follow(connection, ending):
                    wake()
        except sa.exc.SQLAlchemyError as error:
            log.warning("the database does not report new jobs", error=str(error))
            ending.wait(RECONNECT_SECONDS)
    wake()


def _notifications(connection: sa.Connection, ending: threading.Event) -> Iterator[None]:
    """One element for each notification of PostgreSQL, and one for the time before this connection listened."""
    import psycopg

    connection.exec_driver_sql(f"LISTEN {CHANNEL}")
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"the driver must be psycopg, not {type(driver).__name__}")
    yield
    try:
        while not ending.is_set():
            for _ in driver.notifies(timeout=RECONNECT_SECONDS):
                yield
    except psycopg.Error as error:
        raise sa.exc.OperationalError("LISTEN", None, error) from error


def _changes(connection: sa.Connection, ending: threading.Event) -> Iterator[None]:
    """One element for each check of SQLite that finds commits by other connections since the last check."""
    seen = None
    while not ending.wait(CHECK_SECONDS):
        version = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        if version != seen:
            seen = version
            yield
