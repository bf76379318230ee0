"""Tables in the formats that a reader may ask for: CSV, Arrow, Parquet and workbooks for Excel."""

import io
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from api.workbook import XLSX, Sheet, check_rows, write_workbook

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
SUFFIXES = {".json": JSON, ".csv": CSV, ".arrow": ARROW, ".parquet": PARQUET, ".xlsx": XLSX}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a text that begins so for a formula, and run it."""


def encode(table: pa.Table, media_type: str) -> bytes:
    """A table as a file of one of these media types, save JSON. Raises `InvalidInput` for one too long for Excel."""
    out = io.BytesIO()
    if media_type == CSV:
        pyarrow.csv.write_csv(_harmless(table), out)
    elif media_type == ARROW:
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
    elif media_type == PARQUET:
        pq.write_table(table, out)
    elif media_type == XLSX:
        check_rows("by", len(table), "of groups")
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "table.xlsx")
            write_workbook(file, [Sheet("Table", table.column_names, rows)])
            return file.read_bytes()
    else:
        raise ValueError(f"there is no table as {media_type}")
    return out.getvalue()


def _harmless(table: pa.Table) -> pa.Table:
    """The table with an apostrophe before every text and name that a spreadsheet would run."""
    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type):
            risky = pc.is_in(pc.utf8_slice_codeunits(column, 0, 1), pa.array(_FORMULA))
            column = pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)
        columns.append(column)
    names = [f"'{name}" if name.startswith(_FORMULA) else name for name in table.column_names]
    return pa.table(columns, names)


def negotiate(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """The offered media type that an `Accept` header prefers, None if it takes none of them (RFC 9110, 12.5.1).

    Of equally welcome ones the first offered; the most specific range that fits a type decides about it.
    """
    ranges = []
    for part in (accept or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.replace(" ", "").startswith("q="):
                try:
                    quality = float(parameter.replace(" ", "")[2:])
                except ValueError:
                    quality = 0.0
        ranges.append((name, quality))

    def welcome(media_type: str) -> float:
        for name in (media_type, media_type.split("/")[0] + "/*", "*/*"):
            found = [quality for given, quality in ranges if given == name]
            if found:
                return max(found)
        return 0.0

    best = max(offered, key=welcome)
    return best if welcome(best) > 0.0 else None
