"""Sessions: for some hours a browser sends a session's secret instead of a key, so that it need not keep the key.

A session is of a key, or of an account of an OpenID Connect provider. It ends when it expires, when it is ended, and
when its key is revoked or expires. The database holds the secret's SHA-256 alone, as it does for keys.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from cluster.service import keys
from cluster.service.jobs import metadata

SESSION_SECONDS = 8 * 3600.0
"""The time that a session lasts; then one must sign in again."""
_SECRET = re.compile("[0-9a-f]{64}")

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("secret_sha256", sa.String(64), primary_key=True),
    sa.Column("key_id", sa.String(16)),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("owner", sa.String(64)),
    sa.Column("scopes", sa.String(32)),
)


@dataclass(frozen=True)
class SignedIn:
    """Whose a session is and what it allows; `id` is its key's, None for an account of a provider."""

    owner: str
    scopes: tuple[str, ...]
    id: str | None


def open_session(engine: sa.Engine, key_id: str) -> str:
    """The secret of a new session of a key. Sessions that have expired are forgotten."""
    return _open(engine, {"key_id": key_id})


def open_account_session(engine: sa.Engine, owner: str, scopes: Iterable[str]) -> str:
    """The secret of a new session of an account. Sessions that have expired are forgotten."""
    return _open(engine, {"owner": owner, "scopes": " ".join(scopes)})


def find_session(engine: sa.Engine, secret: str) -> SignedIn | None:
    """Whose a session is; None if there is no such session, or it or its key is no longer valid."""
    if not _SECRET.fullmatch(secret):
        return None
    found = sessions.select().where(sessions.c.secret_sha256 == _digest(secret), sessions.c.expires_at > time.time())
    with engine.connect() as connection:
        row = connection.execute(found).first()
    if row is None:
        return None
    if row.key_id is None:
        return SignedIn(row.owner, tuple(row.scopes.split()), None)
    key = keys.get(engine, row.key_id)
    valid = key is not None and key.state(time.time()) == "valid"
    return SignedIn(key.owner, key.scopes, key.id) if key is not None and valid else None


def end_session(engine: sa.Engine, secret: str) -> None:
    """End a session at once, if there is one."""
    with engine.begin() as connection:
        connection.execute(sessions.delete().where(sessions.c.secret_sha256 == _digest(secret)))


def end_sessions_of(engine: sa.Engine, owner: str) -> int:
    """End all sessions of an owner at once, of keys and of accounts. Returns how many."""
    own_keys = sa.select(keys.keys.c.id).where(keys.keys.c.owner == owner)
    with engine.begin() as connection:
        own = sa.or_(sessions.c.owner == owner, sessions.c.key_id.in_(own_keys))
        return connection.execute(sessions.delete().where(own)).rowcount


def _open(engine: sa.Engine, whose: dict[str, str]) -> str:
    secret, now = secrets.token_hex(32), time.time()
    with engine.begin() as connection:
        connection.execute(sessions.delete().where(sessions.c.expires_at <= now))
        connection.execute(
            sessions.insert().values(secret_sha256=_digest(secret), expires_at=now + SESSION_SECONDS, **whose)
        )
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
