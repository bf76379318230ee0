"""``brink run --precision``: what is wished for, and what it took."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from cluster.runs.precision import MOST_TRIALS
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
