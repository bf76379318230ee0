"""A Rich console that shows the control characters of a text instead of sending them to the terminal."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sim.faults import printable


class ShownConsole(Console):
    """A console for texts of users: no name, path or title moves the cursor, changes colours or reverses a line."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed, their control characters escaped; Rich's own codes are not among them."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment("\n".join(map(printable, segment.text.split("\n"))), segment.style)
