"""Sessions: for some hours a browser sends a session's secret instead of a key, so that it need not keep the key.

A session ends when it expires, when it is ended, and when its key is revoked or expires. The database holds the
secret's SHA-256 alone, as it does for keys.
"""

import hashlib
import re
import secrets
import time

import sqlalchemy as sa

from cluster.service import keys
from cluster.service.jobs import metadata
from cluster.service.keys import Key

SESSION_SECONDS = 8 * 3600.0
"""The time that a session lasts; then the key must be sent again."""
_SECRET = re.compile("[0-9a-f]{64}")

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("secret_sha256", sa.String(64), primary_key=True),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)


def open_session(engine: sa.Engine, key_id: str) -> str:
    """The secret of a new session of a key. Sessions that have expired are forgotten."""
    secret, now = secrets.token_hex(32), time.time()
    with engine.begin() as connection:
        connection.execute(sessions.delete().where(sessions.c.expires_at <= now))
        connection.execute(
            sessions.insert().values(secret_sha256=_digest(secret), key_id=key_id, expires_at=now + SESSION_SECONDS)
        )
    return secret


def find_session(engine: sa.Engine, secret: str) -> Key | None:
    """The key that a session stands for; None if there is no such session, or it or its key is no longer valid."""
    if not _SECRET.fullmatch(secret):
        return None
    found = sa.select(sessions.c.key_id).where(
        sessions.c.secret_sha256 == _digest(secret), sessions.c.expires_at > time.time()
    )
    with engine.connect() as connection:
        key_id = connection.execute(found).scalar()
    key = None if key_id is None else keys.get(engine, key_id)
    return key if key is not None and key.state(time.time()) == "valid" else None


def end_session(engine: sa.Engine, secret: str) -> None:
    """End a session at once, if there is one."""
    with engine.begin() as connection:
        connection.execute(sessions.delete().where(sessions.c.secret_sha256 == _digest(secret)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
