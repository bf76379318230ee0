"""The entry point of ``brink``."""

import signal
import sys

from api.cli.exits import message_and_status
from api.cli.program import build
from api.cli.streams import discard_output, prepare, say


def main() -> None:
    """Run the command line and exit: 0 done, 2 the user's input is wrong, 1 anything else."""
    prepare()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = build().main(prog_name="brink", standalone_mode=False)
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


def _interrupt(*_: object) -> None:
    """End as at Ctrl-C: what is committed is kept, and drafts are removed."""
    raise KeyboardInterrupt
