"""``brink verify``: whether a result folder is complete and unaltered."""

import typer

from api.cli.options import AsJson, RunFolder
from api.cli.output import print_json
from api.cli.streams import say
from sim.faults import printable


def verify(run: RunFolder, as_json: AsJson = False) -> None:
    """Every committed file is read again and the summary is computed again from the trials. The exit status is 1 if
    anything differs.
    """
    from cluster.answers.summary_verification import verify_summary
    from cluster.query.trials import open_run
    from cluster.results.result_folder import verify as verify_folder

    findings = verify_folder(run) or verify_summary(open_run(run))
    if as_json:
        print_json({"unaltered": not findings, "findings": [str(finding) for finding in findings]})
    for finding in findings:
        say(finding)
    if findings:
        raise typer.Exit(1)
    if not as_json:
        print(f"{printable(run)}: every committed row is there and unaltered")
