"""A summary as a table for people: outcomes and measures down, strategies across."""

from collections.abc import Iterable
from textwrap import fill

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS, SHARE_OF_DEFICIT, TERMS, Term

_BAR = 10
_LABEL_WIDTH = 30
"""Characters of a label in a line; longer ones are wrapped."""
_WIDE = 120
"""Characters a line from which there is room for bars and for whole names."""
_SHOWN_MEASURES = (
    "agreement_week",
    "market_access",
    "sanctions_weeks",
    "export_gain",
    "sender_cost",
    "target_cost",
    "balance_change",
    SHARE_OF_DEFICIT,
)
"""Measures in the table; --json has all."""
_SCALES = {"week": (1.0, 0, ""), "weeks": (1.0, 0, ""), "1": (1.0, 1, "")}
"""How a unit is shown: the factor, the decimals and the words after the label."""


def labels(terms: Iterable[Term]) -> dict[str, str]:
    """The labels of some terms by their names."""
    return {term.name: term.label for term in terms}


def measure_scale(name: str) -> tuple[str, float, int]:
    """How a measure is shown: its label with its unit, and the factor and the decimals of its numbers."""
    if name not in TERMS:
        return name, 1.0, 2
    term = TERMS[name]
    if term.unit.startswith("share"):
        return f"{term.label}, %{term.unit.removeprefix('share')}", 100.0, 0 if term.unit != "share" else 1
    factor, digits, suffix = _SCALES.get(term.unit, (1.0, 2, f", {term.unit}"))
    return f"{term.label}{suffix}", factor, digits


def print_summary(console: Console, summary: dict) -> None:
    """Print the table of a summary, and how to read it.

    Strategies that do not fit beside each other follow in further tables. Without a terminal there are no bars and no
    lines.
    """
    strategies = summary["strategies"]
    wide = console.width >= _WIDE
    columns = {name: _column(found, console.is_terminal and wide) for name, found in strategies.items()}
    headers = {name: name if wide else _in_lines(name, cells) for name, cells in columns.items()}
    for names in _blocks(columns, headers, console.width):
        shown = {headers[name]: columns[name] for name in names}
        console.print(_table(summary["scenario"], shown, console.is_terminal))
    if not summary["complete"]:
        played = ", ".join(f"{found['trials_played']:,} of {name}" for name, found in strategies.items())
        console.print(f"Unfinished: of {summary['trials']:,} trials of each strategy these are committed: {played}.")
    console.print(f"± is half the 95 % interval of the simulation's own error. {summary['method']}.", style="dim")


def _column(found: dict, bars: bool) -> list[Text]:
    """The cells of a strategy, a row of the table each."""
    shares = [found["outcome"][term.name] for term in OUTCOME_TERMS] + [found["events"][t.name] for t in EVENT_TERMS]
    measures = [(found["measures"].get(key), *measure_scale(key)[1:]) for key in _SHOWN_MEASURES]
    return [
        *(_share(share, bars) for share in shares),
        *(Text("-" if one is None else _measure(one, factor, digits)) for one, factor, digits in measures),
    ]


def _blocks(columns: dict[str, list[Text]], headers: dict[str, str], width: int) -> list[list[str]]:
    """The strategies in groups that fit into a width beside the labels, one at least in each."""
    blocks: list[list[str]] = [[]]
    room = left = width - _LABEL_WIDTH
    for name, cells in columns.items():
        needed = 3 + max(_widest(cells), *map(len, headers[name].splitlines()))
        if needed > left and blocks[-1]:
            blocks.append([])
            left = room
        blocks[-1].append(name)
        left -= needed
    return blocks


def _widest(cells: list[Text]) -> int:
    return max(cell.cell_len for cell in cells)


def _in_lines(name: str, cells: list[Text]) -> str:
    """A strategy's name in lines as wide as the cells below it, broken at hyphens."""
    return fill(name, _widest(cells), break_on_hyphens=True)


def _table(title: str, columns: dict[str, list[Text]], lines: bool) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    if not lines:
        table.box = None
    table.add_column("", max_width=_LABEL_WIDTH)
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    titles = ["How it ends", "What happens on the way", "How much: mean (5 % to 95 % of trials)"]
    groups = [[term.label for term in terms] for terms in (OUTCOME_TERMS, EVENT_TERMS)]
    groups.append([measure_scale(key)[0] for key in _SHOWN_MEASURES])
    row = 0
    for heading, group in zip(titles, groups, strict=True):
        table.add_section()
        table.add_row(Text(heading, style="bold"))
        for label in group:
            cells = [cells[row] for cells in columns.values()]
            row += 1
            if any(cell.plain != "-" for cell in cells) or label != measure_scale(SHARE_OF_DEFICIT)[0]:
                table.add_row(label, *cells)
    return table


def _share(estimate: dict, bar: bool) -> Text:
    if estimate["estimate"] is None:
        return Text("-")
    share, half = estimate["estimate"], (estimate["high"] - estimate["low"]) / 2.0
    text = Text(f"{100 * share:5.1f} % ±{100 * half:4.2f}")
    return text.append(" ").append(share_bar(share)) if bar else text


def share_bar(share: float) -> Text:
    """A bar as long as a share of its width."""
    filled = round(share * _BAR)
    return Text("█" * filled + "·" * (_BAR - filled), style="cyan")


def _measure(measure: dict, factor: float, digits: int) -> str:
    if measure["mean"]["estimate"] is None:
        return "-"
    mean = measure["mean"]["estimate"] * factor
    low, high = (measure["quantiles"][level] * factor for level in ("0.05", "0.95"))
    return f"{mean:z.{max(digits, 1)}f} ({low:z.{digits}f} to {high:z.{digits}f})"
