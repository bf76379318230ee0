"""``brink backtest``: the shipped scenarios of real disputes, played and scored together."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from api.cli.options import AsJson, Engine, RayAddress, ScenarioArguments, Seed, Workers, trials_option
from api.cli.output import console, print_json
from api.cli.rendering import bars
from api.cli.tables import Bars, Column, print_table
from sim.faults import Fault, InvalidInput

if TYPE_CHECKING:
    from sim.scenario.scenario import Scenario

DEFAULT_TRIALS = 100_000


def backtest(
    scenario: ScenarioArguments = None,
    trials: Annotated[
        int | None,
        trials_option(DEFAULT_TRIALS, "Trials of each dispute"),
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
    """Each is run as it was known before the dispute was decided. The same command continues a run that was stopped; a
    scenario that was changed gets a folder of its own.
    """
    from api.cli.playing import played
    from api.shipped_scenarios import find_scenario
    from cluster.answers.backtest import backtest as score_together
    from cluster.answers.backtest import scored_dispute
    from cluster.results.plan import make_plan
    from sim.scenario.scenario import scenario_hash

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
        folder = f"{out.rstrip('/')}/{one.name}-{scenario_hash(one)[:8]}-{trials}-{seed}"
        run = played(plan, folder, engine=engine, ray_address=ray_address, workers=workers)
        scores.append(scored_dispute(run, one.history))
    found = score_together(scores)
    if as_json:
        print_json(found)
        return
    shown = console()
    _print_disputes(shown, found)
    _print_means(shown, found)
    _print_codings(shown, found)
    _print_calibration(shown, found)
    shown.print(f"{found['conclusion']['text']}\n")
    shown.print(f"Lower is better, except for the probability of the week. {found['method']['disputes']}.", style="dim")
    for name in ("rivals", "intervals", "weights", "scores"):
        shown.print(f"{name.capitalize()}: {found['method'][name]}.", style="dim")
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


def _print_disputes(out: Console, found: dict[str, Any]) -> None:
    rows = [(one["class"], one["agreement_week"]) for one in found["scenarios"]]
    names = [name for kind, _ in rows[:1] for name in kind["forecast"]]
    columns = [
        Column("dispute", [one["scenario"] for one in found["scenarios"]]),
        *(Column(_words(name), [f"{100 * kind['forecast'][name]:.0f} %" for kind, _ in rows]) for name in names),
        Column("happened", [_words(kind["happened"]) for kind, _ in rows], left=True),
        Column("Brier", [f"{kind['brier']:.3f}" for kind, _ in rows]),
        Column("log", [f"{kind['log']:.3f}" + ("!" if kind["never_played"] else "") for kind, _ in rows]),
        Column("week", [str(week["happened"] or f"> {week['horizon_weeks']}") for _, week in rows]),
        Column("given ±2", [f"{100 * week['probability']:.0f} %" for _, week in rows]),
        Column("CRPS", [f"{week['crps']:.1f}" for _, week in rows]),
    ]
    print_table(out, columns, title="Forecast and outcome of each dispute")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _print_means(out: Console, found: dict[str, Any]) -> None:
    labels = {
        ("class", "brier"): "Brier, class",
        ("class", "log"): "log, class",
        ("outcome", "brier"): "Brier, outcome",
        ("outcome", "log"): "log, outcome",
        ("agreement_week", "probability"): "given to the week",
        ("agreement_week", "crps"): "CRPS, weeks",
    }
    forecasters = list(dict.fromkeys(name for part in found["mean"].values() for name in part))
    columns = [Column("forecast", [_words(name) for name in forecasters])]
    for (part, score), label in labels.items():
        means = found["mean"][part]
        columns.append(
            Column(label, [f"{means[one][score]['estimate']:.3f}" if one in means else "" for one in forecasters])
        )
    print_table(out, columns, title="Mean over the disputes")
    means, weighted = found["mean"]["class"], found["weighted_mean"]["class"]
    columns = [
        Column("forecast", [_words(name) for name in means]),
        Column("mean", [_interval(one["brier"]) for one in means.values()]),
        Column("model's less it", [_interval(one.get("brier_difference"), "+") for one in means.values()]),
        Column("weighted mean", [_interval(one["brier"]) for one in weighted.values()]),
        Column("model's less it", [_interval(one.get("brier_difference"), "+") for one in weighted.values()]),
    ]
    print_table(out, columns, title="Brier score of the class, 95 % intervals")


def _interval(estimate: dict[str, Any] | None, sign: str = "") -> str:
    if estimate is None or estimate["estimate"] is None:
        return ""
    if estimate["low"] is None:
        return f"{estimate['estimate']:{sign}.3f}"
    return f"{estimate['estimate']:{sign}.3f} ({estimate['low']:{sign}.2f} to {estimate['high']:{sign}.2f})"


def _print_codings(out: Console, found: dict[str, Any]) -> None:
    codings = found["codings"]
    recoded = codings["recoded"]
    if not recoded:
        return
    columns = [
        Column("dispute", [one["scenario"] for one in recoded]),
        Column("coded", [one["coding"] for one in recoded], left=True),
        Column("class", [_words(one["happened"]) for one in recoded], left=True),
        Column("Brier", [f"{one['brier']:.3f}" for one in recoded]),
        Column("mean", [_interval(one["mean"]) for one in recoded]),
        *(
            Column(f"less {_words(rival)}", [f"{one['differences'][rival]['estimate']:+.3f}" for one in recoded])
            for rival in codings["differences"]
        ),
    ]
    print_table(out, columns, title="Brier score of the class, if one dispute is coded in another way")
    least, greatest = codings["mean"]["least"], codings["mean"]["greatest"]
    out.print(f"Over all combinations of codings the model's mean lies from {least:.3f} to {greatest:.3f}.")


def _print_calibration(out: Console, found: dict[str, Any]) -> None:
    rows, certain = found["calibration"]["bins"], found["calibration"]["certain"]
    frequencies = [row["frequency"] for row in rows]
    columns: list[Column | Bars] = [
        Column("forecast", [*(f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %" for row in rows), "0 or 100 %"]),
        Column("events", [*(str(row["forecasts"]) for row in rows), str(certain["forecasts"])]),
        Column("mean forecast", [*(f"{100 * row['mean_forecast']:.0f} %" for row in rows), ""]),
        Column(
            "happened", [*(f"{100 * one['estimate']:.0f} %" for one in frequencies), f"{certain['wrong']} otherwise"]
        ),
        bars("", [*(one["estimate"] for one in frequencies), None]),
        Column("95 % interval", [*(f"{100 * one['low']:.0f} to {100 * one['high']:.0f} %" for one in frequencies), ""]),
    ]
    print_table(out, columns, title="Calibration of events")
    out.print(f"Calibration: {found['method']['calibration']}.", style="dim")
