"""Tables of past threats: the TIES data as distributed, or a plain CSV table.

TIES is the data set of Morgan, Bapat & Kobayashi (2014), "Threat and imposition of economic sanctions 1945-2005",
Conflict Management and Peace Science 31(5). It states no licence and is not shipped: its user supplies the file.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from sim.faults import Fault, InvalidInput
from sim.statistics.base_rates import ENDINGS

UNITED_STATES = 2
"""The Correlates of War number of the United States."""
TRADE_PRACTICES = 13
"""The number of trade practices among TIES's issues."""
SINCE = 1975
LAST_DAY = date(2005, 12, 31)
"""The end of observation in TIES."""
MOST_ROWS = 100_000
MOST_FAULTS = 20
COMMITMENTS = ("weak", "medium", "strong")
OPEN = "open"
OWN_COLUMNS = ("target", "began", "outcome")
"""Columns that a table of one's own must have; `imposed_on`, `ended_on`, `specific`, `commitment` and `id` may be left
out, and `agreed_on`, the day of an agreement, also of one after an imposition."""
_OWN_OPTIONAL = ("id", "imposed_on", "ended_on", "agreed_on", "specific", "commitment")
_TIES = {
    "caseid", "startyear", "startmonth", "startday", "endyear", "endmonth", "endday", "primarysender", "targetstate",
    "issue1", "issue2", "issue3", "threat", "bspecif", "scommit", "imposition", "sancimpositionstartyear",
    "sancimpositionstartmonth", "sancimpositionstartday", "finaloutcome",
}  # fmt: skip
_SETTLED, _DROPPED, _AFTER_IMPOSITION = (1, 2, 5), (3, 4), (6, 7, 8, 9, 10)
_AGREED_AFTER_IMPOSITION = (6, 7, 10)
_SPECIFIC = (1, 2)
_BEGAN, _ENDED = ("startyear", "startmonth", "startday"), ("endyear", "endmonth", "endday")
_IMPOSED = ("sancimpositionstartyear", "sancimpositionstartmonth", "sancimpositionstartday")


@dataclass(frozen=True)
class Episode:
    """A threat of sanctions and how it ended; `outcome` is one of `ENDINGS`, or open. Unknown dates are None.

    `specific` says whether the demand was specific, `commitment` is one of `COMMITMENTS`.
    """

    id: str
    target: str
    began: date | None
    outcome: str
    imposed_on: date | None
    ended_on: date | None
    year_ended: int | None
    """The year of the imposition or the end, known more often than the day."""
    agreed: bool | None
    """Whether the sides agreed, after an imposition too; None if that is not known."""
    agreed_on: date | None
    specific: bool | None
    commitment: str | None
    began_from: date | None = None
    """The first day on which the threat can have been made, where the day or the month is not known."""
    over_by: date | None = None
    """The last day on which it can have come to its end, an imposition or what else, where that is not known."""


@dataclass(frozen=True)
class EpisodeTable:
    """The episodes of a table, and how many of its rows were left out for which reason."""

    kind: str
    rows: int
    episodes: tuple[Episode, ...]
    left_out: dict[str, int]
    watched_until: date | None


def read_episodes(
    path: Path, *, sender: int = UNITED_STATES, issue: int = TRADE_PRACTICES, since: int = SINCE
) -> EpisodeTable:
    """Read a table of episodes. Raises `InvalidInput` that names each fault's row and column.

    The format is recognised by the columns, whose names may be in capitals. `sender`, `issue` and `since` choose rows
    of TIES alone.
    """
    cells = _Cells(path, *_rows(path))
    names = cells.columns.keys()
    if names >= _TIES:
        return _ties(cells, sender, issue, since)
    if len(names & _TIES) > len(names & set(OWN_COLUMNS)):
        raise _refused(path, f"lacks {_listed(sorted(_TIES - names))}, which a TIES table has")
    missing = [name for name in OWN_COLUMNS if name not in names]
    if missing:
        raise _refused(
            path,
            f"lacks {_listed(missing)}: a table of your own needs {', '.join(OWN_COLUMNS)}; a TIES table has caseid, "
            "finaloutcome, bspecif and others",
        )
    return _own(cells)


def _listed(columns: Sequence[str]) -> str:
    return f"the column{'s' * (len(columns) > 1)} {', '.join(columns)}"


_Row = tuple[int, list[object]]
"""A row's number in the file and its cells."""


