"""Tables of past threats: the TIES data as distributed, or a plain CSV table.

TIES is the data set of Morgan, Bapat & Kobayashi (2014), "Threat and imposition of economic sanctions 1945-2005",
Conflict Management and Peace Science 31(5). It states no licence and is not shipped: its user supplies the file.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
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

    The format is recognised by the columns. `sender`, `issue` and `since` choose rows of TIES alone.
    """
    frame = _frame(path)
    if len(frame) > MOST_ROWS:
        raise _refused(path, f"has {len(frame):,} rows; at most {MOST_ROWS:,} are allowed")
    if set(frame.columns) >= _TIES:
        return _ties(frame, path, sender, issue, since)
    missing = [name for name in OWN_COLUMNS if name not in frame.columns]
    if missing:
        raise _refused(
            path,
            f"lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}: a table of your own needs "
            f"{', '.join(OWN_COLUMNS)}; a TIES table has caseid, finaloutcome, bspecif and others",
        )
    return _own(frame, path)


def _frame(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".xls", ".xlsx"):
        raise _refused(path, "must be a .csv, .xls or .xlsx file")
    if not path.is_file():
        raise _refused(path, "is not a readable file")
    try:
        if suffix == ".csv":
            frame = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False, skipinitialspace=True)
        else:
            frame = pd.read_excel(path, engine="calamine", dtype=object)
    except UnicodeDecodeError:
        raise _refused(path, "is not UTF-8 text") from None
    except Exception as error:
        raise _refused(path, f"cannot be read as a table: {' '.join(str(error).split())}") from None
    if frame.empty:
        raise _refused(path, "has no rows")
    frame.columns = [str(name).strip() for name in frame.columns]
    repeated = [name for name, times in Counter(frame.columns).items() if times > 1]
    if repeated:
        raise _refused(path, f"has the column {repeated[0]} more than once")
    return frame


def _refused(path: Path, message: str) -> InvalidInput:
    return InvalidInput((Fault("table", None, message, source=str(path)),))


class _Cells:
    """Reads cells of a table and collects the faults, each with its row (the header is row 1) and column."""

    def __init__(self, frame: pd.DataFrame, path: Path) -> None:
        self.columns = {name: frame[name].tolist() for name in frame.columns}
        self.path = path
        self.faults: list[Fault] = []

    def fault(self, row: int, column: str, message: str) -> None:
        """Note that a cell is wrong."""
        self.faults.append(
            Fault(column, _text(self.columns[column][row]), message, line=row + 2, source=str(self.path))
        )

    def number(self, row: int, column: str) -> int | None:
        """A whole number; None for an empty cell."""
        text = _text(self.columns[column][row])
        if text is None:
            return None
        try:
            value = float(text)
            if value == int(value):
                return int(value)
        except (ValueError, OverflowError):
            pass
        self.fault(row, column, "must be a whole number or empty")
        return None

    def codes(self, row: int, column: str) -> set[int]:
        """The codes of a cell that may hold several."""
        text = _text(self.columns[column][row])
        if text is None:
            return set()
        try:
            return {int(float(part)) for part in text.replace(";", ",").replace("/", ",").split(",") if part.strip()}
        except ValueError:
            self.fault(row, column, "must be codes separated by commas, or empty")
            return set()

    def day(self, row: int, columns: tuple[str, str, str]) -> date | None:
        """A date in three cells; None if a part is missing or is no part of a date."""
        try:
            year, month, day = (int(float(_text(self.columns[name][row]) or "")) for name in columns)
            return date(year, month, day)
        except (ValueError, OverflowError):
            return None

    def raise_faults(self) -> None:
        """Raise `InvalidInput` with the first faults, and how many there are, if there are any."""
        if self.faults:
            more = len(self.faults) - MOST_FAULTS
            last = (Fault("table", None, f"has {more} more faults", source=str(self.path)),) if more > 0 else ()
            raise InvalidInput((*self.faults[:MOST_FAULTS], *last))


def _text(value: object) -> str | None:
    if value is None or value != value:
        return None
    text = str(value).strip()
    return text or None


