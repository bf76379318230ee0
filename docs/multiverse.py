"""The page ``docs/multiverse.md``: how far defensible alternatives move the forecasts of the shipped scenarios.

Run as ``python -m docs.multiverse``. Half a minute; the same numbers every time.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.cli.setting import set_parameters
from api.shipped_scenarios import shipped_names, shipped_scenario, shipped_text
from cluster.answers.outside_view import PastCases, past_cases
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import columns
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import parse_condition
from sim.scenario.scenario import Scenario, scenario_document, scenario_from_document

HERE = Path(__file__).parent
TRIALS, SEED = 10_000, 1
Document = dict[str, Any]


def _issues(document: Document, issues: Document) -> Document:
    """The document with other issues, without what is said of the issues that are gone."""

    def stays(name: str) -> bool:
        return not name.startswith("issues.") or name.split(".")[1] in issues

    return {
        **document,
        "issues": issues,
        "correlations": [one for one in document["correlations"] if all(map(stays, one["between"]))],
        "strategies": {
            strategy: {name: value for name, value in given.items() if stays(name)}
            for strategy, given in document["strategies"].items()
        },
        "sources": {},
    }


def _one_issue(document: Document) -> Document:
    name, heaviest = max(document["issues"].items(), key=lambda one: one[1]["weight"])
    return _issues(document, {name: {**heaviest, "weight": 1.0}})


def _each_in_two(document: Document) -> Document:
    halves = {
        f"{name}{half}": {**issue, "weight": issue["weight"] / 2}
        for name, issue in document["issues"].items()
        for half in ("", "-2")
    }
    return _issues(document, halves)


def _numerical(numerical: bool) -> Callable[[Document], Document]:
    def change(document: Document) -> Document:
        return {**document, "issues": {k: {**v, "numerical": numerical} for k, v in document["issues"].items()}}

    return change


def _scaled(document: object, factor: float) -> object:
    if isinstance(document, dict):
        return {kind: [_scaled(value, factor) for value in values] for kind, values in document.items()}
    assert isinstance(document, int | float)
    return document * factor


def _stakes(factor: float) -> Callable[[Document], Document]:
    def change(document: Document) -> Document:
        given = document["parameters"]
        stakes = {name: _scaled(given[name], factor) for name in ("target_stake", "sender_stake")}
        return {**document, "parameters": {**given, **stakes}}

    return change


def _set(**values: float) -> Callable[[Document], Document]:
    return lambda document: {**document, "parameters": {**document["parameters"], **values}}


def _horizon(factor: float) -> Callable[[Document], Document]:
    def change(document: Document) -> Document:
        given = {key: value for key, value in document.items() if key != "history"}
        return {**given, "horizon_weeks": round(document["horizon_weeks"] * factor)}

    return change


ALTERNATIVES: dict[str, Callable[[Document], Document]] = {
    "as shipped": lambda document: document,
    "the weightiest issue alone": _one_issue,
    "each issue in two": _each_in_two,
    "every issue numerical": _numerical(True),
    "no issue numerical": _numerical(False),
    "stakes × 1/3": _stakes(1 / 3),
    "stakes × 3": _stakes(3.0),
    "half the package is enough": _set(package_threshold=0.5),
    "the whole package is needed": _set(package_threshold=1.0),
    "half the horizon": _horizon(0.5),
    "one and a half times the horizon": _horizon(1.5),
    "no pressure of costs": _set(target_pressure=0.0, sender_pressure=0.0),
}


def fit_command(name: str) -> list[str]:
    """The command in the first lines of a scenario's file that finds its fitted values, after ``brink``."""
    head = shipped_text(name).partition("\nschema:")[0]
    found = re.search(r"^#   brink (fit (?:.*\\\n#     )+.*)$", head, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1].replace("\\\n#", ""))


def unfitted(name: str) -> Scenario:
    """A scenario with the values from which its fit starts."""
    return set_parameters(shipped_scenario(name), [text for text in fit_command(name) if "=" in text])


def endings(scenario: Scenario, strategy: str, past: PastCases) -> str:
    """The shares in percent of the trials that end as each of the past cases' endings."""
    table = simulate(scenario, strategy, Chance(SEED, 0, TRIALS))
    known = {column.name: column for column in columns(scenario)}

    def count(text: str) -> int:
        return int(evaluate(parse_condition(text, scenario), table, known).sum())

    of = count(past.given)
    return "/".join(f"{100 * count(f'({one.given}) and ({one.condition})') / of:.0f}" for one in past.endings)


def forecasts(scenario: Scenario) -> dict[str, str]:
    """The forecast under each alternative, before the fit, and the past cases, as shares in percent."""
    strategy = scenario.history.strategy if scenario.history else next(iter(scenario.strategies))
    document = scenario_document(scenario)
    past = past_cases(scenario, strategy)
    played = {name: scenario_from_document(change(document)) for name, change in ALTERNATIVES.items()}
    played["before the fit"] = unfitted(scenario.name)
    found = {name: endings(one, strategy, past) for name, one in played.items()}
    found["past cases"] = "/".join(f"{100 * float(one.share['estimate'] or 0.0):.0f}" for one in past.endings)
    return found


def page() -> str:
    """The page, as Markdown."""
    scenarios = [one for one in map(shipped_scenario, shipped_names()) if one.history is not None]
    found = {one.name: forecasts(one) for one in sorted(scenarios, key=lambda one: one.as_of or "")}
    names = list(found)
    rows = list(found[names[0]])
    lines = [
        "# What judgement decides: the forecast under alternatives",
        "",
        "Made by `python -m docs.multiverse`. Each row changes one thing in a shipped scenario that another analyst "
        "could have decided otherwise. Cells are the percentages of threats that end **settled/imposed/dropped**; "
        "of 2025, when sanctions were in force from the start, of those that after two years (or at half the horizon) "
        f"have **ended in an agreement, been withdrawn, or stand** ({TRIALS:,} trials, seed {SEED}, the same chance in "
        "every row; the Monte Carlo error is half a point).",
        "",
        f"| | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
        *(f"| {row} | {' | '.join(found[name][row] for name in names)} |" for row in rows),
        "",
        "- *The weightiest issue alone*, *each issue in two*: the same demands counted as fewer or more issues, with "
        "the same gaps and chances of concessions.",
        "- *Stakes*: `target_stake` and `sender_stake`, by which costs press; nobody has measured them.",
        "- *Before the fit*: with the values from which `brink fit` starts, those of the rule from the record, and "
        "readiness 1; *past cases*: those of the class, or past sanctions, to which the fit brings the forecast (see "
        "[base-rates.md](base-rates.md)). The other rows keep the fitted values: fitted anew, each would have the "
        "shares of the last row.",
        "",
        _spread(found),
    ]
    return "\n".join(lines) + "\n"


def _spread(found: dict[str, dict[str, str]]) -> str:
    spans = []
    for name, rows in found.items():
        settled = [int(rows[row].split("/")[0]) for row in ALTERNATIVES]
        spans.append(f"{name} {min(settled)} to {max(settled)} %")
    return f"Settled or agreed, over the alternatives: {'; '.join(spans)}."


if __name__ == "__main__":
    (HERE / "multiverse.md").write_text(page(), encoding="utf-8")
