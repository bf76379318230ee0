"""A summary as a table for people: outcomes and measures down, strategies across."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BAR = 10
OUTCOME_LABELS = {
    "agreement_in_talks": "Agreement in talks, no threat",
    "agreement_under_threat": "Agreement under threat",
    "agreement_under_sanctions": "Agreement under sanctions",
    "agreement_after_retreat": "Agreement after a retreat",
    "sanctions_standing": "No agreement, sanctions standing",
    "retreat": "No agreement after a retreat",
    "stalemate": "No agreement, stalemate",
}
EVENT_LABELS = {
    "agreement": "Any agreement",
    "threat": "Sanctions announced",
    "sanctions": "Sanctions imposed",
    "complaint": "WTO complaint filed",
    "ruling_for_target": "WTO rules for the target",
    "retaliation": "Target retaliates",
}
MEASURE_LABELS = {
    "agreement_week": ("Week of agreement, if any", 1.0, 0),
    "market_access": ("Market access won, % of the demand, if agreed", 100.0, 0),
    "sanctions_weeks": ("Weeks of sanctions", 1.0, 0),
    "export_gain": ("Sender's export gain, bn USD", 1.0, 2),
    "sender_cost": ("Sender's cost of sanctions, bn USD", 1.0, 2),
    "target_cost": ("Target's cost of sanctions, bn USD", 1.0, 2),
    "balance_change": ("Sender's balance, change in bn USD a year", 1.0, 2),
    "balance_change_share_of_deficit": ("  the same in % of the sector's deficit", 100.0, 1),
}


def print_summary(console: Console, summary: dict) -> None:
    """Print the table of a summary, and how to read it."""
    strategies = summary["strategies"]
    table = Table(title=summary["scenario"], title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    table.add_column("")
    for strategy in strategies:
        table.add_column(strategy, justify="right", overflow="fold")
    _section(table, "How it ends", len(strategies))
    for key, label in OUTCOME_LABELS.items():
        table.add_row(label, *(_share(found["outcome"][key]) for found in strategies.values()))
    _section(table, "What happens on the way", len(strategies))
    for key, label in EVENT_LABELS.items():
        table.add_row(label, *(_share(found["events"][key]) for found in strategies.values()))
    _section(table, "How much: mean (5 % to 95 % of trials)", len(strategies))
    for key, (label, factor, digits) in MEASURE_LABELS.items():
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
