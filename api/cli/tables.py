"""Tables that fit the width: columns that do not fit beside each other follow in further blocks, and nothing is cut."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

_PROSE = 24
"""Characters that a column of prose needs; with fewer it is printed below its row."""
_PIECE = 14
"""Characters of a title's word that are not broken; of a longer one only where the cells are as wide."""
_KEY = 12
"""Characters below which the words of a key are broken."""
_NARROWEST = 4
"""Characters that are left for a key in any case."""
_BREAKS = re.compile(r"(?<=[-_./])(?=[^\W\d_])|(?<=\S)(?=\s+[^\s%])|(?<=\s)(?=[^\s%])")
_INDENT = "  "


@dataclass(frozen=True)
class Column:
    """A column of a table: its title and a cell for each row.

    Cells are printed in one line unless `prose` is set: then they are broken at words, and stand below their rows
    where there is no room beside. Titles and keys are broken at spaces, hyphens, underscores and dots.
    """

    title: str
    cells: Sequence[str | Text]
    left: bool = False
    prose: bool = False


@dataclass(frozen=True)
class Bars:
    """A column of pictures, drawn for a number of characters from `least` to `most`: only on a terminal with room."""

    title: str
    draw: Callable[[int], Sequence[Text]]
    least: int
    most: int


@dataclass(frozen=True)
class _Layout:
    """Columns in blocks, each column with its width; the keys come first in every block."""

    blocks: tuple[tuple[tuple[Column, int], ...], ...]
    gap: int
    below: tuple[Column, ...] = ()

    def lines(self) -> int:
        """Lines of the table without the texts below the rows, which are the same in every layout."""
        return sum(_height(block) for block in self.blocks)


def print_table(
    out: "Console",
    columns: Sequence[Column | Bars],
    *,
    title: str = "",
    keys: int = 1,
    gap: int = 2,
    headings: Mapping[int, str] | None = None,
) -> None:
    """Print a table that is no wider than the console.

    The first `keys` columns name the rows and are repeated in every block. `headings` are printed before the rows of
    these numbers, an empty one as an empty line. `gap` is the least number of spaces between two columns. Without a
    terminal there are no bars.
    """
    if title:
        out.print(Text(title, style="bold"))
    layout = _layout(columns, keys, gap, out.width, out.is_terminal)
    for number, block in enumerate(layout.blocks):
        if number:
            out.print()
        _print_line(out, _row_lines(block, -1, gap))
        for row in range(len(block[0][0].cells)):
            if headings and row in headings:
                out.print(Text(headings[row], style="bold"))
            _print_line(out, _row_lines(block, row, gap))
            for column in layout.below if number == 0 else ():
                _print_below(out, column, row)


def wrap(text: str, width: int) -> list[str]:
    """A text in lines, broken at spaces and after hyphens, underscores, dots and slashes; a longer word anywhere."""
    return list(_wrap(text, width))


@lru_cache(4096)
def _wrap(text: str, width: int) -> tuple[str, ...]:
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for piece in _pieces(part):
            if cell_len((line + piece).rstrip()) <= width:
                line += piece
                continue
            if line.strip():
                lines.append(line.rstrip())
            *whole, line = chop_cells(piece.lstrip(), width) or [""]
            lines += whole
        lines.append(line.rstrip())
    return tuple(lines)


def _pieces(text: str) -> list[str]:
    """The parts of a text after each of which a line may end: not within a number, and not before a per cent sign."""
    return _BREAKS.split(text)


def _layout(columns: Sequence[Column | Bars], keys: int, gap: int, width: int, terminal: bool) -> _Layout:
    """The columns beside each other with bars, if that fits, without bars, with prose below its rows, or in blocks."""
    plain = [one for one in columns if isinstance(one, Column)]
    if terminal and len(plain) < len(columns):
        beside = _beside(columns, keys, gap, width, whole_keys=True)
        if beside is not None:
            return beside
    below = tuple(one for one in plain[keys:] if one.prose)
    beside = _beside(plain, keys, gap, width) if below else None
    rest = [one for k, one in enumerate(plain) if k < keys or not one.prose]
    return beside or replace(_in_blocks(rest, keys, gap, width), below=below)


