"""Records requests in the audit log: who asked for what, from where, and how it ended.

A change that was made is recorded before its response is sent. Reads and refusals are recorded in batches, off the
request: equal ones within `WRITE_SECONDS` become one record with their number. A process that is killed loses those of
its last second.
"""

import re
from typing import Any

import anyio
import sqlalchemy as sa
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.service.audit import DONE, FAILED, REFUSED, Event, PendingEvents, record

WRITE_SECONDS = 1.0
"""Seconds between two batches."""
_WRITERS = 2
"""Changes that are recorded at a time, in threads of their own."""
_JOB = r"/v1/jobs/(?P<subject>[^/]+)"
_RULES = (
    ("POST", r"/v1/jobs", "submit"),
    ("POST", rf"{_JOB}/cancel", "cancel"),
    ("DELETE", _JOB, "delete"),
    ("GET", rf"{_JOB}/events", None),
    ("GET|HEAD|POST", rf"{_JOB}/(?P<detail>(charts/)?[a-z_.-]+)(/.*)?", "read"),
    ("POST", r"/v1/keys", "create-key"),
    ("POST", r"/v1/keys/(?P<subject>[^/]+)/revoke", "revoke-key"),
    ("POST", r"/v1/keys/(?P<subject>[^/]+)/rotate", "rotate-key"),
    ("POST", r"/v1/session", "sign-in"),
    ("GET", r"/sign-in/callback", "sign-in"),
    ("DELETE", r"/v1/session", "sign-out"),
    ("GET", r"/v1/audit", "read-audit"),
)
"""The action of a request by its method and path; the first rule that matches decides."""
_COMPILED = tuple((re.compile(methods), re.compile(path), action) for methods, path, action in _RULES)
_READS = ("read", "read-audit")
_ID = re.compile("[0-9a-f]{1,64}")


def action_of(method: str, path: str) -> tuple[str, str | None, str | None] | None:
    """What a request does, the id of the job or key that it does it to, and what it reads; None if not recorded."""
    for methods, pattern, action in _COMPILED:
        if methods.fullmatch(method) and (match := pattern.fullmatch(path)):
            named = match.groupdict()
            subject = named.get("subject")
            subject = subject if subject is not None and _ID.fullmatch(subject) else None
            return None if action is None else (action, subject, (named.get("detail") or "")[:200] or None)
    return None


def note(request: Request, **found: str | None) -> None:
    """Add what only the route knows to the request's record: its `subject`, `detail`, `owner`."""
    request.scope["state"].setdefault("audit", {}).update(found)


class Audit:
    """Records the requests that the audit log is about."""

    def __init__(self, app: ASGIApp, pending: PendingEvents) -> None:
        self.app, self._pending = app, pending
        self._writers = anyio.CapacityLimiter(_WRITERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and record its result."""
        action = action_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if action is None:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        recorded = False

        async def recording(message: Message) -> None:
            nonlocal recorded
            if message["type"] == "http.response.start" and not recorded:
                recorded = True
                await self._record(scope, *action, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, recording)
        except Exception:
            if not recorded:
                await self._record(scope, *action, 500)
            raise

    async def _record(self, scope: Scope, action: str, subject: str | None, detail: str | None, status: int) -> None:
        state: dict[str, Any] = scope["state"]
        caller = state.get("caller")
        fields: dict[str, Any] = {"detail": detail, "subject": subject}
        if caller is not None:
            fields |= {"owner": caller.owner, "key_id": caller.key_id, **state.get("audit", {})}
        else:
            # What a stranger sends is not recorded, so that strangers cannot fill the log.
            fields = dict(state.get("audit", {}))
        result = DONE if status < 400 else REFUSED if status < 500 else FAILED
        address = (scope.get("client") or (None,))[0]
        event = Event(action, result, address=address and address[:100], status=status, **fields)
        if result == DONE and action not in _READS:
            database: sa.Engine = scope["app"].state.database
            try:
                await anyio.to_thread.run_sync(record, database, event, limiter=self._writers)
                return
            except sa.exc.SQLAlchemyError:
                # The change is made, so it is recorded as soon as the database takes it.
                pass
        self._pending.add(event)
