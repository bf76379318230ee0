"""``brink fit``: parameters moved so that threats and sanctions end as often in each way, and as soon, as past ones."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import AsJson, ReferenceClass, ScenarioArgument, Seed, trials_option
from api.cli.output import answer_progress, console, heading, print_json
from api.cli.setting import Settings, set_parameters

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_TRIALS = 20_000


def fit(
    scenario: ScenarioArgument,
    reference: ReferenceClass = None,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The strategy to fit.", show_default="that of the history, or the first"),
    ] = None,
    setting: Settings = None,
    trials: Annotated[int | None, trials_option(DEFAULT_TRIALS, "Trials of each simulation")] = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Readiness, follow_through, extension_probability, lapse_probability, deadline_multiplier and sanction_fatigue
    are moved as little as possible, with all mechanisms playing, to the rates and durations of threats and sanctions
    that had ended before the scenario's first day. The moves start from the scenario's own values, or from those given
    with --set. The scenario's file stays as it is; what is printed can be given to brink run with --set, or written
    into the file.
    """
    from api.shipped_scenarios import find_scenario
    from cluster.answers.fit import fit as fitted

    with answer_progress("iterations") as on_progress:
        found = fitted(
            set_parameters(find_scenario(scenario), setting or ()),
            strategy,
            reference,
            DEFAULT_TRIALS if trials is None else trials,
            1 if seed is None else seed,
            on_progress,
        )
    if as_json:
        print_json(found)
    else:
        _print_fit(console(), found)


def _print_fit(out: "Console", found: dict[str, Any]) -> None:
    from api.cli.tables import Column, print_table

    day = f", as known on {found['known_on']}" if found["known_on"] else ""
    out.print(heading(found["scenario"], f", {found['strategy']}, fitted to {found['reference']}{day}"))
    endings = found["endings"]
    columns = [
        Column("endings", [one["label"] for one in endings.values()]),
        *(
            Column(label, [_percent(one[key]) for one in endings.values()])
            for key, label in (("target", "past"), ("before", "before"), ("after", "after"))
        ),
    ]
    print_table(out, columns)
    durations = [one for one in found["durations"].values() if one["target"]["estimate"] is not None]
    columns = [
        Column("durations", [one["label"] for one in durations]),
        *(
            Column(label, [_percent(one[key]) for one in durations])
            for key, label in (("target", "past"), ("before", "before"), ("after", "after"))
        ),
    ]
    print_table(out, columns)
    parameters = found["parameters"]
    columns = [
        Column("parameter", list(parameters)),
        Column("before", [_distribution(one["before"]) for one in parameters.values()], left=True),
        Column("after", [_distribution(one["after"]) for one in parameters.values()], left=True),
    ]
    print_table(out, columns)
    for knob, reason in found["kept"].items():
        out.print(f"{knob} was not moved: {reason}.")
    if not found["reached"]:
        out.print("The past rates were not reached; these are the nearest that were found.")
    count = f"{found['iterations']} {'iteration' if found['iterations'] == 1 else 'iterations'}"
    out.print(
        f"{count} of {found['trials']:,} trials, seed {found['seed']}; the shares after are "
        f"of other trials, with the next seed. The range of past cases (95 %) is far wider than the Monte Carlo error: "
        "a fit to its middle is no knowledge of it.",
        style="dim",
    )


def _percent(found: dict[str, Any]) -> str:
    return f"{100 * found['estimate']:.1f} % ({100 * found['low']:.0f} to {100 * found['high']:.0f})"


def _distribution(document: object) -> str:
    if isinstance(document, dict):
        return ", ".join(f"{kind} {' '.join(f'{value:g}' for value in values)}" for kind, values in document.items())
    return f"{document:g}"
