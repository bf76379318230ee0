"""``brink run``: a scenario run here and now."""

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from api.cli.options import (
    AsJson,
    Engine,
    Outside,
    RayAddress,
    ScenarioArgument,
    Seed,
    Strategies,
    Workers,
    out_option,
    trials_option,
    whole_number,
)
from api.cli.output import console, print_json, print_warnings, run_progress
from api.cli.setting import Settings
from sim.sampling.names import SampleName

if TYPE_CHECKING:
    from cluster.results.plan import Plan
    from cluster.runs.precision import ReachedPrecision

DEFAULT_TRIALS = 100_000


def run(
    scenario: ScenarioArgument,
    strategy: Strategies = None,
    setting: Settings = None,
    trials: Annotated[
        int | None,
        trials_option(DEFAULT_TRIALS),
    ] = None,
    seed: Seed = None,
    design: Annotated[
        SampleName,
        typer.Option(metavar="random|latin_hypercube|sobol", help="How the parameters are sampled."),
    ] = "random",
    precision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=HALF-WIDTH",
            help="Run until the 95 % interval of this probability or mean is at most this wide to each side under "
            "every strategy, such as agreement=0.001; may be repeated. --trials is then the maximum.",
            show_default=False,
        ),
    ] = None,
    shard_trials: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="Trials of each file.",
            show_default="by the work of a trial: about 100000, more in a large run",
        ),
    ] = None,
    keep: Annotated[
        Literal["all", "summary"],
        typer.Option(
            metavar="all|summary",
            help="summary: of a large run keep counts of all trials, for the summary and the timeline, and the rows of "
            "the first trials only (at least 100,000), for all other answers.",
        ),
    ] = "all",
    outside: Outside = False,
    out: Annotated[
        str | None,
        out_option("runs/<scenario>-<trials>-<seed>"),
    ] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    workers: Workers = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only estimate time, disk and memory, from a small sample; no folder is made."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The same command continues a run that was stopped."""
    from api.cli.cost import print_cost
    from api.cli.precision import half_widths
    from api.cli.setting import folder_suffix, set_parameters
    from api.shipped_scenarios import find_scenario
    from cluster.reference.rates import scenario_class
    from cluster.results.plan import make_plan
    from cluster.runs.options import RunOptions
    from cluster.runs.precision import MOST_TRIALS, check_precise, more_would_help, run_to_precision, shortfall
    from cluster.runs.run import adopt_shard_size
    from cluster.runs.run import run as run_plan

    wanted = half_widths(precision or ())
    if trials is None:
        trials = MOST_TRIALS if wanted else DEFAULT_TRIALS
    seed = 1 if seed is None else seed
    chosen = set_parameters(find_scenario(scenario), setting or ())
    if outside:
        scenario_class(chosen)
    plan = make_plan(
        chosen,
        trials=trials,
        seed=seed,
        design=design,
        strategies=tuple(strategy or ()),
        shard_trials=shard_trials,
        keep=keep,
    )
    folder = out or f"runs/{chosen.name}-{'precise' if wanted else trials}-{seed}{folder_suffix(chosen)}"
    if shard_trials is None:
        plan = adopt_shard_size(plan, folder)
    print_warnings(chosen)
    options = RunOptions(engine=engine or "auto", ray_address=ray_address, workers=workers)
    if dry_run:
        if wanted:
            check_precise(plan, wanted)
        print_cost(plan, options, folder, at_most=bool(wanted), as_json=as_json)
        return
    started = time.monotonic()
    taken: ReachedPrecision | None = None
    with run_progress(plan) as shown:
        options = replace(options, on_progress=shown.on_progress, on_capacity=shown.on_capacity)
        if wanted:
            answer, taken = run_to_precision(plan, folder, wanted, options)
        else:
            answer = run_plan(plan, folder, options)
    seconds = time.monotonic() - started
    believed = _with_outside_view(folder) if outside else None
    if as_json:
        more = {"precision": taken} if taken else {}
        print_json({**answer, **more, **({"with_outside_view": believed} if believed else {})})
    else:
        _print_answer(plan, answer, taken, seconds, folder)
        if believed is not None:
            _print_believed(believed)
    if taken and not taken["reached"]:
        hint = "; the same command with more --trials continues from there" if more_would_help(taken) else ""
        print(shortfall(taken) + hint, file=sys.stderr)
        raise typer.Exit(1)


def _with_outside_view(folder: str) -> dict[str, Any]:
    """The summary of the run in a folder, weighted to how threats of the scenario's reference class ended."""
    from cluster.answers.registry import ask
    from cluster.query.trials import open_run

    return ask(open_run(folder), "summary", {"outside": True})


def _print_believed(summary: dict[str, Any]) -> None:
    from api.cli.commands.summary import print_given

    out = console()
    out.print()
    print_given(out, summary)


def _print_answer(
    plan: "Plan", answer: dict[str, Any], taken: "ReachedPrecision | None", seconds: float, folder: str
) -> None:
    from api.cli.opening import opening
    from api.cli.precision import print_precision
    from api.cli.rendering import print_summary
    from api.cli.setting import print_settings
    from cluster.query.trials import open_run

    out = console()
    out.print(plan.scenario.title, style="bold")
    print_settings(out, answer)
    for sentence in opening(open_run(folder), answer, folder, {}):
        out.print(sentence)
    out.print()
    print_summary(out, answer)
    if taken:
        print_precision(out, taken)
    count = len(plan.strategies)
    out.print(
        f"{answer['trials']:,} trials of each of {count} {'strategy' if count == 1 else 'strategies'}, "
        f"seed {plan.seed}, {plan.design} design, in {seconds:.1f} s."
    )
    out.print(f"Results: {folder}", soft_wrap=True)
