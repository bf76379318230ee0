"""Hostile values for every argument and option of every command: refused with a line a fault, never a traceback."""

from pathlib import Path

import pytest

from api.cli.program import COMMANDS, load
from tests.support.command_line import brink

pytestmark = pytest.mark.slow
SERVICE = ("serve", "runner")
"""Commands that do not end by themselves; `serve` is tried with the values that it must refuse."""
COMMANDS_OF_ONE = [name for name in COMMANDS if name not in (*SERVICE, "keys", "maintenance", "store")]
HOSTILE = [
    "",
    " ",
    "\t\n",
    "-",
    "--",
    "nan",
    "-inf",
    "1e999",
    "-1",
    "0",
    "1.5",
    "9" * 400,
    "9" * 5000,
    "²",
    "１２",
    "0x10",
    "1_000",
    "[red]",
    "[/x]",
    ":smile:",
    "\x1b[31m",
    "a\x00b",
    "' OR 1=1 --",
    "../../etc",
    "a" * 5000,
    "\u202e",
    "{}",
    "%s%n",
    "=",
    "a=",
    "a=b=c",
    "|",
    "strategy|bins=0",
    "strategy|bins=" + "9" * 30,
    "1/0",
    "(" * 500,
]
NEEDED = {
    "aggregate": ["--measure", "export_gain"],
    "discover": ["--outcome", "sanctions"],
    "stress": ["--bound", "sender_cost > 1"],
    "replay": ["--trial", "0"],
    "export": ["--xlsx", "x.xlsx"],
}
ARGUMENTS = ("SCENARIO", "RUN", "SCENARIO|RUN", "TABLE")
ENGINE = ("run", "backtest", "indices")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "run"
    brink("run", "us-mexico-2019", "--trials", "300", "--engine", "inline", "--out", folder, status=0)
    return folder


@pytest.fixture
def below(tmp_path) -> Path:
    """A folder from which ``../..`` leads nowhere else than into this test's own folder."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return folder


def options_of(name: str) -> list[str]:
    return [
        one.opts[0]
        for one in load(name).params
        if one.param_type_name == "option" and not one.is_flag and one.opts[0] != "--help"
    ]


def arguments(name: str, option: str, value: str, run: Path) -> list[str]:
    """The command with its arguments, all that it needs, little work to do, and the option with the value."""
    given = {"--trials": "50", "--engine": "inline", "--base-samples": "64", "--seed": "3"} if name in ENGINE else {}
    typed = [name, "us-mexico-2019" if name in ENGINE else str(run)]
    typed += [str(run)] if name == "diff" else []
    typed += [*NEEDED.get(name, [])] if option not in NEEDED.get(name, []) else []
    known = options_of(name)
    for key, text in given.items():
        if key != option and key in known:
            typed += [key, text]
    return [*typed, f"{option}={value}"]


def assert_sane(found, typed: list[str]) -> None:
    """Exit status 0, 1 or 2; a refusal is said on standard error, in lines that a person can read."""
    said = found.stderr
    assert found.returncode in (0, 1, 2), (typed, said)
    assert "Traceback" not in said, (typed, said)
    assert "unexpected error" not in said, (typed, said)
    if found.returncode == 2:
        lines = said.splitlines()
        assert lines, typed
        assert all(line.strip() for line in lines), (typed, said)
        assert "\x1b" not in said, (typed, said)
        assert max(map(len, lines)) < 20_000, typed


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in COMMANDS_OF_ONE for option in options_of(name)]
)
def test_every_option_of_every_command(name, option, run, below):
    for value in HOSTILE:
        typed = arguments(name, option, value, run)
        assert_sane(brink(*typed, cwd=below), typed)


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS_OF_ONE if name not in ("scenarios", "parameters", "backtest")]
)
def test_the_argument_of_every_command(name, below):
    for value in HOSTILE:
        if name == "new" and value.isascii() and value.isalnum() and len(value) <= 64:
            # A name like any other.
            continue
        typed = [name, *NEEDED.get(name, []), "--", value]
        found = brink(*typed, cwd=below)
        assert_sane(found, typed)
        # A folder without a run is what `verify` is asked to find.
        assert found.returncode == 2 or name == "verify", (typed, found.stderr)
        assert found.returncode != 0


@pytest.mark.parametrize("option", ["--host", "--port"])
def test_the_service_refuses_where_it_cannot_listen(option, tmp_path):
    for value in ("", " ", "-1", "65536", "9" * 400, "nan", "²", "[red]", "a\x00b", "0.0.0.0"):
        typed = ["serve", "--no-runner", f"{option}={value}"]
        found = brink(*typed, cwd=tmp_path, environment={"BRINK_DATA_DIR": str(tmp_path)})
        assert_sane(found, typed)
        assert found.returncode == 2, (typed, found.stderr)


@pytest.mark.parametrize(
    "typed",
    [
        ["keys", "create", "--owner=", "--scope=read"],
        ["keys", "create", "--owner=a\x00b", "--scope=read"],
        ["keys", "create", "--owner=a", "--scope="],
        ["keys", "create", "--owner=a", "--scope=[red]"],
        *(["keys", "create", "--owner=a", "--scope=read", f"--expires={value}"] for value in HOSTILE[:17]),
        *(["keys", "revoke", "--", value] for value in HOSTILE),
    ],
    ids=lambda typed: ascii(" ".join(typed))[:60],
)
def test_keys_refuse_impossible_options(typed, tmp_path):
    found = brink(*typed, cwd=tmp_path, environment={"BRINK_DATA_DIR": str(tmp_path)})
    assert_sane(found, typed)
