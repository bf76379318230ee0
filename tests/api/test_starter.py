"""The scenario made of a dozen answers: the file says what was answered and is valid, or the answer is refused."""

from itertools import product

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.starter import NEUTRAL, NO_THREAT, QUESTIONS, REFERENCE, read_answers, read_demands, scenario_text
from sim.faults import InvalidInput
from sim.scenario.scenario import read_scenario, scenario_from_document
from tests.support.served import served

BY_NAME = {question.name: question for question in QUESTIONS}


def answered(**texts: str) -> dict:
    """The values of all questions that matter, with the defaults for those not answered here."""
    if texts.get("threat") == NO_THREAT:
        texts = {name: text for name, text in texts.items() if not BY_NAME[name].needs_threat}
    return read_answers("mine", texts)


@given(st.lists(st.text(max_size=40), min_size=3, max_size=3), st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_any_text_is_read_back_as_it_was_written_or_is_refused(texts, demands):
    title, sender, target = texts
    try:
        answers = answered(title=title, sender=sender, target=target)
        issues = read_demands(demands)
    except InvalidInput:
        return
    scenario = read_scenario(scenario_text("mine", issues, answers), "mine.yaml")
    assert (scenario.title, scenario.sender, scenario.target) == tuple(text.strip() for text in texts)
    assert [one.title for one in scenario.issues] == [one.title for one in issues]
    assert scenario.warnings == ()


CHOICES = ("threat", "retaliation", "complaint")


@pytest.mark.parametrize("choices", list(product(*(BY_NAME[name].choices for name in CHOICES))))
@pytest.mark.parametrize("ranges", [REFERENCE, NEUTRAL])
def test_every_choice_makes_a_valid_scenario(choices, ranges):
    answers = answered(**dict(zip(CHOICES, choices, strict=True)))
    scenario = read_scenario(scenario_text("mine", read_demands(["a", "b", "c"]), answers, ranges), "mine.yaml")
    assert list(scenario.strategies) == (["talk"] if choices[0] == NO_THREAT else ["threaten", "talk"])
    assert [fault for fault in scenario.warnings if fault.field.startswith("issues")] == []


def test_neutral_ranges_stand_as_comments_that_make_the_reference_ones():
    answers, issues = answered(), read_demands(["cars"])
    neutral = scenario_text("mine", issues, answers, NEUTRAL)
    uncommented = yaml.safe_load(
        neutral.replace("\n  # ", "\n  ").replace("  What you were asked", "").replace("  Neutral unless", "  #")
    )
    assert uncommented["parameters"] == yaml.safe_load(scenario_text("mine", issues, answers))["parameters"]
    assert len(yaml.safe_load(neutral)["parameters"]) < len(uncommented["parameters"])


def test_weights_sum_to_one():
    assert [one.weight for one in read_demands(["a=3", "b=1"])] == [0.75, 0.25]
    assert [one.name for one in read_demands(["Cars!", "cars", "42", "x=y"])] == ["cars", "cars-2", "issue", "x-y"]
    for many in range(1, 9):
        assert sum(one.weight for one in read_demands(["a"] * many)) == pytest.approx(1.0, abs=1e-9)
    with pytest.raises(InvalidInput, match=r"must have a point for the decimals of its weight: 0\.5"):
        read_demands(["Cod=0,5", "Haddock=0.5"])


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("gain", "2,5", "must have a point for the decimals: 2.5"),
        ("gain", "-1", "must be from 0 to 1e"),
        ("gain", "nan", "must be from 0 to 1e"),
        ("gain", "much", "must be a number of bn USD a year"),
        ("weeks", "0", "must be a whole number of weeks from 1 to"),
        ("weeks", "1.5", "must be a whole number of weeks"),
        ("as_of", "13.4.1995", "must be a date, YYYY-MM-DD"),
        ("threat", "maybe", "must be one of none, possible, announced"),
        ("title", "a\x1b[2J", "must not hold control characters"),
        ("sender", "  ", "must be a text that is not empty"),
    ],
)
def test_a_wrong_answer_is_refused_with_what_is_allowed(name, answer, message):
    with pytest.raises(InvalidInput) as refused:
        BY_NAME[name].value(answer)
    (fault,) = refused.value.faults
    assert fault.field == name
    assert message in fault.message


def test_an_answer_about_sanctions_is_refused_where_none_are_threatened():
    with pytest.raises(InvalidInput, match="none are threatened"):
        read_answers("mine", {"threat": NO_THREAT, "trade": "3"})


def test_the_service_asks_the_questions_and_makes_the_same_scenario(tmp_path):
    with served(tmp_path) as service:
        asked = service.ask("GET", "/v1/questions").json()
        assert [(one["name"], one["choices"]) for one in asked] == [(one.name, list(one.choices)) for one in QUESTIONS]
        assert all(one["text"] and one["explanation"] for one in asked)
        body = {"name": "mine", "title": "Fish", "issues": ["Cod=3", "Haddock=1"], "gain": "2.5", "threat": "announced"}
        found = service.ask("POST", "/v1/scenarios/new", json=body)
        assert found.status_code == 200, found.text
        answers = read_answers("mine", {"title": "Fish", "gain": "2.5", "threat": "announced"})
        assert found.json()["yaml"] == scenario_text("mine", read_demands(["Cod=3", "Haddock=1"]), answers)
        scenario = read_scenario(found.json()["yaml"], "mine.yaml")
        assert scenario == scenario_from_document(found.json()["scenario"])
        for wrong, field in (({"gain": "2,5"}, "gain"), ({"issues": ["a=0"]}, "issues"), ({"name": "../x"}, "name")):
            refused = service.ask("POST", "/v1/scenarios/new", json={**body, **wrong})
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == field
