"""``brink aggregate``: grouped statistics over a stored run's trials."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from api.cli.options import AsJson, Given, RunFolder, Strategies
from api.cli.output import console, print_json
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from cluster.answers.aggregate import Grouping


def aggregate(
    run: RunFolder,
    measure: Annotated[
        list[str],
        typer.Option(metavar="EXPRESSION", help='Of what, such as "export_gain - sender_cost"; may be repeated.'),
    ],
    statistic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="count, known, mean, ..., q05; may be repeated.",
            show_default="mean, standard_error, q05, median, q95",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPRESSION[|WAY=...]",
            help="What to group by; may be repeated. A number goes into bins: "
            '"full_access|bins=10", "full_access|quantiles=4" or "full_access|edges=0,5,10".',
            show_default="strategy",
        ),
    ] = None,
    strategy: Strategies = None,
    given: Given = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a file instead: .json, .csv, .arrow or .parquet.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print statistics of measures over groups of trials."""
    from api.formats import JSON, SUFFIXES, encode
    from cluster.answers.aggregate import STRATEGY, USUAL, answer_table
    from cluster.answers.aggregate import aggregate as compute
    from cluster.query.trials import open_run

    if out is not None and out.suffix not in SUFFIXES:
        raise InvalidInput((Fault("out", str(out), f"must end in one of {', '.join(SUFFIXES)}"),))
    found = compute(
        open_run(run),
        measures=measure,
        statistics=statistic or USUAL,
        by=[_grouping(one, f"by[{k}]") for k, one in enumerate(by or [STRATEGY])],
        given=given,
        strategies=strategy or (),
    )
    if out is not None and SUFFIXES[out.suffix] != JSON:
        out.write_bytes(encode(answer_table(found), SUFFIXES[out.suffix]))
    elif as_json and out is None:
        print_json(found)
    elif out is not None:
        with out.open("w", encoding="utf-8") as file:
            print_json(found, file)
    else:
        _print_table(found)


def _grouping(text: str, field: str) -> "Grouping":
    from cluster.answers.aggregate import Grouping

    value, bar, way = text.partition("|")
    if not bar:
        return Grouping(value)
    name, _, numbers = way.partition("=")
    try:
        if name.strip() == "edges":
            return Grouping(value.strip(), edges=tuple(map(float, numbers.split(","))))
        if name.strip() == "bins":
            return Grouping(value.strip(), bins=int(numbers))
        if name.strip() == "quantiles":
            return Grouping(value.strip(), quantiles=int(numbers))
    except ValueError:
        pass
    raise InvalidInput((Fault(field, text, "must end in |bins=N, |quantiles=N or |edges=A,B,..."),))


def _print_table(found: dict) -> None:
    table = Table(show_edge=False, pad_edge=False)
    for column in found["columns"]:
        numeric = column["kind"] in ("whole", "number")
        table.add_column(column["name"], justify="right" if numeric else "left", overflow="fold")
    for row in found["rows"]:
        table.add_row(*(_cell(value) for value in row.values()))
    shown = console()
    shown.print(table)
    given = f" for which {found['given']}" if found["given"] else ""
    so_far = "" if found["complete"] else ", all that are committed so far"
    shown.print(Text(f"{found['trials_read']:,} trials{given}{so_far}; {found['method']}.", style="dim"))


def _cell(value: object) -> Text:
    if isinstance(value, float):
        return Text(f"{value:.6g}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text("-" if value is None else str(value).lower() if isinstance(value, bool) else str(value))