def _rows(path: Path) -> tuple[list[str], list[_Row]]:
    """The names of a table's columns, and its rows that are not empty. Raises `InvalidInput`."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".xls", ".xlsx"):
        raise _refused(path, "must be a .csv, .xls or .xlsx file")
    if not path.is_file():
        raise _refused(path, "is not a readable file")
    found = [(line, cells) for line, cells in (_text_rows if suffix == ".csv" else _sheet_rows)(path) if any(cells)]
    if not found:
        raise _refused(path, "cannot be read as a table: it is empty")
    header = [str(name or "").lower() for name in found[0][1]]
    if len(header) == 1 and ";" in header[0]:
        raise _refused(path, "has cells separated by semicolons: save it with commas between them")
    if len(header) == 1 and "\t" in header[0]:
        raise _refused(path, "has cells separated by tabs: save it with commas between them")
    repeated = [name for name, times in Counter(header).items() if name and times > 1]
    if repeated:
        raise _refused(path, f"has the column {repeated[0]} more than once", line=found[0][0])
    rows = found[1:]
    if not rows:
        raise _refused(path, "has no rows")
    if len(rows) > MOST_ROWS:
        raise _refused(path, f"has more than {MOST_ROWS:,} rows")
    _check_width(path, header, rows)
    return header, rows


def _text_rows(path: Path) -> Iterator[_Row]:
    """The rows of a CSV file with the numbers of their lines, at most one more than are allowed."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            for row in reader:
                yield reader.line_num, [_text(cell) for cell in row]
                if reader.line_num > 2 * MOST_ROWS:
                    raise _refused(path, f"has more than {2 * MOST_ROWS:,} lines")
        except UnicodeDecodeError:
            raise _refused(path, "is not UTF-8 text") from None
        except csv.Error as error:
            raise _refused(path, f"cannot be read as a table: {error}", line=reader.line_num) from None


def _sheet_rows(path: Path) -> Iterator[_Row]:
    """The rows of a workbook's first sheet with their numbers."""
    try:
        frame = pd.read_excel(path, engine="calamine", dtype=object, header=None)
    except Exception as error:
        raise _refused(path, f"cannot be read as a table: {' '.join(str(error).split())}") from None
    for line, row in enumerate(frame.itertuples(index=False), 1):
        yield line, [_text(cell) for cell in row]


def _check_width(path: Path, header: Sequence[str], rows: Sequence[_Row]) -> None:
    """Raise `InvalidInput` for cells that stand in no named column."""
    faults = []
    for line, cells in rows:
        place = next((k for k, cell in enumerate(cells) if cell and (k >= len(header) or not header[k])), None)
        if place is not None:
            named = sum(map(bool, header))
            message = (
                f"stands in column {place + 1}, which has no name: the header names {named} columns. A text with "
                "commas in it needs double quotes"
            )
            faults.append(Fault("table", str(cells[place]), message, line=line, source=str(path)))
    _raise(path, faults)


def _refused(path: Path, message: str, line: int | None = None) -> InvalidInput:
    return InvalidInput((Fault("table", None, message, line=line, source=str(path)),))


def _raise(path: Path, faults: Sequence[Fault]) -> None:
    """Raise `InvalidInput` with the first faults, and how many more there are, if there are any."""
    if faults:
        more = len(faults) - MOST_FAULTS
        last = (Fault("table", None, f"has {more} more faults", source=str(path)),) if more > 0 else ()
        raise InvalidInput((*faults[:MOST_FAULTS], *last))


