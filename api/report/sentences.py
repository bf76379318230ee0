"""Sentences made from the numbers of answers: what comes out, how sure it is, and what it depends on."""

from math import floor, log10
from typing import Any

from api.report.contents import MEASURE, Answers
from sim.scenario.parameters import parameter

SHOWN_LEADS = 3


def share(estimate: dict[str, Any]) -> str:
    """A probability in per cent, with as many digits as its interval supports."""
    value, half = 100.0 * estimate["estimate"], 50.0 * (estimate["high"] - estimate["low"])
    if estimate["estimate"] == 0.0:
        return f"under {_short(100.0 * estimate['high'])} %"
    return f"{value:.{1 if half < 0.5 else 0}f} %"


def _short(value: float) -> str:
    """A positive number with its first digit."""
    return f"{value:.{max(0, -floor(log10(value)))}f}" if value > 0.0 else "0"


def amount(estimate: dict[str, Any], unit: str = "") -> str:
    """A number with as many digits as its interval supports, and half the interval."""
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['estimate']:.3g}{unit}"
    half = (estimate["high"] - estimate["low"]) / 2.0
    digits = min(max(0, -floor(log10(half))), 6) if half > 0.0 else 2
    return f"{estimate['estimate']:.{digits}f}{unit} ±{half:.{digits}f}"


def unit_of(measure: str) -> str:
    """The unit of the usual measure; a measure of the user's own has none that is known."""
    return " bn USD" if measure == MEASURE else ""


def name_of(measure: str) -> str:
    """The usual measure in words, another one as it was written."""
    return "the sender's net gain (export gain less its own cost of sanctions)" if measure == MEASURE else measure


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
    unit = unit_of(answers.measure)
    means = sorted(now["means"].items(), key=lambda one: -one[1]["estimate"])
    second, other = means[1]
    gap = now["others"][second]["short_by"]
    clear = gap["low"] is not None and gap["low"] > 0.0
    if not clear:
        return (
            f"By {name_of(answers.measure)}, {now['best']} and {second} do not differ significantly in these trials: "
            f"{amount(means[0][1], unit)} and {amount(other, unit)}."
        )
    return (
        f"By {name_of(answers.measure)}, {now['best']} is the best of {len(means)} strategies: on average "
        f"{amount(means[0][1], unit)}, ahead of {second} by {amount(gap, unit)}."
    )


def _surety(answers: Answers) -> str:
    assert answers.worth is not None
    now = answers.worth["result"]["now"]
    second = sorted(now["means"].items(), key=lambda one: -one[1]["estimate"])[1][0]
    better = now["others"][second]["better_in"]
    return f"That is an average: in the same dispute, {second} would have done better in {share(better)} of the trials."


def _ending(answers: Answers) -> str:
    events = answers.summary["strategies"][answers.best]["events"]
    under = f"Under {answers.best}, a" if answers.worth is not None else "A"
    return (
        f"{under}n agreement within {answers.run.plan.scenario.horizon_weeks} weeks comes in "
        f"{share(events['agreement'])} of the trials, and sanctions are imposed in {share(events['sanctions'])}."
    )


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


def _clipped(estimate: dict[str, Any]) -> dict[str, Any]:
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


def describe(name: str) -> str:
    """A parameter by its meaning and name."""
    return f"“{parameter(name).meaning}” ({name})"


def changes(answers: Answers) -> list[str]:
    """The parameters over whose range the leading strategy changes, a sentence each."""
    if answers.compare is None:
        return []
    said = []
    for one in answers.compare["result"]["choices"][0]["leads"]:
        if one["changes_hands"]:
            parts = [
                f"{part['leads'] or ' or '.join(part['ahead'])} from {part['low']:.3g} to {part['high']:.3g}"
                for part in one["ranges"]
            ]
            said.append(f"{describe(one['name'])}: {'; '.join(parts)} ({one['unit']}).")
    return said[:SHOWN_LEADS]
