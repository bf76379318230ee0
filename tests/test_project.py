"""What holds for the project as a whole: layers, pinned dependencies, pages that are made from the code."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.shipped_scenarios import shipped_scenario
from docs.generate import HERE, parameters_page

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"sim": {"cluster", "api", "ray", "fastapi", "pyarrow", "duckdb"}, "cluster": {"api", "fastapi"}}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_no_import_goes_against_the_layers(layer):
    against = {
        path.relative_to(ROOT).as_posix(): imports(path) & FORBIDDEN[layer] for path in (ROOT / layer).rglob("*.py")
    }
    assert {path: names for path, names in against.items() if names} == {}


def test_constraints_hold_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    assert not any(line.lower().startswith("brink=") for line in lines)


def test_the_parameters_page_is_current():
    assert (HERE / "parameters.md").read_text(encoding="utf-8") == parameters_page(
        shipped_scenario("us-japan-autos-1995")
    ), "make docs brings it up to date"


def test_every_make_target_of_the_readme_exists():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named
    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


def test_links_of_the_pages_lead_somewhere():
    for page in (ROOT / "README.md", *HERE.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_settings_are_described():
    from cluster.service.settings import Settings

    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"BRINK_{name.upper()}" not in page]
    assert missing == []


def test_the_command_line_describes_itself():
    found = subprocess.run(
        [Path(sys.executable).parent / "brink", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    for command in ("run", "scenarios", "validate", "parameters", "verify", "serve"):
        assert command in found.stdout
