"""The options and arguments that commands share, each spelled and explained once."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sim.faults import Fault, InvalidInput


def whole_number(text: str) -> int:
    """Read a whole number that a user typed."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number (found {text!r})") from None


def complete_scenario(incomplete: str) -> list[str]:
    """The names of shipped scenarios that begin so."""
    from api.shipped_scenarios import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete)]


ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A scenario file, or the name of a shipped scenario.",
        autocompletion=complete_scenario,
    ),
]
ScenarioArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SCENARIO]...",
        help="Scenario files, or names of shipped scenarios.",
        show_default="all shipped ones with a history",
        autocompletion=complete_scenario,
    ),
]
RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="The result folder of a run, or s3://bucket/prefix.")]
ScenarioOrRun = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO|RUN",
        help="A scenario file or name, to be run; or the result folder of such a run.",
        autocompletion=complete_scenario,
    ),
]

Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", metavar="NAME", help="Only this strategy; may be repeated.", show_default="all"),
]
OneStrategy = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="The strategy to ask about.", show_default="the first")
]
Measure = Annotated[
    str | None,
    typer.Option(metavar="EXPRESSION", help='A number or condition of each trial, such as "export_gain > 2".'),
]
Given = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help='Only the trials for which this holds, such as "threat_week <= 5 and filing_week is not null".',
    ),
]
Believe = Annotated[
    list[str] | None,
    typer.Option(
        metavar="BELIEF",
        help='Weigh the trials so that a condition has this probability, such as "sanctions = 0.3", '
        '"agreement_week <= 12 = 0.2..0.4" or "sanctions = 0.3 strength 20"; "under NAME" at its end names the '
        "strategy. May be repeated.",
        show_default=False,
    ),
]
Outside = Annotated[
    bool,
    typer.Option(
        "--outside",
        help="Weigh the trials so that threats end as often in each way as those of the scenario's reference class.",
    ),
]
ReferenceClass = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help="The reference class; brink rates lists them.",
        show_default="the scenario's reference",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of a table.")]

Seed = Annotated[
    int | None,
    typer.Option(
        parser=whole_number,
        metavar="N",
        help="A whole number from 0 to 2^63 - 1; the same seed gives the same trials.",
        show_default="1",
    ),
]
Engine = Annotated[
    Literal["auto", "inline", "ray"] | None,
    typer.Option(
        metavar="auto|inline|ray",
        help="inline: in this process alone; ray: Ray workers; auto: Ray where it saves time.",
        show_default="auto",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Use the Ray cluster at this address.", show_default="a local one"),
]
RayOfAnswer = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="Use the Ray cluster at this address.",
        show_default="none; Ray is used for a large run",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(parser=whole_number, metavar="N", help="The largest number of cores to use.", show_default="all"),
]


def trials_option(default: int, what: str = "Trials of each strategy") -> Any:
    """The option of a command that plays trials."""
    return typer.Option(parser=whole_number, metavar="N", help=f"{what}.", show_default=f"{default}")


def out_option(default: str) -> Any:
    """The option of a command that writes a result folder."""
    return typer.Option(metavar="DIR", help="The result folder, or s3://bucket/prefix.", show_default=default)


def refuse_for_stored_run(**given: object) -> None:
    """Raise `InvalidInput` for options that say how a scenario is run, where a stored run was named."""
    faults = [
        Fault(name, str(value), "is for a scenario that will be run, not for the folder of a run")
        for name, value in given.items()
        if value is not None
    ]
    if faults:
        raise InvalidInput(tuple(faults))


def is_stored_run(address: str) -> bool:
    """Whether an argument is the address of a run rather than a scenario."""
    return address.startswith("s3://") or Path(address).is_dir()


def measure_option(what: str = "A number or condition of each trial") -> Any:
    """The option of a command that asks about one measure, the scenario's measure of choice unless given."""
    default = "the scenario's choice, else export_gain - sender_cost"
    return typer.Option(metavar="EXPRESSION", help=f"{what}.", show_default=default)
