"""Messages for text that is not valid YAML: what to do, at the line to change.

The parser reports where it could not continue, which is often a line or more after the mistake. What it had read by
then (which brackets are open, which quoted text came last) shows where the mistake is.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

_RESERVED = "@`%"
_OPENING = {"{": "}", "[": "]"}


@dataclass
class Progress:
    """What a parser has read so far: the open brackets, each with its line (from 1), and the last text."""

    brackets: list[tuple[str, int]] = field(default_factory=list)
    scalar: Any = None
    closed: str = ""

    def note(self, event: Any) -> None:
        """Take account of the parser's next event."""
        self.closed = ""
        mark: Any = event.start_mark
        if isinstance(event, yaml.CollectionStartEvent):
            bracket = ("[" if isinstance(event, yaml.SequenceStartEvent) else "{") if event.flow_style else ""
            self.brackets.append((bracket, mark.line + 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            opened, _ = self.brackets.pop()
            self.closed = _OPENING.get(opened, "")
        if isinstance(event, yaml.NodeEvent):
            self.scalar = event if isinstance(event, yaml.ScalarEvent) else None


def explain(error: yaml.YAMLError, text: str, progress: Progress) -> tuple[int | None, str]:
    """The line (from 1) to change in text that is not valid YAML, and what to do there."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return None, "cannot be read"
    problem, context = getattr(error, "problem", None) or "", getattr(error, "context", None) or ""
    context_mark = getattr(error, "context_mark", None) or mark
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent, character = line[: len(line) - len(line.lstrip())], line[mark.column : mark.column + 1]
    here = mark.line + 1
    bracket, opened = progress.brackets[-1] if progress.brackets else ("", 0)
    quoted = progress.scalar if progress.scalar is not None and progress.scalar.style in ("'", '"') else None

    if "\t" in indent or character == "\t":
        return here, "the line begins with a tab; indent with spaces"
    if "quoted scalar" in context and "end of" in problem:
        quote = lines[context_mark.line][context_mark.column : context_mark.column + 1]
        return context_mark.line + 1, f"the text that begins with {quote} here is never closed; add {quote} at its end"
    if "escape" in problem or "hexdecimal" in problem:
        return here, "a text in double quotes has a \\ that begins no known escape; use single quotes, or write \\\\"
    if quoted is not None and quoted.end_mark.line > quoted.start_mark.line and "did not find expected" in problem:
        quote, end = quoted.style, quoted.end_mark.line + 1
        return (
            quoted.start_mark.line + 1,
            f"the text in {quote} that begins here ends in line {end}; is a {quote} missing?",
        )
    if quoted is not None and quoted.end_mark.line == mark.line and "did not find expected" in problem and not bracket:
        return here, _after_quotes(quoted.style)
    if bracket and opened < here:
        return opened, f"the {bracket} opened here is never closed; add {_OPENING[bracket]}"
    if bracket and "did not find expected" in problem:
        if mark.line >= len(lines) - 1 and not line[mark.column :].strip():
            return opened, f"the {bracket} opened here is never closed; add {_OPENING[bracket]}"
        found = repr(line[mark.column :].strip()[:20])
        return here, f"a comma or {_OPENING[bracket]} is expected at {found}, inside the {bracket} of the same line"
    if (
        progress.closed
        and "did not find expected" in problem
        and line[: mark.column].rstrip().endswith(progress.closed)
    ):
        return here, f"more text follows the closing {progress.closed}; put the whole text in quotes"
    if "alias" in context or "anchor" in context or "tag" in context:
        first = lines[context_mark.line][context_mark.column : context_mark.column + 1]
        return context_mark.line + 1, f"a text that begins with {first} must be in quotes"
    if "block scalar" in context:
        return here, "the text after | or > must begin on the next line, indented"
    if "cannot start any token" in problem or "directive" in context:
        if (character and character in _RESERVED) or "directive" in context:
            return here, f"a text that begins with {character or '%'} must be in quotes"
        return here, f"{character!r} cannot begin a value; put the text in quotes"
    if "block sequence entries" in problem:
        return here, "a list entry (-) must stand on a line of its own, indented below the name of the list"
    if "mapping values" in problem:
        return _colon(lines, mark, progress)
    if character in ("}", "]"):
        return here, f"the {character} here was never opened; remove it, or put the text in quotes"
    if "could not find expected ':'" in problem:
        return context_mark.line + 1, "a name here has no colon after it; write name: value"
    if "document start" in problem:
        return here, "the line is indented less than the first one; begin all top-level names in the same column"
    if "'-' indicator" in problem:
        return here, "each entry of this list must begin with -; add it, or align the line with the name of the list"
    if "block mapping" in context or "block collection" in context:
        group = f"line {context_mark.line + 1}, with {context_mark.column} spaces"
        return (
            here,
            f"the line is aligned with no other: it has {len(indent)} spaces, its group begins in {group}; align it",
        )
    return here, f"{problem or 'cannot be read'}; check the indentation, the colons and the quotes"


def _after_quotes(quote: str) -> str:
    if quote == "'":
        return "more text follows the closing '; write '' for an apostrophe inside, or use double quotes"
    return 'more text follows the closing "; write \\" for a quotation mark inside, or quote the whole text'


def _colon(lines: list[str], mark: Any, progress: Progress) -> tuple[int, str]:
    """A colon where a value has already begun."""
    here = mark.line + 1
    before = lines[mark.line][: mark.column]
    if ": " in before or before.lstrip().startswith("- "):
        return here, "a text that has a colon followed by a space must be in quotes"
    scalar = progress.scalar
    if scalar is not None and scalar.start_mark.line < mark.line:
        first = scalar.start_mark.line + 1
        start = lines[scalar.start_mark.line][scalar.start_mark.column :]
        is_name = not lines[scalar.start_mark.line][: scalar.start_mark.column].strip()
        if is_name and ":" in start:
            return first, "the colon after a name must be followed by a space; write name: value"
        if is_name:
            return first, "a name here has no colon after it; write name: value"
        return here, f"the line is indented deeper than line {first}, whose value is complete; align them"
    return here, "a text that has a colon followed by a space must be in quotes"
