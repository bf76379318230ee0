"""An answer of the service: a dictionary that knows which answer it is."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from brink.display import answer_html
from brink.errors import BrinkError
from brink.tables import table_rows

if TYPE_CHECKING:
    import pandas as pd

Draw = Callable[[str | None], Any]
"""Draws the chart of a name: the chart itself, or of an `AsyncJob` an awaitable of it."""


class Answer(dict[str, Any]):
    """The document of an answer, as the service sends it; `name` is the answer's name, such as ``drivers``."""

    def __init__(
        self,
        name: str,
        document: Mapping[str, Any],
        draw: Draw | None = None,
        picture: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(document)
        self.name, self._draw, self._picture = name, draw, picture

    @property
    def document(self) -> dict[str, Any]:
        """The document as a plain dictionary."""
        return dict(self)

    def table(self, name: str | None = None) -> "pd.DataFrame":
        """A table of the answer as pandas, its first if none is named, such as ``summary.table("measures")``.

        Objects within a row become columns with dots in their names; beside an estimate stand its ``.standard_error``,
        ``.low`` and ``.high``. Raises `BrinkError` for a table that the answer does not have, with those that it has.
        """
        try:
            import pandas as pd
        except ImportError:
            raise BrinkError("tables need pandas: pip install pandas") from None
        return pd.DataFrame(table_rows(self.name, self, name))

    def chart(self, name: str | None = None) -> Any:
        """The chart of the answer, drawn by the service; `name` is one of several, such as ``compare.chart("leads")``.

        A `brink.chart.Chart`, which a notebook shows; of an answer of an `AsyncJob` it is awaited. Raises `BrinkError`
        for an answer without a chart.
        """
        if self._draw is None:
            raise BrinkError(f"this answer {self.name} belongs to no job that could draw it")
        return self._draw(name)

    def _repr_html_(self) -> str:
        """Its chart and its tables, for a notebook."""
        return answer_html(self.name, self, self._picture())
