"""What is made from the registry of answers: the client's methods, and the table of answers in ``docs/answers.md``.

``make reference`` runs it as ``python -m docs.answers``; a test says when a file is not up to date.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from cluster.answers.entry import Answer
from cluster.answers.registry import ANSWERS

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "brink" / "answers.py"
PAGE = ROOT / "docs" / "answers.md"
BEGIN, END = "<!-- the answers: made by `make reference` -->", "<!-- end of the answers -->"
_HEAD = '''"""The answers about a job's run, a method each. `make reference` makes it from the service's answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from brink.answer import Answer
from brink.flows import Flow, Operation


class Answers(ABC):
    """The methods of a job that ask about its run.

    What is None is left to the service's default.
    """

    @abstractmethod
    def _ask(self, answer: str, request: Mapping[str, Any]) -> Flow[Answer]:
        """Ask for an answer by its name, with those parts of the request that are not None."""
'''
_SHARED = ("strategy", "strategies", "given", "believe")
"""Fields that many requests have; they stand last."""


def client_methods() -> str:
    """The text of ``brink/answers.py``.

    The summary and answers that come as tables have methods of another form, which are written by hand.
    """
    return _HEAD + "".join(_method(answer) for answer in ANSWERS if not answer.bare and answer.table is None)


def index() -> str:
    """The table of answers: command and route, sentence, fields of the request."""
    rows = [
        f"| `{answer.name}` | {answer.sentence} | {', '.join(f'`{name}`' for name in _ordered(answer))} |"
        for answer in ANSWERS
    ]
    return "\n".join(["| answer | what it says | fields of the request |", "|---|---|---|", *rows])


def page() -> str:
    """The text of ``docs/answers.md`` with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{index()}\n\n{END}{rest.split(END)[1]}"


def _ordered(answer: Answer) -> dict[str, FieldInfo]:
    """The request's fields: required ones first, then the answer's own, then those that many answers have."""
    fields = dict(answer.request.model_fields)
    if answer.cannot_weigh is not None:
        del fields["believe"]

    def place(name: str) -> tuple[bool, int]:
        return not fields[name].is_required(), _SHARED.index(name) if name in _SHARED else -1

    return {name: fields[name] for name in sorted(fields, key=place)}


def _method(answer: Answer) -> str:
    fields = _ordered(answer)
    required = [name for name, field in fields.items() if field.is_required()]
    arguments = ["self", *(f"{name}: {type_text(fields[name].annotation)}" for name in required), "*"]
    arguments += [
        f"{name}: {type_text(field.annotation, optional=True)} = None"
        for name, field in fields.items()
        if name not in required
    ]
    listed = "".join(f"        {one},\n" for one in arguments)
    notes = "\n".join(
        textwrap.fill(_note(name, field), 118, initial_indent="        ", subsequent_indent="            ")
        for name, field in fields.items()
    )
    sent = "".join(f'            "{name}": {name},\n' for name in fields)
    return (
        f"\n    @Operation\n    def {answer.name}(\n{listed}    ) -> Flow[Answer]:\n"
        f'        """{answer.sentence}\n\n{notes}\n        """\n'
        f"        request = {{\n{sent}        }}\n"
        f'        return (yield from self._ask("{answer.name}", request))\n'
    )


def _note(name: str, field: FieldInfo) -> str:
    default = f" {field.default} by default." if isinstance(field.default, str) else ""
    return f"`{name}`: {field.description}{default}"


def type_text(annotation: Any, *, optional: bool = False) -> str:
    """A request field's type as the client writes it: any sequence for a tuple, any mapping for a dictionary."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0], optional=optional)
    if origin in (Union, UnionType):
        kinds = [type_text(part) for part in parts if part is not NoneType]
        return " | ".join([*kinds, *(["None"] if optional or NoneType in parts else [])])
    if origin is tuple:
        text = f"{Sequence.__name__}[{type_text(parts[0])}]"
    elif origin is dict:
        text = f"{Mapping.__name__}[{type_text(parts[0])}, {type_text(parts[1])}]"
    else:
        text = annotation.__name__
    return f"{text} | None" if optional else text


def main() -> None:
    """Write the files."""
    CLIENT.write_text(client_methods(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
