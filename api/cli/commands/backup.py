"""``brink backup``: the jobs database and the results, while the service runs."""

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.options import AsJson
from api.cli.output import answer_progress, print_json
from api.cli.streams import say
from sim.faults import printable


def backup(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder, or s3://bucket/prefix.")],
    as_json: AsJson = False,
) -> None:
    """The folder is empty or holds an earlier backup, of which unchanged files are not copied again. The service
    continues meanwhile. Results that are missing or damaged are named, and the exit status is then 1.

    Settings, such as where the database and the results are, come from the environment, as for the service.
    """
    from cluster.service.audit import record_command
    from cluster.service.backup import back_up
    from cluster.service.jobs import connect, known_versions, tables_version
    from cluster.service.settings import read_settings
    from cluster.storage.address import open_folder

    settings = read_settings()
    with answer_progress("files") as on_progress:
        report = back_up(settings.jobs_database, settings.results, open_folder(folder), on_progress)
    database = connect(settings.jobs_database)
    # A database of an earlier version stays as it is, and may have no audit log.
    if tables_version(database) == known_versions()[0]:
        record_command(database, "backup", detail=f"{report.jobs} jobs")
    if as_json:
        print_json(asdict(report))
    else:
        print(
            f"{printable(folder)}: {report.jobs} jobs with {report.files} files of {report.bytes / 1e6:,.1f} MB; "
            f"{report.copied_files} files of {report.copied_bytes / 1e6:,.1f} MB were copied now"
        )
    for fault in report.damaged:
        say(fault)
    if report.damaged:
        raise typer.Exit(1)