class _Cells:
    """Reads cells of a table and collects the faults, each with its row (the header is row 1) and column."""

    def __init__(self, path: Path, header: Sequence[str], rows: Sequence[_Row]) -> None:
        self.path, self.lines = path, [line for line, _ in rows]
        self.columns = {
            name: [cells[place] if place < len(cells) else None for _, cells in rows]
            for place, name in enumerate(header)
            if name
        }
        self.faults: dict[tuple[int, str], Fault] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def text(self, row: int, column: str) -> str | None:
        """A cell's text; None for an empty cell, and where the table has no such column."""
        cells = self.columns.get(column)
        return None if cells is None or cells[row] is None else str(cells[row])

    def fault(self, row: int, column: str, message: str) -> None:
        """Note that a cell is wrong; of several faults of a cell the first is kept."""
        found = Fault(column, self.text(row, column), message, line=self.lines[row], source=str(self.path))
        self.faults.setdefault((row, column), found)

    def number(self, row: int, column: str, allowed: Sequence[int] | None = None) -> int | None:
        """A whole number, one of those `allowed`; None for an empty cell."""
        text = self.text(row, column)
        if text is None:
            return None
        try:
            value = float(text)
            whole = int(value) if value == int(value) else None
        except (ValueError, OverflowError):
            whole = None
        if whole is None:
            self.fault(row, column, "must be a whole number or empty")
        elif allowed is not None and whole not in allowed:
            self.fault(row, column, f"must be one of the codes {', '.join(map(str, allowed))}, or empty")
        else:
            return whole
        return None

    def codes(self, row: int, column: str) -> set[int]:
        """The codes of a cell that may hold several."""
        text = self.text(row, column)
        if text is None:
            return set()
        try:
            return {int(float(part)) for part in text.replace(";", ",").replace("/", ",").split(",") if part.strip()}
        except (ValueError, OverflowError):
            self.fault(row, column, "must be codes separated by commas, or empty")
            return set()

    def day(self, row: int, columns: tuple[str, str, str]) -> date | None:
        """A date in three cells, of year, month and day; None if a part is missing, or is a question mark."""
        if "?" in [self.text(row, name) for name in columns]:
            return None
        year, month, day = (self.number(row, name) for name in columns)
        if year is None or month is None or day is None:
            return None
        try:
            return date(year, month, day)
        except (ValueError, OverflowError):
            self.fault(row, columns[-1], f"is no day of a calendar, with the year {year} and the month {month}")
            return None

    def possible_days(self, row: int, columns: tuple[str, str, str]) -> tuple[date | None, date | None]:
        """The first and the last day that three cells allow; none where the year is not known."""
        year, month, day = (None if self.text(row, name) == "?" else self.number(row, name) for name in columns)
        if year is None or not 1 <= year < 9999 or not 1 <= (month or 1) <= 12:
            return None, None
        exact = self.day(row, columns) if month is not None and day is not None else None
        if exact is not None:
            return exact, exact
        after = date(year + 1, 1, 1) if month in (None, 12) else date(year, (month or 0) + 1, 1)
        return date(year, month or 1, 1), after - timedelta(days=1)

    def raise_faults(self) -> None:
        """Raise `InvalidInput` with the first faults, and how many there are, if there are any."""
        _raise(self.path, list(self.faults.values()))


def _text(value: object) -> str | None:
    if value is None or value != value:
        return None
    text = str(value).strip()
    return text or None


def _ties(cells: _Cells, sender: int, issue: int, since: int) -> EpisodeTable:
    episodes: list[Episode] = []
    left_out: Counter[str] = Counter()
    for row in range(len(cells)):
        if cells.number(row, "threat") != 1:
            continue
        issues = cells.codes(row, "issue1") | cells.codes(row, "issue2") | cells.codes(row, "issue3")
        year = cells.number(row, "startyear")
        if cells.number(row, "primarysender") != sender or issue not in issues or year is None or year < since:
            continue
        began = cells.day(row, _BEGAN)
        imposed_on = cells.day(row, _IMPOSED)
        imposed = cells.number(row, "imposition", (0, 1)) == 1
        final = cells.number(row, "finaloutcome", (*_SETTLED, *_DROPPED, *_AFTER_IMPOSITION))
        specific, commitment = cells.number(row, "bspecif", _SPECIFIC), cells.number(row, "scommit", (1, 2, 3))
        outcome = "imposed" if imposed else _ties_outcome(final)
        if imposed and began is not None and imposed_on is not None and imposed_on <= began:
            left_out["imposed on the day of the threat or before it"] += 1
            continue
        if outcome is None:
            left_out["an outcome after an imposition, without an imposition"] += 1
            continue
        ended_on = cells.day(row, _ENDED)
        agreed = _ties_agreed(outcome, final)
        episodes.append(
            Episode(
                id=cells.text(row, "caseid") or str(cells.lines[row]),
                target=cells.text(row, "targetstate") or "",
                began=began,
                outcome=outcome,
                imposed_on=imposed_on if imposed else None,
                ended_on=ended_on,
                year_ended=cells.number(row, "sancimpositionstartyear" if imposed else "endyear"),
                agreed=agreed,
                agreed_on=ended_on if agreed else None,
                specific=None if specific not in (1, 2) else specific == 2,
                commitment=None if commitment is None else COMMITMENTS[commitment - 1],
                began_from=cells.possible_days(row, _BEGAN)[0],
                over_by=cells.possible_days(row, _IMPOSED if imposed else _ENDED)[1],
            )
        )
    cells.raise_faults()
    if not episodes:
        raise _refused(cells.path, f"has no threats of the sender {sender} over the issue {issue} since {since}")
    return EpisodeTable("TIES", len(cells), tuple(episodes), dict(left_out), LAST_DAY)


def _ties_outcome(final: int | None) -> str | None:
    """How a TIES episode without an imposition ended; None for a row that contradicts itself."""
    if final in _SETTLED:
        return "settled"
    if final in _DROPPED:
        return "dropped"
    return None if final in _AFTER_IMPOSITION else OPEN


