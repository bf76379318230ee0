"""The commands as a whole: imported only when used, described once, completed by the shell."""

import inspect
import json
import re
import subprocess
import sys
from importlib import import_module

import pytest

from api.catalogue import scenario_entries
from api.cli.program import COMMANDS, load
from api.shipped_scenarios import shipped_names, shipped_scenario
from cluster.answers.registry import ANSWERS
from tests.support.command_line import BRINK, assert_refused, brink

HEAVY = {
    *("alembic", "altair", "duckdb", "fastapi", "obstore", "pandas", "pyarrow", "ray", "sklearn", "sqlalchemy"),
    *("scipy.stats", "structlog", "uvicorn"),
}
NUMERICAL = {"numpy", "scipy"}
GROUPS = {
    "store": ("status", "claim"),
    "maintenance": ("on", "off", "status"),
    "keys": ("create", "list", "rotate", "revoke", "sign-out"),
}
PATHS = [
    *((name,) for name in COMMANDS if name not in GROUPS),
    *((group, name) for group, names in GROUPS.items() for name in names),
]
IMPORTED = """
import json, sys
from api.cli.main import main
sys.argv = ["brink", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported_by(*arguments: str, **environment: str) -> set[str]:
    """The modules that a process of ``brink`` has imported by its end."""
    found = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    return set(json.loads(found.stderr))


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        ([], HEAVY | NUMERICAL | {"rich", "yaml"}),
        (["--help"], HEAVY | NUMERICAL | {"rich", "yaml", "pydantic"}),
        (["--version"], HEAVY | NUMERICAL | {"rich", "yaml", "pydantic"}),
        (["parameters"], HEAVY | NUMERICAL | {"yaml"}),
        (["scenarios"], HEAVY | NUMERICAL),
        (["validate", "us-mexico-2019"], HEAVY | {"rich"}),
        *(([*path, "-h"], HEAVY | NUMERICAL) for path in PATHS),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_command_imports_only_what_it_needs(arguments, absent):
    assert imported_by(*arguments) & absent == set()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("brink ", set(COMMANDS)),
        ("brink val", {"validate"}),
        ("brink keys ", set(GROUPS["keys"])),
        ("brink run us-j", {name for name in shipped_names() if name.startswith("us-j")}),
        ("brink run us-mexico-2019 --engine ", {"auto", "inline", "ray"}),
        (
            "brink compare here --",
            {
                "--strategy",
                "--measure",
                "--given",
                "--believe",
                "--all",
                "--ray-address",
                "--chart",
                "--json",
                "--help",
            },
        ),
    ],
)
def test_the_shell_completes(words, offered):
    asked = {"_BRINK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    found = subprocess.run([BRINK], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", **asked})
    assert set(found.stdout.split()) == offered
    assert imported_by(**asked) & (HEAVY | NUMERICAL) == set()


def test_completion_is_installed(tmp_path):
    shell = {"SHELL": "/bin/bash", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    # A shell of its own, since the command looks which shell it was typed into.
    script = f"{BRINK} --install-completion; true"
    subprocess.run(["/bin/bash", "-c", script], check=True, env=shell, capture_output=True, text=True)
    assert "_BRINK_COMPLETE=complete_bash" in (tmp_path / ".bash_completions" / "brink.sh").read_text()


def test_brink_alone_prints_its_help():
    alone, asked, short = brink(status=0), brink("--help", status=0), brink("-h", status=0)
    assert alone.stdout == asked.stdout == short.stdout
    assert alone.stderr == ""
    lines = alone.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [name for name in COMMANDS if not any(line.startswith(f"  {name} ") for line in lines)] == []
    assert "create" in brink("keys", status=0).stdout


def test_the_version_is_that_of_the_package():
    assert re.fullmatch(r"brink \d+\.\d+\.\d+\S*\n", brink("--version", status=0).stdout)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in GROUPS])
def test_the_help_of_a_command_is_its_sentence_and_its_docstring(name):
    details = inspect.getdoc(getattr(import_module(f"api.cli.commands.{name}"), name))
    assert COMMANDS[name].lower() not in details.lower()
    found = " ".join(brink(name, "-h", status=0).stdout.split())
    assert f"{COMMANDS[name]} {' '.join(details.split())}" in found


def test_a_default_stands_in_one_pair_of_brackets():
    for path in PATHS:
        assert not re.search(r"\[default:\s+\(", brink(*path, "-h", status=0).stdout), path


def described(path: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Each option of a command with its placeholder, help and whether it may be repeated."""
    command = load(path[0])
    if len(path) > 1:
        command = command.commands[path[1]]
    return {
        one.opts[0]: (one.metavar, one.help, one.multiple)
        for one in command.params
        if one.param_type_name == "option" and not one.is_flag
    }


