"""An answer of the service: a dictionary that knows which answer it is."""

from collections.abc import Mapping
from typing import Any

from brink.display import answer_html


class Answer(dict[str, Any]):
    """The document of an answer, as the service sends it; `name` is the answer's name, such as ``drivers``."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self.name = name

    def _repr_html_(self) -> str:
        """Tables and a chart, for a notebook."""
        return answer_html(self.name, self)
