"""The commands of ``brink``, each known by its name and sentence and imported only when it is used."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from api.cli.fields import with_options
from sim.faults import InvalidInput

COMMANDS = {
    "run": "Run a scenario and print the result.",
    "scenarios": "List the shipped scenarios, or print one of them.",
    "new": "Write a scenario of your own from a dozen questions, and say what it implies.",
    "validate": "Check a scenario: list every fault with its line and field, and probable mistakes apart.",
    "parameters": "List the parameters with who decides them, their units, domains and neutral defaults.",
    "verify": "Check that a result folder is complete and unaltered.",
    "summary": "Print the summary of a stored run, for all its trials, under a condition or under beliefs.",
    "aggregate": "Print grouped statistics over the trials of a stored run.",
    "compare": "Compare strategies on the same trials: differences, regret, and which one leads where.",
    "diff": "Compare two runs or two scenarios: the inputs that differ, and the answers that differ.",
    "worth": "Estimate the value of learning each parameter before a strategy is chosen.",
    "drivers": "Show which parameters drive a measure, and how much of it is chance.",
    "indices": "Estimate first-order and total-order Sobol indices.",
    "discover": "Find the ranges of parameters in which an outcome is likely.",
    "stress": "Show how the trials in which a bound is broken differ from the others.",
    "timeline": "Show how likely each state of the dispute is in each week.",
    "convergence": "Show how an estimate and its error settle as trials are added.",
    "typical": "List a typical trial of each outcome, and the extreme trials.",
    "replay": "Replay one trial of a stored run week by week.",
    "report": "Write a report of a stored run to hand on: one HTML page, or a PDF.",
    "export": "Write the tables of a stored run to a workbook for Excel.",
    "score": "Score the forecast of a stored run against what happened.",
    "backtest": "Run the scenarios of past disputes and score their forecasts.",
    "rates": "Show how comparable threats of the past ended, by class, as far as was known on a day.",
    "check": "Compare a forecast with how comparable threats ended, and show what would move it.",
    "fit": "Move a scenario's parameters so that its threats end as often in each way as those of its class.",
    "calibrate": "Count how past threats ended, by class, with rates, durations and the scores of the rates.",
    "serve": "Start the HTTP service, with a process that runs its jobs.",
    "runner": "Start a process that runs the jobs of the service, or drain those that run.",
    "migrate": "Bring the tables of the jobs database up to date.",
    "backup": "Back up the jobs database and the results together, while the service runs.",
    "restore": "Restore a backup into an empty database and empty results.",
    "store": "Show whether the store of results belongs to the jobs database, or let it.",
    "maintenance": "Refuse new jobs for a while; running jobs and reading continue.",
    "keys": "Create, list, rotate and revoke the keys of the service.",
    "audit": "Show who submitted, read, cancelled and deleted jobs, managed keys, and signed in.",
}
"""Each command's sentence, by its name. Its module in `api.cli.commands` has a function of that name, whose docstring
follows the sentence in the help; or, for a command with commands of its own, a mapping of functions."""

_SETTINGS: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}

_REPEATABLE = ("strategy", "measure")
"""Options that some commands take several of; elsewhere the last one would silently count."""


class Command(TyperCommand):
    """A command whose faults name the options that were typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises a usage error for one that is empty or not UTF-8, and for a second name where only one is meant.
        """
        for before, text in zip(["", *args], args, strict=False):
            name, sign, value = text.partition("=") if text.startswith("--") else (before, "=", text)
            hint = name if name.startswith("--") and name != "--" else "an argument"
            if sign and not value.strip() and not ctx.resilient_parsing:
                raise typer.BadParameter("must not be empty", ctx, param_hint=hint)
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise typer.BadParameter(f"must be UTF-8 text (found {text!r})", ctx, param_hint=hint)
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            for given in cast(list[Any], order):
                if given.name in _REPEATABLE and not given.multiple and order.count(given) > 1:
                    raise typer.BadParameter("may be given only once for this command", ctx, given)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The options, then the arguments by the names they have in the help."""
        return ["[OPTIONS]", *(str(one.metavar) for one in self.params if one.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List the arguments by these names and the options."""
        for title in ("Arguments", "Options"):
            listed: list[Any] = [one for one in self.get_params(ctx) if f"{one.param_type_name}s" == title.lower()]
            records = [_help_record(one, ctx) for one in listed]
            names = [one.metavar for one in listed] if title == "Arguments" else [name for name, _ in records]
            if records:
                with formatter.section(title):
                    formatter.write_dl([(name, text) for name, (_, text) in zip(names, records, strict=True)])

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises `InvalidInput` whose faults name options instead of fields."""
        try:
            return super().invoke(ctx)
        except InvalidInput as error:
            raise InvalidInput(with_options(error.faults, self.params)) from error


def _help_record(parameter: Any, ctx: Any) -> tuple[str, str]:
    """A parameter's name and help. A default that is described, not given, has no brackets of its own in the help."""
    name, text = parameter.get_help_record(ctx)
    described = parameter.show_default
    return name, text.replace(f"({described})", described) if isinstance(described, str) else text


class LazyCommand(TyperCommand):
    """A command whose module is imported when the command is used, not when it is listed."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the real command."""
        return load(str(self.name)).make_context(info_name, args, parent, **extra)


class Program(TyperGroup):
    """All commands, none of them imported."""

    def __init__(self, **attributes: Any) -> None:
        commands = {
            name: LazyCommand(name, short_help=sentence, rich_markup_mode=None) for name, sentence in COMMANDS.items()
        }
        super().__init__(**{**attributes, "commands": commands})


def build() -> TyperGroup:
    """The whole command line."""
    settings = {**_SETTINGS, "add_completion": True, "context_settings": {"help_option_names": ["-h", "--help"]}}
    app = typer.Typer(name="brink", cls=Program, **settings)
    app.callback(invoke_without_command=True)(_brink)
    return get_command(app)  # type: ignore[return-value]


def load(name: str) -> TyperCommand | TyperGroup:
    """A command by its name, imported."""
    found = getattr(import_module(f"api.cli.commands.{name}"), name)
    if isinstance(found, Mapping):
        return _group(COMMANDS[name], found)
    # Under PYTHONOPTIMIZE=2 there are no docstrings.
    return _command(name, found, f"{COMMANDS[name]}\n\n{inspect.getdoc(found) or ''}")


def _group(sentence: str, functions: Mapping[str, Callable[..., None]]) -> TyperGroup:
    group = typer.Typer(help=sentence, **_SETTINGS)
    group.callback(invoke_without_command=True)(_help_if_alone)
    for name, function in functions.items():
        group.command(name, cls=Command, short_help=inspect.getdoc(function))(function)
    return get_command(group)  # type: ignore[return-value]


def _command(name: str, function: Callable[..., None], text: str) -> TyperCommand:
    alone = typer.Typer(**_SETTINGS)
    alone.command(name, cls=Command, help=text)(function)
    return get_command(alone)  # type: ignore[return-value]


def _help_if_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"brink {version('brink')}")
        raise typer.Exit


def _brink(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Simulate a trade dispute many times, to see how it may end and what drives the result."""
    _help_if_alone(context)
