"""The entry point of ``brink``."""

import resource
import signal
import sys
from contextlib import suppress

from api.cli.exits import message_and_status
from api.cli.program import build
from api.cli.streams import discard_output, prepare, say

MOST_OPEN_FILES = 65_536
"""More are never needed, and a few libraries close every number up to the limit."""

_TYPER_INTERRUPTED = 130
"""What Typer returns for a command that a `KeyboardInterrupt` ended."""


def main() -> None:
    """Run the command line and exit: 0 done, 2 the user's input is wrong, 1 anything else."""
    prepare()
    _raise_open_file_limit()
    _handle_signals()
    try:
        status = build().main(prog_name="brink", standalone_mode=False)
        if status == _TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
    except BrokenPipeError:
        status = 0
    except SystemExit as end:
        # Typer and Rich turn a broken pipe into an exit of their own.
        status = 0 if isinstance(end.__context__, BrokenPipeError) else end.code
    except BaseException as error:
        message, status = message_and_status(error)
        say(message)
    discard_output()
    sys.exit(status or 0)


def _raise_open_file_limit() -> None:
    """Allow as many open files as the system lets this user have: DuckDB and Ray keep many open at a time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have further limits; then the current limit is kept.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _handle_signals() -> None:
    """End at SIGTERM, and when the terminal is closed, as at Ctrl-C: commits are kept, and drafts are removed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup has SIGHUP ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
