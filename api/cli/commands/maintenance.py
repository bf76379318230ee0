"""``brink maintenance``: refuse new jobs for a while."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.database import jobs_database
from api.cli.options import AsJson
from api.cli.output import print_json

if TYPE_CHECKING:
    from cluster.service.maintenance import Maintenance


def switch_on(
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why, for those whose jobs are refused.", show_default="none")
    ] = None,
) -> None:
    """Refuse new jobs with 503. Jobs that were submitted are played, and results can be read."""
    from cluster.service import maintenance
    from cluster.service.audit import record_command

    database = jobs_database()
    found = maintenance.switch_on(database, reason)
    record_command(database, "maintenance-on", detail=(reason or "")[:200] or None)
    print(_state(found))


def switch_off() -> None:
    """Take new jobs again."""
    from cluster.service import maintenance
    from cluster.service.audit import record_command

    database = jobs_database()
    if maintenance.switch_off(database):
        record_command(database, "maintenance-off")
    print(_state(None))


def show(as_json: AsJson = False) -> None:
    """Show whether new jobs are taken."""
    from cluster.service import maintenance

    found = maintenance.current(jobs_database())
    if as_json:
        since = found and datetime.fromtimestamp(found.since, UTC).isoformat(timespec="seconds")
        print_json({"on": found is not None, "since": since, "reason": found and found.reason})
    else:
        print(_state(found))


def _state(found: "Maintenance | None") -> str:
    if found is None:
        return "maintenance is off: new jobs are taken"
    since = datetime.fromtimestamp(found.since, UTC).isoformat(sep=" ", timespec="minutes").replace("+00:00", "Z")
    return f"maintenance is on since {since}: new jobs are refused" + (f" ({found.reason})" if found.reason else "")


maintenance = {"on": switch_on, "off": switch_off, "status": show}
