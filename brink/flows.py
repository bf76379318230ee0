"""What a call does, written once for both clients.

A flow is a generator. It yields requests to be sent and seconds to wait, and receives the responses. `Brink` sends and
sleeps; `AsyncBrink` awaits both.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

import httpx

from brink.plain_values import json_bytes

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A request. `body` is sent as JSON, `content` as it is.

    With a `sink`, the body of a successful response goes there piece by piece.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    body: object = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    sink: Callable[[httpx.Response, bytes], None] | None = None

    def options(self) -> dict[str, Any]:
        """The request's keyword arguments for httpx. Raises `BrinkError` for a body that is not plain values."""
        if self.body is None:
            return {"params": self.params, "content": self.content, "headers": self.headers}
        headers = {"Content-Type": "application/json", **self.headers}
        return {"params": self.params, "content": json_bytes(self.body), "headers": headers}


Flow = Generator[Request | float, Any, T]


class Blocking(ABC):
    """Runs flows to their end before it returns."""

    @abstractmethod
    def _drive(self, flow: Flow[T]) -> T: ...


class Awaiting(ABC):
    """Runs flows when awaited."""

    @abstractmethod
    async def _drive(self, flow: Flow[T]) -> T: ...


class Operation(Generic[P, T]):
    """A flow as a method: of a `Blocking` object one that returns its result, of an `Awaiting` one to be awaited."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, instance: Blocking, owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: type | None = None) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> "Operation[P, T]": ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """The method of an object."""
        if instance is None:
            return self
        bound = MethodType(self.flow, instance)

        def call(*arguments: P.args, **options: P.kwargs) -> Any:
            return instance._drive(bound(*arguments, **options))

        return update_wrapper(call, bound)


def segment(text: str) -> str:
    """A text as one segment of a path, whatever is in it."""
    return quote(text, safe="")
