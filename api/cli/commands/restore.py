"""``brink restore``: a backup, into an empty database and empty results."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from api.cli.options import AsJson
from api.cli.output import answer_progress, print_json
from sim.faults import printable


def restore(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The folder of the backup, or s3://bucket/prefix.")],
    keep_results: Annotated[
        bool,
        typer.Option(
            "--keep-results", help="Results may be there: keep those that are as in the backup, and replace others."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The database and the results, which the environment's settings name as for the service, must be empty, and no
    runner may be alive. Every file is compared with its digest. If anything is damaged, no job is restored.
    """
    from cluster.service.audit import record_command
    from cluster.service.jobs import open_database
    from cluster.service.restore import restore as restore_backup
    from cluster.service.settings import read_settings
    from cluster.storage.address import open_folder

    settings = read_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with answer_progress("files") as on_progress:
        report = restore_backup(
            open_folder(folder),
            settings.jobs_database,
            settings.results,
            keep_results=keep_results,
            on_progress=on_progress,
        )
    record_command(open_database(settings.jobs_database), "restore", detail=f"{report.jobs} jobs")
    if as_json:
        print_json(asdict(report))
        return
    taken = datetime.fromtimestamp(report.taken_at, UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    print(
        f"{printable(folder)}, taken {taken}, is restored: {report.jobs} jobs with {report.files} files of "
        f"{report.bytes / 1e6:,.1f} MB ({report.kept_files} files were there)"
    )
