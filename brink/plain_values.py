"""Values as JSON: numbers of numpy, dates and paths become plain ones; anything else is refused with its field."""

import datetime
import json
import math
import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from brink.errors import BrinkError

MAX_DEPTH = 100


def json_bytes(value: object) -> bytes:
    """A value as JSON text. Raises `BrinkError` that names the field of what JSON cannot hold."""
    return json.dumps(plain(value), allow_nan=False).encode()


def plain(value: object, path: tuple[str | int, ...] = ()) -> Any:
    """A value made of dictionaries, lists, texts, numbers, truth values and None alone.

    Numbers of numpy and other libraries become int or float, arrays and series lists, dates and times their ISO form,
    paths texts, and numbers as keys texts. Raises `BrinkError` for anything else, and for numbers that are not finite.
    """
    if len(path) > MAX_DEPTH:
        raise _refused(path[:3], f"has more than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return _mapping(value, path)
    if isinstance(value, list | tuple):
        return [plain(one, (*path, k)) for k, one in enumerate(value)]
    number = _number(value)
    if number is not None:
        if isinstance(number, float) and not math.isfinite(number):
            raise _refused(path, f"must be a finite number (found {number})")
        return number
    if isinstance(value, datetime.date):
        return _iso(value, path)
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value), path)
    return _of_arrays(value, path)


def _mapping(value: Mapping[Any, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, one in value.items():
        number = None if isinstance(key, str) else _number(key)
        if number is None and not isinstance(key, str):
            raise _refused(path, f"has a key that is neither text nor a number (found {key!r})")
        name = str.__str__(key) if isinstance(key, str) else str(number)
        if name in found:
            raise _refused((*path, name), "is given more than once")
        found[name] = plain(one, (*path, name))
    return found


def _number(value: object) -> int | float | None:
    """A number as int or float; None if the value is not a number."""
    # numpy's timedelta64 is a subclass of its integers, whatever its unit.
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "m":
        return None
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else None


def _iso(value: datetime.date, path: tuple[str | int, ...]) -> str:
    if value != value:  # pandas' NaT
        raise _refused(path, "is no date (found NaT)")
    if isinstance(value, datetime.datetime) and value.tzinfo is None and value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat()


def _of_arrays(value: Any, path: tuple[str | int, ...]) -> Any:
    """The content of an array, a scalar or a series, recognised by its methods so that no library is imported."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind == "M" and hasattr(value, "astype"):
        value = value.astype("datetime64[us]")
    if kind in ("b", "i", "u", "f", "M", "U", "O", "T") and hasattr(value, "tolist"):
        found = value.tolist()
        if isinstance(found, list | str | bool | int | float | datetime.date):
            return plain(found, path)
    module = type(value).__module__
    name = type(value).__qualname__ if module == "builtins" else f"{module}.{type(value).__qualname__}"
    raise _refused(path, f"must be text, a number, true, false, null, a list or a dictionary (found a {name})")


def _refused(path: tuple[str | int, ...], message: str) -> BrinkError:
    field = ""
    for part in path:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else part
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    detail = f"{field}: {message}" if field else message
    return BrinkError("a value cannot be sent as JSON", faults=[{"field": field, "pointer": pointer, "detail": detail}])
