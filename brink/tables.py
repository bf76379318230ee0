"""The tables of an answer: which rows of its document they are made of, and the rows themselves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from brink.errors import BrinkError

TABLES: Mapping[str, Mapping[str, str]] = {
    "summary": {
        "outcome": "strategies/<strategy>/outcome/<outcome>",
        "events": "strategies/<strategy>/events/<event>",
        "measures": "strategies/<strategy>/measures/<measure>",
    },
    "timeline": {"states": "result/strategies/<strategy>/states/<state>/|"},
    "convergence": {"estimates": "result/strategies/<strategy>/|"},
    "compare": {
        "regret": "result/choices/[measure]/regret/<strategy>",
        "leads": "result/choices/[measure]/leads/[name,unit]/ranges/[]",
        "outcome": "result/pairs/[first,second]/outcome/<outcome>",
        "events": "result/pairs/[first,second]/events/<event>",
        "measures": "result/pairs/[first,second]/measures/<measure>",
    },
    "diff": {
        "events": "strategies/[first,second]/events/<event>",
        "outcome": "strategies/[first,second]/outcome/<outcome>",
        "measures": "strategies/[first,second]/measures/<measure>",
        "inputs": "inputs/[]",
    },
    "worth": {
        "parameters": "result/parameters/[]",
        "groups": "result/groups/[]",
        "means": "result/now/means/<strategy>",
    },
    "drivers": {"parameters": "result/parameters/[]", "groups": "result/groups/[]"},
    "indices": {"inputs": "result/inputs/[]"},
    "discover": {"boxes": "result/boxes/[]", "trade_off": "result/trade_off/[]"},
    "stress": {"parameters": "result/parameters/[]", "events": "result/events/[]", "outcome": "result/outcome/[]"},
    "score": {"events": "result/events/<event>"},
    "check": {"compared": "result/compared/[]"},
    "replay": {"story": "result/story/[]"},
    "typical": {"typical": "result/typical/[]", "extreme": "result/extreme/[]"},
    "aggregate": {"rows": "result/rows/[]"},
}
"""By answer and table the path of the rows in its document.

``<name>`` stands for every key, which becomes the column of that name; ``[a,b]`` for every item of a list, whose fields
a and b become columns; ``|`` at the end for lists of equal length, an item of each a row.
"""


def is_estimate(value: object) -> bool:
    """Whether a value is an estimate with an interval."""
    return isinstance(value, Mapping) and {"estimate", "low", "high"} <= value.keys()


def known_tables(answer: str, document: Mapping[str, Any]) -> Mapping[str, str]:
    """The tables of an answer's document: by name the path of the rows."""
    return TABLES.get(answer) or _found(document)


def table_rows(answer: str, document: Mapping[str, Any], table: str | None) -> list[dict[str, Any]]:
    """The rows of a table of an answer's document, the first of its tables if none is named. Raises `BrinkError`."""
    known = known_tables(answer, document)
    if table is not None and table not in known:
        raise BrinkError(f"{answer} has no table {table}; there are {', '.join(known) or 'none'}")
    if not known:
        return [flat(document)]
    path = known[table if table is not None else next(iter(known))]
    return [_flat_beside(keys, row) for keys, row in rows_at(document, path)]


def rows_at(document: Mapping[str, Any], path: str) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """The rows at a path of a document: the keys that lead to each, and the row itself."""
    return _rows(document, path.split("/"), {})


def _flat_beside(keys: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Where a field is called as a key is, the key counts."""
    return {**keys, **{name: one for name, one in flat(row).items() if name not in keys}}


def _found(document: Mapping[str, Any]) -> dict[str, str]:
    """The lists of rows in the result of an answer that this version of the client does not know."""
    result = document.get("result")
    found = result if isinstance(result, Mapping) else {}
    return {
        name: f"result/{name}/[]"
        for name, value in found.items()
        if isinstance(value, list) and value and isinstance(value[0], Mapping)
    }


def _rows(value: Any, path: Sequence[str], keys: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    if not path:
        if isinstance(value, Mapping):
            yield keys, value
        return
    step, rest = path[0], path[1:]
    if step.startswith("["):
        for item in value if isinstance(value, list) else ():
            if isinstance(item, Mapping):
                fields = {name: item.get(name) for name in step.strip("[]").split(",") if name}
                yield from _rows(item, rest, {**keys, **fields})
    elif not isinstance(value, Mapping):
        return
    elif step.startswith("<"):
        for key, one in value.items():
            yield from _rows(one, rest, {**keys, step.strip("<>"): key})
    elif step == "|":
        lists = {name: column for name, column in value.items() if isinstance(column, list)}
        for k in range(max(map(len, lists.values()), default=0)):
            yield {**keys, "number": k + 1}, {name: column[k] for name, column in lists.items()}
    else:
        yield from _rows(value.get(step), rest, keys)


def flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A row with the fields of its objects as fields of their own, names joined by dots.

    An estimate becomes the field itself, and ``.standard_error``, ``.low`` and ``.high``.
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        if is_estimate(value) and before + name:
            found[before + name] = value["estimate"]
            found |= {f"{before}{name}.{key}": one for key, one in value.items() if key != "estimate"}
        elif isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found
