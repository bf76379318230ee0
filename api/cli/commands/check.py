"""``brink check``: a scenario's own forecast beside that of its reference class."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import AsJson, OneStrategy, ScenarioOrRun, Seed, Workers, whole_number
from api.cli.output import answer_progress, console, heading, print_json, run_progress
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.query.trials import StoredRun

DEFAULT_TRIALS = 20_000


def check(
    scenario: ScenarioOrRun,
    reference: Annotated[
        str, typer.Option("--class", metavar="NAME", help="The reference class; brink rates lists them.")
    ] = "specific-strong",
    strategy: OneStrategy = None,
    trials: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="N", help="Trials, where a scenario is run.", show_default=str(DEFAULT_TRIALS)
        ),
    ] = None,
    seed: Seed = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Compare a forecast with how comparable threats ended, and show what would move it.

    A forecast outside the interval of its class is marked, with the parameters that move it most.
    """
    from cluster.reference.check import check as compare_with_class
    from cluster.reference.rates import reference_class

    reference_class(reference)
    run = _run(scenario, strategy, trials, 1 if seed is None else seed, workers)
    with answer_progress("outcomes explained") as on_progress:
        found = compare_with_class(run, reference=reference, strategy=strategy, on_step=on_progress)
    if as_json:
        print_json(found)
    else:
        _print(console(), found)


def _run(scenario: str, strategy: str | None, trials: int | None, seed: int, workers: int | None) -> "StoredRun":
    """The stored run that was named, or one of the scenario, played now."""
    from cluster.query.trials import open_run

    if Path(scenario).is_dir():
        if trials is not None:
            raise InvalidInput((Fault("trials", trials, "goes with a scenario, not with a run"),))
        return open_run(Path(scenario))
    from api.shipped_scenarios import find_scenario
    from cluster.results.plan import make_plan
    from cluster.runs.options import RunOptions
    from cluster.runs.run import adopt_shard_size, run

    chosen = find_scenario(scenario)
    played = strategy or next(iter(chosen.strategies))
    plan = make_plan(chosen, trials=DEFAULT_TRIALS if trials is None else trials, seed=seed, strategies=(played,))
    folder = Path("runs") / f"check-{chosen.name}-{played}-{plan.trials}-{seed}"
    plan = adopt_shard_size(plan, folder)
    with run_progress(plan) as on_progress:
        run(plan, folder, RunOptions(workers=workers, on_progress=on_progress))
    return open_run(folder)


def _print(out: "Console", found: dict) -> None:
    from api.cli.tables import Column, print_table

    day = f", as known on {found['known_on']}" if found["known_on"] else ""
    out.print(heading(found["scenario"], f", {found['strategy']}, compared with the class {found['reference']}{day}"))
    rows = found["compared"]
    columns = [
        Column("", [row["label"] for row in rows]),
        Column("forecast", [_percent(row["forecast"]) for row in rows]),
        Column("class", [_percent(row["class"]) for row in rows]),
        Column("", ["outside" if row["outside"] else "" for row in rows], left=True),
    ]
    print_table(out, columns)
    for row in found["compared"]:
        for mover in row["movers"]:
            out.print(
                f"{row['label']}: {100 * mover['lowest_decile']:.0f} % where {mover['parameter']} is in its lowest "
                f"decile, {100 * mover['highest_decile']:.0f} % in its highest."
            )
    if not any(row["outside"] for row in found["compared"]):
        out.print("No forecast lies outside its class's interval.")
    out.print(
        "In brackets: 95 % intervals; the class's is wide since its threats are few. Lying outside is a question to "
        "the scenario, not an error. --json has the sources.",
        style="dim",
    )


def _percent(found: dict) -> str:
    if found["estimate"] is None or found["low"] is None:
        return "-"
    return f"{100 * found['estimate']:.0f} % ({100 * found['low']:.0f} to {100 * found['high']:.0f})"
