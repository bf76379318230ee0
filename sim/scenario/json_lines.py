"""JSON as plain values, with the line of each: no repeated keys, bounded size."""

import json
import re
from bisect import bisect_right

from sim.faults import Fault, InvalidInput
from sim.scenario.places import MAX_BYTES, MAX_DEPTH, MAX_NODES, Lines, Path, field_name

_SPACE = re.compile(r"[ \t\n\r]*")
_LONGEST_INT = 300
"""Digits; a longer whole number is read as a floating-point number."""


def read_json(text: str, source: str) -> tuple[object, Lines, tuple[Fault, ...]]:
    """Parse one JSON document into plain values, the line (from 1) at which each value begins, and its faults.

    The faults are keys given more than once; the rest of the document is read in spite of them. Raises `InvalidInput`
    for text that is not JSON, is empty, too large or too deep.
    """
    text = text.removeprefix("\ufeff")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidInput((Fault("", None, f"is larger than {MAX_BYTES} bytes", None, source),))
    if not text.strip():
        raise InvalidInput((Fault("", None, "is empty", None, source),))
    reader = _Reader(text, source)
    value = reader.value(())
    reader.skip_space()
    if reader.at < len(text):
        raise reader.refuse("has more text after the end of the document")
    return value, reader.lines, tuple(reader.faults)


class _Reader:
    """A recursive descent over the text; scalars are read by the standard library."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self.at = self.nodes = 0
        self.lines: Lines = {}
        self.faults: list[Fault] = []
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.scalars = json.JSONDecoder(parse_int=_whole)

    def line(self, at: int) -> int:
        return bisect_right(self.starts, at)

    def refuse(self, message: str, at: int | None = None) -> InvalidInput:
        return InvalidInput((Fault("", None, message, self.line(self.at if at is None else at), self.source),))

    def skip_space(self) -> str:
        """Skip white space; the character that follows, empty at the end of the text."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def value(self, path: Path) -> object:
        first = self.skip_space()
        self.lines.setdefault(path, self.line(self.at))
        self.nodes += 1
        if len(path) > MAX_DEPTH or self.nodes > MAX_NODES:
            limit = f"{MAX_DEPTH} levels" if len(path) > MAX_DEPTH else f"{MAX_NODES} values"
            raise self.refuse(f"has more than {limit}")
        if first == "{":
            return self.mapping(path)
        if first == "[":
            return self.sequence(path)
        return self.scalar()

    def scalar(self) -> object:
        try:
            value, self.at = self.scalars.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            raise self.refuse(f"is not valid JSON: {_explained(error, self.text)}", error.pos) from None
        return value

    def mapping(self, path: Path) -> dict[str, object]:
        opened = self.at
        found: dict[str, object] = {}
        self.at += 1
        if self.skip_space() == "}":
            self.at += 1
            return found
        while True:
            if self.skip_space() != '"':
                raise self._unexpected('a name in double quotes, such as "weight"', opened)
            line = self.line(self.at)
            key = str(self.scalar())
            below = (*path, key)
            if self.skip_space() != ":":
                raise self._unexpected(f'":" after the name "{key[:40]}"', opened)
            self.at += 1
            if key in found:
                self.faults.append(Fault(field_name(below), None, "is given more than once", line, self.source))
            self.lines[below] = line
            found[key] = self.value(below)
            if self._ends("}", opened):
                return found

    def sequence(self, path: Path) -> list[object]:
        opened = self.at
        found: list[object] = []
        self.at += 1
        if self.skip_space() == "]":
            self.at += 1
            return found
        while True:
            found.append(self.value((*path, len(found))))
            if self._ends("]", opened):
                return found

    def _ends(self, closing: str, opened: int) -> bool:
        after = self.skip_space()
        if after not in (",", closing) or not after:
            raise self._unexpected(f'"," or "{closing}"', opened)
        self.at += 1
        if after == "," and self.skip_space() == closing:
            raise self.refuse(f'is not valid JSON: remove the comma before "{closing}"')
        return after == closing

    def _unexpected(self, expected: str, opened: int) -> InvalidInput:
        if self.at >= len(self.text):
            return self.refuse(f'is not valid JSON: the "{self.text[opened]}" opened here is never closed', opened)
        return self.refuse(f"is not valid JSON: {expected} is expected at {self.text[self.at : self.at + 20]!r}")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


def _explained(error: json.JSONDecodeError, text: str) -> str:
    if error.msg.startswith("Unterminated string"):
        return 'the text in double quotes that begins here is never closed; add "'
    if error.msg.startswith("Invalid control character"):
        return "a text in double quotes has a line break or a tab; write \\n or \\t, or close the quotes"
    if error.msg.startswith("Invalid \\"):
        return "a text has a \\ that begins no known escape; write \\\\ for a backslash"
    if text[error.pos : error.pos + 1] == "'":
        return "texts stand in double quotes, not in single ones"
    found = text[error.pos : error.pos + 20].split("\n")[0]
    return f"a value is expected at {found!r}; texts stand in double quotes" if found else "the text ends too early"
