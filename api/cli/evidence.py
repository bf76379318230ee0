"""How a command says what beliefs did to the trials of its answer."""

from collections.abc import Mapping

from rich.console import Console


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
