"""``brink export``: a stored run's tables as a workbook for Excel."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import Believe, Given, RunFolder, Strategies, whole_number
from api.files import new_file
from sim.faults import Fault, InvalidInput, printable


def export(
    run: RunFolder,
    xlsx: Annotated[Path, typer.Option(metavar="FILE", help="The workbook to write, .xlsx.")],
    strategy: Strategies = None,
    given: Given = None,
    believe: Believe = None,
    trials: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="N", help="The first trials of each strategy.", show_default="1000"),
    ] = None,
) -> None:
    """Sheets: probabilities, measures, the course over time, the ranges with their sources, and the first trials.

    All trials are in the result folder as Parquet, which Excel's Power Query reads too; brink aggregate --out writes
    tables of your own, also as .xlsx.
    """
    if xlsx.suffix.lower() != ".xlsx":
        raise InvalidInput((Fault("xlsx", str(xlsx), "must end in .xlsx"),))
    if xlsx.is_dir() or not xlsx.absolute().parent.is_dir():
        raise InvalidInput((Fault("xlsx", str(xlsx), "must be a file in a folder that exists"),))
    from api.run_workbook import FIRST_TRIALS, write_run
    from cluster.query.trials import open_run

    found = open_run(run)
    count = FIRST_TRIALS if trials is None else trials
    with new_file(xlsx) as draft:
        write_run(found, draft, given=given, believe=believe or (), strategies=strategy or (), trials=count)
    plan = found.plan
    shown = min(count, plan.row_trials)
    sample = f"the first {shown:,} of {plan.trials:,} trials" if shown < plan.trials else "all trials"
    what = f", with {sample} of each strategy" if count else ""
    print(f"{printable(str(xlsx))}: the tables{what}, {xlsx.stat().st_size / 1024:,.0f} KB")
