"""Tables as a workbook for Excel, by XlsxWriter: text cells are texts, never formulas or links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from sim.faults import Fault, InvalidInput

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 1_048_575
"""Rows of a sheet below the titles."""
MOST_CHARACTERS = 32_767
"""Characters of a cell. A longer text is cut and says so."""
_EXACT = 2**53
"""Excel's numbers are doubles: a greater whole number is written as text."""
_WIDEST = 60


@dataclass(frozen=True)
class Sheet:
    """A sheet: its name (at most 31 characters, of letters, digits and spaces), titles, and rows of plain values."""

    name: str
    titles: Sequence[str]
    rows: Iterable[Sequence[Any]]


def check_rows(field: str, rows: int, what: str) -> None:
    """Raise `InvalidInput` for more rows than a sheet can have."""
    if rows > MOST_ROWS:
        message = f"makes {rows:,} rows {what}; a sheet of Excel has {MOST_ROWS:,} below its titles"
        raise InvalidInput((Fault(field, None, message),))


def write_workbook(path: Path, sheets: Iterable[Sheet]) -> None:
    """Write sheets to a file, row by row. Raises `InvalidInput` for a sheet with too many rows."""
    import xlsxwriter

    # In this mode rows go to the disk as they are written.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.freeze_panes(1, 0)
            for k, title in enumerate(sheet.titles):
                page.set_column(k, k, min(max(len(title), 9) + 2, _WIDEST))
                page.write_string(0, k, _text(title), bold)
            for number, row in enumerate(sheet.rows, 1):
                if number > MOST_ROWS:
                    check_rows("rows", number, f"of {sheet.name}")
                for k, value in enumerate(row):
                    _write(page, number, k, value)


def _write(page: Any, row: int, column: int, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        page.write_boolean(row, column, value)
    elif (isinstance(value, int) and abs(value) <= _EXACT) or (isinstance(value, float) and isfinite(value)):
        page.write_number(row, column, value)
    else:
        page.write_string(row, column, _text(str(value)))


def _text(text: str) -> str:
    """A text as a cell can hold it."""
    if len(text.encode("utf-16-le", "replace")) // 2 <= MOST_CHARACTERS:
        return text
    note = f" [cut: {len(text):,} characters]"
    # Excel counts units of UTF-16, of which a character has two at most.
    return text[: (MOST_CHARACTERS - len(note)) // 2] + note
