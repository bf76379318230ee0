"""``--chart``: the charts of an answer as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from api.chart_files import FORMATS, check_chart_file, write_chart
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from api.chart_catalogue import Chart

Charts = list[str] | None


def chart_option(*names: str) -> Any:
    """The option of a command whose answer has charts of these names, the first of which is drawn if none is named."""
    which = f"Draw it too, as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    if len(names) > 1:
        which += f". NAME is one of {', '.join(names)}; {names[0]} if none is named. May be repeated"
    metavar = "[NAME=]FILE" if len(names) > 1 else "FILE"
    return typer.Option("--chart", metavar=metavar, help=f"{which}.", show_default=False)


def requested_charts(answer: str, texts: Sequence[str]) -> "list[tuple[Chart, Path]]":
    """The charts of an answer that a user requested, each with its file. Raises `InvalidInput`."""
    from api.chart_catalogue import CHARTS

    own = {chart.name: chart for chart in CHARTS if chart.answer.name == answer}
    found: list[tuple[Chart, Path]] = []
    for text in texts:
        name, sign, file = text.partition("=")
        if sign and name not in own and name.replace("_", "").isalpha():
            raise InvalidInput((Fault("chart", name, f"is not a chart of this answer; there are {', '.join(own)}"),))
        chosen = own[name] if sign and name in own else next(iter(own.values()))
        path = Path(file if sign and name in own else text)
        check_chart_file(path)
        if any(path == other for _, other in found):
            raise InvalidInput((Fault("chart", str(path), "is given for two charts"),))
        found.append((chosen, path))
    return found


def write_charts(requested: "Sequence[tuple[Chart, Path]]", document: dict[str, Any]) -> None:
    """Draw charts of a document into their files. Raises `InvalidInput` for a document that has no such chart."""
    for chart, path in requested:
        write_chart(chart.draw(document), path, title=f"{document['scenario']}: {chart.sentence}")
