"""The page ``docs/multiverse.md``: how far defensible alternatives move the forecasts of the shipped scenarios.

Run as ``python -m docs.multiverse``. About a minute; the same numbers every time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.shipped_scenarios import shipped_names, shipped_scenario
from cluster.answers.entry import quiet
from cluster.answers.fit import fit
from cluster.answers.outside_view import ENDED, THREAT
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import columns
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import parse_condition
from sim.scenario.scenario import Scenario, intervene, scenario_document, scenario_from_document

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


def endings(scenario: Scenario, strategy: str) -> dict[str, float]:
    """The shares of the trials with a threat that end in each way, and how many trials have one."""
    table = simulate(scenario, strategy, Chance(SEED, 0, TRIALS))
    known = {column.name: column for column in columns(scenario)}
    counts = {
        name: int(evaluate(parse_condition(text, scenario), table, known).sum())
        for name, text in {THREAT: THREAT, **ENDED}.items()
    }
    return {name: counts[name] / max(counts[THREAT], 1) for name in ENDED} | {THREAT: counts[THREAT]}


def forecasts(scenario: Scenario) -> dict[str, str]:
    """The forecast under each alternative, and with fitted parameters, as ``settled/imposed/dropped`` in percent."""
    strategy = scenario.history.strategy if scenario.history else next(iter(scenario.strategies))
    document = scenario_document(scenario)
    found = {
        name: shown(endings(scenario_from_document(change(document)), strategy))
        for name, change in ALTERNATIVES.items()
    }
    fitted = fit(scenario, strategy, None, TRIALS, SEED, quiet)
    moved = intervene(scenario, {name: one["after"] for name, one in fitted["parameters"].items()})
    found["fitted to its class"] = shown(endings(moved, strategy))
    found["the class"] = "/".join(f"{100 * one['target']['estimate']:.0f}" for one in fitted["endings"].values())
    return found


def shown(shares: dict[str, float]) -> str:
    """The shares of `ENDED` in percent."""
    return "/".join(f"{100 * shares[name]:.0f}" for name in ENDED)


def page() -> str:
    """The page, as Markdown."""
    scenarios = [one for one in map(shipped_scenario, shipped_names()) if one.history is not None]
    played = sorted(
        (one for one in scenarios if endings(one, one.history.strategy)[THREAT]),  # type: ignore[union-attr]
        key=lambda one: one.as_of or "",
    )
    found = {one.name: forecasts(one) for one in played}
    names = list(found)
    rows = list(found[names[0]])
    lines = [
        "# What judgement decides: the forecast under alternatives",
        "",
        "Made by `python -m docs.multiverse`. Each row changes one thing in a shipped scenario that another analyst "
        "could have decided otherwise. Cells are the percentages of threats that end **settled/imposed/dropped** "
        f"({TRIALS:,} trials, seed {SEED}, the same chance in every row; the Monte Carlo error is half a point). The "
        "scenario of 2025 begins with sanctions in force and has no threats.",
        "",
        f"| | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
        *(f"| {row} | {' | '.join(found[name][row] for name in names)} |" for row in rows),
        "",
        "- *The weightiest issue alone*, *each issue in two*: the same demands counted as fewer or more issues, with "
        "the same gaps and chances of concessions.",
        "- *Stakes*: `target_stake` and `sender_stake`, by which costs press; nobody has measured them.",
        "- *Fitted to its class*: `brink fit` moves readiness, `follow_through`, `extension_probability` and "
        "`lapse_probability` as little as possible, so that the last row is reached (see "
        "[base-rates.md](base-rates.md)).",
        "",
        _spread(found),
    ]
    return "\n".join(lines) + "\n"


def _spread(found: dict[str, dict[str, str]]) -> str:
    spans = []
    for name, rows in found.items():
        settled = [int(rows[row].split("/")[0]) for row in ALTERNATIVES]
        spans.append(f"{name} {min(settled)} to {max(settled)} %")
    return f"Settled, over the alternatives without the fit: {'; '.join(spans)}."


if __name__ == "__main__":
    (HERE / "multiverse.md").write_text(page(), encoding="utf-8")
