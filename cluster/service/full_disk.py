"""Room for the jobs database on a full disk: cancelling and deleting jobs frees room, and must not need room first.

Beside an SQLite database lies a file of `RESERVE_BYTES` that holds nothing. It is removed when a change that frees room
fails because the disk is full, and made again once there is room. PostgreSQL keeps its files elsewhere and needs none.
"""

import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from cluster.service.logs import logger

log = logger("brink.database")
RESERVE_BYTES = 8 << 20
"""Twice what SQLite's write-ahead log grows to before it is written back, 1,000 pages of 4 KiB."""
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
_POSTGRESQL_FULL = "53100"
FULL = "the disk of the jobs database is full: cancel or delete jobs, or make room on the disk"

Changed = TypeVar("Changed")


def is_full(error: BaseException) -> bool:
    """Whether a database's error says that its disk is full."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorname", None) in _FULL or getattr(cause, "sqlstate", None) == _POSTGRESQL_FULL


def reserve_path(database: sa.Engine) -> Path | None:
    """The reserve of an SQLite database; None for other databases."""
    if database.dialect.name != "sqlite" or database.url.database is None:
        return None
    return Path(f"{database.url.database}-reserve")


def keep_reserve(database: sa.Engine) -> None:
    """Make the reserve if it is missing and the disk has room for it several times over."""
    path = reserve_path(database)
    if path is None or path.exists():
        return
    draft = path.with_name(f"{path.name}-{uuid.uuid4().hex}")
    try:
        if shutil.disk_usage(path.parent).free < 4 * RESERVE_BYTES:
            return
        with draft.open("wb") as file:
            # Random, so that no file system stores it in less room.
            file.write(os.urandom(RESERVE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        log.warning("there is no room for the database's reserve", error=str(error))
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def with_reserve(database: sa.Engine, change: Callable[[], Changed]) -> Changed:
    """Make a change to the database that leads to more room; if its disk is full, remove the reserve and try again.

    Raises SQLAlchemy's `OperationalError` if the disk is full even so.
    """
    try:
        return change()
    except sa.exc.OperationalError as error:
        path = reserve_path(database)
        if not is_full(error) or path is None or not path.exists():
            raise
        log.warning("the database's disk is full: its reserve is used", error=str(error))
        path.unlink(missing_ok=True)
        return change()
