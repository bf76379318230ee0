"""``brink check``: a scenario's forecast compared with that of its reference class."""

from typing import TYPE_CHECKING, Annotated, Any

from api.cli.charting import Charts, chart_option
from api.cli.evidence import print_evidence
from api.cli.options import (
    AsJson,
    Believe,
    Engine,
    Given,
    OneStrategy,
    RayAddress,
    ReferenceClass,
    ScenarioOrRun,
    Seed,
    Workers,
    is_stored_run,
    out_option,
    refuse_for_stored_run,
    trials_option,
)
from api.cli.output import heading
from api.cli.setting import Settings
from api.figures import share_and_interval

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_TRIALS = 20_000


def check(
    scenario: ScenarioOrRun,
    reference: ReferenceClass = None,
    strategy: OneStrategy = None,
    setting: Settings = None,
    given: Given = None,
    believe: Believe = None,
    trials: Annotated[
        int | None,
        trials_option(DEFAULT_TRIALS, "Trials, where a scenario is run"),
    ] = None,
    seed: Seed = None,
    out: Annotated[str | None, out_option("runs/check-<scenario>-<strategy>-<trials>-<seed>-<hash>")] = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    workers: Workers = None,
    chart: Annotated[Charts, chart_option("past")] = None,
    as_json: AsJson = False,
) -> None:
    """A forecast outside the interval of its class is marked, with the parameters that move it most."""
    from api.cli.answering import answer, opened
    from api.cli.playing import played
    from api.cli.setting import set_parameters
    from api.shipped_scenarios import find_scenario
    from cluster.answers.outside_view import past_cases
    from cluster.reference.rates import reference_class
    from cluster.results.plan import make_plan
    from sim.scenario.scenario import scenario_hash

    if reference is not None:
        reference_class(reference)
    if is_stored_run(scenario):
        refuse_for_stored_run(
            setting=setting,
            trials=trials,
            seed=seed,
            out=out,
            engine=engine,
            workers=workers,
        )
        run = opened(scenario, ray_address)
    else:
        seed = 1 if seed is None else seed
        chosen = set_parameters(find_scenario(scenario), setting or ())
        first = strategy or next(iter(chosen.strategies))
        plan = make_plan(chosen, trials=DEFAULT_TRIALS if trials is None else trials, seed=seed, strategies=(first,))
        past_cases(chosen, first, reference)
        # A scenario that was changed since is checked in another folder.
        folder = out or f"runs/check-{chosen.name}-{first}-{plan.trials}-{seed}-{scenario_hash(chosen)[:8]}"
        run = played(plan, folder, engine=engine, ray_address=ray_address, workers=workers)
    request = {"reference": reference, "strategy": strategy, "given": given, "believe": believe}
    answer(run, "check", request, as_json=as_json, charts=chart, render=print_check)


def print_check(out: "Console", document: dict[str, Any]) -> None:
    """Print a document of `cluster.answers.check`: shares beside the class's, and what would move those outside."""
    from api.cli.tables import Column, print_table
    from cluster.answers.outside_view import SANCTIONS

    found = document["result"]
    day = f", as known on {found['known_on']}" if found["known_on"] else ""
    strategy = document["strategies"][0]
    in_force = found["reference"] == SANCTIONS
    past = "past sanctions in force" if in_force else f"the class {found['reference']}"
    given = f"; given {document['given']}" if document["given"] else ""
    out.print(heading(document["scenario"], f", {strategy}, compared with {past}{day}{given}"))
    print_evidence(out, document.get("evidence"))
    rows = found["compared"]
    columns = [
        Column("", [row["label"] for row in rows]),
        Column("forecast", [share_and_interval(row["forecast"]) for row in rows]),
        Column("past sanctions" if in_force else "class", [share_and_interval(row["class"]) for row in rows]),
        Column("", ["outside" if row["outside"] else "" for row in rows], left=True),
    ]
    print_table(out, columns)
    outside = [row for row in rows if row["outside"]]
    if outside:
        _print_movers(out, outside)
    else:
        out.print("No forecast lies outside the interval of past cases.")
    if found["without_threat"]:
        out.print(
            f"Not compared: {', '.join(found['without_threat'])}. No class says how often talks without a threat "
            "succeed: what a scenario implies for them rests on its own ranges, above all on readiness."
        )
    if any(row["name"].startswith("agreed_by_week") for row in rows):
        out.print(
            "Settled within so many weeks: of the class's dated threats, whose weeks begin with the first threat, "
            "often months before a list with a deadline; and of such lists, whose weeks begin where the model's do: "
            "the class's share of settlements times the lists' share of those that came so soon.",
            style="dim",
        )
    out.print(
        "In brackets: 95 % intervals; that of past cases is wide because they are few. A forecast outside is a "
        "reason to check the scenario, not an error. --json has the sources.",
        style="dim",
    )


def _print_movers(out: "Console", outside: list[dict[str, Any]]) -> None:
    """What would move each forecast that lies outside: a row for each parameter that moves it most."""
    from api.cli.tables import Column, print_table

    movers = [(row["label"], mover) for row in outside for mover in row["movers"]]
    labels = [label if k == 0 or movers[k - 1][0] != label else "" for k, (label, _) in enumerate(movers)]
    columns = [
        Column("outside", labels),
        Column("moved most by", [mover["parameter"] for _, mover in movers], left=True),
        *(
            Column(f"{end} decile", [f"{100 * mover[f'{end}_decile']:.0f} %" for _, mover in movers])
            for end in ("lowest", "highest")
        ),
    ]
    if movers:
        print_table(out, columns, title="What would move a forecast that lies outside")
    for row in outside:
        if row["reason"]:
            out.print(f"{row['label']}: what would move it is not known, since only {row['reason']}.")
