"""``brink aggregate``: grouped statistics over a stored run's trials."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RayOfAnswer, RunFolder, Strategies
from api.cli.output import print_json
from api.cli.tables import Column, print_table
from api.files import new_file
from sim.faults import Fault, InvalidInput


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
    believe: Believe = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a file instead: .json, .csv, .arrow, .parquet or .xlsx.")
    ] = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("distribution", "cumulative")] = None,
    as_json: AsJson = False,
) -> None:
    """A row for each group: statistics of measures, with groups and a condition of your choice."""
    from api.cli.answering import answer
    from api.formats import JSON, SUFFIXES, encode
    from cluster.answers.aggregate import answer_table

    if out is not None and out.suffix not in SUFFIXES:
        raise InvalidInput((Fault("out", str(out), f"must end in one of {', '.join(SUFFIXES)}"),))
    groups = [_grouping(one, f"by[{k}]") for k, one in enumerate(by)] if by else None
    request = {
        "measures": measure,
        "statistics": statistic,
        "by": groups,
        "given": given,
        "believe": believe,
        "strategies": strategy,
    }

    def render(shown: Console, document: dict[str, Any]) -> None:
        if out is None:
            _print_table(shown, document)
        elif SUFFIXES[out.suffix] == JSON:
            with new_file(out) as draft, draft.open("w", encoding="utf-8") as file:
                print_json(document, file)
        else:
            with new_file(out) as draft:
                draft.write_bytes(encode(answer_table(document), SUFFIXES[out.suffix]))

    answer(
        run, "aggregate", request, as_json=as_json and out is None, charts=chart, ray_address=ray_address, render=render
    )


def _grouping(text: str, field: str) -> str | dict[str, object]:
    value, bar, way = text.partition("|")
    if not bar:
        return value
    name, _, numbers = way.partition("=")
    try:
        if name.strip() == "edges":
            return {"value": value.strip(), "edges": [float(number) for number in numbers.split(",")]}
        if name.strip() == "bins":
            return {"value": value.strip(), "bins": int(numbers)}
        if name.strip() == "quantiles":
            return {"value": value.strip(), "quantiles": int(numbers)}
    except ValueError:
        pass
    raise InvalidInput((Fault(field, text, "must end in |bins=N, |quantiles=N or |edges=A,B,..."),))


def _print_table(shown: Console, document: dict[str, Any]) -> None:
    found = document["result"]
    print_evidence(shown, document.get("evidence"))
    cells = list(zip(*(map(_cell, row.values()) for row in found["rows"]), strict=True)) or [()] * len(found["columns"])
    columns = [
        Column(one["name"], own, left=one["kind"] not in ("whole", "number"))
        for one, own in zip(found["columns"], cells, strict=True)
    ]
    print_table(shown, columns, keys=_groups(found["columns"]))
    given = f" for which {document['given']}" if document["given"] else ""
    so_far = "" if document["run"]["complete"] else ", all that are committed so far"
    notes = "; ".join((document["method"]["errors"], f"quantiles {document['method']['quantiles']}"))
    shown.print(Text(f"{document['trials']['used']:,} trials{given}{so_far}; {notes}.", style="dim"))


def _groups(columns: list[dict[str, Any]]) -> int:
    """How many columns name the groups: those before the number of trials."""
    return max(1, [one["name"] for one in columns].index("trials"))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
