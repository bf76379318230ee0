"""Tables of commands: they fit the width, lose no number, and have no bars and no lines in a pipe."""

import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from api.cli.program import COMMANDS, load
from api.cli.rendering import share_bar
from api.cli.tables import Bars, Column, print_table, wrap
from cluster.answers.aggregate_statistics import USUAL
from cluster.answers.entry import NET_GAIN
from cluster.answers.registry import ANSWERS, ask
from cluster.query.trials import StoredRun
from tests.support.command_line import brink

EPISODES = "target,began,outcome,imposed_on,ended_on,specific,commitment\n" + "".join(
    f"country-{k % 7},{1980 + k}-03-01,{('settled', 'imposed', 'dropped')[k % 3]},"
    f"{f'{1980 + k}-09-01' if k % 3 == 1 else ''},{1981 + k}-0{1 + k % 9}-01,yes,{('weak', 'strong')[k % 2]}\n"
    for k in range(24)
)
ASKED = {
    "summary": ["here"],
    "compare": ["here"],
    "worth": ["here"],
    "drivers": ["here"],
    "stress": ["here", "--bound", "target_cost > 0.1"],
    "discover": ["here", "--outcome", "sanctions"],
    "timeline": ["here"],
    "convergence": ["here", "--measure", "agreement"],
    "typical": ["here", "--measure", "export_gain - target_cost"],
    "replay": ["here", "--trial", "3"],
    "score": ["here"],
    "check": ["here", "--class", "specific-strong"],
    "aggregate": [
        "here",
        "--measure",
        "export_gain",
        "--measure",
        "market_access",
        "--by",
        "outcome",
        "--by",
        "strategy",
    ],
    "indices": ["points"],
}
LISTS = {
    "run": ["us-japan-autos-1995", "--trials", "2000", "--engine", "inline", "--out", "here"],
    "scenarios": [],
    "parameters": [],
    "rates": [],
    "keys": ["list"],
    "audit": [],
    "calibrate": ["episodes.csv"],
    "diff": ["here", "us-mexico-2019", "--engine", "inline"],
    "fit": ["us-mexico-2019", "--trials", "2000"],
    "backtest": ["us-mexico-2019", "us-eu-2025", "--trials", "200", "--engine", "inline", "--out", "past"],
}
COMMANDS_WITH_TABLES = {**ASKED, **LISTS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a run of six strategies with long names, one for indices, a table of episodes, and keys."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "episodes.csv").write_text(EPISODES)
    brink("run", *LISTS["run"], cwd=folder, status=0)
    brink(
        "indices",
        "us-mexico-2019",
        "--base-samples",
        "64",
        "--engine",
        "inline",
        "--out",
        "points",
        cwd=folder,
        status=0,
    )
    for owner in ("ann", "a-department-with-a-long-name"):
        brink("keys", "create", "--owner", owner, "--scope", "read", "--scope", "submit", cwd=folder, status=0)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _answers_are_computed_once() -> Iterator[None]:
    """The same document is printed at every width."""
    known: dict[tuple[str, str, str], dict] = {}

    def once(run: StoredRun, name: str, request: dict, **options: object) -> dict:
        key = (run.folder.address, name, json.dumps(request, sort_keys=True))
        if key not in known:
            known[key] = ask(run, name, request, **options)
        return deepcopy(known[key])

    with mock.patch("api.cli.answering.ask", once):
        yield


def printed(folder: Path, command: str, width: int | None) -> str:
    environment = {} if width is None else {"COLUMNS": str(width)}
    found = brink(command, *COMMANDS_WITH_TABLES[command], cwd=folder, environment=environment, status=0)
    # A command to copy is in one line, however long; and the time that a run took is never the same.
    lines = [line for line in found.stdout.splitlines() if not line.startswith("  brink replay ")]
    return re.sub(r"in\s[\d.]+\ss\.", "", "\n".join(lines))


def numbers(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", text))


def widest(text: str) -> int:
    return max(map(cell_len, text.splitlines()), default=0)


def test_every_command_that_prints_a_table_is_tested_here():
    others = {
        "new",
        "validate",
        "verify",
        "report",
        "export",
        "serve",
        "runner",
        "migrate",
        "maintenance",
        "backup",
        "restore",
        "store",
    }
    assert COMMANDS_WITH_TABLES.keys() | others == COMMANDS.keys()
    assert {answer.name for answer in ANSWERS} == ASKED.keys()


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=pytest.mark.slow) if name == "fit" else name for name in COMMANDS_WITH_TABLES],
)
def test_what_is_piped_fits_the_width_has_all_numbers_and_no_bars(folder, command):
    wide = printed(folder, command, 200)
    for width in (60, 80):
        narrow = printed(folder, command, width)
        assert widest(narrow) <= width
        assert not numbers(wide) - numbers(narrow)
        assert "…" not in narrow
    for text in (wide, narrow):
        assert not re.search("[─-╿▀-▟●]", text)
    assert widest(wide) <= 200
    assert printed(folder, command, None) == narrow


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("command", ASKED)
def test_a_terminal_of_any_width_is_wide_enough(folder, command, width):
    def terminal() -> Console:
        return Console(file=sys.stdout, width=width, force_terminal=True, color_system=None, markup=False, emoji=False)

    with mock.patch("api.cli.answering.console", terminal), mock.patch("api.cli.commands.indices.console", terminal):
        found = brink(command, *ASKED[command], cwd=folder, status=0)
    shown = "\n".join(line for line in found.stdout.splitlines() if not line.startswith("  brink replay "))
    assert widest(shown) <= width
    if command != "replay":
        # Labels of rows stand again in each block of a narrow table, so that only which numbers there are is compared.
        assert not numbers(printed(folder, command, 80)).keys() - numbers(shown).keys()


