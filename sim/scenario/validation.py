"""Small checks on a document's values, each of which notes a fault and goes on, so that all are found at once."""

import difflib
import unicodedata
from collections.abc import Iterable
from math import isfinite

from sim.faults import Fault, InvalidInput
from sim.scenario.yaml_lines import Lines, Path, field_name


class Report:
    """The faults found so far in a document."""

    def __init__(self, source: str | None = None, lines: Lines | None = None, faults: Iterable[Fault] = ()) -> None:
        self.source = source
        self.lines = lines or {}
        self.faults = list(faults)

    def fault(self, path: Path, value: object, message: str) -> None:
        """Note a fault of the value at a path."""
        place = path
        while place and place not in self.lines:
            place = place[:-1]
        self.faults.append(Fault(field_name(path), value, message, self.lines.get(place), self.source, path))

    def raise_faults(self) -> None:
        """Raise `InvalidInput` with all faults in the order of their lines, if there are any."""
        if self.faults:
            raise InvalidInput(tuple(sorted(self.faults, key=lambda fault: fault.line or 0)))


def known_keys(report: Report, path: Path, given: dict, known: Iterable[str]) -> None:
    """Note every key that is not known, with the nearest one that is."""
    known = list(known)
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {_listed(known)}"
            report.fault((*path, str(key)), None, f"is not known; {hint}")


def mapping(report: Report, path: Path, value: object, what: str) -> dict:
    """The value if it is a mapping with text keys; else a fault, and an empty one."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    report.fault(path, value, f"must be a mapping of {what}")
    return {}


def sequence(report: Report, path: Path, value: object, what: str, most: int) -> list:
    """The value if it is a list of at most `most` entries; else a fault, and an empty one."""
    if not isinstance(value, list | tuple):
        report.fault(path, value, f"must be a list of {what}")
    elif len(value) > most:
        report.fault(path, None, f"has {len(value)} entries; at most {most} are allowed")
    else:
        return list(value)
    return []


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
    elif any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in value):
        report.fault(path, value, "must not hold control characters")
    else:
        return value
    return None


def name(report: Report, path: Path, value: object, longest: int = 64) -> str | None:
    """The value if it is a name: ASCII letters, digits and '-'; else a fault, and None."""
    allowed = f"must be 1 to {longest} letters, digits and '-'"
    if isinstance(value, str) and value.isascii() and value.replace("-", "x").isalnum() and len(value) <= longest:
        return value
    report.fault(path, value, allowed)
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else ", ".join(names[:12]) + ", ..."