def _beside(
    columns: Sequence[Column | Bars], keys: int, gap: int, width: int, *, whole_keys: bool = False
) -> _Layout | None:
    """All columns in one block, None if they do not fit."""
    most = [_most(one, key=k < keys) for k, one in enumerate(columns)]
    least = [_least(one, key=k < keys) for k, one in enumerate(columns)]
    for k in range(keys):
        least[k] = most[k] if whole_keys else max(least[k], min(most[k], width // (3 * keys)))
    room = width - gap * (len(columns) - 1)
    if sum(least) > room:
        return None
    widths = _shared(least, most, room)
    drawn = [
        Column(one.title, one.draw(min(own, one.most)), left=True) if isinstance(one, Bars) else one
        for one, own in zip(columns, widths, strict=True)
    ]
    return _Layout((tuple(zip(drawn, widths, strict=True)),), gap)


def _shared(least: list[int], most: list[int], room: int) -> list[int]:
    """Widths between their bounds that fill the room: the narrowest of those that want more grows first."""
    widths = list(least)
    for _ in range(room - sum(widths)):
        growing = [k for k, own in enumerate(widths) if own < most[k]]
        if not growing:
            break
        widths[min(growing, key=lambda k: widths[k] - least[k])] += 1
    return widths


def _in_blocks(columns: Sequence[Column], keys: int, gap: int, width: int) -> _Layout:
    """The columns in blocks, with the width of the keys that gives the fewest lines."""
    most_of_one = max(1, width - keys * (gap + _NARROWEST))
    least = [min(_least(one, key=k < keys), most_of_one) for k, one in enumerate(columns)]
    most = [min(_most(one, key=k < keys), most_of_one) for k, one in enumerate(columns)]
    if len(columns) == keys:
        room = width - gap * (keys - 1)
        return _Layout((tuple(zip(columns, _shared(_shrunk(least, room), most, room), strict=True)),), gap)
    wanted = max(least[keys:])
    largest = min(sum(most[:keys]), width - wanted - gap * keys)
    smallest = min(sum(least[:keys]), largest)
    found = [
        _packed(columns, keys, _shared(_shrunk(least[:keys], total), most[:keys], total), least, most, gap, width)
        for total in range(max(largest, keys), max(smallest, keys) - 1, -1)
    ]
    return min(found, key=_Layout.lines)


def _shrunk(widths: list[int], total: int) -> list[int]:
    """Widths made narrower, the widest first, until they fit."""
    widths = list(widths)
    while sum(widths) > total and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _packed(
    columns: Sequence[Column],
    keys: int,
    key_widths: list[int],
    least: list[int],
    most: list[int],
    gap: int,
    width: int,
) -> _Layout:
    """The columns in as few blocks as there must be for keys of some widths, in blocks of similar size if they fit."""
    room = width - sum(key_widths) - gap * (keys - 1)
    groups = _groups(range(keys, len(columns)), least, room, gap, len(columns))
    even = _groups(range(keys, len(columns)), least, room, gap, -(-(len(columns) - keys) // len(groups)))
    groups = even if len(even) == len(groups) else groups
    blocks = []
    for group in groups:
        own = [(least[k], most[k]) for k in group]
        widths = _shared([low for low, _ in own], [high for _, high in own], room - gap * len(group))
        named = [*columns[:keys], *(columns[k] for k in group)]
        blocks.append(tuple(zip(named, [*key_widths, *widths], strict=True)))
    return _Layout(tuple(blocks), gap)


def _groups(numbers: Sequence[int], widths: list[int], room: int, gap: int, most: int) -> list[list[int]]:
    """Columns in groups that fit the room, one at least and `most` at most in each."""
    groups: list[list[int]] = [[]]
    for k in numbers:
        used = sum(widths[one] + gap for one in groups[-1])
        if groups[-1] and (used + widths[k] + gap > room or len(groups[-1]) == most):
            groups.append([])
        groups[-1].append(k)
    return groups


def _least(column: Column | Bars, *, key: bool) -> int:
    """The least characters of a column beside others."""
    if isinstance(column, Bars):
        return max(column.least, _longest_piece(column.title, _PIECE))
    title = _longest_piece(column.title, _PIECE)
    if key:
        return max(title, *(_longest_piece(_plain(cell), _KEY) for cell in column.cells), 1)
    if column.prose:
        return max(title, min(_PROSE, _widest(column)), 1)
    return max(title, _widest(column), 1)


def _most(column: Column | Bars, *, key: bool) -> int:
    """The most characters that a column can use."""
    if isinstance(column, Bars):
        return max(column.most, cell_len(column.title))
    return max(_least(column, key=key), cell_len(column.title), _widest(column), 1)


def _longest_piece(text: str, most: int) -> int:
    return min(most, max((cell_len(piece.rstrip()) for piece in _pieces(text)), default=0))


def _widest(column: Column) -> int:
    return max((cell_len(line) for cell in column.cells for line in _plain(cell).split("\n")), default=0)


def _height(block: Sequence[tuple[Column, int]]) -> int:
    rows = range(-1, len(block[0][0].cells))
    return 1 + sum(max(len(_cell_lines(column, width, row)) for column, width in block) for row in rows)


def _cell_lines(column: Column, width: int, row: int) -> tuple[str, ...]:
    """The lines of a cell, of the title if the row is -1."""
    return _wrap(column.title if row < 0 else _plain(column.cells[row]), width)


def _row_lines(block: Sequence[tuple[Column, int]], row: int, gap: int) -> list[Text]:
    """The lines of a row, of the titles if it is -1."""
    cells = [_cell_lines(column, width, row) for column, width in block]
    height = max(map(len, cells))
    # A title stands on the last lines of the titles, next to its column; other cells on the first lines of their row.
    placed = [[""] * (height - len(lines)) + list(lines) if row < 0 else list(lines) for lines in cells]
    found = []
    for parts in zip_longest(*placed, fillvalue=""):
        line = Text()
        for k, ((column, width), part) in enumerate(zip(block, parts, strict=True)):
            space = width - cell_len(part)
            left = column.left or column.prose or k == 0
            line.append(" " * (gap * (k > 0) + (0 if left else space)))
            line.append(part, style="bold" if row < 0 else _style(column.cells[row]))
            line.append(" " * (space if left else 0))
        line.rstrip()
        found.append(line)
    return found


def _print_line(out: "Console", lines: Sequence[Text]) -> None:
    for line in lines:
        out.print(line, no_wrap=True, overflow="ignore", crop=False)


def _print_below(out: "Console", column: Column, row: int) -> None:
    text = ", ".join(part for part in _plain(column.cells[row]).split("\n") if part)
    if text:
        first, *rest = wrap(f"{column.title}: {text}" if column.title else text, out.width - 2 * len(_INDENT))
        lines = [_INDENT + first, *(2 * _INDENT + line for line in rest)]
        _print_line(out, [Text(line, style=_style(column.cells[row])) for line in lines])


def _plain(cell: str | Text) -> str:
    return cell if isinstance(cell, str) else cell.plain


def _style(cell: str | Text) -> str:
    return "" if isinstance(cell, str) else str(cell.style)
