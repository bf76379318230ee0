"""The command line, ``brink``."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from api.cli.commands import keys
from api.cli.commands.aggregate import aggregate
from api.cli.commands.backtest import backtest
from api.cli.commands.common import ScenarioArgument, console, print_json, progress_bar, whole_number
from api.cli.commands.compare import compare
from api.cli.commands.discover import discover
from api.cli.commands.drivers import drivers
from api.cli.commands.indices import indices
from api.cli.commands.precision import PrecisionOption, print_precision, wished_precision
from api.cli.commands.replay import replay
from api.cli.commands.runner import runner
from api.cli.commands.score import score
from api.cli.commands.stress import stress
from api.cli.commands.summary import summary
from api.cli.commands.timeline import timeline
from api.cli.commands.typical import typical
from api.cli.commands.worth import worth
from api.cli.rendering import print_summary
from api.shipped_scenarios import find_scenario, shipped_names, shipped_scenario
from cluster.answers.summary import verify_summary
from cluster.query.session import QueryLimit
from cluster.query.trials import open_run
from cluster.results.plan import Plan, make_plan
from cluster.results.result_folder import verify as verify_folder
from cluster.runs.engines import EngineFailed, ShardFailed
from cluster.runs.precision import MOST_TRIALS, more_would_help, run_to_precision, shortfall
from cluster.runs.run import Stopped, adopt_shard_size, run
from sim.faults import InvalidInput
from sim.scenario.parameters import ISSUE_PARAMETERS, PARAMETERS
from sim.scenario.scenario import Scenario

app = typer.Typer(
    name="brink",
    help="Play a trade dispute millions of times before it is decided.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command("run")
def run_command(
    scenario: ScenarioArgument,
    trials: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="N", help="Trials of each strategy.", show_default="100000"),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            parser=whole_number, metavar="N", help="A whole number from 0 to 2^63 - 1; the same seed, the same trials."
        ),
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(help="The result folder.", show_default="runs/<scenario>-<trials>-<seed>")
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help="Play this strategy alone; may be repeated.", show_default="all")
    ] = None,
    design: Annotated[
        Literal["random", "latin_hypercube", "sobol"], typer.Option(help="How the parameters are drawn.")
    ] = "random",
    precision: PrecisionOption = None,
    engine: Annotated[
        Literal["auto", "inline", "ray"],
        typer.Option(help="inline: this process alone; ray: Ray workers; auto: Ray where it pays."),
    ] = "auto",
    ray_address: Annotated[str | None, typer.Option(help="Join the Ray that runs there.")] = None,
    workers: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Cores to use at most.", show_default="all")
    ] = None,
    shard_trials: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Trials in a file.", show_default="100000")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON instead of a table.")] = False,
) -> None:
    """Run a scenario here and now, and print the answer.

    The same command goes on where an earlier one was stopped.
    """
    chosen = find_scenario(scenario)
    wished = wished_precision(precision or ())
    if trials is None:
        trials = MOST_TRIALS if wished else 100_000
    plan = make_plan(
        chosen, trials=trials, seed=seed, design=design, strategies=tuple(strategy or ()), shard_trials=shard_trials
    )
    folder = out or Path("runs") / f"{chosen.name}-{'precise' if wished else trials}-{seed}"
    if shard_trials is None:
        plan = adopt_shard_size(plan, folder)
    started = time.monotonic()
    with progress_bar(plan) as on_progress:
        answer, took = (
            run_to_precision(
                plan, folder, wished, engine=engine, ray_address=ray_address, workers=workers, on_progress=on_progress
            )
            if wished
            else (
                run(plan, folder, engine=engine, ray_address=ray_address, workers=workers, on_progress=on_progress),
                {},
            )
        )
    seconds = time.monotonic() - started
    if as_json:
        print_json({**answer, "precision": took} if took else answer)
    else:
        _print_answer(plan, answer, took, seconds, folder)
    if took and not took["reached"]:
        hint = "; the same command with more --trials goes on from there" if more_would_help(took) else ""
        print(shortfall(took) + hint, file=sys.stderr)
        raise typer.Exit(1)


def _print_answer(plan: Plan, answer: dict, took: dict, seconds: float, folder: Path) -> None:
    shown = console()
    shown.print(f"[bold]{escape(plan.scenario.title)}[/bold]")
    print_summary(shown, answer)
    if took:
        print_precision(shown, took)
    shown.print(
        f"{answer['trials']:,} trials of each of {len(plan.strategies)} strategies, seed {plan.seed}, "
        f"{plan.design.name} design, in {seconds:.1f} s. Results: {folder}"
    )


@app.command()
def scenarios() -> None:
    """List the shipped scenarios."""
    table = Table("name", "as of", "title", "strategies", show_edge=False, pad_edge=False)
    for name in shipped_names():
        known = shipped_scenario(name)
        table.add_row(name, known.as_of or "-", known.title, ", ".join(known.strategies))
    console().print(table)


@app.command()
def validate(scenario: ScenarioArgument) -> None:
    """Say what is wrong with a scenario, each fault with its line and field."""
    print(_description(find_scenario(scenario)))


@app.command()
def parameters() -> None:
    """List the parameters with their units, domains and neutral defaults."""
    table = Table("group", "parameter", "unit", "domain", "default", "meaning", show_edge=False, pad_edge=False)
    for known in (*ISSUE_PARAMETERS, *PARAMETERS):
        name = f"issues.<issue>.{known.name}" if known.group == "issue" else known.name
        default = "required" if known.default is None else f"{known.default:g}"
        table.add_row(known.group, name, known.unit, escape(str(known.domain)), default, known.meaning)
    console().print(table)


@app.command()
def verify(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A result folder.")]) -> None:
    """Check that every committed row of a result folder is there and unaltered, and the summary is theirs."""
    findings = verify_folder(folder) or verify_summary(open_run(folder))
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        raise typer.Exit(1)
    print(f"{folder}: every committed row is there and unaltered")


app.command()(runner)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65_535)] = 8000,
    with_runner: Annotated[
        bool, typer.Option("--runner/--no-runner", help="With a runner process, or leave the jobs to brink runner.")
    ] = True,
) -> None:
    """Serve the HTTP interface, with a runner process that works the jobs."""
    from api.http.serve import serve_http

    serve_http(host, port, with_runner=with_runner)


app.add_typer(keys.app, name="keys")
for answer in (
    summary,
    aggregate,
    compare,
    worth,
    stress,
    score,
    backtest,
    drivers,
    discover,
    indices,
    replay,
    typical,
    timeline,
):
    app.command()(answer)


def main() -> None:
    """Run the command line; every way out has its exit status: 0 done, 2 wrong input, 1 anything else."""
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except InvalidInput as error:
        status = _say(str(error), 2)
    except typer.exceptions.TyperException as error:
        status = _say(f"{_usage_fault(error)} (brink --help lists what there is)", 2)
    except typer.Abort:
        status = _say("stopped", 1)
    except (Stopped, ShardFailed, EngineFailed, QueryLimit) as error:
        status = _say(str(error), 1)
    except BrokenPipeError:
        status = _reader_left()
    except SystemExit as way_out:
        # Typer and Rich turn a broken pipe into an exit of their own.
        status = _reader_left() if isinstance(way_out.__context__, BrokenPipeError) else int(way_out.code or 0)
    except KeyboardInterrupt:
        status = _say("stopped", 1)
    except MemoryError:
        status = _say("out of memory; a smaller --shard-trials or fewer --workers may help", 1)
    except OSError as error:
        status = _say(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except sa.exc.OperationalError as error:
        cause = " ".join(str(error.orig).split())
        status = _say(f"the jobs database (BRINK_DATABASE_URL) does not answer: {cause}", 1)
    except Exception as error:
        status = _say(f"something unexpected went wrong: {type(error).__name__}: {error}", 1)
    sys.exit(status or 0)


def _reader_left() -> int:
    """Whoever read the output has enough; nothing more may be written to it, at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _usage_fault(error: Exception) -> str:
    shown = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(shown.split())


def _say(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def _description(scenario: Scenario) -> str:
    return (
        f"{scenario.name}: valid. {len(scenario.issues)} issues, {len(scenario.uncertain)} uncertain parameters, "
        f"{scenario.horizon_weeks} weeks, strategies {', '.join(scenario.strategies)}"
    )