def _ties(frame: pd.DataFrame, path: Path, sender: int, issue: int, since: int) -> EpisodeTable:
    cells = _Cells(frame, path)
    episodes: list[Episode] = []
    left_out: Counter[str] = Counter()
    for row in range(len(frame)):
        if cells.number(row, "threat") != 1:
            continue
        issues = cells.codes(row, "issue1") | cells.codes(row, "issue2") | cells.codes(row, "issue3")
        year = cells.number(row, "startyear")
        if cells.number(row, "primarysender") != sender or issue not in issues or year is None or year < since:
            continue
        began = cells.day(row, ("startyear", "startmonth", "startday"))
        imposed_on = cells.day(row, ("sancimpositionstartyear", "sancimpositionstartmonth", "sancimpositionstartday"))
        outcome = _ties_outcome(cells, row)
        if outcome == "imposed" and began is not None and imposed_on is not None and imposed_on <= began:
            left_out["imposed on the day of the threat or before it"] += 1
            continue
        if outcome is None:
            left_out["an outcome after an imposition, without an imposition"] += 1
            continue
        specific, commitment = cells.number(row, "bspecif"), cells.number(row, "scommit")
        ended_on = cells.day(row, ("endyear", "endmonth", "endday"))
        agreed = _ties_agreed(outcome, cells.number(row, "finaloutcome"))
        episodes.append(
            Episode(
                id=_text(cells.columns["caseid"][row]) or str(row + 2),
                target=_text(cells.columns["targetstate"][row]) or "",
                began=began,
                outcome=outcome,
                imposed_on=imposed_on if outcome == "imposed" else None,
                ended_on=ended_on,
                year_ended=cells.number(row, "sancimpositionstartyear" if outcome == "imposed" else "endyear"),
                agreed=agreed,
                agreed_on=ended_on if agreed else None,
                specific=None if specific not in (1, 2) else specific == 2,
                commitment=None if commitment not in (1, 2, 3) else COMMITMENTS[commitment - 1],
            )
        )
    cells.raise_faults()
    if not episodes:
        raise _refused(path, f"has no threats of the sender {sender} over the issue {issue} since {since}")
    return EpisodeTable("TIES", len(frame), tuple(episodes), dict(left_out), LAST_DAY)


def _ties_outcome(cells: _Cells, row: int) -> str | None:
    """How a TIES episode ended; None for a row that contradicts itself."""
    if cells.number(row, "imposition") == 1:
        return "imposed"
    final = cells.number(row, "finaloutcome")
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


def _own(frame: pd.DataFrame, path: Path) -> EpisodeTable:
    cells = _Cells(frame, path)
    unknown = [name for name in frame.columns if name not in (*OWN_COLUMNS, *_OWN_OPTIONAL)]
    if unknown:
        known = ", ".join((*OWN_COLUMNS, *_OWN_OPTIONAL))
        raise _refused(path, f"has the unknown column {unknown[0]}; known are {known}")
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
    for row in range(len(frame)):
        found = {name: read[name](row, name) if name in frame.columns else None for name in read}
        target = _text(cells.columns["target"][row])
        if target is None:
            cells.fault(row, "target", "is required")
        if found["outcome"] is None and _text(cells.columns["outcome"][row]) is None:
            cells.fault(row, "outcome", f"is required: one of {', '.join((*ENDINGS, OPEN))}")
        _check_order(cells, row, found)
        episodes.append(
            Episode(
                id=(_text(cells.columns["id"][row]) if "id" in frame.columns else None) or str(row + 2),
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
    return EpisodeTable("own", len(frame), tuple(episodes), {}, max(days, default=None))


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
    if found["imposed_on"] is not None and found["outcome"] not in (None, "imposed"):
        cells.fault(row, "imposed_on", f"goes with the outcome imposed, not {found['outcome']}")
    if found["agreed_on"] is not None and found["outcome"] not in (None, "settled", "imposed"):
        cells.fault(row, "agreed_on", f"goes with the outcome settled or imposed, not {found['outcome']}")


def _own_day(cells: _Cells, row: int, column: str) -> date | None:
    text = _text(cells.columns[column][row])
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10] if text.endswith(" 00:00:00") else text)
    except ValueError:
        cells.fault(row, column, "must be a date YYYY-MM-DD or empty")
        return None


def _own_word(cells: _Cells, row: int, column: str, allowed: tuple[str, ...]) -> str | None:
    text = _text(cells.columns[column][row])
    if text is None:
        return None
    if text.lower() in allowed:
        return text.lower()
    cells.fault(row, column, f"must be one of {', '.join(allowed)}" + ("" if column == "outcome" else ", or empty"))
    return None
