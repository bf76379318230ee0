"""A chart of an answer, as the service draws it: a specification of Vega-Lite, and the same as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from brink.errors import BrinkError

if TYPE_CHECKING:
    import altair

VEGA_LITE = "application/vnd.vegalite.v6+json"
SVG = "image/svg+xml"
CHARTS = {
    "summary": ("outcomes", "events"),
    "timeline": ("timeline",),
    "compare": ("regret", "leads"),
    "worth": ("values", "means"),
    "drivers": ("tornado",),
    "convergence": ("convergence",),
    "aggregate": ("distribution", "cumulative"),
    "stress": ("shifts",),
    "discover": ("boxes",),
    "check": ("past",),
    "replay": ("positions",),
}
"""The names of the charts of each answer that has any; the first is drawn if none is named."""


class Chart:
    """A chart: `specification` is that of Vega-Lite with its data, `svg` the picture."""

    def __init__(self, name: str, specification: dict[str, Any], svg: str) -> None:
        self.name, self.specification, self.svg = name, specification, svg

    def __repr__(self) -> str:
        return f"<Chart {self.name}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """The specification for notebooks that draw it, the picture for the others."""
        return {VEGA_LITE: self.specification, SVG: self.svg, "text/plain": repr(self)}

    def save(self, file: str | Path) -> Path:
        """Write the picture to a file, .svg. `altair` writes other formats."""
        path = Path(file)
        if path.suffix.lower() != ".svg":
            raise BrinkError(f"{path}: a chart must end in .svg; .altair().save(...) writes .png and .html")
        path.write_text(self.svg, encoding="utf-8")
        return path

    def altair(self) -> "altair.TopLevelMixin":
        """The chart as one of Altair's, to be changed or combined. Raises `BrinkError` where Altair is missing."""
        try:
            import altair
        except ImportError:
            raise BrinkError("this needs Altair: pip install altair") from None
        chart: altair.TopLevelMixin = altair.Chart.from_dict(self.specification)
        return chart


def chart_name(answer: str, name: str | None) -> str:
    """The chart that is drawn of an answer, its first if none is named. Raises `BrinkError`."""
    known = CHARTS.get(answer, ())
    if not known:
        raise BrinkError(f"{answer} has no chart; charts have {', '.join(CHARTS)}")
    if name is not None and name not in known:
        raise BrinkError(f"{answer} has no chart {name}; there are {', '.join(known)}")
    return name or known[0]
