"""Sentences of a report: what comes out, how sure it is, and what it depends on."""

from collections.abc import Mapping
from typing import Any

from api.report.contents import Answers
from api.sentences import amount, belief_sentences, best_by, describe, ending_sentence, share, unit_of


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
    """The answer in at most five sentences: the choice, its certainty, the ending, the driver, what could change it."""
    said = []
    if answers.worth is not None:
        said += [_choice(answers), _surety(answers)]
    said.append(_ending(answers))
    driver = _driver(answers)
    if driver:
        said.append(driver)
    if answers.worth is not None:
        said.append(_learning(answers))
    return said


def _choice(answers: Answers) -> str:
    assert answers.worth is not None
    now = answers.worth["result"]["now"]
    second = _second(now)
    chosen = best_by(answers.measure, now["best"], second, len(now["means"]), now["others"][second]["short_by"])
    return f"{chosen} It has {amount(now['means'][now['best']], unit_of(answers.measure))}."


def _second(now: Mapping[str, Any]) -> str:
    """The strategy with the second best mean."""
    others: Mapping[str, Any] = now["others"]
    return min(others, key=lambda name: others[name]["short_by"]["estimate"])


def _surety(answers: Answers) -> str:
    assert answers.worth is not None
    now = answers.worth["result"]["now"]
    second = _second(now)
    better = now["others"][second]["better_in"]
    return f"That is an average: in the same dispute, {second} would have done better in {share(better)} of the trials."


def _ending(answers: Answers) -> str:
    events = answers.summary["strategies"][answers.best]["events"]
    weeks = answers.run.plan.scenario.horizon_weeks
    return ending_sentence(answers.best if len(answers.run.plan.strategies) > 1 else None, events, weeks)


def _driver(answers: Answers) -> str | None:
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


def _learning(answers: Answers) -> str:
    assert answers.worth is not None
    result = answers.worth["result"]
    useful = [one for one in result["parameters"] if one["value"]["low"] is not None and one["value"]["low"] > 0.0]
    unit = unit_of(answers.measure)
    if not useful:
        return "No single parameter, if it were known, would change the choice enough to be seen with these trials."
    top = max(useful, key=lambda one: one["value"]["estimate"])
    return (
        f"Knowing {describe(top['name'])} before choosing would be worth {amount(top['value'], unit)} on average; "
        f"it is the belief that could change the choice most."
    )


def changes(answers: Answers) -> list[str]:
    """The parameters over whose range the leading strategy changes, a sentence each."""
    return [] if answers.compare is None else belief_sentences(answers.compare["result"])
