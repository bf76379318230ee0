"""What another process is. It may end at any moment, also between two questions about it."""

from collections.abc import Iterator
from contextlib import suppress

import psutil


def name_of(process: psutil.Process) -> str:
    """The name that the system shows for it; empty once it has ended."""
    with suppress(psutil.Error):
        return process.name()
    return ""


def command_of(process: psutil.Process) -> list[str]:
    """Its command line, with none of its words once it has ended."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def environment_of(process: psutil.Process) -> dict[str, str]:
    """Its environment when it was started; empty once it has ended, and for a process of another user."""
    with suppress(psutil.Error, OSError):
        return process.environ()
    return {}


def processes_with(name: str, value: str) -> Iterator[psutil.Process]:
    """The living processes in whose environment a name has this value."""
    for process in psutil.process_iter():
        if environment_of(process).get(name) == value and not has_ended(process):
            yield process


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, though nobody may have asked for its status yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
