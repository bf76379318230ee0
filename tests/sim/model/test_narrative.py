"""A story in sentences, on a trial in which nothing is left to chance."""

from sim.model.narrative import ending, passages, sessions_held, week_name
from sim.model.trace import play_story
from sim.sampling.chance import Chance
from tests.support.examples import CERTAIN_SANCTIONS, issue, scenario

CERTAIN = scenario(
    {"doors": issue(0.5, target_concession=0.999999999, weight=0.6), "seats": issue(0.4, weight=0.4)},
    {
        **CERTAIN_SANCTIONS,
        "defiance_probability": 1.0,
        "defiance_multiplier": 0.0,
        "file_on_sanctions": 1.0,
        "sanctioned_trade": 2.6,
        "tariff_rate": 1.0,
        "supply_elasticity": 4.0,
        "target_step": 0.5,
        "sanction_fatigue": 1.0,
        "package_threshold": 0.6,
        "full_access": 10.0,
    },
    as_of="1995-04-13",
    sender="Athens",
    target="Sparta",
    sessions={"cycle": ["mid", "none"]},
)


def test_the_narrative_of_a_deterministic_trial():
    story = play_story(CERTAIN, "base", Chance(1, 0, 1))
    sentences = [(p.weeks[0].week, p.weeks[-1].week, list(p.sentences)) for p in passages(story)]
    title = "“an issue”"
    assert sentences == [
        (
            1,
            1,
            [
                "Athens announces sanctions on 2.60 bn USD a year of imports, at 100 %, unless there is an agreement "
                "by week 2 (20 April 1995). Sparta refuses to negotiate under threat."
            ],
        ),
        (
            2,
            2,
            [
                "The deadline passes and Athens imposes sanctions; from next week on they cost Athens 142 mn USD and "
                "Sparta 260 mn USD a year by themselves. Sparta complains to the WTO."
            ],
        ),
        (
            3,
            3,
            [
                "Athens tires of its course and withdraws the sanctions after one week; they have cost Athens 3 mn USD "
                "and Sparta 5 mn USD.",
                "The case before the WTO lapses.",
            ],
        ),
        (4, 4, ["No session."]),
        (5, 5, [f"Sparta concedes on {title} and now offers 75 % of the demand, after 50 %; Athens asks 100 %."]),
        (6, 6, ["No session."]),
        (
            7,
            7,
            [
                f"Sparta concedes on {title} and now offers 100 % of the demand, after 75 %; Athens asks 100 %.",
                f"{title} is settled at 100 % of the demand.",
                f"The sides agree. Athens gains 84 % of its demand in market access, worth 8.40 bn USD a year. {title} "
                "stays open and is dropped at what Sparta offers, 60 %.",
            ],
        ),
    ]
    assert ending(CERTAIN, story.row) == (
        "agreement after retreat in week 7 (25 May 1995): 84 % of the demand, 7.27 bn USD of exports gained by the "
        "horizon; one week of sanctions cost Athens 3 mn USD and Sparta 5 mn USD"
    )


def test_quiet_weeks_are_summed_up_with_what_sanctions_cost():
    standing = scenario(
        None,
        {**CERTAIN_SANCTIONS, "sanctioned_trade": 5.2, "tariff_rate": 1.0, "supply_elasticity": 4.0},
        horizon_weeks=14,
    )
    story = play_story(standing, "base", Chance(1, 0, 1))
    last = passages(story)[-1]
    assert (last.weeks[0].week, last.weeks[-1].week) == (3, 14)
    assert last.sentences[0] == "Twelve sessions, nobody moved."
    assert last.sentences[1].startswith("Twelve weeks of sanctions cost Sender ")
    assert ending(standing, story.row).startswith("no agreement by week 14: sanctions standing; twelve weeks of")


def test_better_terms_of_trade_are_no_cost():
    gain = {"sanctioned_trade": 5.0, "tariff_rate": 0.2, "import_elasticity": 1.0, "supply_elasticity": 0.5}
    story = play_story(scenario(None, {**CERTAIN_SANCTIONS, **gain}, horizon_weeks=8), "base", Chance(1, 0, 1))
    assert story.row["sender_cost"] < 0.0
    assert "sanctions brought Sender" in ending(story.scenario, story.row)
    assert "and cost Target" in ending(story.scenario, story.row)


