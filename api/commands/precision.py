"""``brink run --precision``: what is wished for, and what it took."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from cluster.precision import MOST_TRIALS
from sim.faults import Fault, InvalidInput

PrecisionOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=HALF-WIDTH",
        help="Play until the 95 % interval of this probability or mean is so narrow under every strategy, such as "
        f"agreement=0.001; may be repeated. --trials is then the most, {MOST_TRIALS:,} unless given.",
        show_default=False,
    ),
]


def wished_precision(texts: Sequence[str]) -> dict[str, float]:
    """The half-widths by name that a user typed. Raises `InvalidInput`."""
    wished: dict[str, float] = {}
    faults = []
    for text in texts:
        name, _, half = text.partition("=")
        try:
            number = float(half)
        except ValueError:
            faults.append(Fault("precision", text, "must be a name and a half-width, such as agreement=0.001"))
            continue
        if name in wished:
            faults.append(Fault("precision", name, "is given more than once"))
        wished[name] = number
    if faults:
        raise InvalidInput(tuple(faults))
    return wished


def print_precision(out: Console, took: dict) -> None:
    """Print what precision was reached, and after how many trials."""
    for name, found in took["wished"].items():
        halves = {strategy: half for strategy, half in found["half_widths"].items() if half is not None}
        worst = max(halves, key=halves.__getitem__) if halves else None
        reached = "unknown" if worst is None else f"±{halves[worst]:.4g} or better (widest under {worst})"
        out.print(f"{name}: {reached}, ±{found['half_width']:g} wished.")
    looks = ", ".join(f"{trials:,}" for trials in took["looks"])
    out.print(f"It took {took['trials']:,} trials of each strategy, looked at after {looks}.")


def shortfall(took: dict) -> str:
    """What was not reached and what it would take, in one line."""
    parts = []
    for name, found in took["wished"].items():
        if found["reached"]:
            continue
        if found["never_known"]:
            parts.append(
                f"{name} is null in all {took['trials']} trials of {', '.join(found['never_known'])}: "
                "leave such strategies out with --strategy"
            )
        elif found["trials_needed"] is None:
            parts.append(f"{name} is known in too few trials to say how many it would take")
        else:
            widest = max(half for half in found["half_widths"].values() if half is not None)
            parts.append(
                f"{name} is known to ±{widest:.4g}, not ±{found['half_width']:g}, "
                f"which would take about {found['trials_needed']} trials"
            )
    more = any(found["trials_needed"] is not None and not found["reached"] for found in took["wished"].values())
    return (
        f"precision not reached with {took['trials']} trials of each strategy ({took['most_trials']} at most): "
        f"{'; '.join(parts)}. The results are kept"
        + ("; the same command with more --trials goes on from there" if more else "")
    )
