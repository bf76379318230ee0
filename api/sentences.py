"""Sentences made from the numbers of answers, as a report, a page and a command begin with them."""

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from cluster.answers.entry import NET_GAIN
from sim.scenario.parameters import parameter

SHOWN_BELIEFS = 3


def share(estimate: Mapping[str, Any]) -> str:
    """A probability in per cent, with as many digits as its interval supports."""
    value, half = 100.0 * estimate["estimate"], 50.0 * (estimate["high"] - estimate["low"])
    if estimate["estimate"] == 0.0:
        return f"under {_short(100.0 * estimate['high'])} %"
    return f"{value:.{1 if half < 0.5 else 0}f} %"


def _short(value: float) -> str:
    """A positive number with its first digit."""
    return f"{value:.{max(0, -floor(log10(value)))}f}" if value > 0.0 else "0"


def amount(estimate: Mapping[str, Any], unit: str = "") -> str:
    """A number with as many digits as its interval supports, and half the interval."""
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['estimate']:.3g}{unit}"
    half, digits = (estimate["high"] - estimate["low"]) / 2.0, _digits(estimate)
    return f"{estimate['estimate']:.{digits}f}{unit} ±{half:.{digits}f}"


def _digits(estimate: Mapping[str, Any]) -> int:
    """The decimals that an estimate's interval supports."""
    half = (estimate["high"] - estimate["low"]) / 2.0
    return min(max(0, -floor(log10(half))), 6) if half > 0.0 else 2


def unit_of(measure: str) -> str:
    """The unit of the usual measure; a measure of the user's own has none that is known."""
    return " bn USD" if measure == NET_GAIN else ""


def name_of(measure: str) -> str:
    """The usual measure in words, another one as it was written."""
    return "the sender's net gain (export gain less its own cost of sanctions)" if measure == NET_GAIN else measure


def describe(name: str) -> str:
    """A parameter by its meaning and name."""
    return f"“{parameter(name).meaning}” ({name})"


def distribution_line(document: object) -> str:
    """A distribution's document in a line, such as ``uniform 1 to 8``."""
    if isinstance(document, dict) and len(document) == 1:
        (kind, numbers), *_ = document.items()
        if isinstance(numbers, list) and all(isinstance(number, int | float) for number in numbers):
            return f"{kind.replace('_', ' ')} {', '.join(f'{number:g}' for number in numbers)}"
        if isinstance(numbers, dict) and all(isinstance(number, int | float) for number in numbers.values()):
            inside = ", ".join(f"{key} {number:g}" for key, number in numbers.items())
            return f"{kind.replace('_', ' ')} {inside}"
        return str(kind).replace("_", " ")
    return f"{document:g}" if isinstance(document, int | float) else str(document)


def best_by(measure: str, best: str, second: str, strategies: int, gap: Mapping[str, Any]) -> str:
    """Which strategy is best on average, and by how much it is better than the next (`gap`, an estimate)."""
    unit = unit_of(measure)
    if gap["low"] is None or gap["low"] <= 0.0:
        return (
            f"By {name_of(measure)}, {best} and {second} are too close to call with these trials: on average "
            f"{best} has {amount(gap, unit)} more."
        )
    return (
        f"By {name_of(measure)}, {best} is the best of {strategies} strategies: on average {amount(gap, unit)} more "
        f"than {second}, the next."
    )


def choice_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """What a result of `cluster.answers.compare` says about its first measure of choice.

    Which strategy is best and by how much, in what share of the same disputes it does better, and how sure that is.
    Empty where no trial knows the measure under every strategy.
    """
    choice = comparison["choices"][0]
    if not choice["regret"]:
        return []
    measure = choice["measure"]
    best, second, *_ = _ranking(comparison)
    gap, better, worse = _better(comparison["pairs"], best, second, measure)
    found = [
        best_by(measure, best, second, len(choice["regret"]), gap),
        f"In the same disputes {best} does better than {second} in {share(better)} of the trials, and worse in "
        f"{share(worse)}.",
    ]
    if gap["low"] is not None and gap["low"] > 0.0:
        digits = _digits(gap)
        found.append(
            f"The simulation's own chance does not explain that: the difference is {gap['low']:.{digits + 1}f} to "
            f"{gap['high']:.{digits + 1}f}{unit_of(measure)} (95 % interval). Other ranges may change it."
        )
    else:
        found.append("The 95 % interval of the difference contains 0: more trials may show which is better.")
    return found


def best_of(comparison: Mapping[str, Any]) -> str:
    """The strategy with the highest mean of the first measure of choice of a result of `cluster.answers.compare`."""
    return _ranking(comparison)[0]


