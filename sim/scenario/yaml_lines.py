"""YAML as plain values, with the line of each: JSON's types, no aliases, no repeated keys, bounded size."""

import datetime
import re
from collections.abc import Iterator
from typing import Any

import yaml

from sim.faults import Fault, InvalidInput
from sim.scenario.places import MAX_BYTES, MAX_DEPTH, MAX_NODES, Lines, Path, field_name
from sim.scenario.yaml_advice import Progress, explain

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_NULLS = ("", "~", "null", "Null", "NULL")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_INT = 300
"""Digits; a longer whole number is read as a floating-point number."""


def read_yaml(text: str, source: str) -> tuple[object, Lines, tuple[Fault, ...]]:
    """Parse one YAML document into plain values, the line (from 1) at which each value begins, and its faults.

    Numbers and truth values are those of YAML 1.2: `1e-3` is a number, `no` a text, and so is a date. Keys are texts
    as they stand in the file, as in JSON. The faults are keys given more than once or that are no plain names, and
    tags; the rest of the document is read in spite of them. Raises `InvalidInput` for text that is no YAML, is empty,
    too large or too deep, or that uses aliases.
    """
    text = text.removeprefix("\ufeff")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _refusal(f"is larger than {MAX_BYTES} bytes", None, source)
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise _refusal(f"has the control character U+{ord(unprintable[0]):04X}; remove it", line, source)
    reader = _Reader(text, source)
    try:
        value = reader.document()
    except yaml.YAMLError as error:
        at, message = explain(error, text, reader.progress)
        raise _refusal(f"is not valid YAML: {message}", at, source) from None
    return value, reader.lines, tuple(reader.faults)


def _refusal(message: str, line: int | None, source: str) -> InvalidInput:
    return InvalidInput((Fault("", None, message, line, source),))


class _Reader:
    """Builds plain values from the parser's events, and keeps track of what is open in case the text is broken."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self.progress = Progress()
        self.depth = self.nodes = 0
        self.lines: Lines = {}
        self.faults: list[Fault] = []

    def next(self) -> Any:
        """The next event. Raises `InvalidInput` for aliases, and for more than a document may hold."""
        event = next(self.events)
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            message = "aliases are not allowed: repeat the value, or put a text that begins with * in quotes"
            raise InvalidInput((Fault("", f"*{event.anchor}", message, line, self.source),))
        if isinstance(event, yaml.CollectionStartEvent):
            self.depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            self.depth -= 1
        self.nodes += isinstance(event, yaml.NodeEvent)
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            limit = f"{MAX_DEPTH} levels" if self.depth > MAX_DEPTH else f"{MAX_NODES} values"
            raise _refusal(f"has more than {limit}", line, self.source)
        self.progress.note(event)
        return event

    def document(self) -> object:
        """The value of the only document."""
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            raise _refusal("is empty", None, self.source)
        value = self.value((), self.next())
        self.next()
        after = self.next()
        if not isinstance(after, yaml.StreamEndEvent):
            message = "has a second document after a line of ---; a scenario is one document"
            raise _refusal(message, after.start_mark.line + 1, self.source)
        return value

    def value(self, path: Path, event: Any) -> object:
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(path, event, "seq")
            return self._sequence(path)
        if isinstance(event, yaml.MappingStartEvent):
            self._check_tag(path, event, "map")
            return self._mapping(path)
        return self._scalar(path, event)

    def _sequence(self, path: Path) -> list[object]:
        found: list[object] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            found.append(self.value((*path, len(found)), event))
        return found

    def _mapping(self, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                message = "has a key that is not a plain name; put a text that begins with { or [ in quotes"
                self.faults.append(Fault(field_name(path), None, message, line, self.source))
                self._skip(event)
                self._skip(self.next())
                continue
            below = (*path, event.value)
            if event.value in found:
                self.faults.append(Fault(field_name(below), None, "is given more than once", line, self.source))
            self.lines[below] = line
            found[event.value] = self.value(below, self.next())
        return found

    def _skip(self, event: Any) -> None:
        """Read past a value."""
        around = self.depth - isinstance(event, yaml.CollectionStartEvent)
        while self.depth > around:
            self.next()

    def _scalar(self, path: Path, event: Any) -> str | int | float | bool | None:
        if event.tag in (None, "!"):
            return _plain(event.value) if event.implicit[0] else event.value
        kind = event.tag.removeprefix(_CORE)
        if kind in ("int", "float", "bool", "null"):
            return _plain(event.value)
        self._check_tag(path, event, "str")
        return event.value

    def _check_tag(self, path: Path, event: Any, allowed: str) -> None:
        if event.tag not in (None, "!", _CORE + allowed):
            tag = event.tag.removeprefix(_CORE).removeprefix("!")
            message = f"has the tag !{tag}, and tags are not allowed; put a text that begins with ! in quotes"
            self.faults.append(Fault(field_name(path), None, message, event.start_mark.line + 1, self.source))


def _plain(text: str) -> str | int | float | bool | None:
    """What a text without quotes stands for."""
    if text in _NULLS:
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text) if len(text) <= _LONGEST_INT else float(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def is_date(text: object) -> bool:
    """Whether a text is a calendar date, YYYY-MM-DD."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
