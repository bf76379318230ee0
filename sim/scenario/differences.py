"""What differs between two scenarios, field by field."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sim.scenario.scenario import Scenario, scenario_document

_DEPTHS = {"sessions": 1, "issues": 2, "parameters": 1, "strategies": 2, "set": 1, "sources": 1}
"""How many levels below these fields a document has names; what stands at the last level is one value."""


@dataclass(frozen=True)
class FieldDifference:
    """A field that two scenarios have with other values, or that one of them lacks (None); values are plain JSON.

    `path` leads to the field, such as ``("parameters", "target_win")``; `field` is the same with dots between.
    """

    path: tuple[str, ...]
    first: Any
    second: Any

    @property
    def field(self) -> str:
        """The path as text."""
        return ".".join(self.path)


def scenario_differences(first: Scenario, second: Scenario) -> tuple[FieldDifference, ...]:
    """The fields of two scenarios, defaults filled in, that differ, in the order of a scenario's document."""
    found, other = (dict(_leaves(scenario_document(scenario))) for scenario in (first, second))
    # An empty object differs from one with fields by these fields alone.
    inner = {path[:k] for path in (*found, *other) for k in range(1, len(path))}
    return tuple(
        FieldDifference(path, found.get(path), other.get(path))
        for path in dict.fromkeys([*found, *other])
        if found.get(path) != other.get(path) and path not in inner
    )


def _leaves(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in document.items():
        yield from _below((name,), value, _DEPTHS.get(name, 0))


def _below(path: tuple[str, ...], value: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    if depth and isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _below((*path, name), part, depth - 1)
    else:
        yield path, value