def _ranking(comparison: Mapping[str, Any]) -> list[str]:
    """The strategies, the best on average first: mean regrets differ as the means do, with the opposite sign."""
    regret = comparison["choices"][0]["regret"]
    return sorted(regret, key=lambda name: regret[name]["mean"]["estimate"])


def ending_sentence(strategy: str | None, events: Mapping[str, Any], weeks: int) -> str:
    """How often there is an agreement and how often sanctions, under a strategy unless it is the only one (None)."""
    return (
        f"{f'Under {strategy}, a' if strategy else 'A'}n agreement within {weeks} weeks comes in "
        f"{share(events['agreement'])} of the trials, and sanctions are imposed in {share(events['sanctions'])}."
    )


def change_sentence(difference: Mapping[str, Any]) -> str:
    """How much likelier an agreement and sanctions are in the second of two runs, under a strategy that both have."""
    first, second = difference["first"], difference["second"]
    name = first if first == second else f"{first} of A and {second} of B"
    events = difference["events"]
    parts = [
        f"{what} in {share(events[key]['second'])} of the trials of B instead of {share(events[key]['first'])} "
        f"({_points(events[key]['change'])})"
        for what, key in (("an agreement comes", "agreement"), ("sanctions are imposed", "sanctions"))
        if events[key]["equal"] is None or events[key]["equal"]["estimate"] < 1.0
    ]
    return f"Under {name}, {', and '.join(parts)}." if parts else ""


def _points(change: Mapping[str, Any]) -> str:
    half = 50.0 * (change["high"] - change["low"])
    digits = 1 if half >= 0.05 else 2
    unclear = "" if change["low"] > 0.0 or change["high"] < 0.0 else ", too close to call"
    return f"{100.0 * change['estimate']:+.{digits}f} points ±{half:.{digits}f}{unclear}"


def belief_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """The parameters over whose range the leading strategy changes, a sentence each, a few at most."""
    return [
        f"{describe(one['name'])}: {'; '.join(map(_lead, one['ranges']))} ({one['unit']})."
        for one in comparison["choices"][0]["leads"]
        if one["changes_hands"]
    ][:SHOWN_BELIEFS]


def evidence_sentences(evidence: Mapping[str, Any]) -> list[str]:
    """What beliefs did to the trials of an answer, a sentence for each belief and one for the trials that are left."""
    first = next(iter(evidence.values()))
    # A belief about another strategy than the one that answers names it.
    many = {one["strategy"] for one in first["beliefs"]} != evidence.keys() or len(evidence) > 1
    found = []
    for k, one in enumerate(first["beliefs"]):
        played = ", ".join(dict.fromkeys(f"{100 * own['beliefs'][k]['played']:.1f} %" for own in evidence.values()))
        under = f" under {one['strategy']}" if many else ""
        wanted = f" (between {100 * one['low']:g} and {100 * one['high']:g} %)" if one["low"] < one["high"] else ""
        if one["strength"] is not None:
            wanted = f" ({100 * one['low']:g} % with the strength of {one['strength']:g} observations)"
        reached = f"{100 * one['weighted']:.1f} % of worlds{wanted}"
        found.append(f"Believed: {one['condition']}{under} in {reached} instead of {played} as played.")
    if first.get("kept") is None:
        left = {name: f"{own['effective_trials']:,.0f}" for name, own in evidence.items()}
        whole = "The trials are weighted by {rule}: an effective number of {left}."
    else:
        left = {name: f"{own['kept']:,}" for name, own in evidence.items()}
        whole = "A part of the trials is kept, in proportion to weights by {rule}: about {left}."
    same = len(set(left.values())) == 1
    text = next(iter(left.values())) if same else ", ".join(f"{count} of {name}" for name, count in left.items())
    return [*found, whole.format(rule=first["rule"], left=text)]


def _lead(part: Mapping[str, Any]) -> str:
    return f"{part['leads'] or ' or '.join(part['ahead'])} from {part['low']:.3g} to {part['high']:.3g}"


def _better(
    pairs: Sequence[Mapping[str, Any]], best: str, second: str, measure: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """How much more one strategy has than another of a measure, and in what shares of the trials more and less."""
    for one in pairs:
        found = one["measures"].get(measure)
        if (one["first"], one["second"]) == (best, second):
            return found["difference"], found["higher"], found["lower"]
        if (one["first"], one["second"]) == (second, best):
            gap = found["difference"]
            turned = {"estimate": -gap["estimate"], "low": None, "high": None}
            if gap["low"] is not None:
                turned |= {"low": -gap["high"], "high": -gap["low"]}
            return turned, found["lower"], found["higher"]
    raise ValueError(f"{best} and {second} are not compared")
