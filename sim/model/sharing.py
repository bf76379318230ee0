"""Results that strategies share: what follows from parameters on which they agree is computed once.

Nobody lists which parameters those are. A function of the points reads them by name, and the names that it read are
noted. For another strategy its result is the same if the points have the same values under these names.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from sim.sampling.points import Points

Result = TypeVar("Result")


class NotedPoints(Points):
    """The same points. It holds those that were read."""

    def __init__(self, points: Points) -> None:
        super().__init__()
        self._points = points

    def __missing__(self, name: str) -> Any:
        self[name] = self._points[name]
        return self[name]


class Shared:
    """Results for the strategies that are played on a block of trials; nobody may change them."""

    def __init__(self) -> None:
        self._known: list[tuple[Callable[..., Any], tuple[Any, ...], Any]] = []

    def result(self, function: Callable[..., Result], *arguments: object) -> Result:
        """`function(*arguments)`, or what it gave before with these very arguments.

        A dictionary among them is points: they count as the same if those that the function read have the same values.
        """
        for other, given, result in self._known:
            if other is function and all(_same(one, another) for one, another in zip(given, arguments, strict=True)):
                return result
        noted = tuple(NotedPoints(one) if isinstance(one, dict) else one for one in arguments)
        result = function(*noted)
        self._known.append((function, noted, result))
        return result


def _same(given: object, argument: Any) -> bool:
    """Whether an argument is the one given before, or a parameter's value the same: strategies share what they can."""
    if isinstance(given, NotedPoints):
        return all(_same(value, argument[name]) for name, value in given.items())
    return given is argument or (isinstance(given, float) and isinstance(argument, float) and given == argument)
