"""Sentences made from the numbers of answers, as a report, a page and a command begin with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.figures import (
    amount,
    decimals,
    negated,
    of_the_trials,
    percent,
    percentage_points,
    share_beside,
    share_of_them,
)
from api.leads import SHOWN_PARTS, lead_parts, leads_text, ordered_leads, share_of_others
from cluster.answers.entry import NET_GAIN
from sim.scenario.parameters import parameter

SHOWN_BELIEFS = 3
SAID_STRATEGIES = 4
"""Strategies of two runs about which there is a sentence each; the tables have them all."""
_SEEN = 0.01
"""Costs below this part of a gain are not mentioned beside it."""
_CHOSEN = 0.005
"""A strategy that would be chosen in a smaller share of the trials changes nothing."""


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


def range_words(document: object) -> str:
    """What is believed of a number, in plain words where its distribution has simple ones."""
    if isinstance(document, dict) and len(document) == 1:
        (kind, own), *_ = document.items()
        if kind == "uniform":
            return f"{own[0]:g} to {own[1]:g}, all equally likely"
        if kind == "loguniform":
            return f"{own[0]:g} to {own[1]:g}, lower ones more likely (log-uniform)"
        if kind in ("triangular", "pert"):
            return f"{own[0]:g} to {own[2]:g}, most likely about {own[1]:g}"
        if kind == "discrete":
            return " or ".join(f"{value:g}" for value in own["values"])
        if kind in ("normal", "lognormal") and {"p05", "p95"} <= own.keys():
            return f"very probably {own['p05']:g} to {own['p95']:g} ({kind})"
        if kind == "quantiles":
            return "; ".join(f"{100 * float(level):g} % below {value:g}" for level, value in own.items())
        if kind == "mixture":
            return f"{len(own['of'])} views: {'; '.join(map(range_words, own['of']))}"
    return distribution_line(document)


def best_by(measure: str, best: Sequence[str], second: str, strategies: int, gap: Mapping[str, Any]) -> str:
    """Which strategy is best on average, and by how much it is better than the next (`gap`, an estimate).

    Several are `best` together if they are equal in every trial. A gap that is the same in all trials may have no
    interval.
    """
    unit, who = unit_of(measure), listed(best)
    many = len(best) > 1
    if gap["estimate"] <= 0.0 or (gap["low"] is not None and gap["low"] <= 0.0):
        return (
            f"By {name_of(measure)}, {f'{who} (equal in every trial)' if many else who} and {second} are too close to "
            f"call with these trials: on average {best[0]} has {amount(gap, unit)} more."
        )
    if strategies == 2:
        return f"By {name_of(measure)}, {who} is better than {second}: on average {amount(gap, unit)} more."
    return (
        f"By {name_of(measure)}, {who} {'are' if many else 'is'} the best of {strategies} strategies"
        f"{', and equal in every trial' if many else ''}: on average {amount(gap, unit)} more than {second}, the next."
    )


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: ``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def choice_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """What a result of `cluster.answers.compare` says about its first measure of choice.

    Which strategy is best and by how much, in what share of the same disputes it does better, and how sure that is.
    Empty where no trial knows the measure under every strategy.
    """
    choice = comparison["choices"][0]
    if not choice["regret"]:
        return []
    measure = choice["measure"]
    best, *others = _ranking(comparison)
    equal = [name for name in others if _are_equal(comparison["pairs"], best, name, measure)]
    worse_ones = [name for name in others if name not in equal]
    if not worse_ones:
        return [f"By {name_of(measure)}, {listed([best, *equal])} are equal in every trial: none of them is better."]
    second = worse_ones[0]
    gap, better, worse = better_by(comparison["pairs"], best, second, measure)
    found = [
        best_by(measure, [best, *equal], second, len(choice["regret"]), gap),
        f"In the same disputes {best} does better than {second} in {of_the_trials(better)}, and worse in "
        f"{share_of_them(worse)}.",
    ]
    if gap["low"] is None or gap["high"] is None:
        found.append("The difference is the same in every trial.")
    elif gap["low"] > 0.0:
        digits = decimals(gap)
        found.append(
            f"The simulation's own chance does not explain that: the difference is {gap['low']:.{digits + 1}f} to "
            f"{gap['high']:.{digits + 1}f}{unit_of(measure)} (95 % interval). Other ranges of the parameters could "
            "change it."
        )
    else:
        found.append("The 95 % interval of the difference contains 0: more trials may show which is better.")
    return found


def _nobody_is_better(comparison: Mapping[str, Any]) -> bool:
    """Whether no two strategies differ in a trial by the first measure of choice."""
    measure = comparison["choices"][0]["measure"]
    pairs = [one["measures"].get(measure) for one in comparison.get("pairs", ())]
    return bool(pairs) and all(one and one["higher"]["estimate"] == one["lower"]["estimate"] == 0.0 for one in pairs)


def _are_equal(pairs: Sequence[Mapping[str, Any]], one: str, other: str, measure: str) -> bool:
    """Whether two strategies have the same of a measure in every trial."""
    _, better, worse = better_by(pairs, one, other, measure)
    return bool(better["estimate"] == worse["estimate"] == 0.0)


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
        f"{of_the_trials(events['agreement'])}, and sanctions are imposed in {share_of_them(events['sanctions'])}."
    )


def alone_sentences(strategy: str | None, summary: Mapping[str, Any], weeks: int) -> list[str]:
    """What a summary says of one strategy that is compared with no other: how it ends, when, and what it brings.

    `summary` is that of the strategy, which is not named if it is the only one of the run (None).
    """
    measures = summary["measures"]
    found = [ending_sentence(strategy, summary["events"], weeks)]
    half, most = (measures["agreement_week"]["quantiles"][level] for level in ("0.5", "0.9"))
    if half is not None and most is not None:
        found.append(f"Half of the agreements come by week {half:.0f}, and nine in ten by week {most:.0f}.")
    gain, cost = (measures[name]["mean"] for name in ("export_gain", "sender_cost"))
    if gain["estimate"]:
        # Costs that are small beside the gain would only distract.
        seen = abs(cost["estimate"] or 0.0) >= _SEEN * abs(gain["estimate"])
        paid = f", and sanctions {_paid('it', cost)}" if seen else ""
        found.append(f"On average the sender exports {amount(gain, ' bn USD')} more{paid}.")
    elif cost["estimate"]:
        found.append(f"On average sanctions {_paid('the sender', cost)}.")
    return found


def _paid(whom: str, cost: Mapping[str, Any]) -> str:
    """What sanctions cost a side or, with tariffs that it collects, bring it."""
    verb, own = ("cost", cost) if cost["estimate"] > 0.0 else ("bring", negated(cost))
    return f"{verb} {whom} {amount(own, ' bn USD')}"


def difference_sentences(document: Mapping[str, Any], choice: str | None = None) -> list[str]:
    """What a document of `cluster.answers.diff` says: what changed under each strategy, and which is best in each run.

    `choice` is the measure of choice of both runs; None if they have different ones.
    """
    strategies = document["strategies"]
    found = [change_sentence(one, choice) for one in strategies[:SAID_STRATEGIES]]
    said = [sentence for sentence in found if sentence]
    unsaid = len(strategies) - SAID_STRATEGIES
    if unsaid > 0:
        said.append(f"The tables have {unsaid} more strateg{'y' if unsaid == 1 else 'ies'}.")
    if choice and len(strategies) > 1 and all(choice in one["measures"] for one in strategies):
        best = [_highest(strategies, choice, side) for side in ("first", "second")]
        if None not in best:
            same = f"{best[0]} has the highest mean in both runs"
            other = f"{best[0]} has the highest mean in A, and {best[1]} in B"
            said.append(f"By {name_of(choice)}, {same if best[0] == best[1] else other}.")
    return said


def _highest(strategies: Sequence[Mapping[str, Any]], measure: str, side: str) -> str | None:
    """The strategy with the highest mean in one of two runs, None if a mean is not known."""
    means = {one[side]: one["measures"][measure][side]["estimate"] for one in strategies}
    return None if None in means.values() else max(means, key=lambda name: means[name])


def change_sentence(difference: Mapping[str, Any], choice: str | None = None) -> str:
    """How a strategy's chance of an agreement and of sanctions, and a measure, differ in the second of two runs.

    Empty if none of them differs.
    """
    first, second = difference["first"], difference["second"]
    name = first if first == second else f"{first} of A and {second} of B"
    events = difference["events"]
    parts = [
        f"{what} in {share_beside(events[key], 'second')} of the trials of B instead of "
        f"{share_beside(events[key], 'first')} of A "
        f"({percentage_points(events[key]['change'])}{_doubt(events[key]['change'])})"
        for what, key in (("an agreement comes", "agreement"), ("sanctions are imposed", "sanctions"))
        if not is_same(events[key])
    ]
    own = difference["measures"].get(choice)
    if choice and own and not is_same(own):
        change = amount(own["change"], unit_of(choice))
        parts.append(f"{name_of(choice)} changes by {change}{_doubt(own['change'])}")
    return f"Under {name}, {'; '.join(parts)}." if parts else ""


def is_same(one: Mapping[str, Any]) -> bool:
    """Whether an answer of two runs does not differ: in no trial of a pair, or in no digit; or is not known."""
    if one["change"]["estimate"] is None:
        return True
    if one["equal"] is not None:
        return bool(one["equal"]["estimate"] == 1.0)
    return bool(one["first"]["estimate"] == one["second"]["estimate"])


def _doubt(change: Mapping[str, Any]) -> str:
    """Whether the change may be 0 by its interval; nothing is said of a change that has none."""
    if change["low"] is None or change["high"] is None:
        return ""
    return "" if change["low"] > 0.0 or change["high"] < 0.0 else ", too close to call"


def dependence_sentence(comparison: Mapping[str, Any]) -> str:
    """Over the ranges of how many parameters another strategy becomes the best.

    Empty if no parameter is uncertain, or all strategies are equal in every trial. It ends with a colon if
    `belief_sentences` has what follows.
    """
    leads, changing = comparison["choices"][0]["leads"], _changing(comparison)
    if not leads or _nobody_is_better(comparison):
        return ""
    if not changing:
        return f"No range of a single parameter makes another strategy than {best_of(comparison)} clearly the best."
    shown = min(len(changing), SHOWN_BELIEFS)
    which = f", here of the {shown} on which it depends most" if shown < len(changing) else ""
    return f"Another strategy is the best in a part of the range of {len(changing)} of {len(leads)} parameters{which}:"


def belief_sentences(comparison: Mapping[str, Any]) -> list[str]:
    """The parameters over whose range the best strategy changes, a sentence each, at most `SHOWN_BELIEFS`."""
    return [
        f"{describe(one['name'])}: {leads_text(lead_parts(one), best_of(comparison), SHOWN_PARTS)} ({one['unit']})."
        for one in _changing(comparison)[:SHOWN_BELIEFS]
    ]


def _changing(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parameters in a part of whose range another strategy than the best on average leads."""
    if not comparison["choices"][0]["leads"]:
        return []
    best = best_of(comparison)
    ordered = ordered_leads(comparison["choices"][0]["leads"], best)
    return [one for one in ordered if share_of_others(one, best) > 0.0]


