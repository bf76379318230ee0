"""``brink diff``: two runs or two scenarios: what differs in the inputs, and what in the answers."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import (
    AsJson,
    Engine,
    Given,
    RayAddress,
    Seed,
    Strategies,
    Workers,
    complete_scenario,
    is_stored_run,
    refuse_for_stored_run,
    trials_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from cluster.query.trials import StoredRun
    from cluster.results.plan import Plan
    from sim.scenario.scenario import Scenario

DEFAULT_TRIALS = 20_000
SHOWN_INPUTS = 40
"""Inputs in the table; the document has them all."""
_LONGEST = 300


def diff(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A scenario file or name, or the result folder of a run.",
            autocompletion=complete_scenario,
        ),
    ],
    second: Annotated[
        str,
        typer.Argument(
            metavar="B", help="What it is compared with, of the same kinds.", autocompletion=complete_scenario
        ),
    ],
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPRESSION",
            help="A number or condition of each trial; may be repeated.",
            show_default="the measure of choice, and those of the summary",
        ),
    ] = None,
    strategy: Strategies = None,
    given: Given = None,
    trials: Annotated[
        int | None, trials_option(DEFAULT_TRIALS, "Trials of each strategy, where scenarios are run")
    ] = None,
    seed: Seed = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Runs of the same seed and design are compared trial by trial; others by their estimates.

    A scenario is run first, as the run that it is compared with was, below runs/.
    """
    from api.cli.output import answer_progress, console, print_json
    from api.difference import difference
    from cluster.query.trials import open_run

    names = (first, second)
    stored = [open_run(name) if is_stored_run(name) else None for name in names]
    if any(stored):
        refuse_for_stored_run(trials=trials, seed=seed)
    if all(stored):
        refuse_for_stored_run(engine=engine, ray_address=ray_address, workers=workers)
    plans = _plans(
        names, stored, strategy or [], DEFAULT_TRIALS if trials is None else trials, 1 if seed is None else seed
    )
    runs = []
    for run, plan in zip(stored, plans, strict=True):
        runs.append(run or _played(plan, engine=engine, ray_address=ray_address, workers=workers))
    with answer_progress("trials") as on_progress:
        found = difference(
            *runs, strategies=strategy or (), measures=measure or (), given=given, on_progress=on_progress
        )
    document = {"answer": "diff", **found}
    if as_json:
        print_json(document)
    else:
        print_difference(console(), document, names)


def _plans(
    names: "Sequence[str]", stored: "Sequence[StoredRun | None]", wanted: list[str], trials: int, seed: int
) -> "list[Plan]":
    """The plans of the two runs: that of a stored run, and one like it for a scenario. Raises `InvalidInput`."""
    from api.shipped_scenarios import find_scenario
    from cluster.answers.diff import compared_strategies
    from cluster.results.plan import make_plan

    scenarios = [
        find_scenario(name) if run is None else run.plan.scenario for name, run in zip(names, stored, strict=True)
    ]
    known = [
        tuple(scenario.strategies) if run is None else run.plan.strategies
        for scenario, run in zip(scenarios, stored, strict=True)
    ]
    couples = compared_strategies(known[0], known[1], wanted)
    like = next((run.plan for run in stored if run is not None), None)

    def plan(scenario: "Scenario", strategies: tuple[str, ...]) -> "Plan":
        if like is None:
            return make_plan(scenario, trials=trials, seed=seed, strategies=strategies)
        return make_plan(scenario, trials=like.trials, seed=like.seed, design=like.design.name, strategies=strategies)

    return [
        plan(scenario, tuple(couple[k] for couple in couples)) if run is None else run.plan
        for k, (scenario, run) in enumerate(zip(scenarios, stored, strict=True))
    ]


def _played(plan: "Plan", **options: Any) -> "StoredRun":
    from api.cli.playing import played

    # Two versions of a scenario may have the same name.
    name = f"{plan.scenario.name}-{plan.scenario_sha256[:8]}"
    design = "" if plan.design.name == "random" else f"-{plan.design.name}"
    return played(plan, f"runs/diff-{name}-{plan.trials}-{plan.seed}{design}", **options)


