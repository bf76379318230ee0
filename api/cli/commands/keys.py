"""``brink keys``: the keys that let people and programs use the service."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.table import Table

from api.cli.commands.common import console, whole_number
from cluster.service import keys
from cluster.service.jobs import open_database
from cluster.service.settings import read_settings

app = typer.Typer(help="Create, list and revoke the keys of the service.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(
    owner: Annotated[str, typer.Option(metavar="NAME", help="Whose the key is; jobs belong to their owner.")],
    scope: Annotated[
        list[str], typer.Option(help="submit, read, or admin (both, of everybody's jobs); may be repeated.")
    ],
    expires: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="DAYS", help="Days after which the key ends.", show_default="never"),
    ] = None,
) -> None:
    """Create a key. It is printed once, and nothing can show it again."""
    key, text = keys.create(_database(), owner, scope, expires)
    print(text)
    print(f"key {key.id} of {key.owner}: {', '.join(key.scopes)}. It is not shown again.", file=sys.stderr)


@app.command("list")
def list_keys() -> None:
    """List the keys: whose they are, what they allow, and when they were last used (to the minute)."""
    now = time.time()
    table = Table("id", "owner", "scopes", "state", "created", "expires", "last used", show_edge=False, pad_edge=False)
    for key in keys.listed(_database()):
        times = (_minute(when) for when in (key.created_at, key.expires_at, key.used_at))
        table.add_row(key.id, key.owner, " ".join(key.scopes), key.state(now), *times)
    console().print(table)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from brink keys list.")],
) -> None:
    """Revoke a key: from the next request on it lets nobody in."""
    key = keys.revoke(_database(), key_id)
    print(f"key {key.id} of {key.owner} is revoked")


def _database() -> sa.Engine:
    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return open_database(settings.jobs_database)


def _minute(when: float | None) -> str:
    return "-" if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%MZ")
