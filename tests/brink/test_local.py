"""A service that the client starts: ready when it is returned, shadowed by no module, and ended with its process."""

import asyncio
import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import httpx
import psutil
import pytest

from brink import AsyncBrink, Brink, BrinkError
from tests.support.examples import document, issue
from tests.support.waiting import HANG_SECONDS, wait_until

SCENARIO = document({"access": issue(0.6, 0.02, 0.1)}, horizon_weeks=20)
ROOT = Path(__file__).parents[2]


def ended(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz", timeout=HANG_SECONDS, trust_env=False)
    except httpx.ConnectError:
        return True
    return False


def test_a_local_service_runs_jobs_and_ends_with_the_client(tmp_path, monkeypatch):
    monkeypatch.setenv("BRINK_AUTH", "keys")
    monkeypatch.setenv("BRINK_KEY", "brink_secret")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with Brink.local(tmp_path / "data", engine="inline") as brink:
        assert "Authorization" not in brink._http.headers
        job = brink.run(SCENARIO, trials=100, progress=False)
        assert job.summary()["trials"] == 100
        processes = psutil.Process(brink._own.process.pid).children(recursive=True)
    assert ended(brink.url)
    psutil.wait_procs(processes, HANG_SECONDS)
    assert [process for process in processes if process.is_running()] == []
    assert (tmp_path / "data" / "jobs" / job.id / "summary.json").is_file(), "a folder of one's own is kept"


def test_a_temporary_folder_goes_with_the_service_and_asyncio_is_served_alike():
    async def use() -> Path:
        async with AsyncBrink.local(engine="inline") as brink:
            folder = brink._own.folder
            assert folder.is_dir()
            assert "us-japan-autos-1995" in [known["name"] for known in await brink.scenarios()]
        assert ended(brink.url)
        return folder

    assert not asyncio.run(use()).exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_the_service_ends_when_its_starter_is_killed_in_a_folder_of_shadowing_modules(tmp_path, how):
    for name in ("api", "brink", "cluster", "configs", "sim"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise SystemExit('shadowed')")
    script = tmp_path / "use.py"
    script.write_text(
        "import signal, sys\n"
        f"sys.path[:] = [{str(ROOT)!r}, *sys.path]\n"
        "from brink import Brink\n"
        "b = Brink.local(engine='inline')\n"
        f"b.run({SCENARIO!r}, trials=10, progress=False)\n"
        "print(b.url, b._own.folder, flush=True)\n"
        "signal.pause()\n"
    )
    # An empty part of PYTHONPATH is the working directory.
    environment = os.environ | {"PYTHONPATH": os.pathsep}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as starter:
        url, folder = starter.stdout.readline().split()
        assert not ended(url)
        starter.send_signal(how)
    wait_until(lambda: ended(url) and not Path(folder).exists(), ignoring=httpx.TransportError)


def test_a_client_that_is_installed_alone_says_what_is_missing(tmp_path, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("brink.local.version", missing)
    with pytest.raises(BrinkError, match="needs the whole of Brink"):
        Brink.local(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_service_that_cannot_start_says_why(tmp_path):
    with pytest.raises(BrinkError, match=r"the local service did not start: .*BRINK_ENGINE"):
        Brink.local(tmp_path, engine="steam")
    taken = tmp_path / "file"
    taken.write_text("")
    with pytest.raises(BrinkError, match="cannot be made"):
        Brink.local(taken / "below")
