"""The forecast of a new scenario: whatever is answered, threats end about as often in each way as its class's."""

import random
from datetime import date

import pytest

from api.starter import ALL_THREATS, QUESTIONS, reference_class_of
from api.starting_ranges import StartingRanges, shipped_starting_ranges
from cluster.answers.outside_view import ENDED, THREAT
from cluster.reference.rates import class_names, class_rates
from docs.starting_ranges import asked, fitted_ranges, scenario_of
from sim.model.kernel import simulate
from sim.sampling.chance import Chance
from sim.scenario.columns import columns
from sim.scenario.evaluation import evaluate
from sim.scenario.expressions import parse_condition

TRIALS = 4000
CLASSES = list(shipped_starting_ranges()[1])
CHOICES = {question.name: question.choices for question in QUESTIONS}
NUMBERS = {
    "weeks": ("104", "208"),
    "deadline": ("2", "4", "6", "9", "13", "26"),
    "trade": ("0", "0.1", "1", "50"),
    "tariff": ("10", "25", "100"),
    "gain": ("0", "1", "100"),
}
"""Answers that are numbers: those of disputes that have been, and beyond."""


def sampled(generator: random.Random, reference: str) -> tuple[dict, int]:
    """Answers of a dispute of a class, and a number of issues, each at random."""
    given = {name: generator.choice(texts) for name, texts in NUMBERS.items()}
    given |= {name: generator.choice(CHOICES[name]) for name in ("distance", "talks", "retaliation", "complaint")}
    given["threat"] = generator.choice(["possible", "announced"])
    return asked(reference, **given), generator.choice([1, 2, 3, 5, 10, 20])


def ended(answers: dict, issues: int) -> dict[str, float]:
    """The share of threats that end in each way."""
    ranges = shipped_starting_ranges()[1][reference_class_of(answers)]
    scenario = scenario_of(answers, issues, ranges)
    table = simulate(scenario, "threaten", Chance(5, 0, TRIALS))
    known = {column.name: column for column in columns(scenario)}

    def count(text: str) -> int:
        return int(evaluate(parse_condition(text, scenario), table, known).sum())

    return {name: count(text) / count(THREAT) for name, text in ENDED.items()}


def assert_within_its_class(answers: dict, issues: int) -> None:
    past = class_rates(reference_class_of(answers))["pooled"]
    for name, share in ended(answers, issues).items():
        # Two standard errors of a share of 4,000 trials.
        assert past[name]["low"] - 0.016 <= share <= past[name]["high"] + 0.016, (name, share, issues, answers)


@pytest.mark.parametrize("seed", range(3))
def test_threats_of_a_new_scenario_end_as_past_ones_did(seed):
    assert_within_its_class(*sampled(random.Random(seed), ALL_THREATS))


@pytest.mark.slow
@pytest.mark.parametrize("reference", CLASSES)
def test_threats_of_a_new_scenario_end_as_those_of_its_class_whatever_is_answered(reference):
    """Twelve combinations of answers for each class. Those where a fifth of all are outside pass with 7 %."""
    generator = random.Random(reference)
    for _ in range(12):
        assert_within_its_class(*sampled(generator, reference))


def test_every_class_of_answers_has_its_ranges():
    commitments, demands = ([word for word in CHOICES[name] if word != "unknown"] for name in ("commitment", "demand"))
    expected = {
        ALL_THREATS,
        *demands,
        *commitments,
        *(f"{demand}-{level}" for demand in demands for level in commitments),
    }
    assert set(CLASSES) == expected <= set(class_names())


@pytest.mark.slow
def test_the_shipped_ranges_are_those_that_the_fit_finds():
    """The procedure that `configs/starting_ranges.yaml` names, run again for one class."""
    found = fitted_ranges("specific-strong")
    shipped = shipped_starting_ranges()[1]["specific-strong"]
    assert found["readiness"] == dict(shipped.readiness)
    assert found["readiness_without_costs"] == dict(shipped.readiness_without_costs)
    assert found["meetings"] == dict(shipped.meetings)
    assert {name: found[name] for name in shipped.ranges} == dict(shipped.ranges)


def test_readiness_lies_on_the_line_through_the_logarithms():
    ranges = StartingRanges("all", {1: 0.1, 4: 0.4, 16: 0.8}, {1: 1.0}, {}, {})
    assert ranges.readiness_of(4, costs=True) == 0.4
    assert ranges.readiness_of(2, costs=True) == pytest.approx(0.2)
    assert ranges.readiness_of(8, costs=True) == pytest.approx((0.4 * 0.8) ** 0.5)
    assert ranges.readiness_of(64, costs=True) == pytest.approx(1.6), "beyond the last as between the last two"
    assert ranges.readiness_of(30, costs=False) == 1.0


def test_a_first_day_before_the_record_has_a_scenario_too():
    answers = asked(ALL_THREATS, as_of=date(1960, 1, 1).isoformat())
    assert scenario_of(answers, 1, shipped_starting_ranges()[1][ALL_THREATS]).reference == ALL_THREATS
