"""``brink score``: a run's forecast compared with its scenario's history."""

from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RayOfAnswer, RunFolder
from api.cli.output import heading
from api.cli.rendering import bars
from api.cli.tables import Bars, Column, print_table
from api.figures import percent


def score(
    run: RunFolder,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The strategy to score.", show_default="the one in the history"),
    ] = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    as_json: AsJson = False,
) -> None:
    """What happened is the scenario's history. Naive forecasts are scored too, for comparison."""
    from api.cli.answering import answer

    request = {"strategy": strategy, "given": given, "believe": believe}
    answer(run, "score", request, as_json=as_json, ray_address=ray_address, render=print_score)


def print_score(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.score`: forecasts and what happened, then the scores."""
    found = document["result"]
    print_evidence(out, document.get("evidence"))
    out.print(heading(found["title"], f", as of {found['as_of']}, under {document['strategies'][0]}"))
    rows = [
        (name, share, name == found[part]["happened"])
        for part in ("class", "outcome")
        for name, share in found[part]["forecast"].items()
    ]
    rows += [(name, event["forecast"], event["happened"]) for name, event in found["events"].items()]
    classes, outcomes = len(found["class"]["forecast"]), len(found["outcome"]["forecast"])
    columns: list[Column | Bars] = [
        Column("", [name.replace("_", " ") for name, _, _ in rows]),
        Column("forecast", [f"{percent(100 * share, 1)} %" for _, share, _ in rows]),
        bars("", [share for _, share, _ in rows]),
        Column("happened", ["yes" if happened else "" for _, _, happened in rows], left=True),
    ]
    print_table(out, columns, headings={0: "Class", classes: "Outcome", classes + outcomes: "On the way"})
    scores = [
        (f"{part}: {forecaster.replace('_', ' ')}", one)
        for part in ("class", "outcome")
        for forecaster, one in (("model", found[part]), *found[part]["naive"].items())
    ]
    columns = [
        Column("", [label for label, _ in scores]),
        Column("Brier", [f"{one['brier']:.3f}" for _, one in scores]),
        Column("log", [f"{one['log']:.3f}" for _, one in scores]),
    ]
    print_table(out, columns, title="Scores")
    week = found["agreement_week"]
    real = f"week {week['happened']}" if week["happened"] else f"none in {week['horizon_weeks']} weeks"
    out.print(
        f"Agreement: {real}; {100 * week['probability']:.1f} % were forecast for it (±{week['within_weeks']} weeks), "
        f"CRPS {week['crps']:.1f} weeks."
    )
    out.print(f"Lower is better; {document['method']['scores']}.", style="dim")