def test_weeks_have_dates_only_in_a_scenario_with_one():
    assert week_name(CERTAIN, 1) == "week 1 (13 April 1995)"
    assert week_name(CERTAIN, 53) == "week 53 (11 April 1996)"
    assert week_name(scenario(), 3) == "week 3"


def sentences_by_week(story):
    return {passage.weeks[0].week: list(passage.sentences) for passage in passages(story)}


def test_the_narrative_of_a_lapse_a_revival_a_partial_deal_and_a_breach():
    certain = scenario(
        {"doors": issue(0.5, target_concession=0.5, weight=0.6), "seats": issue(0.4, weight=0.4)},
        {
            "lapse_probability": 1.0,
            "threat_earliest_week": 3,
            "threat_probability": 1.0,
            "deadline_weeks": 2,
            "partial_deal_probability": 1.0,
            "target_readiness": 1e6,
            "breach_probability": 1.0,
            "breach_retention": 0.25,
            "full_access": 10.0,
            "sanctioned_trade": 2.6,
            "tariff_rate": 1.0,
        },
        sender="Athens",
        target="Sparta",
        sessions={"first": ["none", "none", "none", "mid"], "cycle": ["none"]},
    )
    # With one issue settled of a weight of 0.6 three trials in five sign.
    story = next(
        found
        for found in (play_story(certain, "base", Chance(1, trial, 1)) for trial in range(50))
        if found.row["partial_deal"]
    )
    sentences = sentences_by_week(story)
    title = "“an issue”"
    assert sentences[1] == ["The talks lapse."]
    assert sentences[2] == ["The talks have lapsed: no session."]
    assert sentences[3] == [
        "Athens announces sanctions on 2.60 bn USD a year of imports, at 100 %, unless there is an agreement by week "
        "5. The talks, which had lapsed, resume."
    ]
    assert sentences[5] == [
        "At the deadline the sides sign what is settled. Athens gains 84 % of its demand in market access, worth 8.40 "
        f"bn USD a year. {title} stays open and is dropped at what Sparta offers, 60 %."
    ]
    assert sentences[6] == ["Sparta stops keeping the agreement; 25 % of the market access won is left."]
    assert ending(certain, story.row).endswith("no sanctions; Sparta breaks the agreement in week 6")


def test_no_session_is_held_after_talks_have_lapsed():
    lapsed = scenario(None, {"lapse_probability": 1.0}, horizon_weeks=6, sessions={"cycle": ["mid", "senior"]})
    story = play_story(lapsed, "base", Chance(1, 0, 1))
    first, last = passages(story)
    assert (first.sentences, sessions_held(first.weeks)) == (("The talks lapse.",), {"mid": 1})
    assert (last.weeks[0].week, last.weeks[-1].week) == (2, 6)
    assert (last.sentences, sessions_held(last.weeks)) == (("The talks have lapsed: no session.",), {})


def test_the_narrative_of_sanctions_from_the_start_tranches_and_residual_sanctions():
    certain = scenario(
        {"doors": issue(0.5, sender_concession=0.5)},
        {
            "sanctions_at_start": 1.0,
            "tranches": 2,
            "tranche_weeks": 3,
            "residual_sanctions": 0.5,
            "sender_readiness": 1e6,
            "file_on_sanctions": 1.0,
            "unilateral_retaliation": 1.0,
            "defiance_probability": 1.0,
            "full_access": 10.0,
            "sanctioned_trade": 2.6,
            "tariff_rate": 1.0,
            "supply_elasticity": 4.0,
        },
        sender="Athens",
        target="Sparta",
        sessions={"first": ["none"] * 5, "cycle": ["mid"]},
    )
    sentences = sentences_by_week(play_story(certain, "base", Chance(1, 0, 1)))
    assert sentences[1] == [
        "Sanctions are in force as the dispute begins; they cost Athens 71 mn USD and Sparta 130 mn USD a year by "
        "themselves, with 50 % of the list in force. Sparta refuses to negotiate under sanctions. Sparta complains to "
        "the WTO. Sparta retaliates at once."
    ]
    assert sentences[4] == ["A further part of the sanctions comes into force: 100 % of the list is now."]
    assert sentences[6][2:] == [
        "The sides agree. Athens gains 50 % of its demand in market access, worth 5.00 bn USD a year. 50 % of the "
        "sanctions stay in force.",
        "The case before the WTO lapses.",
    ]
