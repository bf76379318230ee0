"""``brink run --precision``: what was requested, and what was reached."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from cluster.runs.precision import ReachedPrecision


def half_widths(texts: Sequence[str]) -> dict[str, float]:
    """The half-widths by name that a user typed. Raises `InvalidInput`."""
    wanted: dict[str, float] = {}
    faults = []
    for text in texts:
        name, _, half = text.partition("=")
        try:
            number = float(half)
        except ValueError:
            faults.append(Fault("precision", text, "must be a name and a half-width, such as agreement=0.001"))
            continue
        if name in wanted:
            faults.append(Fault("precision", name, "is given more than once"))
        wanted[name] = number
    if faults:
        raise InvalidInput(tuple(faults))
    return wanted


def print_precision(out: Console, taken: "ReachedPrecision") -> None:
    """Print what precision was reached, and after how many trials."""
    for name, found in taken["requested"].items():
        halves = {strategy: half for strategy, half in found["half_widths"].items() if half is not None}
        worst = max(halves, key=halves.__getitem__) if halves else None
        reached = "unknown" if worst is None else f"±{halves[worst]:.4g} or better (widest under {worst})"
        out.print(f"{name}: {reached}, ±{found['half_width']:g} requested.")
    looks = ", ".join(f"{trials:,}" for trials in taken["looks"])
    out.print(f"It took {taken['trials']:,} trials of each strategy, checked after {looks}.")
