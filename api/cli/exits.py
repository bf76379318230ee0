"""How a command ends: 0 done, 2 the user's input is wrong, 1 anything else; and the message on standard error."""

import errno
import os
import sys

import typer

from sim.faults import InvalidInput


def message_and_status(error: BaseException) -> tuple[str, int]:
    """The message for standard error and the exit status, for an exception that ended a command."""
    if isinstance(error, InvalidInput):
        return str(error), 2
    if isinstance(error, typer.exceptions.TyperException):
        return _usage_fault(error), 2
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "stopped", 1
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --shard-trials or fewer --workers may help", 1
    if isinstance(error, OSError):
        # A name that is too long is the only error of the operating system that is always the user's.
        status = 2 if error.errno == errno.ENAMETOOLONG else 1
        if error.errno == errno.ENOENT and not error.filename and not _has_working_directory():
            return "the working directory no longer exists: change to another one", status
        advice = " (ulimit -n raises the limit)" if error.errno == errno.EMFILE else ""
        return f"{_shown(error.filename) or 'the system'}: {error.strerror or error}{advice}", status
    return _known(error) or f"unexpected error: {type(error).__name__}: {' '.join(str(error).split())}", 1


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _shown(name: object) -> str:
    """A file's name as it can be printed in a line."""
    text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name or "")
    text = text if len(text) <= 300 else f"{text[:297]}..."
    return text if text.isprintable() else repr(text)


def _usage_fault(error: typer.exceptions.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "brink"
    message = " ".join(error.format_message().split()).replace("Value error, ", "")
    return f"{message} (see {command} --help)"


def _known(error: BaseException) -> str | None:
    """The message of an error that explains itself. Its class is looked up only where its module is imported."""
    for module, name in (
        ("cluster.runs.run", "Stopped"),
        ("cluster.runs.tasks", "ShardFailed"),
        ("cluster.runs.tasks", "EngineFailed"),
        ("cluster.query.session", "QueryLimit"),
        ("cluster.query.shard_map", "RayLost"),
        ("cluster.query.parquet_files", "DamagedTrials"),
        ("api.report.pdf", "NoPango"),
    ):
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
            return str(error)
    database = sys.modules.get("sqlalchemy.exc")
    if database and isinstance(error, database.OperationalError | database.ProgrammingError):
        return f"the jobs database (BRINK_DATABASE_URL) does not answer: {' '.join(str(error.orig).split())}"
    return None
