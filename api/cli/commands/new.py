"""``brink new``: a scenario of one's own from a dozen questions, and what it implies."""

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import AsJson
from api.cli.output import console, print_json, print_warnings
from api.files import new_file
from sim.faults import Fault, InvalidInput, printable

if TYPE_CHECKING:
    from rich.console import Console

    from api.starter import Question
    from cluster.query.trials import StoredRun
    from sim.scenario.scenario import Scenario

TRIALS = 4000
"""Enough for a first impression in a second or two: the error of a probability is at most 0.8 percentage points."""
SHOWN = ("settled", "imposed", "dropped", "agreed_within_two_years", "sanctions_ended_within_a_year")
"""The shares that are printed beside those of past threats."""


def _answer(help_: str, default: str) -> Any:
    return typer.Option(metavar="TEXT", help=help_, show_default=default)


def _choice(help_: str, metavar: str, default: str) -> Any:
    return typer.Option(metavar=metavar, help=help_, show_default=default)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The scenario's name: letters, digits and '-'.")],
    title: Annotated[str | None, _answer("What the dispute is about, in one line.", "the name")] = None,
    sender: Annotated[str | None, _answer("Who makes the demands.", "Sender")] = None,
    target: Annotated[str | None, _answer("Of whom they are made.", "Target")] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The day on which it begins.", show_default="today")
    ] = None,
    weeks: Annotated[
        str | None, typer.Option(metavar="N", help="The weeks for which it is followed.", show_default="104")
    ] = None,
    issue: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT[=WEIGHT]",
            help="What is demanded, and how much of the whole that is; may be repeated.",
            show_default="one demand",
        ),
    ] = None,
    distance: Annotated[str | None, _choice("How far apart the sides are.", "near|middle|far", "far")] = None,
    talks: Annotated[str | None, _choice("How often officials meet.", "weekly|fortnightly|monthly", "weekly")] = None,
    gain: Annotated[
        str | None,
        typer.Option(metavar="X", help="Extra exports if all is granted, bn USD a year.", show_default="1"),
    ] = None,
    threat: Annotated[
        str | None, _choice("Whether sanctions are threatened.", "none|possible|announced", "possible")
    ] = None,
    demand: Annotated[
        str | None,
        _choice(
            "Whether it is specific what would satisfy the demand; with --commitment, the class of past threats.",
            "specific|unspecific|unknown",
            "unknown",
        ),
    ] = None,
    commitment: Annotated[
        str | None,
        _choice("How strongly the sender is committed to the sanctions.", "weak|medium|strong|unknown", "unknown"),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="N", help="Weeks from the announcement to the deadline.", show_default="6")
    ] = None,
    trade: Annotated[
        str | None,
        typer.Option(metavar="X", help="Imports that sanctions would hit, bn USD a year.", show_default="1"),
    ] = None,
    tariff: Annotated[
        str | None, typer.Option(metavar="X", help="Extra tariff of the sanctions, per cent.", show_default="100")
    ] = None,
    retaliation: Annotated[
        str | None, _choice("Whether the target would retaliate at once.", "none|possible|likely", "possible")
    ] = None,
    complaint: Annotated[
        str | None, _choice("Whether the target would complain to the WTO.", "none|possible|likely", "possible")
    ] = None,
    ranges: Annotated[
        str,
        typer.Option(
            metavar="reference|neutral",
            help="What nobody was asked: ranges fitted to how past threats ended, or neutral defaults.",
        ),
    ] = "reference",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write.", show_default="NAME.yaml")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """On a terminal it asks for what no option answers; in a pipe it asks nothing and takes the defaults.

    It writes a commented file, checks it, and says what it implies, from a small run.
    """
    from api.starter import NEUTRAL, REFERENCE, read_answers, read_demands, scenario_text
    from sim.scenario.scenario import read_scenario
    from sim.scenario.validation import Report
    from sim.scenario.validation import name as check_name

    report = Report()
    if check_name(report, ("name",), name) and name.startswith("-"):
        report.fault(("name",), name, "must begin with a letter or a digit, since the file is called so")
    report.raise_faults()
    if ranges not in (REFERENCE, NEUTRAL):
        raise InvalidInput((Fault("ranges", ranges, f"must be {REFERENCE} or {NEUTRAL}"),))
    path = out or Path(f"{name}.yaml")
    _check_file(path)
    given = {
        "title": title,
        "sender": sender,
        "target": target,
        "as_of": as_of,
        "weeks": weeks,
        "distance": distance,
        "talks": talks,
        "gain": gain,
        "threat": threat,
        "demand": demand,
        "commitment": commitment,
        "deadline": deadline,
        "trade": trade,
        "tariff": tariff,
        "retaliation": retaliation,
        "complaint": complaint,
    }
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    answers = read_answers(name, given, partial(_asked, name) if asks else None)
    demands = read_demands(issue or (_asked_issues() if asks else ()))
    text = scenario_text(name, demands, answers, ranges)
    try:
        scenario = read_scenario(text, str(path))
    except InvalidInput as error:
        # The user knows options, not yet the lines of a file.
        raise InvalidInput(tuple(Fault(fault.field, fault.value, fault.message) for fault in error.faults)) from None
    with new_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
    print_warnings(scenario)
    implied = {"file": str(path), "scenario": name, "trials": TRIALS, "strategies": _implied(scenario)}
    if as_json:
        print_json(implied)
    else:
        _print_implied(console(), scenario, implied)


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise InvalidInput((Fault("out", str(path), "must end in .yaml"),))
    if path.exists() or path.is_symlink():
        raise InvalidInput((Fault("out", str(path), "is there already; choose another name, or remove it"),))
    if not path.absolute().parent.is_dir():
        raise InvalidInput((Fault("out", str(path), "must be in a folder that exists"),))


def _asked(name: str, question: "Question") -> str:
    """The answer to a question that a user typed, asked again until it can be read."""
    from api.starter import default_of

    hint = f" ({', '.join(question.choices)})" if question.choices else ""
    while True:
        typed = str(typer.prompt(question.text + hint, default=default_of(question, name), err=True))
        try:
            question.value(typed)
        except InvalidInput as error:
            typer.echo(printable(error.faults[0].message), err=True)
        else:
            return typed


def _asked_issues() -> list[str]:
    from sim.scenario.issues import MAX_ISSUES

    found: list[str] = []
    while len(found) < MAX_ISSUES:
        text = "What is demanded?" if not found else "And what else (nothing: Enter)?"
        typed = str(typer.prompt(text, default="" if found else "The demand", show_default=not found, err=True)).strip()
        if not typed:
            break
        found.append(typed)
    return found


def _implied(scenario: "Scenario") -> dict[str, dict[str, Any]]:
    """What each strategy of a scenario implies, from a small run in a folder that is removed again.

    ``past`` are the shares of threats that end in each way beside those of the scenario's class; null for a strategy
    with few threats, and where no past ones were known on the first day.
    """
    from cluster.answers.outside_view import FEWEST_THREATS
    from cluster.answers.registry import ask
    from cluster.query.trials import open_run
    from cluster.results.plan import make_plan
    from cluster.runs.options import RunOptions
    from cluster.runs.run import run

    with tempfile.TemporaryDirectory() as folder:
        summary = run(make_plan(scenario, trials=TRIALS, seed=1), folder, RunOptions(engine="inline"))
        stored = open_run(folder)
        courses = ask(stored, "timeline", {})["result"]["strategies"]
        past = {
            name: _beside_past(stored, name)
            for name, one in summary["strategies"].items()
            if one["events"]["threat"]["estimate"] * TRIALS >= FEWEST_THREATS
        }
    found = {}
    for name, one in summary["strategies"].items():
        course = courses[name]["states"]["agreement"]["estimate"]
        half = next((week for week, reached in enumerate(course, 1) if reached >= course[-1] / 2), None)
        events = {event: one["events"][event] for event in ("agreement", "threat", "sanctions")}
        found[name] = {
            **events,
            "half_of_agreements_by_week": half if course[-1] else None,
            "past": past.get(name),
        }
    return found


def _beside_past(run: "StoredRun", strategy: str) -> dict[str, Any] | None:
    """How threats end under a strategy beside past ones of its class; None if none of these had ended by then."""
    from cluster.answers.check import CheckRequest, compared_shares
    from cluster.answers.outside_view import past_cases

    try:
        past = past_cases(run.plan.scenario, strategy)
    except InvalidInput:
        return None
    compared, _ = compared_shares(run, strategy, past, CheckRequest())
    return {
        "reference": past.reference,
        "shares": [
            {"name": one.name, "label": one.label, "forecast": one.forecast, "class": one.past, "outside": one.outside}
            for one in compared
            if one.past["estimate"] is not None
        ],
    }


def _print_implied(out: "Console", scenario: "Scenario", implied: dict[str, Any]) -> None:
    from api.figures import share_of_them

    path = implied["file"]
    issues = f"{len(scenario.issues)} issue{'s' * (len(scenario.issues) != 1)}"
    counts = f"{issues} and {len(scenario.uncertain)} uncertain values"
    out.print(f"{path}: a valid scenario with {counts}.")
    out.print(f"What it implies, in {TRIALS:,} trials of {scenario.horizon_weeks} weeks:")
    for name, one in implied["strategies"].items():
        parts = [f"an agreement in {share_of_them(one['agreement'])}"]
        if one["half_of_agreements_by_week"] is not None:
            parts.append(f"half of these by week {one['half_of_agreements_by_week']}")
        if one["threat"]["estimate"] or one["sanctions"]["estimate"]:
            parts.append(
                f"sanctions announced in {share_of_them(one['threat'])} and imposed in "
                f"{share_of_them(one['sanctions'])}"
            )
        out.print(f"- {name}: {', '.join(parts)}.")
        if one["past"]:
            _print_past(out, one["past"])
        elif not one["threat"]["estimate"]:
            out.print(
                "No past cases say how often talks without a threat succeed: this follows from the readiness above all."
            )
    out.print(f"Next: brink run {path}", soft_wrap=True)


def _print_past(out: "Console", past: dict[str, Any]) -> None:
    from api.cli.tables import Column, print_table
    from api.figures import share_and_interval

    shown = [one for one in past["shares"] if one["name"] in SHOWN]
    columns = [
        Column("", [one["label"] for one in shown]),
        Column("here", [share_and_interval(one["forecast"]) for one in shown]),
        Column(f"past threats, {past['reference']}", [share_and_interval(one["class"]) for one in shown]),
        Column("", ["outside" if one["outside"] else "" for one in shown], left=True),
    ]
    print_table(out, columns, title="Threats that end so, beside past ones")
    if any(one["outside"] for one in shown):
        out.print("What lies outside follows from your answers; brink check says which parameters move it.")
