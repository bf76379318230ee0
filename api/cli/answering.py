"""How a command asks a stored run for an answer: one way for all of them."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from api.cli.commands.common import console, print_json
from cluster.answers.entry import OnProgress
from cluster.answers.registry import ask
from cluster.query.trials import StoredRun, open_run


def answer(
    run: str | os.PathLike[str] | StoredRun,
    name: str,
    request: Mapping[str, object],
    *,
    as_json: bool,
    render: Callable[[Console, dict], None],
) -> dict:
    """Ask a run (or the one in a result folder) for an answer, and print its document as JSON or as `render` does.

    Fields of the request that are None have their defaults. Progress is shown on a terminal. Raises `InvalidInput`.
    """
    stored = run if isinstance(run, StoredRun) else open_run(run)
    with _progress(name) as on_progress:
        known = {field: value for field, value in request.items() if value is not None}
        document = ask(stored, name, known, on_progress=on_progress)
    if as_json:
        print_json(document)
    else:
        render(console(), document)
    return document


@contextmanager
def _progress(name: str) -> Iterator[OnProgress]:
    """A bar of the steps done, on a terminal's standard error; nothing in a pipe."""
    columns = (TextColumn("{task.description}: {task.completed:,} of {task.total:,}"), BarColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(name, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)
