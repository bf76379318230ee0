"""``--chart``: an answer's charts as SVG, PNG and HTML; whatever a name or a title holds, it is text there."""

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from api.chart_catalogue import CHARTS
from api.cli.program import load
from tests.support.command_line import assert_refused, brink
from tests.support.examples import changed, issue, litigious
from tests.support.runs import STRATEGIES

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> =1+1 \u05d0"
ASKED = {
    "replay": ["--trial", "3"],
    "aggregate": ["--measure", "export_gain", "--by", "strategy", "--by", "export_gain|bins=10"],
    "convergence": ["--measure", "agreement"],
    "stress": ["--bound", "sanctions", "--strategy", "threaten"],
    "discover": ["--outcome", "sanctions", "--strategy", "threaten"],
    "check": ["--class", "specific-strong", "--strategy", "threaten"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a scenario of hostile titles and a run of it, called ``run``."""
    folder = tmp_path_factory.mktemp("charts")
    own = changed(litigious(), strategies=STRATEGIES, title=HOSTILE, sender=HOSTILE)
    own["issues"] = {"one": {**issue({"uniform": [0.3, 0.9]}, 0.1, 0.1), "title": HOSTILE}}
    (folder / "own.yaml").write_text(yaml.safe_dump(own, allow_unicode=True))
    brink("run", "own.yaml", "--trials", 2000, "--engine", "inline", "--out", "run", cwd=folder, status=0)
    return folder


class Scripts(HTMLParser):
    """What of a page runs or loads something: the elements' names, and the scripts' texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.loads: list[str] = []
        self._within = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href") or name.startswith("on")]
        self._within = tag == "script"
        if self._within:
            self.texts.append("")

    def handle_endtag(self, tag):
        self._within = False

    def handle_data(self, data):
        if self._within:
            self.texts[-1] += data


def test_every_command_offers_the_charts_of_its_answer():
    for chart in CHARTS:
        names = [one.name for one in CHARTS if one.answer is chart.answer]
        offered = next(one for one in load(chart.answer.name).params if one.name == "chart")
        if len(names) > 1:
            assert f"NAME is one of {', '.join(names)}; {names[0]} if none is named" in offered.help


@pytest.mark.slow
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_chart_is_drawn_by_the_command_of_its_answer(folder, chart, tmp_path):
    command = chart.answer.name
    first = next(one.name for one in CHARTS if one.answer is chart.answer) == chart.name
    file = tmp_path / "drawn.svg"
    done = brink(
        command,
        "run",
        *ASKED.get(command, []),
        "--chart",
        file if first else f"{chart.name}={file}",
        cwd=folder,
        status=0,
    )
    assert f"Chart: {file}" in done.stdout
    assert ElementTree.fromstring(file.read_text()).tag.endswith("svg")


def test_a_page_of_a_chart_holds_titles_as_text_alone(folder, tmp_path):
    file = tmp_path / "positions.html"
    found = brink("replay", "run", *ASKED["replay"], "--chart", file, "--json", cwd=folder, status=0)
    assert HOSTILE in json.loads(found.stdout)["result"]["positions"]["one"]["title"]
    page = Scripts(file.read_text())
    assert page.elements.count("script") == 3
    assert "img" not in page.elements
    assert page.loads == []
    specification = json.loads(page.texts[0])
    assert HOSTILE in json.dumps(specification, ensure_ascii=False)
    assert "connect-src" not in file.read_text().split("</head>")[0]
    assert "default-src 'none'" in file.read_text().split("</head>")[0]


def test_several_charts_and_the_densities_of_a_scenario(folder, tmp_path):
    both = ("--chart", tmp_path / "regret.png", "--chart", f"leads={tmp_path / 'leads.svg'}")
    brink("compare", "run", *both, cwd=folder, status=0)
    assert (tmp_path / "regret.png").read_bytes().startswith(b"\x89PNG")
    assert "best on average" in (tmp_path / "leads.svg").read_text()
    brink("validate", "own.yaml", "--chart", tmp_path / "densities.svg", cwd=folder, status=0)
    assert "target_win" in (tmp_path / "densities.svg").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--chart", "x.pdf"), "must end in .svg, .png or .html"),
        (("--chart", "leads=x.svg"), "is not a chart of this answer; there are outcomes, events"),
        (("--chart", "there/x.svg"), "must be a file in a folder that exists"),
        (("--chart", "x.svg", "--chart", "events=x.svg"), "is given for two charts"),
    ],
)
def test_a_wrong_chart_is_refused_before_anything_is_computed(folder, options, says):
    assert_refused(brink("summary", "run", *options, cwd=folder), "--chart", says)
    assert not (folder / "x.svg").exists()


def test_a_table_without_histograms_has_no_chart(folder, tmp_path):
    refused = brink("aggregate", "run", "--measure", "export_gain", "--chart", tmp_path / "x.svg", cwd=folder, status=2)
    assert "--by: must be strategy, outcome if wanted, and one value in bins" in refused.stderr
    assert list(tmp_path.iterdir()) == []
