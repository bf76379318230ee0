"""A summary as a table for people: outcomes and measures down, strategies across."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS, SHARE_OF_DEFICIT, TERMS, Term

_BAR = 10
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
    """Print the table of a summary, and how to read it."""
    strategies = summary["strategies"]
    table = Table(title=summary["scenario"], title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    table.add_column("")
    for strategy in strategies:
        table.add_column(strategy, justify="right", overflow="fold")
    _section(table, "How it ends", len(strategies))
    for key, label in labels(OUTCOME_TERMS).items():
        table.add_row(label, *(_share(found["outcome"][key]) for found in strategies.values()))
    _section(table, "What happens on the way", len(strategies))
    for key, label in labels(EVENT_TERMS).items():
        table.add_row(label, *(_share(found["events"][key]) for found in strategies.values()))
    _section(table, "How much: mean (5 % to 95 % of trials)", len(strategies))
    for key in _SHOWN_MEASURES:
        label, factor, digits = measure_scale(key)
        if all(key in found["measures"] for found in strategies.values()):
            table.add_row(label, *(_measure(found["measures"][key], factor, digits) for found in strategies.values()))
    console.print(table)
    if not summary["complete"]:
        played = ", ".join(f"{found['trials_played']:,} of {name}" for name, found in strategies.items())
        console.print(f"Unfinished: of {summary['trials']:,} trials of each strategy these are committed: {played}.")
    console.print(f"± is half the 95 % interval of the simulation's own error. {summary['method']}.", style="dim")


def _section(table: Table, title: str, columns: int) -> None:
    table.add_section()
    table.add_row(Text(title, style="bold"), *([""] * columns))


def _share(estimate: dict) -> Text:
    if estimate["estimate"] is None:
        return Text("-")
    share, half = estimate["estimate"], (estimate["high"] - estimate["low"]) / 2.0
    return Text(f"{100 * share:5.1f} % ±{100 * half:4.2f} ").append(share_bar(share))


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
