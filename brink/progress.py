"""Progress on standard error: a bar in a terminal or a notebook, and a line every 30 seconds in a log."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, Protocol

LINE_SECONDS = 30.0
"""The time between two lines in a log. What takes less time gets none."""
_DRAW_SECONDS = 0.1
_WIDTH = 30


class Display(Protocol):
    """Where progress is shown."""

    def show(self, text: str, share: float) -> None:
        """Show what is done, as a text and as a share of all."""

    def close(self) -> None:
        """Remove the display."""


class TerminalBar:
    """A bar on the last line of a terminal, removed at the end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._start, self._drawn = clock, clock(), float("-inf")

    def show(self, text: str, share: float) -> None:
        """Draw the bar, unless it has just been drawn."""
        now = self._clock()
        if now - self._drawn < _DRAW_SECONDS and share < 1.0:
            return
        self._drawn = now
        filled = round(_WIDTH * share)
        line = f"{text} [{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%}{self._remaining(now, share)}"
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{line[:width]}")
        sys.stderr.flush()

    def close(self) -> None:
        """Remove the bar."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    def _remaining(self, now: float, share: float) -> str:
        if not 0.0 < share < 1.0:
            return ""
        seconds = round((now - self._start) * (1.0 - share) / share)
        return f" {seconds // 60}:{seconds % 60:02} left"


class LogLines:
    """A line every `LINE_SECONDS`, and one at the end if there were others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._written = clock, clock()
        self._latest = self._last_line = ""

    def show(self, text: str, share: float) -> None:
        """Write a line if it is time for one."""
        self._latest = f"{text} ({share:.0%})"
        if self._clock() - self._written >= LINE_SECONDS:
            self._write()

    def close(self) -> None:
        """Write the last state, if earlier ones were written."""
        if self._last_line and self._last_line != self._latest:
            self._write()

    def _write(self) -> None:
        self._written, self._last_line = self._clock(), self._latest
        print(self._latest, file=sys.stderr, flush=True)


class NotebookBar:
    """A bar in the output of a notebook's cell, removed at the end."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._handle = display({"text/html": ""}, raw=True, display_id=True)

    def show(self, text: str, share: float) -> None:
        """Draw the bar."""
        html = f'<progress max="1" value="{share:.4f}"></progress> {escape(text)}'
        self._handle.update({"text/html": html, "text/plain": f"{text} ({share:.0%})"}, raw=True)

    def close(self) -> None:
        """Remove the bar."""
        self._handle.update({"text/html": "", "text/plain": ""}, raw=True)


class Silence:
    """Progress that is not shown."""

    def show(self, text: str, share: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


def chosen_display(wanted: bool) -> Display:
    """The display that fits where this process runs."""
    if not wanted:
        return Silence()
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if ipython is not None and hasattr(shell, "kernel"):
        return NotebookBar(ipython.display.display)
    return TerminalBar() if sys.stderr.isatty() else LogLines()


@contextmanager
def job_bar(info: Callable[[], Mapping[str, Any]], wanted: bool) -> Iterator[Callable[[], None]]:
    """Shows a job's trials; gives the function that brings the display up to date with the job's latest `info`."""
    display = chosen_display(wanted)

    def update() -> None:
        latest = info()
        # The total of a job with a precision grows.
        done, total = latest["progress"]["trials_done"], latest["progress"]["trials_total"]
        display.show(f"{latest['scenario']}: {latest['state']}, {done:,} of {total:,} trials", done / max(total, 1))

    try:
        update()
        yield update
    finally:
        display.close()


@contextmanager
def bytes_bar(files: Sequence[Mapping[str, Any]], wanted: bool) -> Iterator[Callable[[int], None]]:
    """Shows bytes of files; gives the function that adds to those that have arrived."""
    display = chosen_display(wanted)
    total, done = sum(file["bytes"] for file in files), 0

    def advance(more: int) -> None:
        nonlocal done
        done = min(done + more, total)
        display.show(f"fetching {total / 1e6:,.1f} MB", done / max(total, 1))

    try:
        yield advance
    finally:
        display.close()
