"""A trial's story: it ends in the trial's row, and its events say what the row says."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.model.bargaining import CLOSED, SIDES
from sim.model.kernel import simulate
from sim.model.narrative import ending, passages
from sim.model.trace import KINDS, Event, Story, play_story
from sim.sampling.chance import Chance
from sim.sampling.designs import find_design
from sim.scenario.columns import trial_row
from sim.scenario.scenario import Scenario
from tests.support.examples import full_scenarios

TRIALS = 50_000
SEED = 17
SCENARIOS = full_scenarios()
WORLDS = [(name, strategy) for name, scenario in SCENARIOS.items() for strategy in scenario.strategies]
worlds = st.sampled_from(WORLDS)
designs = st.sampled_from(["random", "latin_hypercube", "sobol"])
trials = st.integers(0, TRIALS - 1)
heavy = settings(max_examples=15)


def story_of(name: str, strategy: str, trial: int, design: str = "random") -> Story:
    return play_story(SCENARIOS[name], strategy, Chance(SEED, trial, 1), find_design(design, TRIALS))


def row_of(scenario: Scenario, strategy: str, trial: int, design: str = "random") -> dict[str, object]:
    table = simulate(scenario, strategy, Chance(SEED, trial, 1), find_design(design, TRIALS))
    return trial_row(scenario, table)


@given(world=worlds, trial=trials, design=designs)
@heavy
def test_a_story_ends_in_the_row_of_its_trial(world, trial, design):
    assert story_of(*world, trial, design).row == row_of(SCENARIOS[world[0]], world[1], trial, design)


@given(world=worlds, trial=trials, data=st.data())
@heavy
def test_a_week_of_a_story_is_the_trial_played_up_to_it(world, trial, data):
    story = story_of(*world, trial)
    week = data.draw(st.sampled_from(story.weeks[1:-1] or story.weeks[-1:]))
    cut = replace(story.scenario, horizon_weeks=week.week)
    if week is not story.weeks[-1]:
        assert week.row == row_of(cut, world[1], trial)


@given(world=worlds, trial=trials)
@example(world=("litigious", "base"), trial=3)
@heavy
def test_events_say_what_the_row_says(world, trial):
    story = story_of(*world, trial)
    row, scenario = story.row, story.scenario
    assert {event.kind for event in story.events} <= set(KINDS)
    assert story.weeks[-1].week == (row["agreement_week"] or scenario.horizon_weeks)
    assert all(event.week == week.week for week in story.all_weeks for event in week.events)

    announced, imposed, agreed, ruled = (only(story, kind) for kind in ("announced", "imposed", "agreed", "ruled"))
    assert week_of(announced) == row["threat_week"]
    from_start = only(story, "sanctioned")
    assert week_of(imposed) == (row["sanctions_week"] or None)
    assert (from_start is not None) == (row["sanctions_week"] == 0)
    assert week_of(agreed) == row["agreement_week"]
    assert week_of(ruled) == row["ruling_week"]
    begun = announced or from_start
    assert (begun and begun.details["defiant"]) == row["defiant"]
    filings = [event.week for event in (announced, imposed, from_start) if event and event.details["filed"]]
    assert filings == [row["filing_week"]] * (row["filing_week"] is not None)
    if ruled:
        assert row["ruling"] == ("for_target" if ruled.details["for_target"] else "for_sender")
        reported = only(story, "reported")
        assert ruled.details["after_appeal"] == (reported is not None)
        if reported:
            turned = reported.details["for_target"] != ruled.details["for_target"]
            assert ruled.details["reversed"] == turned
    if agreed:
        assert agreed.details["outcome"] == row["outcome"]
        assert agreed.details["market_access"] == row["market_access"]
        assert agreed.details["partial"] == row["partial_deal"]
        assert set(agreed.details["dropped"]) == {i.name for i in scenario.issues if row[f"settled.{i.name}"] is None}
    extensions = events(story, "extended")
    assert len(extensions) == row["extensions"]
    deadlines = [event.details["deadline_week"] for event in (announced, *extensions) if event]
    assert [event.week for event in extensions] == deadlines[: len(extensions)]
    last_deadline = only(story, "imposed") or only(story, "backed_down")
    if agreed and agreed.details["partial"]:
        last_deadline = agreed
    if last_deadline:
        assert last_deadline.week == deadlines[-1]

    withdrawn = only(story, "tired") or only(story, "complied")
    assert (only(story, "complied") is not None) == (row["litigation"] == "complied")
    assert (only(story, "lapsed") is not None) == (row["litigation"] == "lapsed")
    retreated = withdrawn is not None or only(story, "backed_down") is not None
    assert retreated == (row["outcome"] in ("agreement_after_retreat", "retreat"))
    started = imposed or from_start
    if started:
        begin = row["sanctions_week"]
        end = withdrawn.week if withdrawn else story.weeks[-1].week
        assert row["sanctions_weeks"] == end - begin
        on = next((e.week for e in events(story, "authorised")), None)
        on = begin if started.details["retaliates"] else on
        assert row["retaliation_weeks"] == (0 if on is None else end - on)
        shares = [started.details["share"], *(event.details["share"] for event in events(story, "tranche"))]
        assert shares == sorted(set(shares))
        assert shares[-1] <= 1.0
    lapses = [event.week for event in events(story, "talks_lapsed")]
    revived = bool(announced and announced.details["revived"])
    assert lapses[1 if revived else 0 :] == [row["lapse_week"]] * (row["lapse_week"] is not None)
    assert week_of(only(story, "breached")) == row["breach_week"]


@given(world=worlds, trial=trials)
@heavy
def test_concessions_sum_up_to_the_positions(world, trial):
    story = story_of(*world, trial)
    for k, issue in enumerate(story.scenario.issues):
        positions = {side: story.weeks[0].positions[k][s] for s, side in enumerate(SIDES)}
        assert positions["sender"] == 1.0
        settled = [event for event in events(story, "settled") if event.details["issue"] == issue.name]
        level = story.row[f"settled.{issue.name}"]
        assert [event.details["level"] for event in settled] == [level] * (level is not None)
        for event in events(story, "conceded"):
            if event.details["issue"] == issue.name:
                side = event.details["side"]
                assert story.weeks[event.week].session != "none"
                assert not settled or event.week <= settled[0].week
                assert event.details["before"] == positions[side]
                assert (event.details["after"] < positions[side]) == (side == "sender")
                positions[side] = event.details["after"]
        assert tuple(positions.values()) == story.weeks[-1].positions[k]
        if level is not None:
            assert level == pytest.approx(sum(positions.values()) / 2.0, abs=1e-6)
            assert positions["sender"] - positions["target"] <= CLOSED + 1e-9
        reframed = [event for event in events(story, "reframed") if event.details["issue"] == issue.name]
        assert len(reframed) == bool(story.row.get(f"reframed.{issue.name}"))


@given(world=worlds, trial=trials)
@heavy
def test_every_week_is_described_once_and_every_event_in_a_sentence(world, trial):
    story = story_of(*world, trial)
    found = passages(story)
    assert [week for passage in found for week in passage.weeks] == list(story.all_weeks[1:])
    for passage in found:
        happened = [event for week in passage.weeks for event in week.events]
        if happened:
            assert len(passage.weeks) == 1
            assert len(passage.sentences) == len(happened)
        assert all(sentence[0] in "“" or not sentence[0].islower() for sentence in passage.sentences)
        assert all(sentence.endswith(".") for sentence in passage.sentences)
    assert ending(story.scenario, story.row)


def test_every_kind_of_event_occurs():
    missing = set(KINDS)
    for trial in range(300):
        missing -= {event.kind for event in story_of("deeper-litigious", "base", trial).events}
        if not missing:
            return
    raise AssertionError(missing)


def test_draws_are_placed_in_their_ranges():
    story = story_of("1995", "keep-talking", 5)
    draws = {draw.name: draw for draw in story.draws}
    assert "threat_probability" not in draws
    assert draws["tariff_rate"].share_below in (0.05, 0.55)
    step = draws["sender_step"]
    assert step.share_below == pytest.approx((step.value - 0.34) / 0.66)
    assert not draws["deadline_weeks"].played_a_part
    assert not draws["panel_weeks"].played_a_part
    assert draws["issues.dealer-access.gap"].played_a_part
    assert story.weeks[0].positions[1] == (1.0, 1.0 - draws["issues.dealer-access.gap"].value)


def events(story: Story, kind: str) -> list[Event]:
    return [event for event in story.events if event.kind == kind]


def only(story: Story, kind: str) -> Event | None:
    found = events(story, kind)
    assert len(found) <= 1
    return found[0] if found else None


def week_of(event: Event | None) -> int | None:
    return event and event.week
