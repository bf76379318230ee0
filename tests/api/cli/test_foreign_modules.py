"""Brink started in a folder whose modules have the names of its own."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.command_line import BRINK, brink_process
from tests.support.waiting import HANG_SECONDS, wait_until

NAMES = ("sim", "cluster", "api", "configs", "brink", "sim/model", "cluster/service", "cluster/runs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Packages and modules that fail when they are imported."""
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the foreign {name} was imported')")
    for name in ("cluster/service/runner.py", "cluster/runs/shard.py"):
        (tmp_path / name).write_text("raise RuntimeError('a foreign module was imported')")
    return tmp_path


@pytest.mark.parametrize("engine", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_run_does_not_import_them(folder: Path, engine: str):
    options = ("--trials", 400, "--shard-trials", 100, "--engine", engine, "--workers", 1, "--out", "out")
    found = brink_process("run", "us-mexico-2019", *options, cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_service_and_its_runner_do_not_import_them(folder: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [BRINK, "serve", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "BRINK_ENGINE": "inline"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=HANG_SECONDS) as client:

                def answers() -> bool:
                    assert service.poll() is None
                    return client.get("/healthz").is_success

                wait_until(answers, ignoring=httpx.TransportError)
                job = client.post("/v1/jobs", json={"scenario": "us-mexico-2019", "trials": 200, "seed": 1}).json()

                def ended() -> str | None:
                    state = client.get(f"/v1/jobs/{job['id']}").json()["state"]
                    return None if state in ("queued", "running") else state

                assert wait_until(ended) == "succeeded"
        finally:
            service.send_signal(signal.SIGTERM)
            _, log = service.communicate(timeout=HANG_SECONDS)
    assert "foreign" not in log
