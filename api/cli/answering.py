"""How a command asks a stored run for an answer: one way for all of them."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.text import Text

from api.cli.charting import requested_charts, write_charts
from api.cli.output import answer_progress, console, print_json
from api.cli.setting import print_settings
from cluster.answers.entry import quiet
from cluster.answers.registry import ask, find_answer
from cluster.query.ray_connection import check_reachable
from cluster.query.trials import StoredRun, open_run


def answer(
    run: str | os.PathLike[str] | StoredRun,
    name: str,
    request: Mapping[str, object],
    *,
    as_json: bool,
    charts: Sequence[str] | None = None,
    ray_address: str | None = None,
    render: Callable[[Console, dict[str, Any]], None],
) -> dict[str, Any]:
    """Ask a run (or the one in a result folder) for an answer, and print its document as JSON or as `render` does.

    `charts` are those that the user requested, as `--chart` has them; they are written too. The answer about a large
    run in a folder is computed on the Ray at `ray_address`. Fields of the request that are None have their defaults.
    Progress is shown on a terminal. Raises `InvalidInput`.
    """
    requested = requested_charts(name, charts or ())
    stored = run if isinstance(run, StoredRun) else opened(run, ray_address)
    known = {field: value for field, value in request.items() if value is not None}
    steps = find_answer(name).steps
    with nullcontext(quiet) if steps is None else answer_progress(steps) as on_progress:
        document = ask(stored, name, known, on_progress=on_progress)
    if as_json:
        print_json(document)
    else:
        print_settings(console(), document)
        render(console(), document)
        _print_kept_rows(console(), document)
    write_charts(requested, document)
    for _, path in () if as_json else requested:
        console().print(f"Chart: {path}", soft_wrap=True)
    return document


def opened(folder: str | os.PathLike[str], ray_address: str | None) -> StoredRun:
    """The run in a folder, whose answers are computed on the Ray at an address if it is large.

    Raises `InvalidInput`, also for a Ray that cannot be reached.
    """
    if ray_address is not None:
        check_reachable(ray_address)
    return open_run(folder, ray_address)


def _print_kept_rows(out: Console, document: Mapping[str, Any]) -> None:
    """Print that an answer is from the rows that its run keeps, if these are not all."""
    method = document.get("method")
    if isinstance(method, Mapping) and "rows" in method:
        note = method["rows"]
        out.print(Text(f"{note[0].upper()}{note[1:]}.", style="dim"))
