"""What the commands that read answers share: the run's folder, conditions, and how an answer is printed."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cluster.results.plan import Plan
from cluster.runs.options import Progress as RunProgress

PIPE_WIDTH = 220
"""Characters a line where nobody's terminal sets a limit."""
MOST_NAMES = 8
"""Names in a sentence; the document has them all."""

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A scenario's file, or a shipped one's name.")
]
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


def print_json(document: dict, file: TextIO | None = None) -> None:
    """Print an answer's document, to standard output unless a file is given."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), file=file)


def some_names(names: list[str]) -> str:
    """Names in a line, the first few of many."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


@contextmanager
def progress_bar(plan: Plan) -> Iterator[Callable[[RunProgress], None]]:
    """A progress bar on a terminal's standard error; nothing in a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("playing", total=plan.trials * len(plan.strategies))

        def on_progress(progress: RunProgress) -> None:
            done = f"{progress.trials_done:,} of {progress.trials_total:,} trials"
            bar.update(task, total=progress.trials_total, completed=progress.trials_done, description=done)

        yield on_progress
