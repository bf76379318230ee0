"""Charts as files: SVG, PNG, and a page that draws them again with tooltips. Nothing is loaded from elsewhere."""

import io
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from api.files import new_file
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    import altair as alt

FONT = "DejaVu Sans, sans-serif"
"""Charts are measured with a wide font, so that their labels fit in the narrower one of another machine too."""
FORMATS = (".svg", ".png", ".html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src 'unsafe-inline' 'unsafe-eval'"
"""A page of a chart runs what is within it, and loads nothing."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem; }} #chart svg {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
<h1 style="font-size: 1.1rem">{title}</h1>
<div id="chart">{svg}</div>
<script type="application/json" id="specification">{specification}</script>
<script>{vega}</script>
<script>
vegaEmbed("#chart", JSON.parse(document.getElementById("specification").textContent),
  {{ mode: "vega-lite", renderer: "svg", actions: {{ export: true, source: false, compiled: false, editor: false }} }});
</script>
</body>
</html>
"""


def check_chart_file(path: Path) -> None:
    """Raise `InvalidInput` unless a chart can be written to a file of that name."""
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput((Fault("chart", str(path), f"must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"),))
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InvalidInput((Fault("chart", str(path), "must be a file in a folder that exists"),))


def svg_of(chart: "alt.TopLevelMixin") -> str:
    """A chart as SVG text, which loads nothing."""
    out = io.StringIO()
    chart.configure(font=FONT).save(out, format="svg")
    return out.getvalue()


def png_of(chart: "alt.TopLevelMixin") -> bytes:
    """A chart as PNG with two pixels a point."""
    out = io.BytesIO()
    chart.save(out, format="png", scale_factor=2.0)
    return out.getvalue()


def html_of(chart: "alt.TopLevelMixin", title: str) -> str:
    """A chart as a page: the picture, and where scripts may run the same with tooltips, drawn by Vega within the page.

    Whatever is in the texts of the chart, the page holds it as data: no script and no markup comes from them.
    """
    import vl_convert

    # Within a script element a "<" could end it, whatever stands around.
    specification = json.dumps(chart.to_dict(), allow_nan=False).replace("<", "\\u003c")
    vega = vl_convert.javascript_bundle("globalThis.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    return PAGE.format(policy=POLICY, title=escape(title), svg=svg_of(chart), specification=specification, vega=vega)


def write_chart(chart: "alt.TopLevelMixin", path: Path, *, title: str) -> None:
    """Write a chart as SVG, PNG or HTML, by its file's name, in place of an older file when it is complete.

    Raises `InvalidInput` for another name.
    """
    check_chart_file(path)
    kind = path.suffix.lower()
    content = png_of(chart) if kind == ".png" else (svg_of(chart) if kind == ".svg" else html_of(chart, title)).encode()
    with new_file(path) as draft:
        draft.write_bytes(content)
