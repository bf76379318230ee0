"""``brink convergence``: how an estimate and its error settle as trials are added."""

from typing import Annotated, Any

from rich.console import Console

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import AsJson, Believe, Given, RayOfAnswer, RunFolder, Strategies, measure_option
from api.cli.output import heading
from api.cli.tables import Column, print_table
from api.figures import amount


def convergence(
    run: RunFolder,
    measure: Annotated[str | None, measure_option()] = None,
    strategy: Strategies = None,
    given: Given = None,
    believe: Believe = None,
    ray_address: RayOfAnswer = None,
    chart: Annotated[Charts, chart_option("convergence")] = None,
    as_json: AsJson = False,
) -> None:
    """A row for each number of trials, from 100 on: would fewer trials have been enough, or are more needed?"""
    from api.cli.answering import answer

    request = {"measure": measure, "strategies": strategy, "given": given, "believe": believe}
    answer(
        run, "convergence", request, as_json=as_json, charts=chart, ray_address=ray_address, render=print_convergence
    )


def print_convergence(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.convergence`: the estimate after so many trials, a column a strategy."""
    found = document["result"]
    given = f", given {document['given']}" if document["given"] else ""
    out.print(heading(f"{document['scenario']}: {found['measure']} as trials are added{given}"))
    print_evidence(out, document.get("evidence"))
    columns = [Column("trials", [f"{count:,}" for count in found["after"]])]
    for name, one in found["strategies"].items():
        columns.append(Column(name, [_cell(one, k) for k in range(len(found["after"]))]))
    print_table(out, columns)
    out.print(
        "± is half the 95 % interval of the trials up to there. With independent trials, half the error takes four "
        "times the trials.",
        style="dim",
    )


def _cell(one: dict[str, Any], k: int) -> str:
    return amount({name: one[name][k] for name in ("estimate", "low", "high")}, significant=2)
