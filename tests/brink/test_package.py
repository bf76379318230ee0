"""The client as a distribution of its own: built, and imported where no other package of the project is."""

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "brink"
ALLOWED = {"httpx", "pandas", "pyarrow", "brink"}
LAZY = {"altair": "chart.py"}
"""Imported where it is asked for; without it everything else works."""


def test_the_client_imports_nothing_but_its_dependencies():
    found = {}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found.update({name.split(".")[0]: path.name for name in names})
    own = set(found) - set(sys.stdlib_module_names) - ALLOWED
    assert {name: found[name] for name in own if name not in ("api", "IPython") or found[name] != "local.py"} == LAZY


def test_both_distributions_have_one_version():
    own = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert own["version"] == whole["version"]
    assert set(own["dependencies"]) <= set(whole["dependencies"])


def test_a_wheel_of_the_client_alone_works_without_the_other_packages(tmp_path):
    source = shutil.copytree(PACKAGE, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True, timeout=HANG_SECONDS)
    (wheel,) = tmp_path.glob("brink_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith("brink_client-")}
        archive.extractall(tmp_path / "installed")
    assert names == {
        f"brink/{path.name}" for path in PACKAGE.iterdir() if path.suffix == ".py" or path.name == "py.typed"
    }
    script = (
        "import importlib.util, sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('sim', 'cluster', 'api', 'configs', 'rich', 'yaml', 'pydantic'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import brink; from brink import AsyncBrink, Brink\n"
        "print(brink.__file__); Brink().close()\n"
    )
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "installed" / "brink" / "__init__.py")
