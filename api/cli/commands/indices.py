"""``brink indices``: first- and total-order Sobol indices, from a run of its own."""

from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.options import (
    AsJson,
    Engine,
    OneStrategy,
    RayAddress,
    ScenarioOrRun,
    Seed,
    Workers,
    is_stored_run,
    measure_option,
    out_option,
    refuse_for_stored_run,
    whole_number,
)
from api.cli.output import console, heading
from api.cli.setting import Settings
from api.cli.tables import Column, print_table

BASE_SAMPLES = 4096
SHOWN = 20
"""Inputs in a table; the document has them all."""


def indices(
    run: ScenarioOrRun,
    measure: Annotated[str | None, measure_option()] = None,
    strategy: OneStrategy = None,
    setting: Settings = None,
    base_samples: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="N", help="A multiple of 16 from 64 on.", show_default=str(BASE_SAMPLES)
        ),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        str | None,
        out_option("runs/<scenario>-indices-<strategy>-<base-samples>-<seed>"),
    ] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Plays a run of N x (inputs + 2) x 8 trials, in which chance can be separated from the parameters. The same
    command continues a run that was stopped.
    """
    from api.cli.answering import answer, opened
    from api.cli.playing import played
    from api.cli.setting import folder_suffix, set_parameters
    from api.shipped_scenarios import find_scenario
    from cluster.results.plan import make_plan
    from sim.sampling.designs import SALTELLI
    from sim.sampling.saltelli import trials_needed
    from sim.scenario.expressions import parse_measure

    if is_stored_run(run):
        refuse_for_stored_run(
            base_samples=base_samples,
            setting=setting,
            seed=seed,
            out=out,
            engine=engine,
            workers=workers,
        )
        stored = opened(run, ray_address)
    else:
        scenario = set_parameters(find_scenario(run), setting or ())
        if measure is not None:
            parse_measure(measure, scenario)
        samples, seed = BASE_SAMPLES if base_samples is None else base_samples, 1 if seed is None else seed
        first = next(iter(scenario.strategies)) if strategy is None else strategy
        plan = make_plan(
            scenario, trials=trials_needed(scenario, samples), seed=seed, design=SALTELLI.name, strategies=(first,)
        )
        folder = out or f"runs/{scenario.name}-indices-{first}-{samples}-{seed}{folder_suffix(scenario)}"
        stored = played(plan, folder, engine=engine, ray_address=ray_address, workers=workers)
    answer(stored, "indices", {"strategy": strategy, "measure": measure}, as_json=as_json, render=print_indices)
    if not as_json:
        console().print(f"Results: {stored.folder.address}. For another measure, give brink indices this folder.")


def print_indices(out: Console, document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.indices`: where the variance comes from, and each input's indices."""
    found, method = document["result"], document["method"]
    trials, variance = found["trials"], found["variance"]
    title = f"What drives {found['measure']} under {document['strategies'][0]}"
    out.print(heading(title))
    missing = trials["null"] + trials["infinite"]
    out.print(
        f"{found['base_samples']:,} base samples, {len(found['inputs'])} inputs, each point played {found['plays']} "
        f"times: {trials['known']:,} of {trials['read']:,} trials have a known measure"
        + (f" ({trials['null']:,} null, {trials['infinite']:,} infinite)." if missing else ".")
    )
    shares = {
        "What you do not know (all parameters)": variance["parameters"],
        "Chance": variance["chance"],
        "Of the parameters' part: each input alone, summed": variance["alone"],
        "Of the parameters' part: inputs together (interactions)": variance["interactions"],
    }
    columns = [Column("", list(shares)), Column("share", [_percent(one) for one in shares.values()])]
    print_table(out, columns, title="Where its variance comes from")
    if found["reason"]:
        out.print(f"No index: {found['reason']}.")
        return
    inputs = found["inputs"][:SHOWN]
    columns = [
        Column("", [" with ".join(one["parameters"]) for one in inputs]),
        Column("first order", [_percent(one["first_order"]) for one in inputs]),
        Column("total order", [_percent(one["total_order"]) for one in inputs]),
    ]
    if missing:
        totals = [one["total_order"] for one in inputs]
        ends = [_ends(one) for one in totals]
        columns.append(Column("total order, unknown values lowest or highest", ends))
        columns.append(Column("total order of whether it is known", [_percent(one["missing"]) for one in totals]))
    print_table(out, columns, title="Of the parameters' part")
    if len(found["inputs"]) > SHOWN:
        out.print(f"And {len(found['inputs']) - SHOWN} more, with smaller indices.", style="dim")
    refused = [one["reason"] for one in found["inputs"] if one["reason"]]
    if refused:
        out.print(f"{len(refused)} inputs have no index: for the first, {refused[0]}.", style="dim")
    out.print(
        f"First order: {method['first_order']}. Total order: {method['total_order']}. "
        f"{method['inputs'].capitalize()}. {method['intervals']}.",
        style="dim",
    )


def _ends(total: dict[str, Any]) -> str:
    ends = (total["missing_lowest"], total["missing_highest"])
    return " or ".join("-" if end is None else f"{100 * end:z.1f} %" for end in ends)


def _percent(share: dict[str, Any]) -> str:
    if share["estimate"] is None:
        return "-"
    return f"{100 * share['estimate']:z.1f} % ±{50 * (share['high'] - share['low']):.1f}"
