"""Sentences made from the numbers of answers: about which strategy leads, what to learn, and two runs."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.leads import TOO_CLOSE, lead_parts, lead_text, leads_text, ordered_leads
from api.sentences import (
    SHOWN_BELIEFS,
    alone_sentences,
    belief_sentences,
    choice_sentences,
    dependence_sentence,
    difference_sentences,
    learning_sentence,
)

PARAMETERS = ("target_win", "tariff_rate", "full_access", "patience", "restraint")


def estimate(value: float | None, half: float = 0.1) -> dict[str, Any]:
    if value is None:
        return dict.fromkeys(("estimate", "standard_error", "low", "high"))
    return {"estimate": value, "standard_error": half / 2, "low": value - half, "high": value + half}


def leads(name: str, *ahead: tuple[str, ...]) -> dict[str, Any]:
    """A parameter whose range from 0 to 1 has parts of equal length."""
    ranges = [
        {
            "low": k / len(ahead),
            "high": (k + 1) / len(ahead),
            "share": 1.0 / len(ahead),
            "ahead": list(who),
            "leads": who[0] if len(who) == 1 else None,
        }
        for k, who in enumerate(ahead)
    ]
    return {"name": name, "unit": "share", "ranges": ranges}


def comparison(*parameters: dict[str, Any]) -> dict[str, Any]:
    """Three strategies, of which a is the best on average."""
    regret = {name: {"mean": estimate(float(k))} for k, name in enumerate("abc")}
    return {"choices": [{"measure": "export_gain", "regret": regret, "leads": list(parameters)}]}


def test_neighbours_that_are_too_close_are_one_part_and_many_names_are_left_out():
    one = leads("target_win", ("a", "b"), ("a", "b", "c"), ("b",), ("a", "b"))
    assert [lead_text(part) for part in lead_parts(one)] == [
        f"{TOO_CLOSE} from 0 to 0.5",
        "b from 0.5 to 0.75",
        "a or b from 0.75 to 1",
    ]


def test_of_a_range_of_many_parts_those_in_which_another_strategy_leads_are_named():
    parts = lead_parts(leads("target_win", ("a",), ("a", "b"), ("a",), ("b",), ("a", "c")))
    assert leads_text(parts, "a", 2) == "a from 0 to 0.2; b from 0.6 to 0.8; 3 more parts"
    assert leads_text(parts, "a").count(" from ") == 5


@given(st.lists(st.sets(st.sampled_from("abc"), min_size=1).map(tuple), min_size=1, max_size=20))
def test_parts_cover_the_range_and_keep_every_leader(ahead):
    one = leads("target_win", *ahead)
    parts = lead_parts(one)
    assert (parts[0].low, parts[-1].high) == (one["ranges"][0]["low"], one["ranges"][-1]["high"])
    assert abs(sum(part.share for part in parts) - 1.0) < 1e-9
    assert [part.leader for part in parts if part.leader] == [who[0] for who in ahead if len(who) == 1]


EQUAL = {"estimate": 0.0, "standard_error": 0.0, "low": None, "high": None}
AHEAD = {"difference": estimate(5.0), "higher": estimate(0.9), "lower": estimate(0.1)}


def compared(gap: dict[str, Any], better: float, worse: float, last: dict[str, Any] = AHEAD) -> list[str]:
    """The sentences about a choice whose best strategy is a, before b by a gap, and before c by another one."""
    own = {"difference": gap, "higher": estimate(better), "lower": estimate(worse)}
    pairs = [
        {"first": "a", "second": other, "measures": {"export_gain": one}} for other, one in (("b", own), ("c", last))
    ]
    return choice_sentences(comparison() | {"pairs": pairs})


def test_strategies_that_never_differ_are_equal_and_not_too_close_to_call():
    never = {"difference": EQUAL, "higher": estimate(0.0), "lower": estimate(0.0)}
    equal = {"pairs": [{"first": "a", "second": "b", "measures": {"export_gain": never}}]}
    assert dependence_sentence(comparison(leads("target_win", ("a", "b"))) | equal) == ""
    (sentence,) = compared(EQUAL, 0.0, 0.0, never)
    assert sentence == "By export_gain, a, b and c are equal in every trial: none of them is better."


def test_of_equal_strategies_it_is_said_by_how_much_they_are_better_than_the_others():
    first, second, _ = compared(EQUAL, 0.0, 0.0)
    assert first == (
        "By export_gain, a and b are the best of 3 strategies, and equal in every trial: on average 5.0 ±0.1 more than "
        "c, the next."
    )
    assert second == "In the same disputes a does better than c in 90 % of the trials, and worse in 10 %."
    close = AHEAD | {"difference": estimate(0.05)}
    first, *_ = compared(EQUAL, 0.0, 0.0, close)
    assert first.startswith("By export_gain, a and b (equal in every trial) and c are too close to call")


def alone(week: float | None, gain: float, cost: float) -> list[str]:
    events = {"agreement": estimate(0.4, 0.01), "sanctions": estimate(0.2, 0.01)}
    measures = {
        "agreement_week": {"quantiles": {"0.5": week, "0.9": week}},
        "export_gain": {"mean": estimate(gain)},
        "sender_cost": {"mean": estimate(cost) if cost else EQUAL},
    }
    return alone_sentences(None, {"events": events, "measures": measures}, 104)


def test_one_strategy_is_said_by_how_it_ends_when_and_what_it_brings():
    assert alone(31.0, 2.0, 0.4) == [
        "An agreement within 104 weeks comes in 40 % of the trials, and sanctions are imposed in 20 %.",
        "Half of the agreements come by week 31, and nine in ten by week 31.",
        "On average the sender exports 2.0 bn USD ±0.1 more, and sanctions cost it 0.4 bn USD ±0.1.",
    ]
    assert [len(alone(None, 2.0, 0.0)), len(alone(None, 0.0, 0.4)), len(alone(None, 0.0, 0.0))] == [2, 2, 1]
    # Tariffs may bring more than sanctions cost; what is small beside the gain is not mentioned.
    assert alone(None, 2.0, -0.4)[1].endswith("more, and sanctions bring it 0.4 bn USD ±0.1.")
    assert alone(None, 2.0, -0.01)[1].endswith(" ±0.1 more.")


@given(st.sampled_from([(None, None), (1.9, None), (None, 2.1)]))
def test_a_difference_that_is_the_same_in_every_trial_is_no_doubtful_one(ends):
    gap = {"estimate": 2.0, "standard_error": 0.0, "low": ends[0], "high": ends[1]}
    first, second, third = compared(gap, 1.0, 0.0)
    assert first == "By export_gain, a is the best of 3 strategies: on average 2 more than b, the next."
    assert second.endswith("better than b in all of the trials, and worse in none.")
    assert third == "The difference is the same in every trial."
    same = strategy("a", 0.5, 4.0)
    same["measures"]["export_gain"]["change"] = gap
    assert difference_sentences({"strategies": [same]}, "export_gain") == ["Under a, export_gain changes by 2."]


def test_a_choice_that_no_parameter_changes_says_so():
    steady = comparison(leads("target_win", ("a",), ("a", "b")), leads("patience", ("b", "c")))
    assert (
        dependence_sentence(steady) == "No range of a single parameter makes another strategy than a clearly the best."
    )
    assert belief_sentences(steady) == []
    assert dependence_sentence(comparison()) == ""


def test_a_strategy_that_leads_in_one_part_alone_changes_the_choice_if_it_is_not_the_best():
    found = comparison(leads("target_win", ("b",), ("a", "b")))
    assert dependence_sentence(found).endswith("a part of the range of 1 of 1 parameters:")
    assert belief_sentences(found) == [
        "“that the panel finds for the target” (target_win): b from 0 to 0.5; a or b from 0.5 to 1 (share)."
    ]


def test_of_many_parameters_the_weightiest_are_shown_and_the_others_counted():
    parameters = [leads(name, *[("a",)] * (9 - k), *[("b",)] * (k + 1)) for k, name in enumerate(PARAMETERS)]
    found = comparison(*parameters)
    assert "of 5 of 5 parameters, here of the 3 on which it depends most:" in dependence_sentence(found)
    shown = belief_sentences(found)
    assert len(shown) == SHOWN_BELIEFS
    assert [f"({name})" in text for name, text in zip(PARAMETERS[::-1], shown, strict=False)] == [True] * 3
    assert ordered_leads(parameters, "a")[0]["name"] == PARAMETERS[-1]


def test_what_would_not_change_the_choice_is_not_worth_learning():
    seen = {"name": "target_win", "value": estimate(0.2), "chosen": {"a": 0.7, "b": 0.3}}
    # An interval of an amount that is never below 0 excludes 0 although no choice changes.
    unchanged = {"name": "patience", "value": estimate(0.3), "chosen": {"a": 1.0}}
    result = {"measure": "export_gain", "now": {"best": "a"}, "parameters": [unchanged, seen]}
    assert learning_sentence(result).startswith("Learning “that the panel finds for the target” (target_win)")
    assert "0.2 ±0.1 on average, more than any other single parameter" in learning_sentence(result)
    assert learning_sentence(result | {"parameters": [unchanged]}).startswith("For no single parameter")


def changed(first: float, second: float, half: float = 0.01) -> dict[str, Any]:
    return {
        "first": estimate(first, half),
        "second": estimate(second, half),
        "change": estimate(second - first, half),
        "equal": None,
    }


def strategy(name: str, agreement: float, gain: float) -> dict[str, Any]:
    events = {"agreement": changed(0.5, agreement), "sanctions": changed(0.25, 0.25)}
    return {"first": name, "second": name, "events": events, "measures": {"export_gain": changed(2.0, gain)}}


def test_a_difference_is_said_in_percentage_points_with_the_best_strategy_of_each_run():
    document = {"strategies": [strategy("a", 0.497, 1.0), strategy("b", 0.5, 3.0)]}
    document["strategies"][0]["measures"]["export_gain"]["first"] = estimate(2.5)
    assert difference_sentences(document, "export_gain") == [
        "Under a, an agreement comes in 49.7 % of the trials of B instead of 50.0 % of A (-0.3 percentage points ±1.0, "
        "too close to call); export_gain changes by -1.00 ±0.01.",
        "Under b, export_gain changes by 1.00 ±0.01.",
        "By export_gain, a has the highest mean in A, and b in B.",
    ]
    same = {"strategies": [strategy(name, 0.5, 2.0) for name in "abcdef"]}
    assert difference_sentences(same, "export_gain")[0] == "The tables have 2 more strategies."
    assert difference_sentences({"strategies": [strategy("a", 0.5, 2.0)]}) == []
