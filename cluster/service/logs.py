"""Structured logs: one JSON object a line on standard error, or lines for people where it is a terminal.

A line has its time, level, logger and event, and whatever its context is bound to: the runner, the job, the shard.
Tracebacks are plain, without the values of variables, which may be secrets.
"""

import logging
import re
import sys

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


_KEY = re.compile("(brink_[0-9a-f]{16})_[0-9A-Za-z]+")
"""A key, which may have been sent where it does not belong, such as in a URL."""


def logger(name: str) -> BoundLogger:
    """A logger whose lines have fields. As with any library, nothing is written before `log_to_stderr`."""
    processors = [structlog.stdlib.filter_by_level, *_SHARED, ProcessorFormatter.wrap_for_formatter]
    found: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), processors=processors, wrapper_class=BoundLogger
    )
    return found


def log_to_stderr() -> None:
    """Write every logger's lines of level INFO and above to standard error, the libraries' too."""
    render: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if sys.stderr.isatty():
        render = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, _request],
            processors=[ProcessorFormatter.remove_processors_meta, *render],
            pass_foreign_args=True,
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Split a line of uvicorn's access log into fields."""
    arguments = event.pop("positional_args", None)
    if event["logger"] == "uvicorn.access" and isinstance(arguments, tuple) and len(arguments) == 5:
        client, method, path, _version, status = arguments
        event.update(event=_KEY.sub(r"\1_...", f"{method} {path}"), client=client, status=status)
    return event
