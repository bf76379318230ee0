"""Faults of a user's input, each with the name of its field."""

import re
import unicodedata
from dataclasses import dataclass

_JOINERS = "\u200c\u200d"
_DECIMAL_COMMA = re.compile(r"(?<![\w.,])([0-9]+),([0-9]+)(?![\w.,])")


@dataclass(frozen=True)
class Fault:
    """One fault of an input: the field, the value found, and what is allowed.

    `path` is the path of the field in a document; it is empty for a field outside a document.
    """

    field: str
    value: object
    message: str
    line: int | None = None
    source: str | None = None
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        """One line: file, line and field as far as known, then the message with the value found."""
        parts = [str(part) for part in (self.source, self.line, self.field) if part not in (None, "")]
        place = ":".join(part if part.isprintable() else repr(part) for part in parts)
        found = "" if self.value is None else f" (found {_shown(self.value)})"
        return printable(f"{place}: {self.message}{found}" if place else f"{self.message}{found}")


class InvalidInput(ValueError):
    """Raised for errors that the user can correct; contains every fault that was found."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        """The faults, one a line."""
        return "\n".join(str(fault) for fault in self.faults)


def printable(text: str) -> str:
    """A text whose characters that a terminal would obey instead of show are escaped, such as ``\\x1b``.

    Line breaks are escaped too. Spaces of every width stay, and the joiners that some scripts need.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown_character, text))


def _shown_character(character: str) -> str:
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def decimal_comma(text: str) -> str | None:
    """The message for a number that is written with a comma in a text that cannot be read; null if there is none."""
    found = _DECIMAL_COMMA.search(text)
    return found and f"has a comma in a number: write {found[1]}.{found[2]} with a point"


def first_line(error: BaseException) -> str:
    """The first line of an error's text that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
