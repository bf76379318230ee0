"""The supervisor of a runner process: it starts another after any end, and leaves none behind."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cluster.service import supervisor
from tests.support.waiting import wait_until

RUNNER = """#!{python}
import os, signal, sys, time
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open({starts!r}, "a") as starts:
    print(os.getpid(), *sys.argv[1:], file=starts)
while True:
    signal.pause()
"""
"""A process in the runner's place: the supervisor is tested by what processes do, not by what a job needs."""


class Supervised:
    """A supervisor in a thread of this process, and the processes that it has started."""

    def __init__(self, starts: Path, thread: threading.Thread, ending: threading.Event) -> None:
        self.starts, self.thread, self.ending = starts, thread, ending

    def processes(self, count: int) -> list[psutil.Process]:
        """The first so many processes, once they have begun."""
        lines = wait_until(lambda: len(found := self._lines()) >= count and found)
        return [psutil.Process(int(line.split()[0])) for line in lines[count - 1 :]]

    def _lines(self) -> list[str]:
        return [line for line in self.starts.read_text().splitlines() if line] if self.starts.exists() else []


@contextmanager
def supervised(folder: Path, monkeypatch: pytest.MonkeyPatch, *, stubborn: bool = False) -> Iterator[Supervised]:
    starts, script = folder / "starts", folder / "python"
    script.write_text(RUNNER.format(python=sys.executable, stubborn=stubborn, starts=str(starts)))
    script.chmod(0o755)
    monkeypatch.setattr(supervisor.sys, "executable", str(script))
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.1)
    ending = threading.Event()
    thread = threading.Thread(target=supervisor.supervise_runner, args=(ending,))
    thread.start()
    try:
        yield Supervised(starts, thread, ending)
    finally:
        ending.set()
        thread.join()


def test_a_runner_that_ends_is_started_again(tmp_path, monkeypatch):
    with supervised(tmp_path, monkeypatch) as running:
        for count, sign in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGABRT), start=1):
            (runner,) = running.processes(count)
            os.kill(runner.pid, sign)
        (runner,) = running.processes(4)
    assert not runner.is_running()


def test_the_runner_is_the_module_in_a_session_of_its_own_that_the_working_directory_cannot_shadow(
    tmp_path, monkeypatch
):
    with supervised(tmp_path, monkeypatch) as running:
        (runner,) = running.processes(1)
        # A Ctrl-C in the terminal of the service does not reach the runner; the supervisor ends it.
        assert os.getsid(runner.pid) == runner.pid
        assert running.starts.read_text().split()[1:] == ["-P", "-m", "cluster.service.runner", "--end-with-parent"]


def test_a_runner_that_does_not_end_is_killed(tmp_path, monkeypatch):
    with supervised(tmp_path, monkeypatch, stubborn=True) as running:
        (runner,) = running.processes(1)
        running.ending.set()
        running.thread.join()
        assert not runner.is_running()
    assert len(running.starts.read_text().splitlines()) == 1