def _ties_agreed(outcome: str, final: int | None) -> bool | None:
    """Whether a TIES episode ended in an agreement; None where an imposition's end is not coded."""
    if outcome != "imposed":
        return outcome == "settled"
    return None if final is None else final in _AGREED_AFTER_IMPOSITION


def _own(cells: _Cells) -> EpisodeTable:
    unknown = [name for name in cells.columns if name not in (*OWN_COLUMNS, *_OWN_OPTIONAL)]
    if unknown:
        known = ", ".join((*OWN_COLUMNS, *_OWN_OPTIONAL))
        raise _refused(cells.path, f"has the unknown column {unknown[0]}; known are {known}")
    read: dict[str, Callable[[int, str], object]] = {
        "began": lambda row, name: _own_day(cells, row, name),
        "imposed_on": lambda row, name: _own_day(cells, row, name),
        "ended_on": lambda row, name: _own_day(cells, row, name),
        "agreed_on": lambda row, name: _own_day(cells, row, name),
        "outcome": lambda row, name: _own_word(cells, row, name, (*ENDINGS, OPEN)),
        "commitment": lambda row, name: _own_word(cells, row, name, COMMITMENTS),
        "specific": lambda row, name: _own_word(cells, row, name, ("yes", "no")),
    }
    episodes = []
    for row in range(len(cells)):
        found = {name: read[name](row, name) if name in cells.columns else None for name in read}
        target = cells.text(row, "target")
        if target is None:
            cells.fault(row, "target", "is required")
        if cells.text(row, "outcome") is None:
            cells.fault(row, "outcome", f"is required: one of {', '.join((*ENDINGS, OPEN))}")
        _check_order(cells, row, found)
        episodes.append(
            Episode(
                id=cells.text(row, "id") or str(cells.lines[row]),
                target=target or "",
                year_ended=_year(found["imposed_on"] if found["outcome"] == "imposed" else found["ended_on"]),
                specific=None if found["specific"] is None else found["specific"] == "yes",
                agreed=_own_agreed(found),
                agreed_on=found["agreed_on"] or (found["ended_on"] if found["outcome"] == "settled" else None),  # type: ignore[arg-type]
                **{name: found[name] for name in ("began", "imposed_on", "ended_on", "outcome", "commitment")},  # type: ignore[arg-type]
            )
        )
    cells.raise_faults()
    days = [
        day for one in episodes for day in (one.began, one.imposed_on, one.ended_on, one.agreed_on) if day is not None
    ]
    return EpisodeTable("own", len(cells), tuple(episodes), {}, max(days, default=None))


def _own_agreed(found: dict[str, object]) -> bool | None:
    """Whether an episode ended in an agreement; None for an imposition whose end is open."""
    if found["outcome"] == "settled" or found["agreed_on"] is not None:
        return True
    return None if found["outcome"] == "imposed" and found["ended_on"] is None else False


def _year(day: object) -> int | None:
    return day.year if isinstance(day, date) else None


def _check_order(cells: _Cells, row: int, found: dict[str, object]) -> None:
    began = found["began"]
    for name in ("imposed_on", "ended_on", "agreed_on"):
        day = found[name]
        if isinstance(began, date) and isinstance(day, date) and day < began:
            cells.fault(row, name, f"must not lie before the threat ({began.isoformat()})")
    imposed_on, ended_on = found["imposed_on"], found["ended_on"]
    if isinstance(imposed_on, date) and isinstance(ended_on, date) and ended_on < imposed_on:
        cells.fault(row, "ended_on", f"must not lie before the imposition ({imposed_on.isoformat()})")
    if found["imposed_on"] is not None and found["outcome"] not in (None, "imposed"):
        cells.fault(row, "imposed_on", f"goes with the outcome imposed, not {found['outcome']}")
    if found["agreed_on"] is not None and found["outcome"] not in (None, "settled", "imposed"):
        cells.fault(row, "agreed_on", f"goes with the outcome settled or imposed, not {found['outcome']}")


def _own_day(cells: _Cells, row: int, column: str) -> date | None:
    text = cells.text(row, column)
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10] if text.endswith(" 00:00:00") else text)
    except ValueError:
        cells.fault(row, column, "must be a date YYYY-MM-DD or empty")
        return None


def _own_word(cells: _Cells, row: int, column: str, allowed: tuple[str, ...]) -> str | None:
    text = cells.text(row, column)
    if text is None:
        return None
    if text.lower() in allowed:
        return text.lower()
    cells.fault(row, column, f"must be one of {', '.join(allowed)}" + ("" if column == "outcome" else ", or empty"))
    return None
