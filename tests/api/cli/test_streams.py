"""What is printed, where it goes, and what the environment has made of the streams."""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.output import console, heading, print_json
from api.cli.rendering import print_summary, share_cell
from tests.support.command_line import BRINK, assert_refused, brink, brink_process
from tests.support.examples import changed, litigious

SMALL = ["us-mexico-2019", "--trials", "200", "--engine", "inline"]
MARKUP = [
    "[red]",
    "[/x]",
    "[bold]a[/bold]",
    ":smile:",
    "[link=x]y[/link]",
    "\\[red]",
    "[/]",
    "[",
    "a [b] c",
    "[@click=f]",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("streams") / "run"
    brink("run", *SMALL, "--out", folder, status=0)
    return folder


def printed(*things: object) -> str:
    with redirect_stdout(io.StringIO()) as output:
        for thing in things:
            console().print(thing)
    return output.getvalue()


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=60) | st.sampled_from(MARKUP)
)
def test_text_of_a_user_is_printed_as_it_is(text):
    table = Table(text, title=text, title_justify="left", show_edge=False)
    table.add_row(text)
    table.add_row(Text(text))
    words = text.split()
    for thing, times in ((text, 1), (heading(text, text), 2), (table, 4)):
        found = printed(thing)
        assert "".join(found.replace("│", "").replace("━", "").replace("┃", "").split()) == "".join(words) * times


@pytest.mark.parametrize("name", MARKUP[:4])
def test_a_folder_may_have_any_name(tmp_path, name):
    found = brink("run", *SMALL, "--out", name, cwd=tmp_path, status=0)
    assert f"Results: {name}\n" in found.stdout
    for command in (["summary"], ["verify"], ["replay", "--trial", "3"], ["timeline"], ["compare"], ["typical"]):
        shown = brink(command[0], name, *command[1:], cwd=tmp_path, status=0)
        assert shown.stderr == ""


@pytest.mark.parametrize(
    "name", ["a\x1b[31mb", "a\x1b]0;title\x07", "a\x9b2Jb", "a\rb", "a\u202eb", "a\nb", "a\u2028b"]
)
def test_a_folder_name_reaches_no_terminal_as_a_command(tmp_path, name):
    found = brink("run", *SMALL, "--out", name, cwd=tmp_path, status=0)
    said = found.stdout + found.stderr
    for command in (["summary"], ["verify"], ["replay", "--trial", "3"], ["aggregate", "--measure", "nosuch"]):
        shown = brink(command[0], name, *command[1:], cwd=tmp_path)
        said += shown.stdout + shown.stderr
    (tmp_path / name / "summary.json").write_text("{}")
    (tmp_path / name / "manifest.json").unlink()
    said += "".join(brink(command, name, cwd=tmp_path).stderr for command in ("summary", "verify", "report", "rates"))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", said)


@pytest.mark.slow
def test_without_docstrings_every_command_works(tmp_path):
    """PYTHONOPTIMIZE=2 removes docstrings and assertions."""
    environment = {**os.environ, "PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    for typed in (["run", *SMALL, "--out", "here"], ["verify", "here"], ["drivers", "--help"], ["keys", "--help"]):
        found = brink_process(*typed, cwd=tmp_path, env=environment)
        assert (found.returncode, found.stderr) == (0, ""), typed


def test_a_title_may_be_any_text(tmp_path):
    title = "[red] talks [/x] :smile: \\[b]"
    (tmp_path / "a.json").write_text(json.dumps(changed(litigious(), title=title)))
    found = brink("run", "a.json", "--trials", "200", "--engine", "inline", "--out", "here", cwd=tmp_path, status=0)
    assert title in found.stdout
    assert title in brink("replay", "here", "--trial", "1", cwd=tmp_path, status=0).stdout


@pytest.mark.parametrize("encoding", ["latin-1", pytest.param("ascii", marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", [["summary"], ["replay", "--trial", "3"], ["summary", "--json"]])
def test_a_terminal_may_have_any_encoding(run, encoding, command):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    found = subprocess.run(
        [BRINK, command[0], str(run), *command[1:]], capture_output=True, env=environment, check=True
    )
    assert found.stderr == b""
    text = found.stdout.decode(encoding)
    if "--json" in command:
        assert json.loads(text) == json.loads((run / "summary.json").read_text())
    else:
        assert "greement" in text


def test_json_is_ascii_where_the_output_is_not_utf_8():
    document = {"name": "Ōsaka \U0001f600 é"}
    for encoding in ("latin-1", "utf-8", "ascii", "utf_8"):
        out = io.TextIOWrapper(io.BytesIO(), encoding)
        print_json(document, out)
        out.flush()
        assert json.loads(out.buffer.getvalue().decode(encoding)) == document  # type: ignore[attr-defined]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_does_not_end_a_run(tmp_path, closed):
    command = f"{BRINK} run {' '.join(SMALL)} --out here {closed}"
    found = subprocess.run(["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stderr == ""
    assert ("Results: here" in found.stdout) == (">&-" not in closed.replace("2>&-", "").split())
    assert brink("verify", "here", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("streams", ["2> /dev/full", "> /dev/full", "> /dev/full 2> /dev/full"])
@pytest.mark.parametrize("command", ["parameters", "validate nosuch", "--help", "--version"])
def test_a_full_disk_behind_a_stream_is_no_traceback(tmp_path, streams, command):
    found = subprocess.run(
        ["/bin/bash", "-c", f"{BRINK} {command} {streams}"], capture_output=True, text=True, cwd=tmp_path
    )
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    wrong_input, no_room = "nosuch" in command, streams.startswith("> ")
    assert found.returncode == (2 if wrong_input else 1 if no_room else 0)
    if streams == "> /dev/full" and not wrong_input:
        assert "No space left" in found.stderr


@pytest.mark.parametrize("command", ["parameters", "--help", "validate nosuch", "scenarios --json"])
def test_standard_error_may_be_closed_by_its_reader(tmp_path, command):
    script = f"{BRINK} {command} 2> >(true) | true; exit ${{PIPESTATUS[0]}}"
    found = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert (found.returncode, found.stderr) == (2 if "nosuch" in command else 0, "")


def test_an_argument_that_is_not_utf_8_is_refused(tmp_path):
    assert_refused(brink_process("run", *SMALL, "--out", os.fsdecode(b"r\xff"), cwd=tmp_path), "must be UTF-8 text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_summary_fits_the_width_and_loses_nothing(run, width, terminal):
    summary = json.loads((run / "summary.json").read_text())
    one = next(iter(summary["strategies"].values()))
    names = [f"strategy-{k}-with-a-long-name" for k in range(7)]
    summary["strategies"] = dict.fromkeys(names, one)
    output = io.StringIO()
    print_summary(Console(file=output, width=width, force_terminal=terminal, color_system=None, markup=False), summary)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in output.getvalue()
    share = share_cell(one["outcome"]["agreement_under_threat"])
    assert output.getvalue().count(share) >= len(names)
    assert terminal or not re.search("[─-╿█]", output.getvalue())


def test_a_low_soft_limit_on_open_files_is_raised():
    """Many shells set 1,024 or less; the hard limit is what counts."""
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "sys.argv = ['brink', '--version']; from api.cli.main import MOST_OPEN_FILES, main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "assert soft == (MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)), soft"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
