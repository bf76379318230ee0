"""Sentences of a report: what comes out, how sure it is, and what it depends on."""

from collections.abc import Mapping
from typing import Any

from api.figures import share
from api.report.contents import Answers
from api.sentences import alone_sentences, choice_sentences, dependence_sentence, describe, ending_sentence


def question(answers: Answers) -> str:
    """What the report is about, in two sentences."""
    scenario = answers.run.plan.scenario
    issues = ", ".join(issue.title for issue in scenario.issues)
    when = f" From {scenario.as_of}, t" if scenario.as_of else " T"
    return (
        f"{scenario.sender} makes demands of {scenario.target} on {len(scenario.issues)} "
        f"issue{'s' * (len(scenario.issues) != 1)}: {issues}.{when}he dispute is followed for "
        f"{scenario.horizon_weeks} weeks."
    )


def findings(answers: Answers) -> list[str]:
    """The answer in at most five sentences: the choice, how sure it is, how the dispute ends, what could change it."""
    own, weeks = answers.summary["strategies"][answers.best], answers.run.plan.scenario.horizon_weeks
    named = answers.best if len(answers.run.plan.strategies) > 1 else None
    if answers.compare is None:
        return alone_sentences(named, own, weeks)
    said = [*choice_sentences(answers.compare["result"]), ending_sentence(named, own["events"], weeks)]
    # What follows its colon stands further below.
    dependence = dependence_sentence(answers.compare["result"])
    said.append(f"{dependence[:-1]}, listed below." if dependence.endswith(":") else dependence)
    return [sentence for sentence in said if sentence]


def driver(answers: Answers) -> str | None:
    """Which parameter drives the measure most, and how much is chance; None if no index is known."""
    result = answers.drivers["result"]
    known = [one for one in result["parameters"] if one["first_order"] and one["first_order"]["high"] is not None]
    if not known:
        return None
    top = max(known, key=lambda one: one["first_order"]["estimate"])
    chance = (result["variance"] or {}).get("chance") or {}
    part = "" if chance.get("high") is None else f" Chance alone makes {share(_clipped(chance))} of the spread."
    return (
        f"Among what is not known, {describe(top['name'])} drives the result most: it explains "
        f"{share(_clipped(top['first_order']))} of the variance by itself.{part}"
    )


def _clipped(estimate: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if value is None else min(max(value, 0.0), 1.0) for key, value in estimate.items()}
