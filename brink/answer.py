"""An answer of the service: a dictionary that knows which answer it is."""

from collections.abc import Mapping
from typing import Any


class Answer(dict[str, Any]):
    """The document of an answer, as the service sends it; `name` is the answer's name, such as ``drivers``."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self.name = name
