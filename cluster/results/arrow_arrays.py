"""Arrow's arrays from and to numpy by their buffers.

Arrow's own conversions import pandas, which takes a quarter of a second of each process that plays or answers. Arrays
that are made may share the memory of those that they are made from.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def of_numbers(values: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
    """Numbers of shape (n,) as an array of the same type; those that the mask `null` marks are null."""
    values = np.ascontiguousarray(values)
    return _of_buffer(pa.from_numpy_dtype(values.dtype), values.size, values, null)


def of_truths(values: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
    """Truth values, of any type that has 0 for false, of shape (n,); those that the mask `null` marks are null."""
    return _of_buffer(pa.bool_(), values.size, _packed(values.astype(bool)), null)


def of_texts(texts: Sequence[str]) -> pa.Array:
    """Texts as an array of strings."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def content(values: pa.Array) -> np.ndarray:
    """The numbers or truth values of an array. What stands where it is null has no meaning."""
    buffer, stop = values.buffers()[1], values.offset + len(values)
    if pa.types.is_boolean(values.type):
        return _unpacked(buffer, values.offset, stop)
    return np.frombuffer(buffer, np.dtype(values.type.to_pandas_dtype()), stop)[values.offset :]


def is_null(values: pa.Array) -> np.ndarray:
    """Which values of an array are null, bool of shape (n,)."""
    buffer = values.buffers()[0]
    if buffer is None:
        return np.zeros(len(values), bool)
    return ~_unpacked(buffer, values.offset, values.offset + len(values))


def known_numbers(values: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a column that are not null, in order, and which of its values these are, as a mask."""
    known = np.concatenate([~is_null(chunk) for chunk in values.chunks] or [np.empty(0, bool)])
    kind = np.dtype(values.type.to_pandas_dtype())
    numbers = np.concatenate([content(chunk) for chunk in values.chunks] or [np.empty(0, kind)])
    return numbers.compress(known) if values.null_count else numbers, known


def _of_buffer(kind: pa.DataType, size: int, data: np.ndarray, null: np.ndarray | None) -> pa.Array:
    missing = 0 if null is None else int(np.count_nonzero(null))
    known = pa.py_buffer(_packed(~null)) if null is not None and missing else None
    return pa.Array.from_buffers(kind, size, [known, pa.py_buffer(data)], missing)


def _packed(values: np.ndarray) -> np.ndarray:
    """Truth values as Arrow has them: a bit each, the lowest first."""
    return np.packbits(values, bitorder="little")


def _unpacked(buffer: pa.Buffer, first: int, stop: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(buffer, np.uint8), count=stop, bitorder="little")[first:].astype(bool)
