"""How a command says what beliefs did to the trials of its answer."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from api.cli.tables import Column, print_table
from api.figures import signed
from sim.scenario.vocabulary import EVENT_TERMS, MEASURE_TERMS, OUTCOME_TERMS, Term


def print_evidence(out: Console, evidence: Mapping[str, dict[str, Any]] | None) -> None:
    """Print the beliefs of a document's evidence, and the effective number of trials of each strategy."""
    if not evidence:
        return
    # Imported when there is something to print, since sentences need the answers.
    from api.sentences import evidence_sentences

    for sentence in evidence_sentences(evidence):
        out.print(sentence)


def print_outside(out: Console, outside: dict[str, Any] | None) -> None:
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


def print_changes(out: Console, summary: dict[str, Any]) -> None:
    """Print how far beliefs moved each probability of a summary, in percentage points, and each mean.

    Nothing without beliefs.
    """
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
    print_table(out, columns, title="What the beliefs changed: percentage points (~: the interval contains 0)", gap=1)

    means = [(term, [one["change"]["measures"][term.name] for one in strategies.values()]) for term in MEASURE_TERMS]
    moved = [(_with_unit(term), cells) for term, cells in means if any(cell["estimate"] for cell in cells)]
    columns = [Column("", [label for label, _ in moved])]
    for k, name in enumerate(strategies):
        columns.append(Column(name, [_difference(cells[k]) for _, cells in moved]))
    print_table(out, columns, title="What the beliefs changed: means", gap=1)


def _with_unit(term: Term) -> str:
    """A measure's label and unit; a label that is a number of something, or of weeks, has it in its words."""
    return term.label if term.unit in ("1", "week", "weeks") else f"{term.label}, {term.unit}"


def _difference(change: dict[str, Any]) -> str:
    return "-" if change["estimate"] is None else signed(change)


def _points(change: dict[str, Any]) -> str:
    if change["estimate"] is None:
        return "-"
    return signed(change, 100.0)
