"""``brink summary``: a stored run's answer again, or its answer given what has happened so far."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from api.cli.answering import answer
from api.cli.commands.common import AsJson, Given, RunFolder
from api.cli.rendering import print_summary


def summary(
    run: RunFolder,
    strategy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Show this strategy; may be repeated.", show_default="all"),
    ] = None,
    given: Given = None,
    as_json: AsJson = False,
) -> None:
    """Print a stored run's summary, of all its trials or of those that agree with what has happened so far."""
    answer(run, "summary", {"given": given, "strategies": strategy}, as_json=as_json, render=print_given)


def print_given(out: Console, found: dict) -> None:
    """Print a summary, and how many trials its condition left."""
    if "given" in found:
        left = ", ".join(
            f"{one['trials']:,} of {one['trials_played']:,} of {name}" for name, one in found["strategies"].items()
        )
        out.print(f"Given {escape(found['given'])}: {left} trials agree with it.")
    print_summary(out, found)
