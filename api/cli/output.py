"""How commands print: tables on standard output, JSON documents, progress on standard error."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from api.cli.streams import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn
    from rich.text import Text

    from cluster.results.plan import Plan
    from cluster.runs.capacity import Capacity
    from cluster.runs.options import Progress as RunProgress
    from cluster.runs.options import RunOptions
    from sim.scenario.scenario import Scenario

PIPE_WIDTH = 80
"""Characters a line where no terminal and no COLUMNS sets a limit."""
LEAST_WIDTH = 40
MOST_NAMES = 8
"""Names in a sentence; the document has them all."""


def console() -> "Console":
    """Standard output, as wide as the terminal.

    Text is printed as it is: markup and emoji codes mean nothing, and control characters are shown as escapes. In a
    pipe a line has as many characters as the environment variable COLUMNS says, or `PIPE_WIDTH`.
    """
    from api.cli.terminal import ShownConsole

    columns = os.environ.get("COLUMNS", "")
    piped = max(int(columns), LEAST_WIDTH) if columns.isascii() and columns.isdigit() else PIPE_WIDTH
    return ShownConsole(width=None if sys.stdout.isatty() else piped, markup=False, emoji=False, highlight=False)


def print_json(document: object, file: TextIO | None = None) -> None:
    """Print a document as JSON, to standard output unless a file is given; in ASCII if its encoding is not UTF-8."""
    encoding = getattr(file or sys.stdout, "encoding", None) or "utf-8"
    ascii_only = encoding.lower().replace("_", "-") not in ("utf-8", "utf8")
    print(json.dumps(document, indent=2, ensure_ascii=ascii_only, allow_nan=False), file=file)


def print_warnings(scenario: "Scenario") -> None:
    """Print the warnings of a scenario on standard error, a line each."""
    for warning in scenario.warnings:
        say(f"warning: {warning}")


def print_assumptions(out: "Console", found: dict[str, Any]) -> None:
    """Print what the compared strategies assume about others than the sender, if anything."""
    if "assumptions" in found["method"]:
        out.print(f"Assumptions: {found['method']['assumptions']}.")


def some_names(names: list[str]) -> str:
    """Names in a line, the first few of many."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


@contextmanager
def run_progress(plan: "Plan") -> Iterator["RunOptions"]:
    """Options of a run with a progress bar on a terminal's standard error; nothing in a pipe.

    On a Ray cluster that was joined, its line says how many cores are asked for, are there, and were lost.
    """
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from cluster.runs.options import RunOptions

    with _progress(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("running", total=plan.trials * len(plan.strategies))
        trials, cores = "running", ""

        def on_progress(progress: "RunProgress") -> None:
            nonlocal trials
            trials = f"{progress.trials_done:,} of {progress.trials_total:,} trials"
            bar.update(task, total=progress.trials_total, completed=progress.trials_done, description=trials + cores)

        def on_capacity(found: "Capacity") -> None:
            nonlocal cores
            lost = f", {found.lost:,} lost" if found.lost else ""
            cores = f"; cores: {found.asked:,} asked, {found.there:,} there{lost}"
            bar.update(task, description=trials + cores)

        yield RunOptions(on_progress=on_progress, on_capacity=on_capacity)


@contextmanager
def answer_progress(units: str = "parameters") -> Iterator[Callable[[int, int], None]]:
    """A bar of the parameters, or other units, done, on a terminal's standard error; nothing in a pipe."""
    from rich.progress import BarColumn, TextColumn

    with _progress(TextColumn("{task.completed:,} of {task.total:,} " + units), BarColumn()) as bar:
        task = bar.add_task("", total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _progress(*columns: "ProgressColumn") -> "Progress":
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def heading(title: str, rest: str = "") -> "Text":
    """A title in bold, and what follows it on the line."""
    from rich.text import Text

    return Text.assemble((title, "bold"), rest)