def worth_learning(result: Mapping[str, Any], kind: str = "parameters") -> list[dict[str, Any]]:
    """Of a result of `cluster.answers.worth` the parameters, or groups, whose value is seen, the greatest first.

    The value's interval is above 0, and the choice would really change.
    """
    best = result["now"]["best"]
    seen = [
        one
        for one in result[kind]
        if (one["value"]["low"] or 0.0) > 0.0
        and any(part >= _CHOSEN for name, part in one["chosen"].items() if name != best)
    ]
    return sorted(seen, key=lambda one: -one["value"]["estimate"])


def learning_sentence(result: Mapping[str, Any]) -> str:
    """Which parameter it would be worth most to learn, by a result of `cluster.answers.worth`."""
    seen = worth_learning(result)
    if not seen:
        return "For no single parameter do these trials show that it would be worth learning before the choice."
    value = amount(seen[0]["value"], unit_of(result["measure"]))
    others = ", more than any other single parameter" if len(result["parameters"]) > 1 else ""
    return f"Learning {describe(seen[0]['name'])} before the choice would be worth {value} on average{others}."


def evidence_sentences(evidence: Mapping[str, Any]) -> list[str]:
    """What beliefs did to the trials of an answer, a sentence for each belief and one for the trials that are left."""
    if not evidence:
        return []
    first = next(iter(evidence.values()))
    # A belief about another strategy than the one that answers names it.
    many = {one["strategy"] for one in first["beliefs"]} != evidence.keys() or len(evidence) > 1
    found = []
    for k, one in enumerate(first["beliefs"]):
        played = ", ".join(
            dict.fromkeys(f"{percent(100 * own['beliefs'][k]['played'], 1)} %" for own in evidence.values())
        )
        under = f" under {one['strategy']}" if many else ""
        wanted = f" (between {100 * one['low']:g} and {100 * one['high']:g} %)" if one["low"] < one["high"] else ""
        if one["strength"] is not None:
            wanted = f" ({100 * one['low']:g} % with the strength of {one['strength']:g} observations)"
        reached = f"{percent(100 * one['weighted'], 1)} % of worlds{wanted}"
        found.append(f"Believed: {one['condition']}{under} in {reached} instead of {played} as played.")
    left = {name: f"{own['effective_trials']:,.0f}" for name, own in evidence.items()}
    same = len(set(left.values())) == 1
    text = next(iter(left.values())) if same else ", ".join(f"{count} of {name}" for name, count in left.items())
    return [*found, f"The trials are weighted by {first['rule']}: an effective number of {text}."]


def better_by(
    pairs: Sequence[Mapping[str, Any]], best: str, second: str, measure: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """How much more one strategy has than another of a measure, and in what shares of the trials more and less.

    `pairs` are those of a result of `cluster.answers.compare`.
    """
    for one in pairs:
        found = one["measures"].get(measure)
        if (one["first"], one["second"]) == (best, second):
            return found["difference"], found["higher"], found["lower"]
        if (one["first"], one["second"]) == (second, best):
            return negated(found["difference"]), found["lower"], found["higher"]
    raise ValueError(f"{best} and {second} are not compared")
