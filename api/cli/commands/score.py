"""``brink score``: a run's forecast compared with its scenario's history."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, Given, RunFolder
from api.cli.output import heading
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
    """Score the forecast of a stored run against what happened."""
    from api.cli.answering import answer

    answer(run, "score", {"strategy": strategy, "given": given}, as_json=as_json, render=print_score)


def print_score(out: Console, document: dict) -> None:
    """Print a document of `cluster.answers.score`: forecasts and what happened, then the scores."""
    found = document["result"]
    out.print(heading(found["title"], f", as of {found['as_of']}, under {document['strategies'][0]}"))
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
        for forecaster, one in (("model", found[part]), *found[part]["naive"].items()):
            scores.add_row(f"{part}: {forecaster}", f"{one['brier']:.3f}", f"{one['log']:.3f}")
    out.print(scores)
    week = found["agreement_week"]
    real = f"week {week['happened']}" if week["happened"] else f"none in {week['horizon_weeks']} weeks"
    out.print(
        f"Agreement: {real}; {100 * week['probability']:.1f} % were given to it (±{week['within_weeks']} weeks), "
        f"CRPS {week['crps']:.1f} weeks."
    )
    out.print(f"Less is better; {document['method']['scores']}.", style="dim")


def _mark(happened: bool) -> Text:
    return Text("yes" if happened else "", style="bold")