def test_every_option_has_a_placeholder_and_a_sentence():
    lacking = [
        (path, option) for path in PATHS for option, (name, text, _) in described(path).items() if not name or not text
    ]
    assert lacking == []
    for path in PATHS:
        assert not re.search(r"<(str|int|float|path|bool|list\S*)>", brink(*path, "-h", status=0).stdout), path


@pytest.mark.parametrize(
    "option", ["--seed", "--engine", "--ray-address", "--workers", "--given", "--believe", "--set"]
)
def test_a_shared_option_is_explained_once(option):
    found = {described(path)[option] for path in PATHS if option in described(path)}
    assert len(found) == 1


def test_shared_options_have_one_order():
    """What is asked, of which strategies and trials, how it is played, where it is written."""
    before: dict[tuple[str, str], set[str]] = {}
    for path in PATHS:
        options = list(described(path))
        for place, option in enumerate(options):
            for later in options[place + 1 :]:
                before.setdefault((option, later), set()).add(" ".join(path))
    # A required option comes first.
    required = {("report", "--out"), ("export", "--xlsx")}
    opposed = {
        (one, other): (sorted(names), sorted(before[other, one]))
        for (one, other), names in before.items()
        if (other, one) in before
        and not any((name, one) in required for name in names)
        and not any((name, other) in required for name in before[other, one])
    }
    assert opposed == {}


def test_a_command_that_runs_takes_every_option_of_the_engine():
    for name in ("run", "backtest", "indices", "check"):
        assert {"--engine", "--ray-address", "--workers", "--seed", "--out"} <= set(described((name,)))


def test_every_answer_and_the_report_can_be_computed_on_ray():
    for name in (*(answer.name for answer in ANSWERS if answer.name != "replay"), "report"):
        assert "--ray-address" in described((name,)), name


def test_every_document_can_be_had_as_json():
    without = [path for path in PATHS if "--json" not in brink(*path, "-h", status=0).stdout]
    assert without == [
        ("report",),
        ("export",),
        ("serve",),
        ("runner",),
        ("migrate",),
        ("store", "claim"),
        ("maintenance", "on"),
        ("maintenance", "off"),
        ("keys", "create"),
        ("keys", "rotate"),
        ("keys", "revoke"),
        ("keys", "sign-out"),
    ]


def test_a_second_strategy_is_refused_where_only_one_is_meant(tmp_path):
    assert_refused(brink("drivers", tmp_path, "--strategy", "a", "--strategy", "b"), "--strategy", "only once")


def test_lists_as_json_are_the_documents_of_the_tables():
    scenarios = json.loads(brink("scenarios", "--json", status=0).stdout)
    assert scenarios == scenario_entries()
    known = [shipped_scenario(name) for name in shipped_names()]
    assert scenarios == [
        {
            "name": one.name,
            "title": one.title,
            "as_of": one.as_of,
            "strategies": list(one.strategies),
            "strategy_used": one.history.strategy if one.history else None,
        }
        for one in known
    ]
    parameters = json.loads(brink("parameters", "--json", status=0).stdout)
    assert {"name", "group", "decided_by", "unit", "domain", "default", "meaning"} == set(parameters[0])
    assert "target_win" in {one["name"] for one in parameters}


def test_validation_as_json_lists_every_fault(tmp_path):
    assert json.loads(brink("validate", "us-mexico-2019", "--json", status=0).stdout) == {
        "valid": True,
        "errors": [],
        "warnings": [],
    }
    (tmp_path / "a.yaml").write_text("schema: 1\nname: a b\nhorizon_weeks: 0\n")
    found = brink("validate", tmp_path / "a.yaml", "--json", status=2)
    document = json.loads(found.stdout)
    assert document["valid"] is False
    assert {"name", "horizon_weeks"} <= {one["field"] for one in document["errors"]}
    assert {one["line"] for one in document["errors"] if one["field"] == "horizon_weeks"} == {3}
    assert len(found.stderr.splitlines()) == len(document["errors"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("run", "us-mexico-2019", "--design", "foo"), "Invalid value for '--design': 'foo' is not one of "),
        (("rates", "nosuch"), "SCENARIO: is not a shipped scenario; there are "),
        (("indices", "nosuch"), "SCENARIO|RUN: is not a shipped scenario; there are "),
        (("scenarios", "nosuch"), "NAME: is not a shipped scenario; there are "),
    ],
)
def test_a_fault_begins_with_the_option_or_argument_that_was_typed(arguments, line):
    found = brink(*arguments)
    assert_refused(found)
    assert found.stderr.startswith(line)
