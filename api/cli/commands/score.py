"""``brink score``: a run's forecast against what its scenario's history tells."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, Given, RunFolder
from api.cli.output import console, heading, print_json
from api.cli.rendering import share_bar


def score(
    run: RunFolder,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The strategy to score.", show_default="the one in the history"),
    ] = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Score a stored run's forecast against what really happened."""
    from cluster.answers.backtest import MODEL
    from cluster.answers.backtest import score as score_run
    from cluster.query.trials import open_run

    found = score_run(open_run(run), strategy=strategy, given=given)
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(heading(found["title"], f", as of {found['as_of']}, under {found['strategy']}"))
    table = Table("", "forecast", "", "happened", show_edge=False, pad_edge=False)
    for part in ("class", "outcome"):
        for name, p in found[part]["forecast"].items():
            table.add_row(name, f"{100 * p:.1f} %", share_bar(p), _mark(name == found[part]["happened"]))
        table.add_section()
    for name, event in found["events"].items():
        p = event["forecast"]
        table.add_row(name, f"{100 * p:.1f} %", share_bar(p), _mark(event["happened"]))
    out.print(table)
    scores = Table("", "Brier", "log", show_edge=False, pad_edge=False)
    for part in ("class", "outcome"):
        for forecaster, one in ((MODEL, found[part]), *found[part]["naive"].items()):
            scores.add_row(f"{part}: {forecaster}", f"{one['brier']:.3f}", f"{one['log']:.3f}")
    out.print(scores)
    week = found["agreement_week"]
    real = f"week {week['happened']}" if week["happened"] else f"none in {week['horizon_weeks']} weeks"
    out.print(
        f"Agreement: {real}; {100 * week['probability']:.1f} % were given to it (±{week['within_weeks']} weeks), "
        f"CRPS {week['crps']:.1f} weeks."
    )
    out.print(f"Less is better; {found['method']}.", style="dim")


def _mark(happened: bool) -> Text:
    return Text("yes" if happened else "", style="bold")
