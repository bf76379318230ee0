"""Keys that let people and programs use the service: each has an owner, scopes, and an end.

A key is ``brink_``, its public id, and a secret of 256 random bits. The database holds the secret's SHA-256 alone. A
slow, salted password hash would add nothing: it makes it expensive to guess secrets that people choose, while 2^256
values cannot be tried at any speed, and no two keys share a secret.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from cluster.service.full_disk import is_full
from cluster.service.jobs import metadata
from sim.faults import Fault, InvalidInput

SUBMIT, READ, ADMIN = SCOPES = ("submit", "read", "admin")
"""Submit, cancel and delete jobs; read jobs and their results; both, of everybody's jobs."""
USED_SECONDS = 60.0
"""The shortest time between two records of a key's use."""
MAX_DAYS = 3650
GRACE_DAYS, MAX_GRACE_DAYS = 7, 365
"""Days for which a key that was rotated stays valid, unless others are chosen, and at most."""
_DAY = 86_400.0
_KEY = re.compile(r"brink_([0-9a-f]{16})_([0-9a-f]{64})")
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""The form of an owner's name."""

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("secret_sha256", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("scopes", sa.String(32), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("used_at", sa.Float),
    sa.Column("revoked_at", sa.Float),
)


@dataclass(frozen=True)
class Key:
    """What is known of a key; its secret is not. Times are seconds since 1970."""

    id: str
    owner: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None

    def state(self, now: float) -> str:
        """Whether the key is ``valid``, ``revoked`` or ``expired``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


def create(engine: sa.Engine, owner: str, scopes: Iterable[str], days: int | None = None) -> tuple[Key, str]:
    """A new key and its text, which nothing can show again. Raises `InvalidInput`."""
    chosen = tuple(scope for scope in SCOPES if scope in set(scopes))
    faults = [
        Fault("scope", scope, f"must be one of {', '.join(SCOPES)}") for scope in sorted(set(scopes) - set(SCOPES))
    ]
    if not chosen and not faults:
        faults.append(Fault("scope", None, f"must be given: {', '.join(SCOPES)}"))
    if not OWNER.fullmatch(owner):
        message = "must be 1 to 64 letters, digits, '.', '_', '@' or '-', and begin with a letter or digit"
        faults.append(Fault("owner", owner, message))
    if days is not None and not 1 <= days <= MAX_DAYS:
        faults.append(Fault("expires", days, f"must be from 1 to {MAX_DAYS} days"))
    if faults:
        raise InvalidInput(tuple(faults))
    with engine.begin() as connection:
        return _insert(connection, owner, chosen, None if days is None else days * _DAY)


def rotate(engine: sa.Engine, key_id: str, grace_days: int = GRACE_DAYS) -> tuple[Key, Key, str]:
    """A new key of the same owner and scopes in place of one, which stays valid for `grace_days`, 0 for none.

    The new key is valid for as long as the old one was when it was made. Returns the old key, the new one and its
    text. Raises `InvalidInput` for a key that is unknown, revoked or expired.
    """
    if not 0 <= grace_days <= MAX_GRACE_DAYS:
        raise InvalidInput((Fault("grace", grace_days, f"must be from 0 to {MAX_GRACE_DAYS} days"),))
    now = time.time()
    with engine.begin() as connection:
        row = connection.execute(keys.select().where(keys.c.id == key_id).with_for_update()).first()
        if row is None:
            raise _unknown(key_id)
        old = _key(row)
        if old.state(now) != "valid":
            raise InvalidInput((Fault("id", key_id, f"is the id of a key that is {old.state(now)}; create a new one"),))
        lasts = None if old.expires_at is None else old.expires_at - old.created_at
        ends = now + grace_days * _DAY
        old = replace(old, expires_at=ends if old.expires_at is None else min(ends, old.expires_at))
        connection.execute(keys.update().where(keys.c.id == key_id).values(expires_at=old.expires_at))
        new, text = _insert(connection, old.owner, old.scopes, lasts)
    return old, new, text


def find(engine: sa.Engine, text: str) -> Key | None:
    """The valid key of that text, whose use is recorded; None if there is none."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    key_id, secret = match.groups()
    with engine.connect() as connection:
        row = connection.execute(keys.select().where(keys.c.id == key_id)).first()
    # The same comparison is made whether or not there is such a key, and its time does not depend on where they differ.
    held = "" if row is None else row.secret_sha256
    if not hmac.compare_digest(held, _digest(secret)) or row is None:
        return None
    key, now = _key(row), time.time()
    if key.state(now) != "valid":
        return None
    if key.used_at is None or now - key.used_at > USED_SECONDS:
        try:
            with engine.begin() as connection:
                connection.execute(keys.update().where(keys.c.id == key_id).values(used_at=now))
        except sa.exc.OperationalError as error:
            # On a full disk keys must work, so that their holders can delete jobs.
            if not is_full(error):
                raise
    return key


def get(engine: sa.Engine, key_id: str) -> Key | None:
    """The key of that id, valid or not; None if there is none."""
    with engine.connect() as connection:
        row = connection.execute(keys.select().where(keys.c.id == key_id)).first()
    return None if row is None else _key(row)


def listed(engine: sa.Engine) -> list[Key]:
    """All keys, the oldest first."""
    with engine.connect() as connection:
        return [_key(row) for row in connection.execute(keys.select().order_by(keys.c.created_at, keys.c.id))]


def revoke(engine: sa.Engine, key_id: str) -> Key:
    """End a key at once; one that is revoked already stays as it is. Raises `InvalidInput` if there is none."""
    with engine.begin() as connection:
        connection.execute(
            keys.update().where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=time.time())
        )
        row = connection.execute(keys.select().where(keys.c.id == key_id)).first()
    if row is None:
        raise _unknown(key_id)
    return _key(row)


def described(key: Key) -> str:
    """Whose a key is and what it allows, in words, for the audit log."""
    return f"of {key.owner}: {', '.join(key.scopes)}"


def _insert(connection: sa.Connection, owner: str, scopes: tuple[str, ...], lasts: float | None) -> tuple[Key, str]:
    """A new key that is valid for so many seconds, or without end, and its text."""
    now, secret = time.time(), secrets.token_hex(32)
    key = Key(secrets.token_hex(8), owner, scopes, now, None if lasts is None else now + lasts, None, None)
    connection.execute(
        keys.insert().values(
            id=key.id,
            secret_sha256=_digest(secret),
            owner=key.owner,
            scopes=" ".join(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )
    return key, f"brink_{key.id}_{secret}"


def _unknown(key_id: str) -> InvalidInput:
    return InvalidInput((Fault("id", key_id, "is not the id of a key; brink keys list shows the ids"),))


def _key(row: sa.Row[Any]) -> Key:
    scopes = tuple(row.scopes.split())
    return Key(row.id, row.owner, scopes, row.created_at, row.expires_at, row.used_at, row.revoked_at)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
