"""Runs a command until it ends or standard input is closed, which happens when the process that opened it ends.

A program of its own that uses the standard library alone: ``python -I watch.py FOLDER COMMAND...``. FOLDER is removed
at the end; an empty text removes none. SIGTERM ends the command as well.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 40.0


def watch(folder: str, command: list[str]) -> int:
    """Run a command until it ends or this process is to end; its exit status."""
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def read() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        ending.set()

    threading.Thread(target=read, daemon=True).start()
    while child.poll() is None and not ending.wait(0.1):
        pass
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
    status = child.wait()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(watch(sys.argv[1], sys.argv[2:]))
