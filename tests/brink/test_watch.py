"""The program that ends a local service with the process that started it."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import brink.watch
from tests.support.waiting import HANG_SECONDS

WATCH = [sys.executable, "-I", brink.watch.__file__]


def watched(folder: Path | str, program: str) -> subprocess.Popen:
    command = [*WATCH, str(folder), sys.executable, "-c", program]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_the_exit_status_is_the_commands_and_the_folder_is_removed(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with watched(folder, "import sys; sys.exit(7)") as process:
        assert process.wait(HANG_SECONDS) == 7
    assert not folder.exists()


@pytest.mark.parametrize("how", ["standard input is closed", "SIGTERM"])
def test_the_command_ends_when_it_should(tmp_path, how):
    program = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with watched("", program) as process:
        command = psutil.Process(int(process.stdout.readline()))
        if how == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(HANG_SECONDS) == -signal.SIGTERM % 256
    assert not command.is_running()
