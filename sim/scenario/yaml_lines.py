"""YAML as plain values, with the line of each: JSON's types, no aliases, no repeated keys, bounded size."""

import datetime
import re

import yaml

from sim.faults import Fault, InvalidInput

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 50_000
LONGEST_SHOWN = 80
"""Characters of a key that a message shows."""
Path = tuple[str | int, ...]
Lines = dict[Path, int]


class _Loader(yaml.SafeLoader):
    """YAML's safe schema with the numbers and truth values of YAML 1.2: `1e-3` is a number, `no` a word."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":float", ":int", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def read_yaml(text: str, source: str) -> tuple[object, Lines, tuple[Fault, ...]]:
    """Parse one YAML document into plain values, the line (from 1) at which each value begins, and its faults.

    Keys are texts as they stand in the file, as in JSON. The faults are keys given more than once or that are no plain
    names, and tags; the document can be read on in spite of them. Raises `InvalidInput` for text that is no YAML, is
    empty, too large or too deep, or that uses aliases.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidInput((Fault("", None, f"is larger than {MAX_BYTES} bytes", None, source),))
    try:
        _check_events(text, source)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        line = mark.line + 1 if mark else None
        raise InvalidInput((Fault("", None, f"is not valid YAML: {problem}", line, source),)) from None
    if node is None:
        raise InvalidInput((Fault("", None, "is empty", None, source),))
    lines: Lines = {}
    faults: list[Fault] = []
    return _plain(node, (), lines, faults, source), lines, tuple(faults)


def _check_events(text: str, source: str) -> None:
    """Refuse what would unfold into more than it says, before anything is built of it."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            raise InvalidInput((Fault("", f"*{event.anchor}", "aliases are not allowed", line, source),))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            limit = f"more than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"more than {MAX_NODES} values"
            raise InvalidInput((Fault("", None, f"has {limit}", line, source),))


def _plain(node: yaml.Node, path: Path, lines: Lines, faults: list[Fault], source: str) -> object:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*path, k), lines, faults, source) for k, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, object] = {}
        for key_node, child in node.value:
            place = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                faults.append(Fault(field_name(path), None, "has a key that is not a plain name", place, source))
                continue
            key = key_node.value
            _scalar(key_node, path, faults, source)
            below = (*path, key)
            if key in mapping:
                faults.append(Fault(field_name(below), None, "is given more than once", place, source))
            lines[below] = place
            mapping[key] = _plain(child, below, lines, faults, source)
        return mapping
    return _scalar(node, path, faults, source)


def _scalar(node: yaml.Node, path: Path, faults: list[Fault], source: str) -> str | int | float | bool | None:
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    text = node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text == "true"
    if kind == "int":
        return int(text) if len(text) <= 300 else float(text)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if kind not in ("str", "timestamp"):
        faults.append(Fault(field_name(path), text, f"has the tag !{kind}, and tags are not allowed", line, source))
    return text


def field_name(path: Path) -> str:
    """A path as people write it: ``issues.dealer-access.gap``, ``correlations[0].spearman``; long names cut short."""
    name = ""
    for part in path:
        shown = str(part)[:LONGEST_SHOWN]
        name += f"[{part}]" if isinstance(part, int) else f".{shown}" if name else shown
    return name


def is_date(text: object) -> bool:
    """Whether a text is a calendar date, YYYY-MM-DD."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
