"""``brink backtest``: the shipped scenarios of real disputes, played and scored together."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import AsJson, Engine, RayAddress, ScenarioArguments, Seed, Workers, whole_number
from api.cli.output import console, print_json, run_progress
from api.cli.rendering import share_bar
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

DEFAULT_TRIALS = 100_000


def backtest(
    scenario: ScenarioArguments = None,
    trials: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="N", help="Trials of each dispute.", show_default=str(DEFAULT_TRIALS)
        ),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where each run gets a result folder.", show_default="runs/backtest"),
    ] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Run the scenarios of past disputes and score their forecasts.

    Each is run as it stood before it was decided. The same command continues a run that was stopped.
    """
    from api.shipped_scenarios import find_scenario
    from cluster.answers.backtest import backtest as score_together
    from cluster.answers.backtest import scored_dispute
    from cluster.query.trials import open_run
    from cluster.results.plan import make_plan
    from cluster.runs.options import RunOptions
    from cluster.runs.run import adopt_shard_size, run

    trials, seed, out = (
        trials if trials is not None else DEFAULT_TRIALS,
        1 if seed is None else seed,
        out or "runs/backtest",
    )
    chosen = [find_scenario(name) for name in scenario] if scenario else _shipped()
    _check(chosen)
    scores = []
    for one in chosen:
        assert one.history is not None
        plan = make_plan(one, trials=trials, seed=seed, strategies=(one.history.strategy,))
        folder = f"{out.rstrip('/')}/{one.name}-{trials}-{seed}"
        plan = adopt_shard_size(plan, folder)
        with run_progress(plan) as on_progress:
            run(
                plan,
                folder,
                RunOptions(engine=engine or "auto", ray_address=ray_address, workers=workers, on_progress=on_progress),
            )
        scores.append(scored_dispute(open_run(folder), one.history))
    found = score_together(scores)
    if as_json:
        print_json(found)
        return
    shown = console()
    _print_disputes(shown, found)
    _print_means(shown, found)
    _print_calibration(shown, found)
    shown.print(
        f"Less is better, but for the probability given to the week. {found['method']['disputes']}.", style="dim"
    )
    shown.print(f"Scores: {found['method']['scores']}.", style="dim")
    shown.print(f"{trials:,} trials of each dispute, seed {seed}. Results: {out}")


def _shipped() -> list["Scenario"]:
    from api.shipped_scenarios import shipped_names, shipped_scenario

    known = [shipped_scenario(name) for name in shipped_names()]
    return sorted((one for one in known if one.history is not None), key=lambda one: one.as_of or "")


def _check(chosen: list["Scenario"]) -> None:
    faults = [
        Fault("history", None, "is missing: the file does not say what happened", source=one.name)
        for one in chosen
        if one.history is None
    ]
    names = [one.name for one in chosen]
    faults += [Fault("scenarios", name, "is given more than once") for k, name in enumerate(names) if name in names[:k]]
    if faults:
        raise InvalidInput(tuple(faults))


def _print_disputes(out: Console, found: dict) -> None:
    table = Table(title="Forecast and outcome of each dispute", title_justify="left", show_edge=False, pad_edge=False)
    for title in (
        "dispute",
        "settled",
        "imposed",
        "backed down",
        "happened",
        "Brier",
        "log",
        "week",
        "given ±2",
        "CRPS",
    ):
        table.add_column(title, justify="left" if title in ("dispute", "happened") else "right")
    for one in found["scenarios"]:
        kind, week = one["class"], one["agreement_week"]
        table.add_row(
            one["scenario"],
            *(f"{100 * p:.0f} %" for p in kind["forecast"].values()),
            kind["happened"],
            f"{kind['brier']:.3f}",
            f"{kind['log']:.3f}" + ("!" if kind["never_played"] else ""),
            str(week["happened"] or f"> {week['horizon_weeks']}"),
            f"{100 * week['probability']:.0f} %",
            f"{week['crps']:.1f}",
        )
    out.print(table)


def _print_means(out: Console, found: dict) -> None:
    labels = {
        ("class", "brier"): "Brier, class",
        ("class", "log"): "log, class",
        ("outcome", "brier"): "Brier, outcome",
        ("outcome", "log"): "log, outcome",
        ("agreement_week", "probability"): "given to the week",
        ("agreement_week", "crps"): "CRPS, weeks",
    }
    table = Table("forecast", title="Mean over the disputes", title_justify="left", show_edge=False, pad_edge=False)
    for label in (*labels.values(), "model's Brier, class, less this one's"):
        table.add_column(label, justify="right")
    forecasters = list(dict.fromkeys(name for part in found["mean"].values() for name in part))
    for forecaster in forecasters:
        table.add_row(
            forecaster,
            *(
                f"{found['mean'][part][forecaster][name]:.3f}" if forecaster in found["mean"][part] else ""
                for part, name in labels
            ),
            _difference(found["mean"]["class"][forecaster].get("brier_difference")),
        )
    out.print(table)


def _difference(estimate: dict | None) -> str:
    if estimate is None or estimate["low"] is None:
        return ""
    return f"{estimate['estimate']:+.3f} ({estimate['low']:+.3f} to {estimate['high']:+.3f})"


def _print_calibration(out: Console, found: dict) -> None:
    table = Table(title="Calibration of events", title_justify="left", show_edge=False, pad_edge=False)
    for title in ("forecast", "events", "mean forecast", "happened", "", "95 % interval"):
        table.add_column(title, justify="right")
    for row in found["calibration"]["bins"]:
        frequency = row["frequency"]
        table.add_row(
            f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
            str(row["forecasts"]),
            f"{100 * row['mean_forecast']:.0f} %",
            f"{100 * frequency['estimate']:.0f} %",
            share_bar(frequency["estimate"]),
            f"{100 * frequency['low']:.0f} to {100 * frequency['high']:.0f} %",
        )
    certain = found["calibration"]["certain"]
    table.add_row("0 or 100 %", str(certain["forecasts"]), "", f"{certain['wrong']} otherwise", "", "")
    out.print(table)
    out.print(f"Calibration: {found['method']['calibration']}.", style="dim")
