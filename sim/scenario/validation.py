"""Small checks on a document's values. Each records a fault and returns, so that all faults are found together."""

import datetime
import difflib
import unicodedata
from collections.abc import Iterable
from math import isfinite
from typing import Any

from sim.faults import Fault, InvalidInput
from sim.scenario.places import LONGEST_SHOWN, MAX_DEPTH, Lines, Path, field_name

MAX_TITLE = 300
MAX_COMPARED = 50
"""Unknown names of a document that are compared with the known ones."""
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Embeddings, overrides and isolates of the bidirectional algorithm; right-to-left scripts need none of them."""


class Report:
    """The faults found so far in a document, and the warnings: values that are allowed but are probably mistakes."""

    def __init__(self, source: str | None = None, lines: Lines | None = None, faults: Iterable[Fault] = ()) -> None:
        self.source = source
        self.lines = lines or {}
        self.faults = list(faults)
        self.warnings: list[Fault] = []
        self._compared = 0

    def nearest(self, name: str, known: list[str]) -> str | None:
        """The known name that is most like a name, if any is; None for all names after the first `MAX_COMPARED`.

        To compare a name with all others takes a millisecond, and a document may have thousands of wrong ones.
        """
        self._compared += 1
        if self._compared > MAX_COMPARED or len(name) > LONGEST_SHOWN:
            return None
        return next(iter(difflib.get_close_matches(name, known, 1)), None)

    def fault(self, path: Path, value: object, message: str) -> None:
        """Record a fault of the value at a path."""
        self.faults.append(self._at(path, value, message))

    def warning(self, path: Path, value: object, message: str) -> None:
        """Record a probable mistake in the value at a path."""
        self.warnings.append(self._at(path, value, message))

    def sorted_warnings(self) -> tuple[Fault, ...]:
        """The warnings in the order of their lines."""
        return tuple(sorted(self.warnings, key=lambda warning: warning.line or 0))

    def _at(self, path: Path, value: object, message: str) -> Fault:
        place = path
        while place and place not in self.lines:
            place = place[:-1]
        return Fault(field_name(path), value, message, self.lines.get(place), self.source, path)

    def raise_faults(self) -> None:
        """Raise `InvalidInput` with all faults in the order of their lines, if there are any."""
        if self.faults:
            raise InvalidInput(tuple(sorted(self.faults, key=lambda fault: fault.line or 0)))


def known_keys(report: Report, path: Path, given: dict[str, Any], known: Iterable[str]) -> None:
    """Record every key that is not known, with the nearest one that is."""
    known = list(known)
    for key in given:
        if key not in known:
            near = report.nearest(str(key), known)
            hint = f"did you mean {near}?" if near else f"known are {_listed(known)}"
            report.fault((*path, str(key)), None, f"is not known; {hint}")


def mapping(report: Report, path: Path, value: object, what: str) -> dict[str, Any]:
    """The value if it is a mapping with text keys; else a fault, and an empty one."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    report.fault(path, value, f"must be a mapping of {what}")
    return {}


def sequence(report: Report, path: Path, value: object, what: str, most: int) -> list[Any]:
    """The value if it is a list of at most `most` entries; else a fault, and an empty one."""
    if not isinstance(value, list | tuple):
        report.fault(path, value, f"must be a list of {what}")
    elif len(value) > most:
        report.fault(path, None, f"has {len(value)} entries; at most {most} are allowed")
    else:
        return list(value)
    return []


def distinct_names(report: Report, path: Path, given: dict[str, Any], what: str) -> None:
    """Record every name that differs from another one in capital letters only.

    DuckDB does not distinguish such columns, nor some file systems such folders.
    """
    seen: dict[str, str] = {}
    for key in given:
        first = seen.setdefault(str(key).casefold(), key)
        if first != key:
            report.fault((*path, key), None, f"has the name of another {what}, {first}, apart from capital letters")


def check_plain(report: Report, value: object, path: Path = ()) -> None:
    """Record every part of a value that is not plain JSON.

    Plain are texts, numbers, true, false, null, lists, and mappings whose keys are texts or numbers.
    """
    if len(path) > MAX_DEPTH:
        report.fault(path[:MAX_DEPTH], None, f"is nested more than {MAX_DEPTH} levels deep")
    elif isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str | int | float):
                report.fault(path, key, f"must have texts as keys, not {_article(type(key).__name__)}")
            check_plain(report, part, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for k, part in enumerate(value):
            check_plain(report, part, (*path, k))
    elif isinstance(value, datetime.date):
        report.fault(path, value, f"must be a text, not a date: write '{value.isoformat()[:10]}'")
    elif not (value is None or isinstance(value, str | int | float)):
        report.fault(path, value, f"must be a plain JSON value, not {_article(type(value).__name__)}")


def _article(name: str) -> str:
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def is_number(value: object) -> bool:
    """Whether a value is a number (a truth value is not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(report: Report, path: Path, value: object, what: str = "a number") -> float | None:
    """The value as a float if it is a finite number; else a fault, and None."""
    if is_number(value):
        try:
            converted = float(value)  # type: ignore[arg-type]
        except OverflowError:
            converted = float("inf")
        if isfinite(converted):
            return converted
        report.fault(path, value, "must be finite")
    else:
        report.fault(path, value, f"must be {what}")
    return None


def whole(report: Report, path: Path, value: object, low: int, high: int) -> int | None:
    """The value if it is a whole number within bounds; else a fault, and None."""
    if isinstance(value, int | float) and is_number(value) and low <= value <= high and value == int(value):
        return int(value)
    report.fault(path, value, f"must be a whole number from {low} to {high}")
    return None


def text(report: Report, path: Path, value: object, longest: int) -> str | None:
    """The value if it is a printable text of one to `longest` characters; else a fault, and None."""
    if not isinstance(value, str) or not value.strip():
        report.fault(path, value, "must be a text that is not empty")
    elif len(value) > longest:
        report.fault(path, None, f"has {len(value)} characters; at most {longest} are allowed")
    elif any(_controls(c) for c in value):
        report.fault(path, value, "must not hold control characters, nor ones that reverse the direction of writing")
    else:
        return value
    return None


def _controls(character: str) -> bool:
    """Whether a character is obeyed instead of shown: control characters but for line break and tab, halves of
    surrogate pairs, Unicode's line separators, and those that override the direction of the text after them."""
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _DIRECTIONS


def name(report: Report, path: Path, value: object, longest: int = 64) -> str | None:
    """The value if it is a name: ASCII letters, digits and '-'; else a fault, and None."""
    allowed = f"must be 1 to {longest} letters, digits and '-'"
    if isinstance(value, str) and value.isascii() and value.replace("-", "x").isalnum() and len(value) <= longest:
        return value
    report.fault(path, value, allowed)
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else ", ".join(names[:12]) + ", ..."
