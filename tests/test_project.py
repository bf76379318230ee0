"""What holds for the project as a whole: layers, pinned dependencies, pages that are made from the code."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.program import COMMANDS
from api.shipped_scenarios import shipped_scenario
from docs.parameters import HERE, parameters_page
from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).parent.parent
ORDER = {
    "sim": ("faults", "scenario", "sampling", "model", "statistics"),
    "cluster": ("storage", "results", "query", "reference", "answers", "runs", "service"),
}
"""The sub-packages of a package: each imports those before it alone."""
LAYERS = ("sim", "cluster", "api")
FOREIGN = {"sim": {"ray", "fastapi", "pyarrow", "duckdb"}, "cluster": {"fastapi"}}
"""Libraries that a package does without."""


def imports(path: Path, *, types: bool = True) -> set[str]:
    """The modules that a file imports, wherever in it; with or without those that only its types need."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for inner in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in for_types and not types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path} imports relatively"
            known = [(ROOT / node.module.replace(".", "/") / alias.name).with_suffix(".py") for alias in node.names]
            found |= {
                f"{node.module}.{alias.name}" if file.exists() else node.module
                for alias, file in zip(node.names, known, strict=True)
            }
    return found


def part(module: str) -> str:
    """The package and sub-package of a module: ``cluster.runs`` of ``cluster.runs.run``."""
    return ".".join(module.split(".")[:2])


def edges(*, types: bool = True) -> dict[str, set[str]]:
    """The modules that each module of the project imports from the project."""
    found = {}
    for package in (*LAYERS, "brink"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[module] = {name for name in imports(path, types=types) if name.split(".")[0] in (*LAYERS, "brink")}
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_no_import_goes_against_the_layers(layer):
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    forbidden = above | FOREIGN.get(layer, set())
    against = {
        path.relative_to(ROOT).as_posix(): {name.split(".")[0] for name in imports(path)} & forbidden
        for path in (ROOT / layer).rglob("*.py")
    }
    assert {path: names for path, names in against.items() if names} == {}


def test_no_import_goes_against_the_order_of_sub_packages():
    against = set()
    for module, imported in edges().items():
        package, _, _ = module.partition(".")
        own = [f"{package}.{name}" for name in ORDER.get(package, ())]
        for name in imported:
            if part(module) in own and part(name) in own and own.index(part(name)) > own.index(part(module)):
                against.add(f"{module} -> {name}")
    assert against == set()


def test_every_sub_package_has_its_place_in_the_order():
    for package, names in ORDER.items():
        found = {
            path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        assert found - {"__init__"} == set(names)


def test_no_modules_import_each_other_in_a_circle():
    pending, finished = dict(edges(types=False)), set()
    while pending:
        ready = {name for name, needed in pending.items() if needed & pending.keys() <= {name}}
        assert ready, f"a circle among {sorted(pending)}"
        finished |= ready
        pending = {name: needed for name, needed in pending.items() if name not in ready}


def test_constraints_hold_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    assert not any(line.lower().startswith("brink=") for line in lines)


def test_the_parameters_page_is_current():
    assert (HERE / "parameters.md").read_text(encoding="utf-8") == parameters_page(
        shipped_scenario("us-japan-autos-1995")
    ), "make reference brings it up to date"


def test_the_readme_names_every_make_target():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", readme, re.MULTILINE))
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    assert named == set(targets[1].split())


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in COMMANDS if not re.search(rf"\bbrink {name}\b", readme)} == set()


def test_links_of_the_pages_resolve():
    for page in (ROOT / "README.md", *HERE.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


FOLDERS = ("api", "benchmarks", "brink", "cluster", "configs", "docs", "sim", "tests")
PATH = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:py|md|yaml|json|jinja)\b")
EXAMPLES = ("NAME", "imposed", "runner.py", "shard.py")
"""Parts of paths that stand for files that are still to be written, or that a test writes."""


def tracked(*endings: str) -> list[Path]:
    """The project's text files of these endings."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    return sorted([*found, *(path for path in ROOT.iterdir() if path.suffix in endings)])


def test_files_named_in_pages_and_docstrings_exist():
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked(".py", ".md")
        for name in PATH.findall(path.read_text(encoding="utf-8"))
        if not any(part in name for part in EXAMPLES)
        and not ((ROOT / name).exists() or (ROOT / "tests" / name).exists())
    }
    assert missing == set()


UNUSUAL = re.compile(
    r"\b(reckon\w*|hinder\w*|hindrance|wished|wound|tenths|kin|somebody's|held against|gone on with|goes on|"
    r"stands? in the way|worth while|have it that|at last|told otherwise|told apart|a row a trial|"
    r"a line a finding|laid out at once|whoever must|takes? for (?:an?|the) (?:pattern|column)|"
    r"the very (?:same )?(?:run|trial)|does not have the form it should|is no (?:strategy|answer|field) of)\b",
    re.IGNORECASE,
)
"""Words and phrases of an older or a private English. Standard ones are: compute, transient failure, requested,
deciles, compare with, continue."""


def test_texts_use_standard_words():
    """Names in backticks, names of fields and old columns in a migration are no prose."""
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked(".py", ".md", ".yaml", ".jinja", ".toml")
        if "migrations" not in path.as_posix() and path != Path(__file__)
        for word in UNUSUAL.findall(re.sub(r"`[^`]*`", "", path.read_text(encoding="utf-8")))
    }
    assert found == set()


def test_settings_are_described():
    from cluster.service.settings import Settings

    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"BRINK_{name.upper()}" not in page]
    assert missing == []


def test_the_command_line_describes_itself():
    found = subprocess.run(
        [Path(sys.executable).parent / "brink", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    for command in ("run", "scenarios", "validate", "parameters", "verify", "serve"):
        assert command in found.stdout


def test_no_test_module_imports_another():
    """What several of them need is in tests/support."""
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for line in re.findall(r"^(?:from|import) (tests\.\S+)", path.read_text(), re.MULTILINE)
        if not line.startswith(("tests.support.", "tests.chaos"))
    ]
    assert found == []