def print_difference(out: "Console", document: dict[str, Any], names: "Sequence[str]") -> None:
    """Print a document of `cluster.answers.diff`: the inputs that differ, then each strategy's answers that differ."""
    from api.cli.output import heading
    from api.sentences import is_same

    for letter, name, side in zip("AB", names, (document["first"], document["second"]), strict=True):
        run = side["run"]
        rest = f": {name}, {run['trials']:,} trials, seed {run['seed']}, {run['design']} design"
        out.print(heading(letter, rest + ("" if run["complete"] else ", unfinished")))
    if document["given"]:
        where = "in both" if document["paired"] else "in each"
        out.print(f"Over the trials in which this holds {where}: {document['given']}.")
    for sentence in document["sentences"]:
        out.print(sentence)
    _print_inputs(out, [*document["run"], *document["inputs"]])
    how = "Compared trial by trial" if document["paired"] else "Compared by their estimates, not trial by trial"
    out.print()
    out.print(f"{how}: {document['reason']}.")
    same: dict[str, list[str]] = {}
    for one in document["strategies"]:
        if all(is_same(found) for kind in ("outcome", "events", "measures") for found in one[kind].values()):
            same.setdefault(_trials(one, paired=document["paired"]), []).append(_name(one))
        else:
            _print_strategy(out, one, paired=document["paired"])
    for trials, strategies in same.items():
        out.print(f"No answer differs in {trials} under {', '.join(strategies)}.")
    for letter, only in (("A", document["only_first"]), ("B", document["only_second"])):
        if only:
            out.print(f"Only {letter} has: {', '.join(only)}.")
    out.print(
        "Change: B less A, in percentage points for a probability, ± half the 95 % interval of the simulation's own "
        "error; ~ where the interval contains 0.",
        style="dim",
    )


def _print_inputs(out: "Console", inputs: list[dict[str, Any]]) -> None:
    from api.cli.tables import Column, print_table

    out.print()
    if not inputs:
        out.print("No input differs.")
        return
    shown = inputs[:SHOWN_INPUTS]
    columns = [
        Column("", [one["field"] for one in shown]),
        Column("A", [_value(one["first"]) for one in shown], left=True, prose=True),
        Column("B", [_value(one["second"]) for one in shown], left=True, prose=True),
    ]
    print_table(out, columns, title="Inputs that differ")
    if len(inputs) > SHOWN_INPUTS:
        out.print(f"And {len(inputs) - SHOWN_INPUTS} more; --json has them all.", style="dim")


def _value(value: object) -> str:
    from api.sentences import distribution_line

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = distribution_line(value) if isinstance(value, dict | int | float) else _text(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def _text(value: object) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_strategy(out: "Console", found: dict[str, Any], *, paired: bool) -> None:
    from api.cli.rendering import labels, measure_scale
    from api.cli.tables import Column, print_table
    from api.figures import signed
    from api.sentences import is_same
    from sim.scenario.vocabulary import EVENT_TERMS, OUTCOME_TERMS

    rows: list[tuple[str, dict[str, Any], float, int]] = [
        (label, found[kind][key], 100.0, 1)
        for kind, terms in (("outcome", OUTCOME_TERMS), ("events", EVENT_TERMS))
        for key, label in labels(terms).items()
    ]
    shares = len(rows)
    for key, one in found["measures"].items():
        label, factor, digits = measure_scale(key)
        rows.append((label, one, factor, digits))
    differing = [(k, row) for k, row in enumerate(rows) if not is_same(row[1])]
    out.print()
    columns = [
        Column("", [row[0] for _, row in differing]),
        *(
            Column(letter, [_number(one[side], factor, digits) for _, (_, one, factor, digits) in differing])
            for letter, side in (("A", "first"), ("B", "second"))
        ),
        Column(
            "change", [signed(one["change"], factor, digits, space=" ") for _, (_, one, factor, digits) in differing]
        ),
    ]
    headings = {0: "Probability, %"} if differing[0][0] < shares else {}
    means = next((place for place, (k, _) in enumerate(differing) if k >= shares), None)
    if means is not None:
        headings[means] = "Mean"
    print_table(
        out, columns, title=f"{_name(found)}: answers that differ, {_trials(found, paired=paired)}", headings=headings
    )
    same = [row[0] for row in rows if is_same(row[1])]
    if same:
        how = "The same in every trial, or not known in any" if paired else "The same in both, or not known in any"
        out.print(f"{how}: {'; '.join(same)}.")


def _name(found: dict[str, Any]) -> str:
    first, second = found["first"], found["second"]
    return str(first) if first == second else f"{first} of A, {second} of B"


def _trials(found: dict[str, Any], *, paired: bool) -> str:
    count = found["trials"]
    return f"{count['first']:,} trials" if paired else f"{count['first']:,} trials of A, {count['second']:,} of B"


def _number(found: dict[str, Any], factor: float, digits: int) -> str:
    return "-" if found["estimate"] is None else f"{factor * found['estimate']:z.{max(digits, 1)}f}"
