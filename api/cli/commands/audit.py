"""``brink audit``: the audit log."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from api.cli.options import AsJson, whole_number
from api.cli.output import console, print_json
from sim.faults import Fault, InvalidInput

MOST = 100_000


def audit(
    owner: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this owner did.", show_default="all")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what was done with this key.", show_default="all")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(metavar="ACTION", help="Only this action, such as delete or sign-in.", show_default="all"),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what was done to this job or key.", show_default="all")
    ] = None,
    result: Annotated[
        str | None, typer.Option(metavar="RESULT", help="Only done, refused or failed.", show_default="all")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From this day or time on, such as 2026-11-26T08:00, in UTC."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before this day or time.")] = None,
    limit: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help=f"At most this many records, up to {MOST:,}.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """The newest records come first. Settings come from the environment, as for the service."""
    from api.cli.database import jobs_database
    from cluster.service.audit import ACTIONS, RESULTS, recorded

    for name, value, allowed in (("action", action, ACTIONS), ("result", result, RESULTS)):
        if value is not None and value not in allowed:
            raise InvalidInput((Fault(name, value, f"must be one of {', '.join(allowed)}"),))
    if not 1 <= limit <= MOST:
        raise InvalidInput((Fault("limit", limit, f"must be from 1 to {MOST}"),))
    found: list[dict[str, Any]] = [
        {**vars(one), "at": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds")}
        for one in recorded(
            jobs_database(),
            limit,
            owner=owner,
            key_id=key,
            action=action,
            subject=subject,
            result=result,
            since=_seconds("since", since),
            until=_seconds("until", until),
        )
    ]
    if as_json:
        print_json(found)
        return
    _print_records(found)


def _print_records(found: list[dict[str, Any]]) -> None:
    """Print a line or two for each record: a table would be too wide for its ids and addresses."""
    out = console()
    for one in found:
        who = one["owner"] or "-"
        result = one["result"] if one["status"] is None else f"{one['result']} ({one['status']})"
        times = f" {one['times']} times" if one["times"] > 1 else ""
        out.print(f"{one['at'][:10]} {one['at'][11:19]}Z  {one['action']}  {who}  {result}{times}")
        rest = [one["subject"], one["detail"], one["key_id"] and f"key {one['key_id']}", one["address"]]
        out.print("  " + ", ".join(part for part in rest if part))


def _seconds(name: str, text: str | None) -> float | None:
    """A day or a time as a user writes it, in seconds since 1970; without an offset it is in UTC."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        message = "must be a day or a time, such as 2026-11-26 or 2026-11-26T08:00"
        raise InvalidInput((Fault(name, text, message),)) from None
