"""The ranges of ``configs/starting_ranges.yaml``, with which `brink new` begins: fitted to how past threats ended.

Run as ``python -m docs.starting_ranges``, or with the names of some classes, whose entries alone are made anew. Ten
minutes for all; the same numbers every time. For each class the scenario of the default answers is fitted as `brink
fit` does it; then the readiness is sought, with the other ranges kept, at which as many threats are settled with other
numbers of issues, and where the sanctions cost nothing.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import yaml

from api.starter import QUESTIONS, Demand, read_answers, reference_class_of, scenario_text
from api.starting_ranges import FITTED, StartingRanges
from cluster.answers.entry import quiet
from cluster.answers.fit import fit
from cluster.answers.outside_view import ENDED, THREAT
from cluster.reference.rates import class_rates
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import columns
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import parse_condition
from sim.scenario.scenario import Scenario, read_scenario

FILE = Path(__file__).parent.parent / "configs" / "starting_ranges.yaml"
TRIALS, SEED = 8000, 1
ISSUES = (1, 2, 4, 8, 16)
UNFITTED = StartingRanges(
    "",
    {1: 1.0},
    {1: 1.0},
    {"weekly": 1.0, "fortnightly": 1.0, "monthly": 1.0},
    {
        "deadline_multiplier": {"pert": [2, 6, 18]},
        "follow_through": {"pert": [0.5, 0.7, 0.9]},
        "extension_probability": {"pert": [0.45, 0.75, 1]},
        "sanction_fatigue": {"loguniform": [0.004, 0.04]},
        "target_pressure": {"uniform": [0, 3]},
        "sender_pressure": {"uniform": [0, 2]},
    },
)
HEAD = """\
# The ranges with which `brink new` begins, by class of past threats (see base_rates.yaml). Made by
# `python -m docs.starting_ranges`, from all that is known of past threats today; `brink fit` fits a scenario to what
# was known on its first day.
#
# readiness: that of both sides by the number of issues, for weekly meetings and a deadline after six weeks; with fewer
# meetings and other deadlines it is multiplied by the ratio of the chances that the meetings give to concessions.
# readiness_without_costs: where sanctions cost the target nothing, so that no costs press. meetings: a factor of
# readiness beyond that ratio, since a side moves once a meeting at most.

"""


def asked(reference: str, **given: str) -> dict[str, Any]:
    """Answers to the questions of `brink new` with a threat in week 1 that lead to a class."""
    choices = {question.name: question.choices for question in QUESTIONS}
    for word in reference.split("-"):
        given |= {name: word for name in ("demand", "commitment") if word in choices[name]}
    answers = read_answers("start", {"threat": "announced", "as_of": "2025-01-06", **given})
    assert reference_class_of(answers) == reference
    return answers


def scenario_of(answers: Mapping[str, Any], issues: int, begin: StartingRanges) -> Scenario:
    """The scenario of some answers with so many issues of equal weight."""
    demands = [Demand(f"issue-{k}", f"Issue {k}", 1.0 / issues) for k in range(issues)]
    return read_scenario(scenario_text("start", demands, answers, fitted=begin), "start.yaml")


def settled(scenario: Scenario, trials: int, seed: int = SEED) -> float:
    """The share of threats that are settled."""
    table = simulate(scenario, "threaten", Chance(seed, 0, trials))
    known = {column.name: column for column in columns(scenario)}

    def count(text: str) -> int:
        return int(evaluate(parse_condition(text, scenario), table, known).sum())

    return count(ENDED["settled"]) / count(THREAT)


def _readiness(answers: Mapping[str, Any], issues: int, begin: StartingRanges, share: float, guess: float) -> float:
    """The fitted readiness with which a share of the threats is settled, by bisection on its logarithm."""
    trials = max(4000, TRIALS // issues)
    low, high = -1.5, 1.5
    for _ in range(8):
        middle = (low + high) / 2
        value = {issues: guess * exp(middle)}
        tried = replace(begin, readiness=value, readiness_without_costs=value)
        if settled(scenario_of(answers, issues, tried), trials) < share:
            low = middle
        else:
            high = middle
    return float(f"{guess * exp((low + high) / 2):.4g}")


def fitted_ranges(reference: str) -> dict[str, Any]:
    """The entry of a class: its fitted readiness by the number of issues, and its fitted ranges."""
    answers = asked(reference)
    begin = replace(UNFITTED, reference=reference)
    found = fit(scenario_of(answers, 1, begin), "threaten", reference, TRIALS, SEED, quiet)
    after = {name: one["after"] for name, one in found["parameters"].items()}
    ready = float(after.get("sender_readiness", 1.0))
    fitted = replace(begin, ranges={name: after.get(name, begin.ranges[name]) for name in FITTED})
    share = float(class_rates(reference)["pooled"]["settled"]["estimate"])
    with_costs, without = {1: ready}, {}
    for issues in ISSUES[1:]:
        with_costs[issues] = _readiness(answers, issues, fitted, share, 1.4 * list(with_costs.values())[-1])
    free = asked(reference, trade="0")
    for issues in ISSUES:
        without[issues] = _readiness(free, issues, fitted, share, 1.3 * with_costs[issues])
    meetings = {"weekly": 1.0}
    for talks in ("fortnightly", "monthly"):
        seldom = asked(reference, talks=talks)
        meetings[talks] = float(f"{_readiness(seldom, 2, fitted, share, with_costs[2]) / with_costs[2]:.3g}")
    return {
        "readiness": with_costs,
        "readiness_without_costs": without,
        "meetings": meetings,
        **fitted.ranges,
    }


def _classes() -> list[str]:
    """The classes to which answers can lead."""
    demands, commitments = (
        [choice for choice in question.choices if choice != "unknown"]
        for name in ("demand", "commitment")
        for question in QUESTIONS
        if question.name == name
    )
    return ["all", *demands, *commitments, *(f"{demand}-{level}" for demand in demands for level in commitments)]


def main(names: list[str]) -> None:
    """Write the file, or the entries of some classes in it."""
    kept = yaml.safe_load(FILE.read_text(encoding="utf-8"))["classes"] if names else {}
    for name in names or _classes():
        kept[name] = fitted_ranges(name)
        print(name, kept[name]["readiness"], flush=True)
    source = "python -m docs.starting_ranges, from TIES v4.1"
    classes = {name: kept[name] for name in _classes() if name in kept}
    text = yaml.safe_dump({"source": source, "classes": classes}, sort_keys=False, default_flow_style=None, width=118)
    FILE.write_text(HEAD + text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
