"""Standard input, output and error, in any environment."""

import codecs
import io
import os
import sys
from contextlib import suppress

from sim.faults import printable

_PLAIN = str.maketrans("█░▁▂▃▄▅▆▇●─│·—–−±’‘“”…→≤≥×", "#:.,-=+*%o-|.---~''\"\".><>x")
_HANDLER = "brink.plain"


def prepare() -> None:
    """Make the three streams safe to use: closed ones lead nowhere, and no character is an error.

    A character that the encoding lacks is written as a similar ASCII character or as a question mark.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, so that no file opened later takes its place.
            os.open(os.devnull, mode)
    codecs.register_error(_HANDLER, _in_plain_characters)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), "utf-8", _HANDLER)
            setattr(sys, name, stream)
        elif hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors=_HANDLER)


def say(message: str) -> None:
    """Print the lines of a message on standard error, if anyone can still read it."""
    with suppress(OSError, ValueError):
        print("\n".join(map(printable, message.split("\n"))), file=sys.stderr, flush=True)


def discard_output() -> None:
    """Send to nowhere what standard output still holds and gets, at exit too: nobody can take it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        try:
            (sys.stdout if descriptor == 1 else sys.stderr).flush()
        except (OSError, ValueError):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end].translate(_PLAIN)
    return found.encode("ascii", "replace").decode("ascii"), error.end