def test_the_summary_of_six_strategies_is_short(folder):
    lines = printed(folder, "summary", 80).splitlines()
    # The answer in sentences, then the tables.
    assert lines[0].startswith("By the sender's net gain")
    tables = next(k for k, line in enumerate(lines) if line.endswith(": % of trials"))
    assert tables <= 15
    assert len(lines) - tables <= 72


def test_a_comparison_begins_with_the_answer_and_prints_the_rest_only_if_asked(folder):
    short = printed(folder, "compare", 80)
    assert short.splitlines()[1].startswith("By the sender's net gain")
    assert len(short.splitlines()) <= 88
    found = brink("compare", "here", "--all", cwd=folder, environment={"COLUMNS": "80"}, status=0).stdout
    left_out = re.search(r"--all prints also ([^.]*)\.", " ".join(short.split()))
    assert left_out
    assert "--all prints also" not in found
    assert len(found.splitlines()) > len(short.splitlines()) + 30


CELLS = st.text(st.sampled_from("ab1 -_.%日é"), max_size=30)


@given(
    st.integers(1, 4).flatmap(
        lambda rows: st.lists(
            st.tuples(CELLS, st.lists(CELLS, min_size=rows, max_size=rows), st.booleans(), st.booleans()),
            min_size=1,
            max_size=9,
        )
    ),
    st.integers(40, 120),
    st.integers(1, 3),
    st.booleans(),
)
def test_any_table_fits_and_shows_every_character(columns, width, keys, terminal):
    keys = min(keys, len(columns))
    shown = [Column(title, cells, left=left, prose=prose) for title, cells, left, prose in columns]
    out = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, markup=False)
    print_table(out, shown, keys=keys)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert widest(text) <= width
    found = Counter(text.replace(" ", "").replace("\n", ""))
    # The title of prose that stands below its rows is printed with its texts alone, and so not at all without any.
    texts = [text for title, cells, _, prose in columns for text in (*cells, "" if prose else title)]
    meant = Counter("".join(texts).replace(" ", ""))
    assert not meant - found


def test_lines_end_after_hyphens_and_not_in_numbers():
    assert wrap("threaten-and-follow-through 16.25 %", 14) == ["threaten-and-", "follow-through", "16.25 %"]
    assert wrap("issues.parts.sender_concession", 20) == ["issues.parts.sender_", "concession"]
    assert wrap("Donaudampfschiff", 5) == ["Donau", "dampf", "schif", "f"]


def test_bars_are_drawn_only_on_a_terminal_with_room():
    columns = [Column("", ["a"]), Column("share", ["50.0"]), Bars("", lambda width: [share_bar(0.5, width)], 10, 10)]
    for terminal, width, drawn in ((True, 80, True), (True, 19, False), (False, 80, False)):
        out = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
        print_table(out, columns)
        text = out.file.getvalue()  # type: ignore[attr-defined]
        assert ("█████·····" in text) == drawn
        assert "50.0" in text


def test_texts_of_defaults_are_the_defaults():
    measures = {}
    for name in ASKED.keys() | {"report"}:
        for option in load(name).params:
            if option.name == "measure" and option.show_default is not True and option.show_default:
                measures[name] = option.show_default
    default = f"the scenario's choice, else {NET_GAIN}"
    assert measures.pop("compare") == f"{default}, and the measures of the summary"
    assert measures == dict.fromkeys(("worth", "drivers", "indices", "report", "convergence"), default)
    for answer in ANSWERS:
        field = answer.request.model_fields.get("measure")
        if answer.name in measures:
            assert field is not None
            assert field.default is None
    texts = {option.name: option.show_default for option in load("aggregate").params}
    assert texts["statistic"] == ", ".join(USUAL)
