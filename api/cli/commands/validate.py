"""``brink validate``: every fault of a scenario, and its probable mistakes."""

from math import isfinite
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.chart_files import FORMATS, check_chart_file, write_chart
from api.cli.options import AsJson, ScenarioArgument
from api.cli.output import print_json, print_warnings
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario


def validate(
    scenario: ScenarioArgument,
    chart: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Draw the densities of its uncertain parameters, as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The exit status is 2 if there is a fault; a warning alone does not change it."""
    from api.shipped_scenarios import find_scenario

    if chart is not None:
        check_chart_file(chart)
    try:
        found = find_scenario(scenario)
    except InvalidInput as error:
        if as_json:
            print_json({"valid": False, "errors": [_fault(fault) for fault in error.faults], "warnings": []})
        raise
    if chart is not None:
        _draw(found, chart)
    if as_json:
        print_json({"valid": True, "errors": [], "warnings": [_fault(warning) for warning in found.warnings]})
        return
    print_warnings(found)
    text = (
        f"{found.name}: valid. {len(found.issues)} issues, {len(found.uncertain)} uncertain parameters, "
        f"{found.horizon_weeks} weeks, strategies {', '.join(found.strategies)}"
    )
    print(fill(text, get_terminal_size().columns, break_long_words=False, break_on_hyphens=False))


def _draw(scenario: "Scenario", chart: Path) -> None:
    from api.charts import densities_chart
    from api.ranges import ranges_document

    title = f"{scenario.name}: what is believed of each uncertain parameter"
    write_chart(densities_chart(ranges_document(scenario)), chart, title=title)


def _fault(fault: Fault) -> dict[str, Any]:
    plain = isinstance(fault.value, str | int | None) or (isinstance(fault.value, float) and isfinite(fault.value))
    found = fault.value if plain else repr(fault.value)
    return {"field": fault.field, "line": fault.line, "message": fault.message, "found": found}
