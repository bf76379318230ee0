"""What the commands that read answers share: the run's folder, conditions, and how an answer is printed."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

PIPE_WIDTH = 220
"""Characters a line where nobody's terminal sets a limit."""

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's result folder.")]
Given = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help='Ask of the trials for which this holds alone, such as "threat_week <= 5 and filing_week is not null".',
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON instead of a table.")]


def whole_number(text: str) -> int:
    """Read a whole number that a user typed."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number (found {text!r})") from None


def console() -> Console:
    """Standard output, as wide as the terminal."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def print_json(document: dict) -> None:
    """Print an answer's document."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
