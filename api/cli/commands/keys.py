"""``brink keys``: the keys that let people and programs use the service."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli.database import jobs_database
from api.cli.options import AsJson, whole_number
from api.cli.output import console, print_json
from sim.faults import printable


def create(
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who owns the key; jobs belong to their owner.")],
    scope: Annotated[
        list[str],
        typer.Option(metavar="SCOPE", help="submit, read, or admin (both, for all jobs); may be repeated."),
    ],
    expires: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="DAYS", help="Days after which the key expires.", show_default="never"
        ),
    ] = None,
) -> None:
    """Create a key. It is printed once and cannot be shown again."""
    from cluster.service.audit import record_command
    from cluster.service.keys import create as create_key
    from cluster.service.keys import described

    database = jobs_database()
    key, text = create_key(database, owner, scope, expires)
    record_command(database, "create-key", key.id, described(key))
    print(text)
    print(f"key {key.id} of {key.owner}: {', '.join(key.scopes)}. It is not shown again.", file=sys.stderr)


def list_keys(as_json: AsJson = False) -> None:
    """List the keys: their owners, what they allow, and when they were last used (to the minute)."""
    from api.cli.tables import Column, print_table
    from cluster.service.keys import listed

    now = time.time()
    found: list[dict[str, Any]] = [
        {
            "id": key.id,
            "owner": key.owner,
            "scopes": list(key.scopes),
            "state": key.state(now),
            "created_at": _time(key.created_at),
            "expires_at": _time(key.expires_at),
            "used_at": _time(key.used_at),
        }
        for key in listed(jobs_database())
    ]
    if as_json:
        print_json(found)
        return
    columns = [
        Column("id", [one["id"] for one in found]),
        Column("owner", [one["owner"] for one in found], left=True),
        Column("scopes", [" ".join(one["scopes"]) for one in found], left=True),
        Column("state", [one["state"] for one in found], left=True),
    ]
    for title, name in (("created", "created_at"), ("expires", "expires_at"), ("last used", "used_at")):
        columns.append(Column(title, [_minute(one[name]) for one in found], left=True))
    print_table(console(), columns)


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key, from brink keys list.")],
) -> None:
    """Revoke a key: it is refused from the next request on."""
    from cluster.service.audit import record_command
    from cluster.service.keys import described
    from cluster.service.keys import revoke as revoke_key

    database = jobs_database()
    key = revoke_key(database, key_id)
    record_command(database, "revoke-key", key.id, described(key))
    print(f"key {key.id} of {key.owner} is revoked")


def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key, from brink keys list.")],
    grace: Annotated[
        int,
        typer.Option(
            parser=whole_number,
            metavar="DAYS",
            help="Days until the old key expires; 0 ends it at once.",
            show_default="7",
        ),
    ] = 7,
) -> None:
    """Create a key of the same owner and scopes in place of another. It is printed once and cannot be shown again."""
    from cluster.service.audit import record_command
    from cluster.service.keys import described
    from cluster.service.keys import rotate as rotate_key

    database = jobs_database()
    old, new, text = rotate_key(database, key_id, grace)
    record_command(database, "rotate-key", old.id, f"to key {new.id} {described(new)}; grace: {grace} days")
    print(text)
    ends = f"is valid until {_minute(_time(old.expires_at))}" if grace else "is no longer valid"
    print(f"key {new.id} {described(new)}. It is not shown again. Key {old.id} {ends}.", file=sys.stderr)


def sign_out(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose sessions, of keys and of accounts.")],
) -> None:
    """End all sessions of an owner in browsers. Keys stay valid."""
    from cluster.service.audit import record_command
    from cluster.service.sessions import end_sessions_of

    database = jobs_database()
    ended = end_sessions_of(database, owner)
    record_command(database, "sign-out", detail=f"{ended} sessions of {owner}"[:200])
    print(f"{ended} session{'s' * (ended != 1)} of {printable(owner)} ended")


keys = {"create": create, "list": list_keys, "rotate": rotate, "revoke": revoke, "sign-out": sign_out}


def _time(when: float | None) -> str | None:
    """A time as RFC 3339 writes it, in UTC."""
    return None if when is None else datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")


def _minute(when: str | None) -> str:
    return "-" if when is None else f"{when[:10]} {when[11:16]}Z"
