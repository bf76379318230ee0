"""How a command says what beliefs did to the trials of its answer."""

from collections.abc import Mapping

from rich.console import Console

from api.cli.tables import Column, print_table
from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS


def print_evidence(out: Console, evidence: Mapping[str, dict] | None) -> None:
    """Print the beliefs of a document's evidence, and the effective number of trials of each strategy."""
    if not evidence:
        return
    first = next(iter(evidence.values()))
    many = len({one["strategy"] for one in first["beliefs"]}) > 1 or len(evidence) > 1
    for k, one in enumerate(first["beliefs"]):
        played = ", ".join(dict.fromkeys(f"{100 * own['beliefs'][k]['played']:.1f} %" for own in evidence.values()))
        under = f" under {one['strategy']}" if many else ""
        reached = f"{100 * one['weighted']:.1f} %"
        wanted = f" (between {100 * one['low']:g} and {100 * one['high']:g} %)" if one["low"] < one["high"] else ""
        if one["strength"] is not None:
            wanted = f" ({100 * one['low']:g} % with the strength of {one['strength']:g} observations)"
        out.print(f"Believed: {one['condition']}{under} in {reached} of worlds{wanted} instead of {played} as played.")
    left = {name: f"{own['effective_trials']:,.0f}" for name, own in evidence.items()}
    same = len(set(left.values())) == 1
    text = next(iter(left.values())) if same else ", ".join(f"{count} of {name}" for name, count in left.items())
    if first.get("kept") is None:
        out.print(f"The trials are weighted by {first['rule']}: an effective number of {text}.")
        return
    kept = ", ".join(f"{own['kept']:,} of {name}" for name, own in evidence.items())
    out.print(f"A part of the trials is kept, in proportion to weights by {first['rule']}: about {kept}.")


def print_outside(out: Console, outside: dict | None) -> None:
    """Print how threats of the reference class ended, in the forecast, and in both together."""
    if outside is None:
        return
    day = f", as known on {outside['known_on']}" if outside["known_on"] else ""
    out.print(f"With the class {outside['reference']}, {outside['episodes']} threats{day}; of threats:")
    columns = [
        Column("", list(outside["rates"])),
        Column("forecast", [f"{100 * outside['forecast'][name]:.1f} %" for name in outside["rates"]]),
        Column("believed", [f"{100 * share:.1f} %" for share in outside["rates"].values()]),
    ]
    print_table(out, columns)


def print_changes(out: Console, summary: dict) -> None:
    """Print how far beliefs moved each probability of a summary, in points of per cent; nothing without beliefs."""
    strategies = {name: one for name, one in summary["strategies"].items() if one.get("change")}
    if not strategies:
        return
    rows = [
        (term.label, [one["change"][kind][term.name] for one in strategies.values()])
        for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS))
        for term in terms
    ]
    moved = [(label, cells) for label, cells in rows if any(cell["estimate"] for cell in cells)]
    columns = [Column("", [label for label, _ in moved])]
    for k, name in enumerate(strategies):
        columns.append(Column(name, [_points(cells[k]) for _, cells in moved]))
    print_table(out, columns, title="What the beliefs changed: points of per cent", gap=1)


def _points(change: dict) -> str:
    if change["estimate"] is None:
        return "-"
    half = 50.0 * ((change["high"] or 0.0) - (change["low"] or 0.0))
    return f"{100 * change['estimate']:+.1f}±{half:.1f}"
