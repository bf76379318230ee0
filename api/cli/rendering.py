"""A summary as tables for people: outcomes and events, then measures, strategies across."""

from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Any

from rich.console import Console
from rich.text import Text

from api.cli.tables import Bars, Column, print_table
from api.figures import percent, rounded_up
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


def print_summary(console: Console, summary: dict[str, Any]) -> None:
    """Print the tables of a summary, and how to read them.

    What no trial did and what is 0 in every trial is named in a sentence instead of a row.
    """
    strategies = summary["strategies"]
    _print_shares(console, summary["scenario"], strategies)
    console.print()
    _print_measures(console, strategies)
    if not summary["complete"]:
        played = ", ".join(f"{found['trials_played']:,} of {name}" for name, found in strategies.items())
        console.print(f"Unfinished: of {summary['trials']:,} trials of each strategy these are committed: {played}.")
    if summary.get("assumptions"):
        console.print(f"Assumptions: {'; '.join(summary['assumptions'])}.")
    console.print(f"± is half the 95 % interval of the simulation's own error. {summary['method']}.", style="dim")


def _print_shares(console: Console, scenario: str, strategies: Mapping[str, dict[str, Any]]) -> None:
    rows: list[tuple[str, list[dict[str, Any]]]] = []
    headings, never, most_missed = {}, [], 0.0
    for heading, kind, terms in (
        ("How it ends", "outcome", OUTCOME_TERMS),
        ("What happens on the way", "events", EVENT_TERMS),
    ):
        headings[len(rows)] = heading
        for term in terms:
            shares = [found[kind][term.name] for found in strategies.values()]
            most_missed = max([most_missed, *(share["high"] for share in shares if share["estimate"] == 0.0)])
            if all(share["estimate"] == 0.0 for share in shares):
                never.append(term.label)
            else:
                rows.append((term.label, shares))
    columns: list[Column | Bars] = [Column("", [label for label, _ in rows])]
    for k, name in enumerate(strategies):
        own = [shares[k] for _, shares in rows]
        columns += [Column(name, [share_cell(share) for share in own]), bars("", [one["estimate"] for one in own])]
    print_table(console, columns, title=f"{scenario}: % of trials", gap=1, headings=headings)
    if never:
        console.print(f"In no trial: {'; '.join(never)}.")
    if most_missed:
        console.print(
            f"0: in no trial, so that its probability is under {rounded_up(100.0 * most_missed)} %.", style="dim"
        )


def _print_measures(console: Console, strategies: Mapping[str, dict[str, Any]]) -> None:
    columns, zero = [Column("", list(strategies))], []
    for key in _SHOWN_MEASURES:
        label, factor, digits = measure_scale(key)
        found = [one["measures"].get(key) for one in strategies.values()]
        cells = [_measure(one, factor, digits) for one in found]
        if all(_is_zero(one) for one in found):
            zero.append(TERMS[key].label)
        elif any(cell != "-" for cell in cells) or key != SHARE_OF_DEFICIT:
            columns.append(Column(label, cells))
    print_table(console, columns, title="How much: mean (5 %, 95 % quantile of the trials)", gap=1)
    if zero:
        console.print(f"0 in every trial: {'; '.join(zero)}.")
    means = [one["measures"] for one in strategies.values()]
    skewed = [TERMS[key].label for key in _SHOWN_MEASURES if any(one.get(key, {}).get("skewed") for one in means)]
    if skewed:
        console.print(
            f"A few large values make up the mean, which is less certain than --json says: {'; '.join(skewed)}."
        )


def share_cell(estimate: dict[str, Any]) -> str:
    """A probability in per cent with half its interval; 0 where no trial had it."""
    if estimate["estimate"] is None:
        return "-"
    if estimate["estimate"] == 0.0:
        return "0"
    half = 50.0 * (estimate["high"] - estimate["low"])
    digits = 1 if half >= 0.05 else 2
    return f"{percent(100.0 * estimate['estimate'], digits)}±{half:.{digits}f}"


def share_bar(share: float, width: int = _BAR) -> Text:
    """A bar as long as a share of its width."""
    filled = min(width, max(0, round(share * width)))
    return Text("█" * filled + "·" * (width - filled), style="cyan")


def bars(title: str, shares: Iterable[float | None]) -> Bars:
    """A column of bars of some shares, empty where a share is not known."""
    known = list(shares)
    return Bars(title, lambda width: [Text() if one is None else share_bar(one, width) for one in known], _BAR, _BAR)


def _is_zero(measure: dict[str, Any] | None) -> bool:
    """Whether a measure was 0 in every trial: its mean is known without error then."""
    return measure is not None and measure["mean"]["estimate"] == 0.0 == measure["mean"]["standard_error"]


def _measure(measure: dict[str, Any] | None, factor: float, digits: int) -> str:
    if measure is None or measure["mean"]["estimate"] is None:
        return "-"
    mean = measure["mean"]["estimate"] * factor
    low, high = (_rounded(measure["quantiles"][level] * factor, digits) for level in ("0.05", "0.95"))
    return f"{mean:z.{max(digits, 1)}f} ({low}, {high})"


def _rounded(value: float, most: int) -> str:
    """A number with two significant digits, whole ones with all and no more decimals than `most`."""
    size = floor(log10(abs(value))) if value else most
    return f"{value:z.{max(0, min(most, 1 - size))}f}"
